"""Indices by differences between neighbours, after the local indexing of XDS.

Where models are not yet good, spots lie off their lattice points by more and more from the middle outwards,
while the difference of two neighbours is still near a lattice vector. Neighbours whose difference is short
and near one are joined; a group of joined spots has indices up to a common offset, and the offset is that
which most spots of the group ask for [Kabsch 2010, Acta Cryst. D66, 133].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree

__all__ = ["local_indices"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NEIGHBOURS = 20

ERROR = 0.05
"""Deviation of a difference from whole indices that costs nothing (INDEX_ERROR of XDS)."""

MAGNITUDE = 8.0
"""Size of a difference that costs nothing (INDEX_MAGNITUDE)."""

QUALITY = 0.8
"""Of a pair to be joined, 1 for a perfect one (INDEX_QUALITY)."""

LEAST_GROUP = 10
"""Spots of a group below which its offset says little: they keep their nearest points."""


def local_indices(A: Array, points: Array, groups: Index) -> tuple[Array, NDArray[np.bool_]]:
    """Whole indices from chains of neighbours.

    Parameters
    ----------
    A : (3, 3) 1/Angstrom
    points : (N, 3) 1/Angstrom
    groups : (N,)
        Spots of different groups (sweeps) are no neighbours.

    Returns
    -------
    h : (N, 3)
        Whole numbers; those of the nearest lattice point where a spot is in no group of some size.
    joined : (N,) bool
        Whether it is in one.
    """
    fractional = points @ np.linalg.inv(A).T
    nearest = np.rint(fractional)
    pairs, steps, cost = _joined_pairs(fractional, points, groups)
    if len(pairs) == 0:
        return nearest, np.zeros(len(points), dtype=bool)
    relative, tree = _along_trees(len(points), pairs, steps, cost)
    offset = nearest - relative
    common, size = _most_frequent(offset, tree)
    joined = size[tree] >= LEAST_GROUP
    return np.where(joined[:, None], relative + common[tree], nearest), joined


def _joined_pairs(fractional: Array, points: Array, groups: Index) -> tuple[Index, Array, Array]:
    """Pairs (K, 2) worth joining, differences in whole indices (K, 3), second minus first, and costs (K,).

    With x the deviation of the difference from whole numbers and h those, the quality of a pair is
    exp(-2 (sum max(|x| - e, 0)^2/e^2 + sum max(|h| - d, 0)^2)).
    """
    found: list[Index] = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        count = min(NEIGHBOURS + 1, rows.size)
        if count < 2:
            continue
        beside = np.asarray(cKDTree(points[rows]).query(points[rows], k=count)[1])[:, 1:]
        first = np.repeat(np.arange(rows.size), count - 1)
        pairs = np.sort(np.column_stack([first, beside.ravel()]), axis=1)
        found.append(rows[np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)])
    pairs = np.concatenate(found) if found else np.zeros((0, 2), dtype=np.intp)
    difference = fractional[pairs[:, 1]] - fractional[pairs[:, 0]]
    whole = np.rint(difference)
    off = np.maximum(np.abs(difference - whole) - ERROR, 0.0) / ERROR
    far = np.maximum(np.abs(whole) - MAGNITUDE, 0.0)
    cost = 1.0 - np.exp(-2.0 * (np.sum(off**2, axis=1) + np.sum(far**2, axis=1)))
    # two spots of one lattice point are one reflection cut in two: joining them is right
    good = cost <= 1.0 - QUALITY
    return pairs[good], whole[good], cost[good]


def _along_trees(n: int, pairs: Index, steps: Array, cost: Array) -> tuple[Array, Index]:
    """Indices relative to the root of the tree of each spot, (N, 3), and the number of its tree, (N,)."""
    ends = (pairs[:, 0], pairs[:, 1])
    # a sparse matrix takes a cost of nothing for no edge
    forest = minimum_spanning_tree(csr_matrix((cost + 1e-9, ends), shape=(n, n))).tocoo()
    count, tree = connected_components(forest, directed=False)
    roots = np.unique(tree, return_index=True)[1]
    # one more node, joined to all roots, makes of the forest one tree that is walked once
    above = np.full(count, n)
    edges = coo_matrix(
        (
            np.ones(forest.nnz + count),
            (np.concatenate([forest.row, above]), np.concatenate([forest.col, roots])),
        ),
        shape=(n + 1, n + 1),
    )
    parent = breadth_first_order(edges.tocsr(), n, directed=False)[1][:n].astype(np.intp)
    parent[roots] = roots
    relative = _steps_to_parents(parent, pairs, steps, n)
    while np.any(parent != parent[parent]):
        relative += relative[parent]
        parent = parent[parent]
    return relative, tree.astype(np.intp)


def _steps_to_parents(parent: Index, pairs: Index, steps: Array, n: int) -> Array:
    """Index of each spot minus that of its parent, (N, 3); zero for roots."""
    keys = pairs[:, 0].astype(np.int64) * n + pairs[:, 1]
    order = np.argsort(keys)
    own = np.arange(n)
    low, high = np.minimum(own, parent), np.maximum(own, parent)
    moved = np.flatnonzero(own != parent)
    place = order[np.searchsorted(keys[order], low[moved].astype(np.int64) * n + high[moved])]
    relative = np.zeros((n, 3))
    relative[moved] = steps[place] * np.where(own[moved] == high[moved], 1.0, -1.0)[:, None]
    return relative


def _most_frequent(offset: Array, tree: Index) -> tuple[Array, Index]:
    """For each tree the offset (T, 3) that most of its spots ask for, and its number of spots (T,)."""
    rows = np.column_stack([tree, offset]).astype(np.int64)
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    order = np.lexsort((counts, kinds[:, 0]))
    last = np.flatnonzero(np.append(np.diff(kinds[order, 0]) != 0, True))
    return kinds[order][last, 1:].astype(float), np.bincount(tree)
