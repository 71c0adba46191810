"""What is measured of each spot: centroid, variance, intensity, box, size."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smalti.steps.finding.linking import Groups
from smalti.steps.finding.shapes import PIXEL_VARIANCE
from smalti.steps.finding.uncertainty import significance
from smalti_ext.components import by_group
from smalti_ext.moments import moments

__all__ = ["Definition", "Spots", "measure"]

Definition = Literal["net", "dials"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spots:
    """Measured spots of one run.

    Attributes
    ----------
    first : (S, 2) int64
        Frame position and flat index of the first pixel: the order of spots.
    position : (S,) int64
        Position in the run of the first frame.
    panel : (S,) int64
    size : (S,) int64
        Number of strong pixels.
    box : (S, 6) int64
        x0 x1 y0 y1 (px of the raw frame) z0 z1 (positions in the run), half-open.
    centroid, variance : (S, 3)
        px, px of the raw frame, position in the run; a pixel's centre is at + 0.5. The variance of net
        centroids is that of the scatter of photons alone: for the rest other spots are needed.
    weight : (S,) counts
        Sum of the weights of the pixels.
    second : (S, 3) px^2, px^2, image^2
        Second moments of the weights about the centroid.
    peak : (S, 3)
        Centre of the brightest pixel, the first of equals.
    total : (S,) counts
        Sum of the strong pixels.
    background : (S,) counts
        Mean background under a pixel; 0 where none could be measured.
    support : (S,)
        Mean number of background pixels behind it.
    significance : (S,)
        Standard deviations by which the spot exceeds its background.
    overloaded, cut : (S,) bool
        Whether a pixel lies beside one above the trusted range; beside a gap, an edge or a dead pixel.
    """

    first: NDArray[np.int64]
    position: NDArray[np.int64]
    panel: NDArray[np.int64]
    size: NDArray[np.int64]
    box: NDArray[np.int64]
    centroid: Array
    variance: Array
    weight: Array
    second: Array
    peak: Array
    total: Array
    background: Array
    support: Array
    significance: Array
    overloaded: Flags
    cut: Flags

    def take(self, mask: Flags) -> Spots:
        """Give some of the spots, by mask."""
        return Spots(*(getattr(self, f.name)[mask] for f in fields(self)))


def measure(groups: Groups, n_fast: int, gain: Array | None = None, definition: Definition = "net") -> Spots:
    """Measure groups of strong pixels.

    The weight of a pixel is its count less the mean background under the spot ("net"), with the variance
    sum v (x - m)^2 / W^2, v being that of a pixel's counts and W = sum w; or its count ("dials"): with
    V = sum w (x - m)^2 W / (W^2 - sum w^2) the variance of the latter is V / W + 1/12 along each direction.

    Parameters
    ----------
    gain : (P,), optional
        Counts per photon of each panel; 1 where not given.
    """
    # Pixels by group, in their own order within each: the sums are then the same however the frames
    # were cut into chunks.
    order, starts = by_group(groups.group, groups.n)
    pixels, group, n = groups.pixels.take(order), groups.group[order], groups.n
    size = np.diff(starts)
    panel = pixels.panel[starts[:-1]].astype(np.int64)
    per_photon = np.ones(n) if gain is None else gain[panel]
    value = pixels.value.astype(np.float64)
    known = np.isfinite(pixels.background)
    background = _mean(np.where(known, pixels.background, 0.0), group, n, known)
    support = _mean(pixels.support.astype(float), group, n, np.ones(len(group), dtype=bool))
    weight = value if definition == "dials" else np.maximum(value - background[group], 0.0)
    noise = np.maximum(value, 0.0) * per_photon[group]
    sums = moments(starts, pixels.index, pixels.frame, weight, noise, n_fast)
    safe = np.where(sums.total > 0.0, sums.total, np.inf)[:, None]
    if definition == "dials":
        spread = sums.total**2 - sums.squares
        variance = sums.spread / np.where(spread > 0.0, spread, np.inf)[:, None] + PIXEL_VARIANCE
    else:
        variance = sums.noise / safe**2
    box, peak = _extent(pixels.index, pixels.frame, value, group, starts[:-1], n_fast)
    total = np.bincount(group, value, minlength=n).astype(np.float64)
    return Spots(
        np.column_stack([pixels.frame[starts[:-1]], pixels.index[starts[:-1]]]).astype(np.int64),
        pixels.frame[starts[:-1]].astype(np.int64),
        panel,
        size,
        box,
        sums.centroid,
        variance,
        sums.total,
        sums.spread / safe,
        peak,
        total,
        background,
        support,
        significance(total / per_photon, background * support / per_photon, size, support),
        np.bincount(group, pixels.overloaded, minlength=n) > 0,
        np.bincount(group, pixels.cut, minlength=n) > 0,
    )


def _extent(
    index: NDArray[np.int32],
    frame: NDArray[np.int32],
    value: Array,
    group: NDArray[np.int64],
    starts: NDArray[np.int64],
    n_fast: int,
) -> tuple[NDArray[np.int64], Array]:
    """Boxes (S, 6) and centres of the brightest pixels (S, 3)."""
    n = len(starts)
    box, peak = np.empty((n, 6), dtype=np.int64), np.empty((n, 3))
    if n == 0:
        return box, peak
    slow, fast = np.divmod(index, np.int32(n_fast))
    brightest = np.maximum.reduceat(value, starts)
    top = np.flatnonzero(value == brightest[group])
    top = top[np.searchsorted(group[top], np.arange(n))]
    for axis, place in enumerate((fast, slow, frame)):
        box[:, 2 * axis] = np.minimum.reduceat(place, starts)
        box[:, 2 * axis + 1] = np.maximum.reduceat(place, starts) + 1
        peak[:, axis] = place[top] + 0.5
    return box, peak


def _mean(values: Array, group: NDArray[np.int64], n: int, known: Flags) -> Array:
    count = np.bincount(group, known, minlength=n)
    return np.asarray(np.bincount(group, values, minlength=n) / np.maximum(count, 1.0))
