"""Spots that got no index on the way: asked once more with the refined models, by where they should be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.steps.indexing.assigning import packed
from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.predicting import predict_indexed
from smalti.tables import Flag, Reflections

__all__ = ["rescued_by_position"]

Array = NDArray[np.float64]

SIGMAS = 3.0
"""Robust standard deviations of the residuals of indexed spots within which a spot is where it should be."""

FURTHEST = 0.5
"""Fractions of an index: half of the way to the next lattice point along an axis."""


def rescued_by_position(
    experiments: Experiments, table: Reflections, usable: NDArray[np.bool_], width: int
) -> tuple[Reflections, int]:
    """Give an index to spots that lie where their nearest lattice point is predicted.

    With a long axis, a spot may be further from its lattice point than the tolerance, which is a fraction of
    an index, while its centroid is as good as any other. A lattice point that has a spot takes no other.

    Parameters
    ----------
    experiments : Experiments
        Final models, those of the first lattice first.
    table : Reflections
        All spots, predicted where they are indexed.
    usable : (N,) bool
        Spots that may be indexed.
    width : int
        Number of sweeps: the spots are asked about the first lattice.

    Returns
    -------
    table : Reflections
    count : int
        How many got an index.
    """
    ids, sweep = np.array(table["id"]), table["imageset_id"]
    h = np.zeros((table.n_rows, 3), dtype=np.int32)
    asked = np.zeros(table.n_rows, dtype=bool)
    for number in range(width):
        rows = np.flatnonzero((ids < 0) & (sweep == number) & usable)
        fractional = table["rlp"][rows] @ np.array(crystal_of(experiments[number]).real_space).T
        nearest = np.rint(fractional)
        near = np.all(np.abs(fractional - nearest) < FURTHEST, axis=1) & np.any(nearest != 0, axis=1)
        h[rows], asked[rows] = nearest, near
    rows = np.flatnonzero(asked)
    good = np.flatnonzero(ids >= 0)
    if rows.size == 0 or good.size < 2:
        return table, 0
    trial = table.take(rows).with_columns({"id": sweep[rows].astype(np.int32), "miller_index": h[rows]})
    away = _away(predict_indexed(experiments, trial))
    spread = 1.4826 * np.median(np.abs(_away(table.take(good))), axis=0)
    placed = rows[np.all(np.abs(away) <= SIGMAS * spread, axis=1)]
    placed = placed[~_taken(ids, table, h, placed, good)]
    ids[placed] = sweep[placed]
    flags, index = np.array(table["flags"]), np.array(table["miller_index"])
    flags[placed] |= np.uint64(int(Flag.INDEXED))
    index[placed] = h[placed]
    table = table.with_columns({"id": ids, "miller_index": index, "flags": flags})
    return predict_indexed(experiments, table) if placed.size else table, int(placed.size)


def _away(table: Reflections) -> Array:
    """Predicted minus observed places, (N, 3) px px images."""
    return np.asarray(table["xyzcal.px"] - table["xyzobs.px.value"])


def _taken(
    ids: NDArray[np.int32],
    table: Reflections,
    h: NDArray[np.int32],
    placed: NDArray[np.intp],
    good: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Which of the spots ``placed`` belong to a lattice point that another spot has, old or new.

    The same lattice point crosses the sphere twice, entering and leaving.
    """
    rows = np.concatenate([good, placed])
    sweep = np.concatenate([ids[good], table["imageset_id"][placed]]).astype(np.intp)
    points = np.concatenate([table["miller_index"][good], h[placed]])
    number = packed(points, 2 * sweep + table["entering"][rows])
    theirs, mine = number[: good.size], number[good.size :]
    again = np.ones(placed.size, dtype=bool)
    again[np.unique(mine, return_index=True)[1]] = False
    return np.asarray(np.isin(mine, theirs) | again)
