"""Judging residuals: who belongs together is decided here, who is an outlier by a plugin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.steps.answers import weights_of
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.observations import Observations
from smalti_ext.strata import quantiles

__all__ = ["granted", "judge", "levelled", "strata"]

Array = NDArray[np.float64]

_LEAST_EVIDENCE = 5
_GRANTED = 1.4
"""Times the median variance is what a spot of a still is judged with at most."""
_LEAST_ON_PANEL = 12
_LEAST_OF_CRYSTAL = 20
"""Of fewer reflections a median says less than that a panel, or a crystal, is in place."""


def strata(
    observations: Observations, options: RefineOptions, held_out: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Number the reflections: sweeps by experiment, panel and block of rotation, all stills together, (N,).

    Panels are kept apart, or the good spots of a displaced panel would look like outliers. Blocks of
    rotation with few reflections are joined with the next ones of their panel. A still has too few to keep
    its panels apart, and hardly enough for quartiles of its own: of 30 spots these are uncertain by a
    quarter, and 2 % more would be rejected. What is its own, and its panels', is taken from the residuals
    before (:func:`levelled`) and put into the sigmas, both as far as it can be told.

    Parameters
    ----------
    held_out : (N,) bool, optional
        Reflections that are numbered like the others but have no say in where blocks begin and end.
    """
    says = np.ones(observations.n, dtype=bool) if held_out is None else ~held_out
    still = observations.traits.still
    turning = np.flatnonzero(~still)
    # Observations are sorted by experiment and panel: within a cell only the angle is left to sort by.
    cells = np.split(turning, np.flatnonzero(np.diff(observations.cell[turning])) + 1)
    out = np.empty(observations.n, dtype=np.intp)
    width, total = np.radians(options.phi_block), 0
    for rows in cells if turning.size else ():
        angle = observations.spots.angle[rows]
        own = says[rows] if says[rows].any() else np.ones(len(rows), dtype=bool)
        begin, end = angle[own].min(), angle[own].max()
        block = np.floor((np.clip(angle, begin, end) - begin) / width).astype(np.intp)
        joined = _join_sparse(np.bincount(block[own], minlength=block.max() + 1), options.minimum_stratum)
        out[rows] = total + joined[block]
        total += int(joined[-1]) + 1
    out[still] = total
    return out


def levelled(residuals: Array, observations: Observations) -> Array:
    """Residuals (N, 3) of which those of stills are about the middle of their panel and of their crystal.

    A panel that is out of place shifts x and y of its spots in all stills alike, a crystal that is not yet
    placed well shifts all of its own. Panels and crystals with few spots are taken as they are.

    Parameters
    ----------
    residuals : (N, 3)
        nan for what has no part in it.
    """
    still = np.flatnonzero(observations.traits.still)
    out = residuals.copy() if still.size else residuals
    for label, least, known in (
        (observations.spots.panel[still], _LEAST_ON_PANEL, (1.0, 1.0, 0.0)),
        (observations.spots.experiment[still], _LEAST_OF_CRYSTAL, (1.0, 1.0, 1.0)),
    ):
        if still.size:
            out[still] -= _medians(out[still], label, least)[label] * known
    return out


def granted(variance: Array, still: NDArray[np.bool_]) -> Array:
    """Variances (N, 3) to judge by: in x and y no spot of a still is granted much more than the typical.

    A crystal of which all spots scatter widely would otherwise have no outliers.
    """
    out = variance.copy()
    if still.any():
        out[still, :2] = np.minimum(out[still, :2], _GRANTED * np.median(out[still, :2], axis=0))
    return out


def _medians(residuals: Array, label: NDArray[np.intp], least: int) -> Array:
    """Medians (L, 3) of the finite residuals (N, 3) of each label; 0 where they are fewer than ``least``."""
    rows = np.flatnonzero(np.isfinite(residuals).all(axis=1))
    rows = rows[np.argsort(label[rows], kind="stable")]
    counts = np.bincount(label[rows], minlength=int(label.max()) + 1)
    middle = np.zeros((len(counts), 3))
    if rows.size:
        bounds = np.concatenate([[0], np.cumsum(counts[counts > 0])]).astype(np.int64)
        middle[counts > 0] = quantiles(residuals[rows], bounds, (0.5,))[0]
    return np.where((counts >= least)[:, None], middle, 0.0)


def _join_sparse(counts: NDArray[np.intp], enough: int) -> NDArray[np.intp]:
    """Join consecutive blocks until each group has enough; the last joins the one before it if it must."""
    group = np.zeros(len(counts), dtype=np.intp)
    number, held = 0, 0
    for k, count in enumerate(counts):
        group[k] = number
        held += int(count)
        if held >= enough:
            number, held = number + 1, 0
    if held and number:
        group[group == number] = number - 1
    return group


def judge(
    observations: Observations,
    residuals: Array,
    sigmas: Array,
    groups: NDArray[np.intp],
    rejector: OutlierRejector,
) -> Array:
    """Give each reflection its weight in [0, 1], (N,); none where nothing is predicted.

    A panel of which nothing would be left keeps all: then it is the panel that is out, not its spots.
    A few spots are no evidence for that, and a panel can do without them.
    """
    possible = np.isfinite(residuals).all(axis=1)
    residuals = levelled(residuals, observations)
    weights = np.zeros(observations.n)
    weights[possible] = weights_of(rejector, residuals[possible], sigmas[possible], groups[possible])
    panel = observations.spots.panel
    size = int(panel.max(initial=0)) + 1
    kept = np.bincount(panel, weights=weights > 0.0, minlength=size)
    there = np.bincount(panel, weights=possible, minlength=size)
    lost = (kept == 0) & (there >= _LEAST_EVIDENCE)
    return np.where(lost[panel] & possible, 1.0, weights)
