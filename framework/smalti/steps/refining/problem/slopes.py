"""Derivatives of local coordinates, by the kinds of parameters that a partition makes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.geometry.derivatives import PANEL
from smalti.steps.refining.problem.layout import N_SHARED, Layout
from smalti.steps.refining.problem.partition import Partition
from smalti_ext import arrow

__all__ = ["slopes_of"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def slopes_of(layout: Layout, partition: Partition, p: Array, *, panels: bool = True) -> arrow.Slopes:
    """Derivatives of local coordinates by kinds of parameters; of panels only where they are asked for."""
    tangent = sparse.coo_array(layout.tangent(p, panels=panels))
    row, column = (np.asarray(x, dtype=np.intp) for x in tangent.coords)
    of_panel = row < PANEL.stop * layout.n_panels
    mine = ~of_panel & (partition.owner[column] >= 0)
    theirs = ~of_panel & ~mine
    row = np.where(of_panel, row, row - PANEL.stop * layout.n_panels)
    own = np.zeros((len(layout.uses), partition.own.shape[1], N_SHARED))
    experiment, coordinate = np.divmod(row[mine], N_SHARED)
    own[experiment, partition.place[column[mine]], coordinate] = tangent.data[mine]
    place, count = partition.place, len(partition.shared)
    shared = _packed(
        row[theirs], place[column[theirs]], tangent.data[theirs], (len(layout.uses), N_SHARED, count)
    )
    frames = _packed(
        row[of_panel], place[column[of_panel]], tangent.data[of_panel], (layout.n_panels, PANEL.stop, count)
    )
    return arrow.Slopes(own, *shared, *frames)


def _packed(
    row: Index, column: Index, values: Array, shape: tuple[int, int, int]
) -> tuple[Array, NDArray[np.int64]]:
    """Pack sparse derivatives of bodies of several coordinates by few of many parameters.

    Returns
    -------
    values : (bodies, most, coordinates)
    columns : (bodies, most) int64
        -1 fills up.
    """
    bodies, size, count = shape
    body, coordinate = np.divmod(row, size)
    pairs, where = np.unique(body * count + column, return_inverse=True)
    of = pairs // max(count, 1)
    place = np.arange(len(pairs)) - np.searchsorted(of, of)
    most = int(place.max(initial=-1)) + 1
    out, columns = np.zeros((bodies, most, size)), np.full((bodies, most), -1, dtype=np.int64)
    columns[of, place] = pairs % max(count, 1)
    out[body, place[where], coordinate] = values
    return out, columns
