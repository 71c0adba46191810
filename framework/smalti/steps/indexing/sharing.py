"""Several lattices in one set of spots: each spot belongs to the lattice that it fits best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import polar

from smalti.models import Crystal, Experiment
from smalti.steps.indexing.assigning import Assignment
from smalti.steps.indexing.cycles import assign_all
from smalti.steps.indexing.mapping import MappedSpots

__all__ = ["angle_between", "share_out"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def share_out(
    lattices: Sequence[Sequence[Experiment]], mapped: MappedSpots, tolerance: float
) -> tuple[Assignment, NDArray[np.bool_], Index]:
    """Assign every spot to one lattice, or to none.

    Parameters
    ----------
    lattices : sequence of sequence of Experiment
        For each lattice its sweeps, always the same ones in the same order, with its crystals.
    mapped : MappedSpots
        N spots.
    tolerance : float
        Largest distance from a lattice point in fractions of an index.

    Returns
    -------
    assignment : Assignment
    entering : (N,) bool
    lattice : (N,) intp
        Number of the lattice; 0 where the spot has none.
    """
    best, entering = assign_all(lattices[0], mapped, tolerance)
    which = np.zeros(len(mapped.rlp), dtype=np.intp)
    for number, sweeps in enumerate(lattices[1:], start=1):
        other, _ = assign_all(sweeps, mapped, tolerance)
        better = other.indexed & (~best.indexed | (other.misfit < best.misfit))
        which[better] = number
        best = Assignment(
            np.where(better[:, None], other.h, best.h).astype(np.int32),
            np.where(better, other.misfit, best.misfit),
            best.indexed | better,
        )
    return best, entering, which


def angle_between(one: Crystal, other: Crystal) -> float | None:
    """Angle (deg) of the rotation that brings one lattice onto the other; None where none does.

    Only rotations of less than about 10 degrees are recognised: beyond them the axes of the one are no longer
    near integer combinations of those of the other.
    """
    first, second = np.array(one.real_space), np.array(other.real_space)
    change = np.rint(second @ np.linalg.inv(first))
    if abs(round(float(np.linalg.det(change)))) != 1:
        return None
    rotation, stretch = polar(np.linalg.inv(change @ first) @ second)
    if np.max(np.abs(stretch - np.eye(3))) > 0.1:
        return None
    sine = float(np.linalg.norm(rotation - np.eye(3))) / np.sqrt(8.0)
    return float(np.degrees(2.0 * np.arcsin(min(1.0, sine))))
