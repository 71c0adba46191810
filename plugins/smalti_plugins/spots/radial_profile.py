"""Strong pixels above the counts that are usual at their distance from the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option

SMALTI_API = API

# Weights of neighbours along one direction; those of a square are their products.
_BLURS: dict[str, tuple[float, ...]] = {
    "none": (1.0,),
    "narrow": (0.25, 0.5, 0.25),
    "wide": (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16),
}


_FEWEST = 200
"""Pixels from which a ring is judged; one with fewer, in the middle, takes its neighbours in, lest a spot be
its own background."""


@dataclass(frozen=True)
class RadialProfile:
    """Pixels above the median of their ring by some widths of its distribution.

    After DIALS's ``radial_profile``, made for electron diffraction, where the background falls off steeply
    around the beam and windows straddle the slope. A finder sees one frame and no geometry, so rings are
    circles about a centre that is given or found: the centre of mass of the counts.
    """

    name: ClassVar[str] = "radial_profile"

    n_bins: int = option(100, "Rings from the centre to the furthest pixel.", ge=1, le=10_000)
    n_iqr: float = option(
        6.0, "Interquartile ranges by which a pixel must exceed the median of its ring.", ge=0
    )
    gain: float = option(1.0, "Counts that one photon makes; the excess is never taken below 2 / gain.", gt=0)
    blur: Literal["none", "narrow", "wide"] = option(
        "none", "Smooth counts first, over 3 x 3 (narrow) or 5 x 5 pixels (wide)."
    )
    centre: tuple[float, float] | None = option(
        None, "Centre of the rings along fast and slow; none: where the counts have theirs.", unit="px"
    )

    def find(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Give the flat indices of the strong pixels of a frame (slow, fast), ascending."""
        if not mask.any():
            return np.empty(0, dtype=np.intp)
        values = _smoothed(counts, mask, _BLURS[self.blur])
        ring, good = self._rings(counts, mask), mask.reshape(-1)
        order = np.flatnonzero(good)
        order = order[np.lexsort((values.reshape(-1)[order], ring[order]))]
        limits = _limits(values.reshape(-1)[order], ring[order], self.n_bins, self.n_iqr, self.gain)
        return np.asarray(np.flatnonzero(good & (values.reshape(-1) > limits[ring])))

    def _rings(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Ring of each pixel, (slow * fast,)."""
        slow, fast = counts.shape
        x, y = np.arange(fast) + 0.5, np.arange(slow) + 0.5
        if self.centre is None:
            weight = np.where(mask, np.maximum(counts, 0), 0).astype(np.float64)
            total = max(float(weight.sum()), 1.0)
            centre = (float(weight.sum(axis=0) @ x) / total, float(weight.sum(axis=1) @ y) / total)
        else:
            centre = self.centre
        radius = np.hypot(x[None, :] - centre[0], y[:, None] - centre[1])
        scale = self.n_bins / (float(radius.max()) + 1e-9)
        return np.asarray(np.minimum((radius * scale).astype(np.intp), self.n_bins - 1).reshape(-1))


def _smoothed(
    counts: NDArray[np.int32], mask: NDArray[np.bool_], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Counts averaged over usable neighbours, (slow, fast)."""
    if len(weights) == 1:
        return counts.astype(np.float64)
    values, share = np.where(mask, counts, 0).astype(np.float64), mask.astype(np.float64)
    reach = len(weights) // 2
    for axis in (0, 1):
        values, share = (_along(item, weights, reach, axis) for item in (values, share))
    return np.asarray(values / np.where(share > 0.0, share, 1.0))


def _along(
    values: NDArray[np.float64], weights: Sequence[float], reach: int, axis: int
) -> NDArray[np.float64]:
    padded = np.pad(values, [(reach, reach) if k == axis else (0, 0) for k in (0, 1)])
    size = values.shape[axis]
    return np.asarray(
        sum(w * np.take(padded, np.arange(k, k + size), axis=axis) for k, w in enumerate(weights))
    )


def _limits(
    values: NDArray[np.float64], ring: NDArray[np.intp], n_bins: int, n_iqr: float, gain: float
) -> NDArray[np.float64]:
    """Threshold of each ring, (n_bins,), from its pixels sorted by ring and value."""
    starts = np.searchsorted(ring, np.arange(n_bins + 1))
    limits = np.full(n_bins, np.inf)
    for k in np.flatnonzero(np.diff(starts)).tolist():
        first, last = k, k + 1
        while starts[last] - starts[first] < _FEWEST and (first > 0 or last < n_bins):
            first, last = max(first - 1, 0), min(last + 1, n_bins)
        low, median, high = np.quantile(values[starts[first] : starts[last]], (0.25, 0.5, 0.75))
        excess = n_iqr * (high - low)
        limits[k] = median + (excess if excess > 1.0 / gain else 2.0 / gain)
    return limits


@hookimpl
def smalti_spot_finders() -> Sequence[type[RadialProfile]]:
    """Bring the finder by rings."""
    return [RadialProfile]
