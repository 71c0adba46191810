"""By how much the centroids of one panel, or one crystal, scatter more than those of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.observations import Observations
from smalti_ext.strata import quantiles

__all__ = ["Factors", "scatter_factors"]

Array = NDArray[np.float64]

_BOUNDS = (0.1, 10.0)
_LEAST = 1e-12
_OF_MEDIAN = 5.45
"""Variance of the logarithm of the median of n squares of normal deviates, times n: 1/(4 f^2) over the square
of the median m = 0.4549, with their density f(m) = 0.4708."""


@dataclass(frozen=True)
class Factors:
    """What the variances of the terms are multiplied with.

    Attributes
    ----------
    panels : (P, 3)
        Of x, y and phi; DeltaPsi is the crystal's own and does not depend on the panel.
    crystals : (E, 3)
        Of x, y and DeltaPsi of each still; 1 for sweeps.
    """

    panels: Array
    crystals: Array

    @classmethod
    def alike(cls, data: Observations) -> Factors:
        """All panels and all crystals alike."""
        sizes = (int(column.max(initial=0)) + 1 for column in (data.spots.panel, data.spots.experiment))
        panels, crystals = (np.ones((size, 3)) for size in sizes)
        return cls(panels, crystals)

    @classmethod
    def between(
        cls, data: Observations, by_panel: Array, by_crystal: Array, weights: Array | None
    ) -> Factors:
        """Tell panels apart by one kind of normalised squares (N, 3), crystals by another."""
        same, still, spots = cls.alike(data), data.traits.still, data.spots
        panels = scatter_factors(by_panel, weights, spots.panel, len(same.panels))
        if not still.any():
            return cls(panels, same.crystals)
        placed = by_crystal[still].copy()
        placed[:, :2] /= panels[spots.panel[still], :2]
        judged = None if weights is None else weights[still]
        tails = max(_tails(placed, spots.experiment[still]), 2.0)
        crystals = scatter_factors(placed, judged, spots.experiment[still], len(same.crystals), tails)
        return cls(panels, crystals)

    def of(self, data: Observations) -> Array:
        """Give the factors of all reflections, (N, 3)."""
        out = self.panels[data.spots.panel]
        still = data.traits.still
        out[still, 2] = 1.0
        out[still] *= self.crystals[data.spots.experiment[still]]
        return np.asarray(out)


def scatter_factors(
    squares: Array, weights: Array | None, panel: NDArray[np.intp], n_panels: int, tails: float = 2.0
) -> Array:
    """Estimate what the variances of each panel are multiplied with, (P, k) for k coordinates.

    Reflections hit an outer panel obliquely and are spread over more pixels, another may have a poorer
    calibration. One crystal is more mosaic than another. The factor is the mean normalised square of the
    panel over that of all, drawn to 1 by how much the panels can be told to differ (empirical Bayes, the
    variance between panels by moments: DerSimonian & Laird 1986, Control. Clin. Trials 7, 177). Where they
    differ no more than by chance all are 1; a panel with few reflections stays near 1.

    Parameters
    ----------
    squares : (N, k)
        Squared deviations over their variances; taken from the middle of a stratum, so that a panel that
        is out of place is not taken for one that scatters.
    weights : (N,) or None
        What the judge gave; 0 for what has no part in it. None where nothing is judged: then medians of
        the squares are compared, which outliers spoil less than means.
    panel : (N,)
        Panel, or crystal, of each.
    tails : float
        Variance of the squares over their squared mean: 2 for normal deviates.
    """
    good = np.isfinite(squares).all(axis=1)
    used = np.flatnonzero(good if weights is None else good & (weights > 0.0))
    w = np.ones(used.size) if weights is None else weights[used]
    count = np.bincount(panel[used], weights=w, minlength=n_panels)
    factors = np.ones((n_panels, squares.shape[1]))
    there = np.flatnonzero(count > 0.0)
    if there.size < 2:
        return factors
    if weights is None:
        middle = _medians(squares[used], panel[used])
        error = _OF_MEDIAN / count[there]
    else:
        total = [
            np.bincount(panel[used], weights=w * column, minlength=n_panels) for column in squares[used].T
        ]
        middle = np.column_stack(total)[there] / count[there, None]
        error = tails / count[there]
    # The logarithm of a mean square of n normal deviates has the variance 2/n, whatever they are.
    logarithm = np.log(np.maximum(middle, _LEAST))
    logarithm -= np.average(logarithm, axis=0, weights=count[there])
    for k in range(squares.shape[1]):
        factors[there, k] = np.exp(_share(logarithm[:, k], error) * logarithm[:, k])
    factors[there] /= np.average(factors[there], axis=0, weights=count[there])
    return np.clip(factors, *_BOUNDS)


def _tails(squares: Array, label: NDArray[np.intp]) -> float:
    """Variance of squares (N, k) over their squared mean within labels, of the worst of the k coordinates."""
    good = np.isfinite(squares).all(axis=1)
    rows, own = squares[good], label[good]
    if not len(rows):
        return 2.0
    count = np.maximum(np.bincount(own), 1)
    means = np.column_stack([np.bincount(own, weights=column) for column in rows.T]) / count[:, None]
    relative = rows / np.maximum(means[own], _LEAST)
    return float(np.max(relative.var(axis=0)))


def _medians(squares: Array, panel: NDArray[np.intp]) -> Array:
    """Medians (P, k) of squares (N, k) for each panel that has any, ascending."""
    order = np.argsort(panel, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(panel[order]) != 0]))
    return np.asarray(quantiles(squares[order], np.append(starts, len(order)).astype(np.int64), (0.5,))[0])


def _share(deviations: Array, variance: Array) -> Array:
    """What of deviations (P,) with variances of chance (P,) is to be believed, from 0 to 1."""
    precision = 1.0 / variance
    excess = float(np.sum(precision * deviations**2)) - (len(deviations) - 1)
    between = excess / (precision.sum() - np.sum(precision**2) / precision.sum())
    between = max(float(between), 0.0)
    return np.asarray(between / (between + variance))
