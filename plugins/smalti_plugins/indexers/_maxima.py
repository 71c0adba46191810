"""Maxima of a three-dimensional transform on its grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti_plugins.indexers._bases import spanning

__all__ = ["grid_maxima", "strongest"]

Array = NDArray[np.float64]


def strongest(
    power: NDArray[np.float32], step: float, shortest: float, longest: float, count: int
) -> tuple[Array, Array]:
    """Vectors (K, 3) Angstrom and heights of the ``count`` strongest maxima, and of those that span space.

    Parameters
    ----------
    power : (n, n, n//2+1)
        Half-spectrum of a real, even function.
    step : float
        Spacing of the grid, Angstrom.
    shortest, longest : float
        Angstrom.
    """
    peaks, height = grid_maxima(power, step, shortest, longest)
    if len(peaks) == 0:
        return peaks, height
    # Beside a very long axis the strongest peaks may all lie in one plane.
    high = np.flatnonzero(height > 0.4 * height[0])
    chosen = np.union1d(np.arange(min(count, len(peaks))), high[spanning(peaks[high])])
    return peaks[chosen], height[chosen]


def grid_maxima(
    power: NDArray[np.float32], step: float, shortest: float, longest: float, count: int = 20_000
) -> tuple[Array, Array]:
    """Find the strongest local maxima of a half-spectrum (n, n, n//2+1), interpolated.

    Returns
    -------
    vectors : (K, 3) Angstrom
        Strongest first, in the half space of the spectrum.
    height : (K,)
    """
    n = power.shape[0]
    axis = (np.fft.fftfreq(n, 1.0 / n) * step).astype(np.float32) ** 2
    square = axis[:, None, None] + axis[None, :, None] + axis[None, None, : power.shape[2]]
    inside = (square > shortest**2) & (square < longest**2)
    values = power[inside]
    if values.size == 0:
        return np.zeros((0, 3)), np.zeros(0)
    sigma = float(np.std(values))
    rows = np.column_stack(np.unravel_index(np.flatnonzero(inside & (power > 3.0 * sigma)), power.shape))
    height = power[tuple(rows.T)]
    keep = np.ones(len(rows), dtype=bool)
    for offset in np.ndindex(3, 3, 3):
        shift = np.array(offset) - 1
        if np.any(shift):
            keep[keep] &= height[keep] >= _at(power, rows[keep] + shift)
    order = np.argsort(-height[keep], kind="stable")[:count]
    return _interpolated(power, rows[keep][order]) * step, height[keep][order].astype(float)


def _at(power: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read a half-spectrum of a real, even function at wrapped or mirrored places (K, 3)."""
    n, half = power.shape[0], power.shape[2]
    mirror = (rows[:, 2] < 0) | (rows[:, 2] >= half)
    place = np.where(mirror[:, None], -rows, rows) % n
    return np.asarray(power[place[:, 0], place[:, 1], place[:, 2]])


def _interpolated(power: NDArray[np.float32], rows: NDArray[np.int64]) -> Array:
    """Places of maxima in grid steps, signed, (K, 3), by a parabola along each axis."""
    n = power.shape[0]
    middle = _at(power, rows).astype(float)
    place = np.where(rows > n // 2, rows - n, rows).astype(float)
    for k in range(3):
        shift = np.eye(3, dtype=np.int64)[k]
        before, after = _at(power, rows - shift).astype(float), _at(power, rows + shift).astype(float)
        bend = before - 2.0 * middle + after
        place[:, k] += np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return place
