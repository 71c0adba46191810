"""What is measured of each spot: centroid, variance, intensity, box, size."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from smalti.steps.finding.linking import Groups

__all__ = ["Spots", "measure"]

PIXEL_VARIANCE = 1.0 / 12.0
"""Variance of a position known to lie somewhere in one pixel (or image), px^2."""

Array = NDArray[np.float64]


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
        px, px of the raw frame, position in the run; a pixel's centre is at + 0.5.
    peak : (S, 3)
        Centre of the brightest pixel, the first of equals.
    total : (S,) counts
        Sum of the strong pixels.
    background : (S,) counts
        Mean background under a pixel; 0 where none could be measured.
    support : (S,)
        Mean number of background pixels behind it.
    overloaded : (S,) bool
    """

    first: NDArray[np.int64]
    position: NDArray[np.int64]
    panel: NDArray[np.int64]
    size: NDArray[np.int64]
    box: NDArray[np.int64]
    centroid: Array
    variance: Array
    peak: Array
    total: Array
    background: Array
    support: Array
    overloaded: NDArray[np.bool_]

    def take(self, mask: NDArray[np.bool_]) -> Spots:
        """Give some of the spots, by mask."""
        return Spots(*(getattr(self, f.name)[mask] for f in fields(self)))


def measure(groups: Groups, n_fast: int) -> Spots:
    """Measure groups of strong pixels.

    The centroid is weighted with the counts w of the strong pixels. Its variance is that of DIALS:
    with W = sum w, V = sum w (x - m)^2 W / (W^2 - sum w^2), it is V / W + 1/12 along each direction.
    """
    pixels, group, n = groups.pixels, groups.group, groups.n
    # Pixels by group, in their own order within each: the sums are then the same however the frames
    # were cut into chunks.
    order = np.argsort(group, kind="stable")
    group = group[order]
    starts = np.searchsorted(group, np.arange(n))
    index = pixels.index[order].astype(np.int64)
    frame = pixels.frame[order].astype(np.int64)
    weight = pixels.value[order].astype(float)
    xyz = np.column_stack([index % n_fast, index // n_fast, frame])
    size = np.diff(np.append(starts, len(group)))
    centroid, variance, total = _centroids(np.asarray(xyz + 0.5, dtype=np.float64), weight, group, starts)
    box = np.empty((n, 6), dtype=np.int64)
    peak = np.empty((n, 3))
    if n:
        box[:, ::2] = np.minimum.reduceat(xyz, starts)
        box[:, 1::2] = np.maximum.reduceat(xyz, starts) + 1
        brightest = np.maximum.reduceat(weight, starts)
        top = np.flatnonzero(weight == brightest[group])
        peak[:] = xyz[top[np.searchsorted(group[top], np.arange(n))]] + 0.5
    known = np.isfinite(pixels.background[order])
    background = _mean(np.where(known, pixels.background[order], 0.0), group, n, known)
    return Spots(
        np.column_stack([frame[starts], index[starts]]),
        frame[starts],
        pixels.panel[order][starts].astype(np.int64),
        size,
        box,
        centroid,
        variance,
        peak,
        total,
        background,
        _mean(pixels.support[order].astype(float), group, n, np.ones(len(group), dtype=bool)),
        np.bincount(group, pixels.overloaded[order], minlength=n) > 0,
    )


def _centroids(
    xyz: Array, weight: Array, group: NDArray[np.int64], starts: NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    n = len(starts)
    total = np.bincount(group, weight, minlength=n).astype(np.float64)
    square = np.bincount(group, weight * weight, minlength=n)
    # Strong pixels hold counts above zero unless a finder's threshold is negative.
    safe = np.where(total > 0.0, total, 1.0)
    centroid, variance = np.empty((n, 3)), np.empty((n, 3))
    spread = total * total - square
    for k in range(3):
        # Relative to the first pixel no digit is lost to the size of the frame.
        origin = xyz[starts, k]
        shift = xyz[:, k] - origin[group]
        mean = np.bincount(group, weight * shift, minlength=n) / safe
        moment = np.bincount(group, weight * (shift - mean[group]) ** 2, minlength=n)
        centroid[:, k] = origin + mean
        variance[:, k] = np.where(spread > 0.0, moment / np.where(spread > 0.0, spread, 1.0), 0.0)
    return centroid, variance + PIXEL_VARIANCE, total


def _mean(values: Array, group: NDArray[np.int64], n: int, known: NDArray[np.bool_]) -> Array:
    count = np.bincount(group, known, minlength=n)
    return np.asarray(np.bincount(group, values, minlength=n) / np.maximum(count, 1.0))
