"""How well the centroids are known: variances for the weights and for the judging of residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.steps.refining.observations import Observations
from smalti.steps.refining.panel_scatter import panel_factors
from smalti.steps.refining.twin import Expected, expected
from smalti.steps.refining.uncertainty import reduced_chi_squared
from smalti.steps.refining.variance_model import (
    CORE,
    ENOUGH,
    WIDE,
    Terms,
    described,
    fit,
    robust_variance,
    terms,
)
from smalti_ext.strata import quantiles

__all__ = ["Noise", "NoiseModel", "chi_squared"]

Array = NDArray[np.float64]

_HALF_TRUST = 100
"""With so many reflections the fitted variances and those of the table count alike; with ten times as many
the latter count for 1 %."""

_LEAST_STRATUM = 5
_WIDEST = 1.0 / 4.0
"""Where nothing can be estimated the middle of a cut spot is off by half the unseen width."""

_KINDS = ("x", "y", "phi")
_TURNS = 2
"""Terms and panels are fitted in turn: outer panels may scatter more, and their spots are weaker."""


@dataclass(frozen=True)
class Noise:
    """Variances of the centroids of one round.

    Attributes
    ----------
    variance : (N, 3) mm^2, mm^2, rad^2
        Of residuals against the models: what weights are made of.
    judging : (N, 3)
        Of residuals about the middle of their stratum: what outliers are judged by. Panels that are still
        out of place widen the former, not this.
    scale : float
        Reduced chi-squared of what is used, against the variances before they were scaled by it.
    terms : Mapping
        For x, y and phi the coefficients of the fitted variance, px^2 or image^2.
    panels : (P, 3)
        What the variances of each panel are multiplied with.
    expected : Expected
        What the judge leaves of normal deviates.
    leverage : (N, 3)
        How much of each residual the fit has taken away.
    """

    variance: Array
    judging: Array
    scale: float
    terms: Mapping[str, Mapping[str, float]]
    panels: Array
    expected: Expected
    leverage: Array


@dataclass(frozen=True)
class NoiseModel:
    """What the noise of some observations may depend on, and how to estimate it.

    Attributes
    ----------
    data : Observations
    groups : (N,)
        Strata of the judge.
    estimate : bool
        Whether variances are estimated; otherwise they are those of the table, times one factor.
    seed : int
    """

    data: Observations
    groups: NDArray[np.intp]
    estimate: bool = True
    seed: int = 0

    def first(self, residuals: Array, effective: float = 0.0) -> Noise:
        """Estimate it before anything is judged, when only the scatter within strata tells something.

        Parameters
        ----------
        residuals : (N, 3)
            nan for what has no part in it.
        effective : float
            Number of parameters that have already been fitted to the data.
        """
        n = int(np.isfinite(residuals).all(axis=1).sum())
        followed = min(3 * n / max(3 * n - effective, 1.0), 2.0)
        deviations = self._about_strata(residuals) * np.sqrt(followed)
        scale = _robust_scale(deviations / np.sqrt(self._telling))
        variance = scale * self.data.variance
        found: Mapping[str, Mapping[str, float]] = {}
        if self.estimate:
            variance, found = self._fitted(deviations, scale, self._flat)
        return Noise(
            variance, variance, scale, found, self._flat, Expected.of_all(), np.zeros((self.data.n, 3))
        )

    def later(self, residuals: Array, weights: Array, leverage: Array, rejector: OutlierRejector) -> Noise:
        """Estimate it at a minimum.

        Parameters
        ----------
        residuals : (N, 3)
            nan for what has no part in it.
        weights : (N,)
            What the judge gave.
        leverage : (N, 3)
        rejector : OutlierRejector
            The judge.
        """
        deviations = self._about_strata(residuals)
        scale = _robust_scale(deviations / np.sqrt(self._telling))
        panels = self._flat
        judging = self._fitted(deviations, scale, panels)[0] if self.estimate else scale * self.data.variance
        left = expected(rejector, deviations / np.sqrt(judging), weights, self.groups, self.seed)
        own = np.where(weights[:, None] > 0.0, residuals, np.nan) / np.sqrt(1.0 - leverage)
        found: Mapping[str, Mapping[str, float]] = {}
        if self.estimate:
            for _ in range(_TURNS):
                variance, found = self._fitted(own, scale, panels, weights, left)
                plain = variance / panels[self.data.spots.panel]
                panels = panel_factors(deviations**2 / plain, weights, self.data.spots.panel, len(panels))
            variance = plain * panels[self.data.spots.panel]
            judging = judging * panels[self.data.spots.panel]
            excess = chi_squared(own, variance, weights, left.square)
        else:
            variance = self.data.variance
            excess = np.full(3, chi_squared(own, self._telling, weights, left.square).mean())
        return Noise(variance * excess, judging, float(excess.mean()), found, panels, left, leverage)

    @cached_property
    def _flat(self) -> Array:
        """Factors of panels that are all alike, (P, 3)."""
        return np.ones((int(self.data.spots.panel.max(initial=0)) + 1, 3))

    @cached_property
    def _terms(self) -> tuple[Terms, Terms, Terms]:
        return terms(self.data.traits, self.data.variance / self.data.traits.unit**2)

    @cached_property
    def _telling(self) -> Array:
        """Variances of the table (N, 3); nan for angles of spots that were cut, of which it knows nothing."""
        variance = self.data.variance.copy()
        if self.estimate:
            variance[self.data.traits.unseen > 0.0, 2] = np.nan
        return variance

    def _fitted(
        self,
        deviations: Array,
        scale: float,
        panels: Array,
        weights: Array | None = None,
        left: Expected | None = None,
    ) -> tuple[Array, dict[str, Mapping[str, float]]]:
        """Fit variances (N, 3) to deviations (N, 3), and draw them to those of the table where they are few.

        With weights and what is expected of normal deviates that have them, deviations count up to 2.5
        sigma; without, they may be anybody's, and count up to 1.
        """
        traits, data = self.data.traits, self.data
        unit = traits.unit**2
        fallback = scale * data.variance
        fallback[:, 2] += _WIDEST * traits.unseen**2 * unit[:, 2]
        good = np.flatnonzero(np.isfinite(deviations).all(axis=1))
        share = good.size**2 / (good.size**2 + _HALF_TRUST**2)
        some = good[:: max(1, -(-good.size // ENOUGH))]
        factor = panels[data.spots.panel]
        variance, found = np.empty_like(fallback), {}
        for k, (kind, model) in enumerate(zip(_KINDS, self._terms, strict=True)):
            squares = deviations[some, k] ** 2 / (unit[some, k] * factor[some, k])
            coefficients = np.zeros(len(model.names))
            coefficients[0] = robust_variance(squares)
            if squares.size and (weights is None or left is None):
                coefficients = fit(squares, model.take(some), coefficients, clip=CORE)
            elif squares.size and weights is not None and left is not None:
                coefficients = fit(
                    squares, model.take(some), coefficients, weights[some], WIDE, float(left.winsorised[k])
                )
            own = model.variance(coefficients) * unit[:, k]
            variance[:, k] = factor[:, k] * (share * own + (1.0 - share) * fallback[:, k])
            found[kind] = described(model, coefficients)
        return variance, found

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.groups, kind="stable")

    def _about_strata(self, residuals: Array) -> Array:
        """Deviations (N, 3) from the median of the stratum; nan in strata with too few for one.

        Where most strata are that small, deviations from the median of all.
        """
        finite = np.asarray(np.isfinite(residuals).all(axis=1))
        order = self._order[finite[self._order]]
        bounds = np.concatenate([[0], np.flatnonzero(np.diff(self.groups[order])) + 1, [order.size]])
        counts = np.diff(bounds) if order.size else np.zeros(0, dtype=np.int64)
        telling = counts >= _LEAST_STRATUM
        if 2 * counts[telling].sum() < order.size:
            counts = np.array([order.size])
            telling = counts > 0
        out = np.full_like(residuals, np.nan)
        if not telling.any():
            return out
        rows = order[np.repeat(telling, counts)]
        counts, values = counts[telling], residuals[rows]
        middle = quantiles(values, np.concatenate([[0], np.cumsum(counts)]), (0.5,))[0]
        # The median of n follows each of them a little: the mean square about it is smaller.
        wider = np.sqrt(counts / np.maximum(counts - _FOLLOWED, 0.5))
        out[rows] = (values - np.repeat(middle, counts, axis=0)) * np.repeat(wider, counts)[:, None]
        return out


_FOLLOWED = 2.0 - 0.5 * np.pi
"""Of n normal deviates the mean square about their median is 1 - (2 - pi/2)/n: a median has the variance
pi/(2n), and the covariance 1/n with each."""


def _robust_scale(normalised: Array) -> float:
    """Variance of normalised deviations from their absolute medians, drawn to 1 where they are few."""
    some = normalised[:: max(1, -(-len(normalised) // ENOUGH))]
    columns = [column[np.isfinite(column)] for column in some.T]
    squares = sum(robust_variance(column**2) * column.size for column in columns)
    return reduced_chi_squared(squares, sum(column.size for column in columns), 0.0)


def chi_squared(residuals: Array, variance: Array, weights: Array, expect: Array) -> Array:
    """Reduced chi-squared of x, y and phi, (3,), drawn to 1 where degrees of freedom are few.

    A reflection of weight w counts as w observations, as its square does.

    Parameters
    ----------
    residuals : (N, 3)
        Divided by the square root of 1 less their leverage; nan for what has no part.
    variance : (N, 3)
        nan where it is not known.
    weights : (N,)
    expect : (3,)
        Mean square of normal deviates with such weights.
    """
    squares = residuals**2 / variance
    known = np.where(np.isfinite(squares), weights[:, None], 0.0)
    total, count = np.sum(known * np.where(known > 0.0, squares, 0.0), axis=0), known.sum(axis=0)
    return np.array(
        [reduced_chi_squared(s / e, c, 0.0) for s, c, e in zip(total, count, expect, strict=True)]
    )
