"""Spots that carry the index of a neighbour: found among the outliers by where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import RotationState, Spots, predict
from smalti.geometry.rotation import rotation
from smalti.steps.refining.problem.observations import Observations

__all__ = ["DOUBTED", "Mislabelled", "find_mislabelled"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DOUBTED = 0.5
"""Reflections to which the judge gives less weight than this are looked at: soft weights seldom reject."""
_FARTHEST = 2
"""A neighbour is at most so many steps away along each reciprocal axis."""
_LIMIT = 16.266
"""Squared distance within which a spot is at a lattice point: 99.9 % of chi-squared of three."""
_HALFWAY = 0.5
"""A lattice of points where no reflections are: what is found there is found by chance."""


@dataclass(frozen=True)
class Mislabelled:
    """Which reflections are those of a neighbouring lattice point.

    Attributes
    ----------
    offset : (N, 3) int
        What is to be added to the index; 0 for what is not mislabelled.
    by_chance : int
        How many outliers are as near to points between those of the lattice: so many of those found
        may be there by chance.
    """

    offset: NDArray[np.intp]
    by_chance: int

    @property
    def found(self) -> Mask:
        """Which they are, (N,)."""
        return np.asarray(self.offset.any(axis=1))


def find_mislabelled(state: RotationState, data: Observations, variance: Array, doubted: Mask) -> Mislabelled:
    """Look up the lattice point that each outlier is nearest to, and whether it belongs there.

    A wrong index is no wrong measurement: the spot is where another reflection is predicted, within its
    errors. Spots of another crystal, of ice, or split ones are nowhere.

    Parameters
    ----------
    state : RotationState
        The refined models.
    data : Observations
    variance : (N, 3) mm^2, mm^2, rad^2
    doubted : (N,) bool
        The outliers, and what the judge gave little weight.
    """
    offset = np.zeros((data.n, 3), dtype=np.intp)
    rows = np.flatnonzero(doubted)
    if rows.size == 0:
        return Mislabelled(offset, 0)
    spots = _taken(data.spots, rows)
    index = _index_at(state, spots, data.observed[rows])
    nearest, between = np.rint(index), np.rint(index - _HALFWAY) + _HALFWAY
    there = _at(state, spots, nearest, data.observed[rows], variance[rows])
    step = (nearest - spots.h).astype(np.intp)
    neighbour = there & step.any(axis=1) & (np.abs(step) <= _FARTHEST).all(axis=1)
    offset[rows[neighbour]] = step[neighbour]
    decoy = _at(state, spots, between, data.observed[rows], variance[rows])
    decoy &= (np.abs(between - spots.h) <= _FARTHEST + _HALFWAY).all(axis=1)
    return Mislabelled(offset, int(decoy.sum()))


def _index_at(state: RotationState, spots: Spots, observed: Array) -> Array:
    """Index h (N, 3), not whole numbers, at which spots are: A h = R(-phi) S^-1 (s1 - s0)."""
    e, panel = spots.experiment, spots.panel
    on_panel = np.column_stack([observed[:, :2], np.ones(len(observed))])
    ray = np.einsum("nij,nj->ni", state.d[panel], on_panel)
    length = np.linalg.norm(state.s0[e], axis=1) / np.linalg.norm(ray, axis=1)
    r = ray * length[:, None] - state.s0[e]
    turned = np.einsum("nji,nj->ni", state.S[e], r)
    q = np.einsum("nji,nj->ni", rotation(state.axis[e], observed[:, 2]), turned)
    return np.asarray(np.einsum("nij,nj->ni", np.linalg.inv(state.FA)[e], q))


def _at(state: RotationState, spots: Spots, h: Array, observed: Array, variance: Array) -> Mask:
    """Whether observed spots (N, 3) are where points h (N, 3) are predicted, at either of their crossings."""
    best = np.full(len(h), np.inf)
    for entering in (True, False):
        trial = replace(spots, h=h, entering=np.full(len(h), entering))
        misfit = np.sum((predict(state, trial)[0] - observed) ** 2 / variance, axis=1)
        best = np.fmin(best, misfit)  # nan where a point does not cross
    return np.asarray(best < _LIMIT)


def _taken(spots: Spots, rows: NDArray[np.intp]) -> Spots:
    return Spots(
        spots.h[rows], spots.entering[rows], spots.angle[rows], spots.experiment[rows], spots.panel[rows]
    )
