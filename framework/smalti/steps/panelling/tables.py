"""Move the reflections of a table between coarse panels and their modules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, intersect, laboratory, to_mm, to_px
from smalti.models import Detector
from smalti.steps.panelling.models import Division
from smalti.tables import Reflections

__all__ = ["move_rows"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def move_rows(table: Reflections, rows: Index, division: Division, fine: bool) -> tuple[Reflections, int]:
    """Give a table with some rows put on the fine (or coarse) panels of a division.

    Pixels and bounding boxes shift with the panels; observed millimetres are worked out anew from the
    pixels, with parallax; predictions (and observed millimetres without pixels) keep their ray. A spot
    whose centroid lies in a gap goes to the nearest module.

    Parameters
    ----------
    table : Reflections
        With ``panel`` and ``xyzobs.px.value`` or ``xyzobs.mm.value``.
    rows : (M,) intp
        The rows that belong to this detector.
    division : Division
    fine : bool
        Towards the modules; otherwise towards the coarse panels.

    Returns
    -------
    table, n_gap
        ``n_gap`` spots were in a gap, more than a pixel from any module.
    """
    columns = {name: np.array(table[name]) for name in _MOVED if name in table}
    panel = columns["panel"][rows].astype(np.intp)
    old, new = (division.coarse, division.fine) if fine else (division.fine, division.coarse)
    before, after = PanelArrays.of(old), PanelArrays.of(new)
    measured = "xyzobs.px.value" in columns
    if measured:
        px = columns["xyzobs.px.value"][rows, :2]
    else:
        px = to_px(columns["xyzobs.mm.value"][rows, :2], panel, before)
    moved, shift, n_gap = _destination(px, panel, division, fine)
    columns["panel"][rows] = moved.astype(np.uint64)
    if measured:
        columns["xyzobs.px.value"][rows, :2] = px + shift
        if "xyzobs.mm.value" in columns:
            columns["xyzobs.mm.value"][rows, :2] = to_mm(px + shift, moved, after)
    else:
        ray = laboratory(columns["xyzobs.mm.value"][rows, :2], panel, before)
        columns["xyzobs.mm.value"][rows, :2] = intersect(ray, moved, after)[0]
    if "bbox" in columns:
        columns["bbox"][rows] = _boxes(columns["bbox"][rows], shift, moved, new)
    _move_predictions(columns, rows, panel, moved, shift, before, after)
    return table.with_columns(columns), n_gap


def _destination(px: Array, panel: Index, division: Division, fine: bool) -> tuple[Index, Array, int]:
    """Panel after the move, what to add to pixels (M, 2), and how many were in gaps."""
    if not fine:
        return division.parent[panel], division.offset[panel], 0
    moved, distance = _nearest(px, panel, division)
    return moved, -division.offset[moved], int((distance > 1.0).sum())


def _move_predictions(
    columns: dict[str, NDArray[Any]],
    rows: Index,
    panel: Index,
    moved: Index,
    shift: Array,
    before: PanelArrays,
    after: PanelArrays,
) -> None:
    """Move predictions, in place; a row without one holds zeros and keeps them."""
    if "xyzcal.mm" in columns:
        has = np.any(columns["xyzcal.mm"][rows] != 0.0, axis=1)
        ray = laboratory(columns["xyzcal.mm"][rows][has, :2], panel[has], before)
        xy, _ = intersect(ray, moved[has], after)
        columns["xyzcal.mm"][rows[has], :2] = xy
        if "xyzcal.px" in columns:
            columns["xyzcal.px"][rows[has], :2] = to_px(xy, moved[has], after)
    elif "xyzcal.px" in columns:
        columns["xyzcal.px"][rows, :2] += shift


_MOVED = ("panel", "xyzobs.px.value", "xyzobs.mm.value", "xyzcal.mm", "xyzcal.px", "bbox")


def _nearest(px: Array, panel: Index, division: Division) -> tuple[Index, Array]:
    """The fine panel nearest to each point of a coarse panel, and how far outside it the point is, px."""
    size = np.array([p.image_size for p in division.fine.panels], dtype=float)
    best = np.full(len(px), np.inf)
    choice = np.zeros(len(px), dtype=np.intp)
    for k, (parent, offset) in enumerate(zip(division.parent, division.offset, strict=True)):
        local = px - offset
        outside = np.maximum(np.maximum(-local, local - size[k]), 0.0)
        distance = np.where(panel == parent, np.hypot(outside[:, 0], outside[:, 1]), np.inf)
        closer = distance < best
        best[closer], choice[closer] = distance[closer], k
    return choice, best


def _boxes(bbox: NDArray[np.int32], shift: Array, panel: Index, detector: Detector) -> NDArray[np.int32]:
    """Shift bounding boxes and cut them at the edges of the panel, unless nothing would be left."""
    size = np.array([p.image_size for p in detector.panels])[panel]
    moved = bbox.copy()
    for side in (0, 1):
        low = bbox[:, 2 * side] + shift[:, side].astype(np.int32)
        high = bbox[:, 2 * side + 1] + shift[:, side].astype(np.int32)
        cut = np.clip(low, 0, size[:, side]), np.clip(high, 0, size[:, side])
        left = cut[0] < cut[1]
        moved[:, 2 * side] = np.where(left, cut[0], low)
        moved[:, 2 * side + 1] = np.where(left, cut[1], high)
    return moved
