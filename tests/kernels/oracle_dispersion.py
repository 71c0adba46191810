"""Dispersion spot finding written out window by window in exact integers: slow, and obviously right."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

TOO_LARGE = 1 << 24


def valid_pixels(counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask & (counts < TOO_LARGE) & (counts > -TOO_LARGE)


def window(shape: tuple[int, int], r: int, c: int, kx: int, ky: int) -> tuple[slice, slice]:
    return (
        slice(max(r - ky, 0), min(r + ky + 1, shape[0])),
        slice(max(c - kx, 0), min(c + kx + 1, shape[1])),
    )


def dispersed(
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    *,
    kernel_size: tuple[int, int],
    gain: float,
    sigma_background: float,
    min_local: int,
) -> NDArray[np.bool_]:
    kx, ky = kernel_size
    good = valid_pixels(counts, mask)
    least = min_local if min_local > 0 else (2 * kx + 1) * (2 * ky + 1)
    flags = np.zeros(counts.shape, dtype=bool)
    for r, c in np.argwhere(good):
        box = window(counts.shape, r, c, kx, ky)
        values = [int(v) for v in counts[box][good[box]]]
        n, x, y = len(values), sum(values), sum(v * v for v in values)
        if n >= least and n >= 2 and x >= 0:
            allowed = gain * (n - 1 + sigma_background * math.sqrt(2 * (n - 1)))
            flags[r, c] = float(n * y - x * x) > x * allowed
    return flags


def dispersion(
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    *,
    kernel_size: tuple[int, int] = (3, 3),
    gain: float = 1.0,
    sigma_background: float = 6.0,
    sigma_strong: float = 3.0,
    min_local: int = 2,
    global_threshold: float = 0.0,
) -> NDArray[np.intp]:
    good = valid_pixels(counts, mask)
    flags = dispersed(
        counts,
        mask,
        kernel_size=kernel_size,
        gain=gain,
        sigma_background=sigma_background,
        min_local=min_local,
    )
    strong = np.zeros_like(flags)
    for r, c in np.argwhere(flags):
        box = window(counts.shape, r, c, *kernel_size)
        values = [int(v) for v in counts[box][good[box]]]
        n, x, count = len(values), sum(values), int(counts[r, c])
        strong[r, c] = count > global_threshold and n * count - x > sigma_strong * math.sqrt(gain * x * n)
    return np.flatnonzero(strong)


def dispersion_extended(
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    *,
    kernel_size: tuple[int, int] = (3, 3),
    gain: float = 1.0,
    sigma_background: float = 6.0,
    sigma_strong: float = 3.0,
    min_local: int = 2,
    global_threshold: float = 0.0,
    masked_flagged: bool = True,
) -> NDArray[np.intp]:
    kx, ky = kernel_size
    good = valid_pixels(counts, mask)
    flags = dispersed(
        counts,
        mask,
        kernel_size=kernel_size,
        gain=gain,
        sigma_background=sigma_background,
        min_local=min_local,
    )
    solid = flags | ~good if masked_flagged else flags
    reach = min(kx, ky) - 1
    foreground = np.zeros_like(flags)
    for r, c in np.argwhere(flags):
        foreground[r, c] = solid[window(counts.shape, r, c, reach, reach)].all()
    strong = np.zeros_like(flags)
    for r, c in np.argwhere(foreground):
        box = window(counts.shape, r, c, kx + 2, ky + 2)
        around = [int(v) for v in counts[box][good[box] & ~foreground[box]]]
        mean = sum(around) / len(around) if len(around) >= 2 else 0.0
        count = int(counts[r, c])
        enough = mean >= 0 and count >= mean + sigma_strong * math.sqrt(gain * mean)
        strong[r, c] = enough and count > global_threshold
    return np.flatnonzero(strong)
