"""Judging residuals: who belongs together is decided here, who is an outlier by a plugin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.steps.answers import weights_of
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.observations import Observations

__all__ = ["judge", "strata"]

Array = NDArray[np.float64]

_LEAST_EVIDENCE = 5


def strata(
    observations: Observations, options: RefineOptions, held_out: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Number the reflections by experiment, panel and block of rotation, (N,).

    Panels are kept apart, or the good spots of a displaced panel would look like outliers. Blocks of
    rotation with few reflections are joined with the next ones of their panel.

    Parameters
    ----------
    held_out : (N,) bool, optional
        Reflections that are numbered like the others but have no say in where blocks begin and end.
    """
    says = np.ones(observations.n, dtype=bool) if held_out is None else ~held_out
    spots = observations.spots
    # Observations are sorted by experiment and panel: within a cell only the angle is left to sort by.
    cell = np.concatenate([[0], np.cumsum((np.diff(spots.experiment) != 0) | (np.diff(spots.panel) != 0))])
    out = np.empty(observations.n, dtype=np.intp)
    width, total = np.radians(options.phi_block), 0
    for number in range(int(cell[-1]) + 1 if observations.n else 0):
        rows = np.flatnonzero(cell == number)
        angle, own = spots.angle[rows], says[rows] if says[rows].any() else np.ones(len(rows), dtype=bool)
        begin, end = angle[own].min(), angle[own].max()
        block = np.floor((np.clip(angle, begin, end) - begin) / width).astype(np.intp)
        joined = _join_sparse(np.bincount(block[own], minlength=block.max() + 1), options.minimum_stratum)
        out[rows] = total + joined[block]
        total += int(joined[-1]) + 1
    return out


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
    weights = np.zeros(observations.n)
    weights[possible] = weights_of(rejector, residuals[possible], sigmas[possible], groups[possible])
    panel = observations.spots.panel
    size = int(panel.max(initial=0)) + 1
    kept = np.bincount(panel, weights=weights > 0.0, minlength=size)
    there = np.bincount(panel, weights=possible, minlength=size)
    lost = (kept == 0) & (there >= _LEAST_EVIDENCE)
    return np.where(lost[panel] & possible, 1.0, weights)
