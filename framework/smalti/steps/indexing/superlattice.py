"""Larger cells: whether the spots between the lattice points stand at halves, thirds or fifths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from smalti.geometry.lattice import finer_lattice, residue_classes
from smalti.steps.indexing.assigning import fit_growing

__all__ = ["FACTORS", "Superlattice", "enlarged", "larger_cells", "superlattices"]

Array = NDArray[np.float64]

FACTORS = (2, 3, 5)
"""Volumes of larger cells that are looked for; others follow by doing so again."""

LEAST = 10
"""Spots; fewer mean nothing."""

SIGMAS = 6.0
"""Excess over chance in standard deviations; less means nothing."""

LEAST_SHARPNESS = 0.5
"""How closely spots of a larger cell stand about their places, at least: the part of them within half of the
radius, over the same part of the spots about lattice points. Of strewn spots an eighth is there."""

CLOSEST = 0.04
"""Fractions of an index: spots nearer to a lattice point than this stand nowhere else."""


@dataclass(frozen=True, slots=True)
class Superlattice:
    """A larger cell that some spots need.

    Attributes
    ----------
    factor : int
        Volume over that of the smaller cell.
    direction : tuple of int
        Reciprocal direction, in indices of the smaller cell, in which rows are divided by ``factor``.
    odd : float
        Fraction q of the spots that only the larger cell explains.
    significance : float
        Their excess over chance in standard deviations; 0 where they are strewn about the places of the
        larger cell, and not at them.
    count : int
        How many spots stand there, by chance or not.
    """

    factor: int
    direction: tuple[int, int, int]
    odd: float
    significance: float
    count: int = 0

    @property
    def significant(self) -> bool:
        """Whether there are enough of these spots, and clearly more than by chance."""
        return self.count >= LEAST and self.significance >= SIGMAS


def superlattices(A: Array, points: Array) -> tuple[Superlattice, ...]:
    """Find the cells of 2, 3 and 5 times the volume that significantly many spots need.

    Parameters
    ----------
    A : (3, 3) 1/Angstrom
    points : (N, 3) 1/Angstrom

    Returns
    -------
    tuple of Superlattice
        The one that most spots need first.
    """
    found = [item for item in larger_cells(A, points) if item.significant]
    return tuple(sorted(found, key=lambda item: (-item.odd, item.factor)))


def larger_cells(A: Array, points: Array, factors: Sequence[int] = FACTORS) -> tuple[Superlattice, ...]:
    """Measure for every larger cell how many spots need it, significant or not.

    Rows smeared by a bad geometry have spots between their points, the more the nearer to a point. What
    stands at a half, a third or a fifth by chance is therefore no less than what stands nearer to a lattice
    point in the same direction.
    """
    fractional = points @ np.linalg.inv(A).T
    away = np.linalg.norm(fractional - np.rint(fractional), axis=1)
    # the tree counts what stands about a place, with whole indices as its period
    off = np.mod(fractional[away > CLOSEST], 1.0)
    tree = cKDTree(np.where(off >= 1.0, 0.0, off), boxsize=np.ones(3))
    return tuple(_measured(tree, away, k, n) for n in factors for k in residue_classes(n))


def _measured(tree: cKDTree, away: Array, k: NDArray[np.int64], n: int) -> Superlattice:
    """Count the spots that stand at whole parts 1/n of k, and beside them."""
    radius = min(0.1, 0.25 / n)
    parts = np.array([part / n for part in range(1, n)])
    # as far from lattice points as the nearest of these parts, less the width of two
    nearer = np.minimum(parts, 1.0 - parts) - 2.0 * radius
    count = _standing(tree, np.outer(parts, k), radius)
    beside = _standing(tree, np.outer(np.concatenate([nearer, -nearer]), k), radius) / 2.0
    strewn = int((away > 0.5 / n).sum()) * (n - 1) * 4.0 / 3.0 * np.pi * radius**3
    chance = max(strewn, beside)
    excess = count - chance
    on = int((away < min(0.2, 0.5 / n)).sum())
    odd = excess / max(excess + on, 1.0)
    x, y, z = k.tolist()
    within = _standing(tree, np.outer(parts, k), radius / 2.0) - chance / 8.0
    usual = float((away < radius / 2.0).sum()) / max(int((away < radius).sum()), 1)
    sharp = within > LEAST_SHARPNESS * usual * excess
    significance = float(excess / np.sqrt(max(chance, 1.0))) if sharp or excess <= 0.0 else 0.0
    return Superlattice(n, (x, y, z), max(float(odd), 0.0), significance, count)


def _standing(tree: cKDTree, places: Array, radius: float) -> int:
    """Count points within a radius of any of these places, up to whole indices."""
    wrapped = np.mod(places, 1.0)
    return int(
        tree.query_ball_point(np.where(wrapped >= 1.0, 0.0, wrapped), radius, return_length=True).sum()
    )


def enlarged(A: Array, points: Array, threshold: float) -> tuple[Array, tuple[Superlattice, ...]]:
    """Take larger cells as long as at least a fraction ``threshold`` of the spots needs them.

    Returns
    -------
    A : (3, 3) 1/Angstrom
        Not reduced where it was enlarged.
    taken : tuple of Superlattice
    """
    taken: list[Superlattice] = []
    while True:
        found = superlattices(A, points)
        if not found or found[0].odd < threshold or len(taken) == 3:
            return A, tuple(taken)
        best = found[0]
        finer = finer_lattice(np.array(best.direction), A.T, best.factor).T
        A = fit_growing(np.asarray(finer), points)
        taken.append(best)
