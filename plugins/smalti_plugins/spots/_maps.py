"""The numbers behind the dispersion tests, for every pixel of a frame: slow, and for people to look at.

Sums are exact integers [summed-area tables; Crow (1984), SIGGRAPH '84, 207], so that the tests come out as in
the kernels, to the last pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Windows", "box_sum", "stands_out", "windows", "worn_down"]

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

TOO_LARGE = 1 << 24
"""Counts from here on are not used: see :mod:`smalti_ext.dispersion`."""


class Windows(NamedTuple):
    """Sums over the window around each pixel, (slow, fast).

    Attributes
    ----------
    good : bool
        Pixels that count.
    n, x, y : int64
        Number, sum and sum of squares of the counts.
    """

    good: Mask
    n: Whole
    x: Whole
    y: Whole

    @property
    def mean(self) -> Array:
        """Mean count; nan where nothing counts."""
        return np.where(self.n > 0, self.x / np.maximum(self.n, 1), np.nan)

    @property
    def dispersion(self) -> Array:
        """Variance over mean, (n y - x^2) / ((n - 1) x); nan where there is none."""
        known = (self.n > 1) & (self.x > 0)
        below = np.where(known, (self.n - 1.0) * self.x, 1.0)
        return np.where(known, (self.n * self.y - self.x**2) / below, np.nan)

    def dispersed(self, gain: float, sigma: float, min_local: int, area: int) -> Mask:
        """Tell where the counts scatter more than Poisson statistics."""
        degrees = np.maximum(self.n - 1.0, 0.0)
        needed = gain * (degrees + sigma * np.sqrt(2.0 * degrees))
        enough = (self.n >= (min_local if min_local > 0 else area)) & (self.n >= 2) & (self.x >= 0)
        excess = (self.n * self.y - self.x * self.x).astype(np.float64)
        return np.asarray(self.good & enough & (excess > self.x * needed))


def box_sum(values: Whole, kx: int, ky: int) -> Whole:
    """Sum over (2 kx + 1) x (2 ky + 1) pixels around each, clipped at the edges."""
    slow, fast = values.shape
    table = np.zeros((slow + 1, fast + 1), dtype=np.int64)
    table[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
    top, bottom = np.clip(np.arange(slow) - ky, 0, slow), np.clip(np.arange(slow) + ky + 1, 0, slow)
    left, right = np.clip(np.arange(fast) - kx, 0, fast), np.clip(np.arange(fast) + kx + 1, 0, fast)
    rows = table[bottom] - table[top]
    return np.asarray(rows[:, right] - rows[:, left])


def windows(counts: NDArray[np.int32], mask: Mask, kernel_size: tuple[int, int]) -> Windows:
    """Sum over the windows of a frame."""
    good = mask & (counts < TOO_LARGE) & (counts > -TOO_LARGE)
    value = np.where(good, counts, 0).astype(np.int64)
    n, x, y = (box_sum(part, *kernel_size) for part in (good.astype(np.int64), value, value * value))
    return Windows(good, n, x, y)


def worn_down(flags: Mask, good: Mask, reach: int, masked_flagged: bool) -> Mask:
    """Tell which flagged pixels have only flagged ones within ``reach``; outside the frame all are."""
    holes = ~(flags | ~good) if masked_flagged else ~flags
    return np.asarray(flags & (box_sum(holes.astype(np.int64), reach, reach) == 0))


def stands_out(counts: NDArray[np.int32], mean: Array, gain: float, sigma: float, threshold: float) -> Mask:
    """Tell which pixels reach the mean of their surroundings by some standard deviations."""
    with np.errstate(invalid="ignore"):
        return np.asarray((counts > threshold) & (counts >= mean + sigma * np.sqrt(gain * mean)))
