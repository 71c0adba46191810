"""The variances of spots, once all of them are there to tell how wide the spots of their sweep are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.prediction import zeta
from smalti.models import Experiment, Experiments
from smalti.steps.finding.shapes import PIXEL_VARIANCE, Shape, Sums, shape_of
from smalti.steps.finding.uncertainty import end_variance, variances
from smalti.tables import Flag

__all__ = ["SECOND", "WEIGHT", "SweepShape", "completed", "without_sums"]

Columns = Mapping[str, NDArray[Any]]
Array = NDArray[np.float64]

WEIGHT, SECOND = "spot.weight", "spot.second"
"""Columns that are there until the variances are known."""
_ENOUGH = 30
"""Spots of an experiment that tell its shape; those of experiments with fewer tell one for all these."""
_AT_END = 2
_TOGETHER = 20_000
"""Spots whose variances are worked out at a time."""


@dataclass(frozen=True, slots=True)
class SweepShape:
    """How wide the spots of a sweep are.

    Attributes
    ----------
    experiment : int
    fast, slow : float, px
        Standard deviations, the width of a pixel taken off.
    mosaicity : float, rad
        Standard deviation of the rocking curve where the spot moves straight through the Ewald sphere.
    """

    experiment: int
    fast: float
    slow: float
    mosaicity: float


def without_sums(columns: Columns) -> Columns:
    """Take the sums away that only variances need."""
    return {name: column for name, column in columns.items() if name not in (WEIGHT, SECOND)}


def completed(columns: Columns, experiments: Experiments) -> tuple[Columns, tuple[SweepShape, ...]]:
    """Give net centroids the variances that they have, and tell the shapes of the sweeps.

    Parameters
    ----------
    columns : Mapping
        By experiment, with variances from the scatter of photons alone, ``spot.weight`` and ``spot.second``.
    experiments : Experiments
    """
    gain, unit, cosine = _settings(columns, experiments)
    sums = Sums(
        columns[WEIGHT] / gain,
        columns["n_signal"].astype(float),
        columns["background.mean"] / gain,
        columns[SECOND],
        columns["xyzobs.px.variance"],
        (columns["bbox"][:, 5] - columns["bbox"][:, 4]).astype(float),
    )
    whole = (columns["truncated"] == 0) & (columns["flags"] & np.uint64(int(Flag.OVERLOADED)) == 0)
    at_end = (columns["truncated"] & _AT_END) != 0
    variance, shapes = np.empty_like(sums.scatter), []
    for number, rows in _parts(columns["id"], whole):
        shape = _shape(sums, cosine, rows, whole)
        # Some at a time: what is worked out on the way to variances takes several times their place.
        for some in np.array_split(rows, rows.size // _TOGETHER + 1):
            spread = variances(sums.take(some), shape, cosine[some])
            spread[:, 2] = np.where(unit[some, 2] > 0.0, spread[:, 2], PIXEL_VARIANCE)
            spread[:, 2] += np.where(at_end[some], end_variance(shape, cosine[some]), 0.0)
            variance[some] = spread
        if number >= 0 and not experiments[number].is_still:
            shapes.append(_told(number, shape, experiments[number]))
    mm = variance * unit**2
    return without_sums({**columns, "xyzobs.px.variance": variance, "xyzobs.mm.variance": mm}), tuple(shapes)


def _shape(sums: Sums, cosine: Array, rows: NDArray[np.intp], whole: NDArray[np.bool_]) -> Shape:
    """Shape of the whole spots among some, or of all where none is whole."""
    for chosen in (rows[whole[rows]], rows):
        shape = shape_of(sums.take(chosen), cosine[chosen])
        if shape is not None:
            return shape
    return Shape((PIXEL_VARIANCE, PIXEL_VARIANCE), 0.0)


def _parts(number: NDArray[np.int32], whole: NDArray[np.bool_]) -> list[tuple[int, NDArray[np.intp]]]:
    """Rows of each experiment that has enough whole spots, and (-1) those of all others together."""
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(starts[1:], number.size)
    n_whole = np.add.reduceat(whole, starts, dtype=np.intp) if number.size else starts
    alone = n_whole >= _ENOUGH
    parts = [
        (int(number[first]), np.arange(first, last))
        for first, last in zip(starts[alone], ends[alone], strict=True)
    ]
    others = np.flatnonzero(np.repeat(~alone, ends - starts))
    return [*parts, (-1, others)] if others.size else parts


def _settings(columns: Columns, experiments: Experiments) -> tuple[Array, Array, Array]:
    """Gain (N,), mm, mm and rad per pixel and image (N, 3), and zeta (N,) of each spot."""
    number, panel = columns["id"], columns["panel"].astype(np.intp)
    gain, unit, cosine = np.ones(len(number)), np.zeros((len(number), 3)), np.ones(len(number))
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    for first, last in zip(starts, np.append(starts[1:], number.size), strict=True):
        here, item = slice(first, last), experiments[int(number[first])]
        panels = item.detector.panels
        gain[here] = np.array([p.gain for p in panels])[panel[here]]
        unit[here, :2] = np.array([p.pixel_size for p in panels])[panel[here]]
        if item.is_still or item.scan is None:
            continue
        unit[here, 2] = abs(item.scan.oscillation[1])
        if item.goniometer is not None:
            cosine[here] = zeta(columns["s1"][here], item.beam.s0, item.goniometer.laboratory_axis)
    return gain, unit, cosine


def _told(number: int, shape: Shape, experiment: Experiment) -> SweepShape:
    fast, slow = (max(value - PIXEL_VARIANCE, 0.0) ** 0.5 for value in shape.second)
    width = abs(experiment.scan.oscillation[1]) if experiment.scan else 0.0
    return SweepShape(number, fast, slow, shape.rocking**0.5 * width)
