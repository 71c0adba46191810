"""Which lattice point each spot belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import fit_A
from smalti.steps.indexing.local_assigning import local_indices

__all__ = ["Assignment", "assign", "fit_growing", "packed"]

Array = NDArray[np.float64]

FURTHEST = 1.0
"""Fractions of an index: a spot further from its lattice point than this has got a wrong index on the way."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Miller indices of spots.

    Attributes
    ----------
    h : (N, 3) int32
        Nearest lattice point; 0 0 0 where the spot is not indexed.
    misfit : (N,)
        Distance from the nearest lattice point in fractions of an index.
    indexed : (N,) bool
    """

    h: NDArray[np.int32]
    misfit: Array
    indexed: NDArray[np.bool_]

    def without(self, rows: NDArray[np.bool_]) -> Assignment:
        """Take the indices away from some spots (N,)."""
        indexed = self.indexed & ~rows
        return Assignment(np.where(indexed[:, None], self.h, 0).astype(np.int32), self.misfit, indexed)


def assign(
    A: Array,
    points: Array,
    tolerance: float,
    angles: Array | None = None,
    groups: NDArray[np.intp] | None = None,
    neighbours: NDArray[np.intp] | None = None,
) -> Assignment:
    """Assign each point to the nearest lattice point, if it is near enough.

    Parameters
    ----------
    A : (3, 3) 1/Angstrom
    points : (N, 3) 1/Angstrom
    tolerance : float
        Largest distance in fractions of an index.
    angles, groups : (N,) rad and int, optional
        When given, of spots with the same index and group (sweep and side of the Ewald sphere) within 45
        degrees of rotation only the one that fits best keeps it: a spot cut in two, or a neighbour's
        shoulder.
    neighbours : (N,) int, optional
        When given, indices follow from chains of neighbours with the same number, which may lead further
        from a lattice point than the tolerance: see :func:`local_indices`.
    """
    fractional = points @ np.linalg.inv(A).T
    h = np.rint(fractional)
    if neighbours is not None:
        h, joined = local_indices(A, points, neighbours)
        tolerance_of = np.where(joined, max(tolerance, FURTHEST), tolerance)
    else:
        tolerance_of = np.full(len(points), tolerance)
    misfit = np.linalg.norm(fractional - h, axis=1)
    indexed = (misfit <= tolerance_of) & np.any(h != 0, axis=1)
    if angles is not None and groups is not None:
        indexed &= ~_duplicates(h, misfit, indexed, angles, groups)
    return Assignment(np.where(indexed[:, None], h, 0).astype(np.int32), misfit, indexed)


def _duplicates(
    h: Array, misfit: Array, indexed: NDArray[np.bool_], angles: Array, groups: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Spots that fit worse than another with the same index nearby, (N,)."""
    rows = np.flatnonzero(indexed)
    if rows.size == 0:
        return np.zeros(len(h), dtype=bool)
    key = packed(h[rows], groups[rows])
    order = np.lexsort((angles[rows], key))
    rows, key = rows[order], key[order]
    apart = (key[1:] != key[:-1]) | (np.diff(angles[rows]) > np.pi / 4)
    starts = np.concatenate([[0], np.flatnonzero(apart) + 1])
    run = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(rows))))
    worse = np.zeros(len(h), dtype=bool)
    worse[rows] = misfit[rows] > np.minimum.reduceat(misfit[rows], starts)[run]
    return worse


def packed(h: NDArray[Any], groups: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for each group and index: equal exactly where both are."""
    whole = np.column_stack([groups, h]).astype(np.int64)
    whole -= whole.min(axis=0)
    packed = whole[:, 0]
    for column, size in zip(whole[:, 1:].T, whole[:, 1:].max(axis=0) + 1, strict=True):
        packed = packed * size + column
    return packed


def fit_growing(A: Array, points: Array, tolerance: float = 0.25, steps: int = 6) -> Array:
    """Fit A to points by least squares, from low to high resolution.

    An error of A moves far points by more than an index; the near ones improve it until the far ones can be
    told apart. Fewer than twelve usable points leave A as it is.

    Parameters
    ----------
    A : (3, 3) 1/Angstrom
    points : (N, 3) 1/Angstrom
    """
    length = np.linalg.norm(points, axis=1)
    order = np.argsort(length, kind="stable")
    sizes = np.unique(np.geomspace(min(len(points), 60), len(points), steps).astype(int))
    for size in (*sizes, len(points)):
        near = points[order[:size]]
        found = assign(A, near, tolerance)
        good = found.indexed
        if good.sum() < 12 or np.linalg.matrix_rank(found.h[good]) < 3:
            continue
        A = fit_A(near[good], found.h[good])
    return A
