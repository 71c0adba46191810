"""What tells how well each centroid is known: intensity, nearness to the spindle, ends of the scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.steps.refining.problem.models import Exposures, PanelSizes
from smalti.steps.refining.problem.observations import Traits
from smalti.tables import Reflections

__all__ = ["traits", "unseen_widths"]

Array = NDArray[np.float64]

_LEAST_ZETA = 0.05
"""Nearer to the spindle the time spent in reflecting position no longer grows as 1/zeta."""

_WIDE = 0.75
"""Which of the complete spots, by width, stands for the spots that were cut."""


def traits(
    table: Reflections,
    experiments: Experiments,
    exposures: Exposures,
    sizes: PanelSizes,
    zeta: Array,
    theta: Array,
) -> Traits:
    """Gather them for the reflections of a table (those that are refined against), zeta and theta (N,)."""
    number = table["id"].astype(np.intp)
    unit, unseen = np.empty((table.n_rows, 3)), np.zeros(table.n_rows)
    unit[:, :2] = sizes.pixel_size[sizes.row(number, table["panel"])]
    unit[:, 2] = exposures.unit[number]
    still, single = exposures.still[number], np.zeros(table.n_rows, dtype=bool)
    if "bbox" in table and not still.all():
        frames = table["bbox"][:, 4:6]
        single = (frames[:, 1] - frames[:, 0] == 1) & ~still
        for mine in _rows_of_each(number, ~still):
            scan = experiments[int(number[mine[0]])].scan
            assert scan is not None
            unseen[mine] = unseen_widths(frames[mine], scan.array_range, zeta[mine])
    nothing = np.full(table.n_rows, np.nan)
    intensity = table["intensity.sum.value"] if "intensity.sum.value" in table else nothing
    return Traits(unit, np.asarray(intensity, dtype=float), zeta, unseen, single, still, theta)


def _rows_of_each(number: NDArray[np.intp], wanted: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Rows of each experiment that has any wanted ones, in order."""
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(number[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(number[rows]) != 0) + 1) if rows.size else []


def unseen_widths(frames: NDArray[np.int32], ends: tuple[int, int], zeta: Array) -> Array:
    """Tell within which width (images) the middle of each spot lies that an end of the scan has cut, (N,).

    Of such a spot the part inside the scan is seen, and its centroid is not that of the whole. The whole
    may be as wide as complete spots are, which is in proportion to 1/zeta, or as the part that is seen.
    Where no spot is complete it may be as wide as the scan. 0 for complete spots.

    Parameters
    ----------
    frames : (N, 2)
        First image and the one after the last, in array indices.
    ends : tuple of int
        Array range of the scan.
    """
    seen = np.minimum(frames[:, 1], ends[1]) - np.maximum(frames[:, 0], ends[0])
    cut = (frames[:, 0] <= ends[0]) | (frames[:, 1] >= ends[1])
    if not cut.any():
        return np.zeros(len(frames))
    slowness = 1.0 / np.maximum(zeta, _LEAST_ZETA)
    if cut.all():
        whole = np.full(len(frames), float(ends[1] - ends[0]))
    else:
        whole = np.quantile(seen[~cut] / slowness[~cut], _WIDE) * slowness
    return np.where(cut, np.maximum(np.maximum(whole, seen), 1.0), 0.0)
