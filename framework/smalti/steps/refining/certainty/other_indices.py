"""Whether all indices are off by the same lattice vector: the error that a wrong beam centre hides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.problem.uncertainty import inverse_of
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["OtherIndices", "other_indices"]

Array = NDArray[np.float64]
Offset = tuple[int, int, int]

_MOST = 1000
"""So many reflections tell a wrong origin from the right one."""
_FEWEST = 50

_NEIGHBOURS = 8
"""Lattice vectors tried, the shortest: a beam centre that is off by more than these shows at once."""
_FARTHEST = 2
"""Each index is off by at most this."""

_STEPS = 6
_HOPELESS = 5.0
"""So many times the misfit as given after two steps, and these indices are not those of the spots."""


@dataclass(frozen=True)
class OtherIndices:
    """The best fit with all indices off by one lattice vector, beside the fit as it is.

    Attributes
    ----------
    offset : (3,) int
        What was added to all indices.
    misfit, misfit_as_given : float
        Median over reflections of the sum of the squares of the three residuals over their variances.
    n : int
        How many reflections were looked at.
    """

    offset: Offset
    misfit: float
    misfit_as_given: float
    n: int


def other_indices(fit: Fit) -> OtherIndices | None:
    """Refine with all indices off by one, and tell which neighbour fits best.

    Where the beam is off by about the distance of two spots each spot is near the prediction of its
    neighbour; all indices are then wrong by the same lattice vector, and cell, orientation and detector
    are refined to hide it. Over a wide rotation they cannot; over a narrow one they nearly can, and only
    a comparison tells. Steps are those of Gauss and Newton, from the geometry that was refined.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    OtherIndices or None
        None of several crystals, which tell each other's origin, of stills, and of few reflections.
    """
    working = np.flatnonzero(fit.working)
    layout = fit.source.layout
    several = len({use["crystal"] for use in layout.uses}) != 1
    if several or any(layout.stills) or len(working) < _FEWEST:
        return None
    rows = working[:: -(-len(working) // _MOST)]
    source = replace(
        fit.source,
        observations=fit.source.observations.take(rows),
        weights=1.0 / fit.rounds[-1].noise.variance[rows],
    )
    h = fit.source.observations.spots.h[working]
    FA = layout.state(fit.p).FA[0]
    given = _misfit(source, fit.p)
    best: tuple[float, Offset] | None = None
    for offset in _neighbours(h, FA):
        misfit = _refined(_shifted(source, offset), fit.p, _HOPELESS * given)
        if best is None or misfit < best[0]:
            best = misfit, offset
    if best is None:
        return None
    return OtherIndices(best[1], best[0], given, len(rows))


def _neighbours(h: Array, FA: Array) -> list[Offset]:
    """The shortest vectors between the indices (N, 3) that there are: a centred lattice lacks some."""
    low = h.min(axis=0).astype(np.int64) - _FARTHEST
    size = h.max(axis=0).astype(np.int64) + _FARTHEST + 1 - low
    steps = np.array([size[1] * size[2], size[2], 1])
    there = np.unique((h.astype(np.int64) - low) @ steps)
    span = range(-_FARTHEST, _FARTHEST + 1)
    offsets: list[Offset] = [(i, j, k) for i in span for j in span for k in span if (i, j, k) != (0, 0, 0)]
    found: list[Offset] = []
    for offset in sorted(offsets, key=lambda item: float(np.linalg.norm(FA @ np.array(item, dtype=float)))):
        moved = there + int(np.array(offset) @ steps)
        if np.isin(moved, there, assume_unique=True).any():
            found.append(offset)
        if len(found) == _NEIGHBOURS:
            break
    return found


def _shifted(source: RotationSource, offset: Offset) -> RotationSource:
    data = source.observations
    spots = replace(data.spots, h=data.spots.h + np.array(offset, dtype=float))
    return replace(source, observations=replace(data, spots=spots))


def _refined(source: RotationSource, p: Array, hopeless: float) -> float:
    """The least misfit on the way of a few full steps from p (n,), two where it stays hopeless."""
    least = np.inf
    for step in range(_STEPS):
        if step == 2 and least > hopeless:
            break
        now = source.normal_equations(p)
        if not (np.isfinite(now.matrix).all() and np.isfinite(now.gradient).all()):
            break
        p = p - inverse_of(now.matrix) @ now.gradient
        misfit = _misfit(source, p)
        if not misfit < least:
            break
        least = misfit
    return least


def _misfit(source: RotationSource, p: Array) -> float:
    try:
        squares = np.sum(source.weights * source.calc_minus_obs(p) ** 2, axis=1)
    except np.linalg.LinAlgError:  # parameters that are no cell
        return np.inf
    return float(np.median(np.where(np.isfinite(squares), squares, np.inf)))
