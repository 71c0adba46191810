"""Larger cells: whether the spots between the lattice points stand at halves or thirds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import finer_lattice, residue_classes
from smalti.steps.indexing.assigning import fit_growing

__all__ = ["Superlattice", "enlarged", "superlattices"]

Array = NDArray[np.float64]

RADIUS = 0.1
"""Fractions of an index within which a spot stands at a half or a third."""

CHANCE = 4.0 / 3.0 * np.pi * RADIUS**3
"""Part of the spots of no lattice that do so by chance."""


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
        Their excess over chance in standard deviations.
    """

    factor: int
    direction: tuple[int, int, int]
    odd: float
    significance: float


def superlattices(A: Array, points: Array, least: int = 10, sigmas: float = 6.0) -> tuple[Superlattice, ...]:
    """Find the cells of twice and three times the volume that significantly many spots need.

    Parameters
    ----------
    A : (3, 3) 1/Angstrom
    points : (N, 3) 1/Angstrom
    least : int
        Fewer spots than this mean nothing.
    sigmas : float
        Nor does a smaller excess over chance than this.

    Returns
    -------
    tuple of Superlattice
        The one that most spots need first.
    """
    fractional = points @ np.linalg.inv(A).T
    on = np.linalg.norm(fractional - np.rint(fractional), axis=1) < 0.2
    off = fractional[~on]
    found = []
    for n in (2, 3):
        for k in residue_classes(n):
            count = sum(_standing_at(off, k, sign / n) for sign in range(1, n))
            # Rows smeared by a bad geometry have spots between their points, the more the nearer to a
            # point: what stands there nearer than a half or a third is no less than chance.
            near = 0.3 if n == 2 else 0.22
            beside = sum(_standing_at(fractional, k, sign * near) for sign in (-1, 1)) * (n - 1) / 2
            chance = max(len(off) * CHANCE * (n - 1), beside)
            significance = (count - chance) / np.sqrt(max(chance, 1.0))
            if count >= least and significance >= sigmas:
                odd = (count - chance) / max(count - chance + on.sum(), 1.0)
                x, y, z = k.tolist()
                found.append(Superlattice(n, (x, y, z), float(odd), float(significance)))
    return tuple(sorted(found, key=lambda item: -item.odd))


def _standing_at(fractional: Array, k: NDArray[np.int64], part: float) -> int:
    """Count points within RADIUS of part * k, up to whole indices."""
    away = fractional - part * k
    return int((np.linalg.norm(away - np.rint(away), axis=1) < RADIUS).sum())


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
