"""The same picture in fewer pixels, and pixels as they travel to the browser.

Level L has pixels of 2^L x 2^L pixels of the frame. A pixel that holds no count holds one of four codes,
the smallest numbers of its type: see :class:`Code`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.counts import Ground, Index
from smalti.steps.viewing.stacking import Stack

__all__ = ["LARGEST", "TILE", "Code", "Pool", "coded_level", "level_shape", "overview_level", "tile"]

Pool = Literal["mean", "max"]
LARGEST = 1300
"""Most pixels along a side of the overview, which is sent first."""
TILE = 1024
"""Pixels along a side of a tile."""


class Code(IntEnum):
    """What a pixel without a count is; added to the smallest number of the type."""

    GAP = 0
    MASKED = 1
    MISSING = 2
    OVER = 3


def overview_level(shape: tuple[int, int]) -> int:
    """The level at which a frame (slow, fast) is small enough to be sent whole."""
    level = 0
    while max(shape) > LARGEST << level:
        level += 1
    return level


def level_shape(shape: tuple[int, int], level: int) -> tuple[int, int]:
    """Pixels (slow, fast) of a level."""
    step = 1 << level
    return -(-shape[0] // step), -(-shape[1] // step)


def coded_level(stack: Stack, ground: Ground, level: int, pool: Pool) -> tuple[NDArray[Any], int]:
    """Give a level of the pyramid as it travels, and by what its numbers are to be divided.

    A pixel of a higher level is the mean over the usable pixels under it (times their number when all are
    usable, so that it stays whole), or the largest of them.

    Returns
    -------
    (slow, fast) int16 or int32, C-contiguous
    divisor : int
    """
    shape = stack.total.shape
    n_good: NDArray[Any] | None = None
    values, divisor = stack.total, stack.divisor
    if level > 0:
        lost = np.concatenate([stack.missing, stack.over])
        n_good = _good_at(ground, lost, level)
        if pool == "mean":
            values = _means(_room_for_sums(_without(stack, lost), stack, level), n_good, level)
            divisor = stack.divisor << (2 * level)
        else:
            values = _largest(_without(stack, lost), ground.usable, level)
    out = _narrow(values)
    _write_codes(out, stack, ground, level, shape, n_good)
    return out, divisor


def _without(stack: Stack, lost: Index) -> NDArray[Any]:
    """Give the counts with 0 wherever a frame of the stack has none; a single frame has 0 there already."""
    if stack.n == 1 or lost.size == 0:
        return stack.total
    total = stack.total.copy()
    total.reshape(-1)[lost] = 0
    return total


def _room_for_sums(total: NDArray[Any], stack: Stack, level: int) -> NDArray[Any]:
    """Give counts in a type that holds the sums of a level."""
    fits = stack.bound << (2 * level) <= np.iinfo(np.int32).max
    return total if fits else total.astype(np.int64, copy=False)


def _good_at(ground: Ground, lost: Index, level: int) -> NDArray[Any]:
    """Number of usable pixels under each pixel of a level; that of the ground is worked out once."""
    if level not in ground.pooled:
        ground.pooled[level] = _sums(ground.usable.view(np.uint8), level).astype(np.int32)
    n_good = ground.pooled[level]
    if lost.size:
        n_good = n_good.copy()
        np.subtract.at(n_good.reshape(-1), _at_level(lost, ground.usable.shape, level), 1)
    return n_good


def _means(total: NDArray[Any], n_good: NDArray[Any], level: int) -> NDArray[Any]:
    """Mean of the usable pixels times their number where all are usable."""
    area = 1 << (2 * level)
    values = _sums(total, level)
    part = np.flatnonzero((n_good < area) & (n_good > 0))
    flat, count = values.reshape(-1), n_good.reshape(-1)[part]
    flat[part] = (flat[part].astype(np.int64) * area + count // 2) // count
    return values


def _write_codes(
    out: NDArray[Any],
    stack: Stack,
    ground: Ground,
    level: int,
    shape: tuple[int, ...],
    n_good: NDArray[Any] | None,
) -> None:
    lowest, flat = int(np.iinfo(out.dtype).min), out.reshape(-1)
    groups = ((Code.GAP, ground.gaps), (Code.MASKED, ground.masked), (Code.MISSING, stack.missing))
    for code, index in groups:
        place = _at_level(index, shape, level)
        if n_good is not None:  # a coarse pixel is without a count only when all under it are
            place = place[n_good.reshape(-1)[place] == 0]
        flat[place] = lowest + code
    flat[_at_level(stack.over, shape, level)] = lowest + Code.OVER


def _at_level(index: Index, shape: tuple[int, ...], level: int) -> NDArray[np.intp]:
    """Flat indices at a level of flat indices of the frame."""
    if level == 0:
        return index.astype(np.intp)
    slow, fast = np.divmod(index.astype(np.intp), shape[1])
    return np.asarray((slow >> level) * (-(-shape[1] // (1 << level))) + (fast >> level))


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Give a copy in 16 bits where the numbers and the codes fit, else in 32."""
    low, high = int(values.min()), int(values.max())
    narrow = np.iinfo(np.int16)
    if low > narrow.min + len(Code) and high <= narrow.max:
        return values.astype(np.int16)
    wide = np.iinfo(np.int32)
    return np.asarray(np.clip(values, wide.min + len(Code), wide.max), dtype=np.int32)


def _sums(values: NDArray[Any], level: int) -> NDArray[Any]:
    """Sums over squares of 2^level pixels, halving level by level (strided adds: quicker than reshaping)."""
    kind = np.dtype(np.int64 if values.dtype == np.int64 else np.int32)
    for _ in range(level):
        a = _even(values)
        half = a[0::2, 0::2].astype(kind)
        for part in (a[1::2, 0::2], a[0::2, 1::2], a[1::2, 1::2]):
            np.add(half, part, out=half)
        values = half
    return values


def _largest(total: NDArray[Any], good: NDArray[np.bool_], level: int) -> NDArray[Any]:
    """Largest usable count of squares of 2^level pixels."""
    lowest = np.iinfo(total.dtype).min
    values = np.where(good, total, lowest)
    for _ in range(level):
        a = _even(values, lowest)
        values = np.maximum(
            np.maximum(a[0::2, 0::2], a[1::2, 0::2]), np.maximum(a[0::2, 1::2], a[1::2, 1::2])
        )
    return np.where(values == lowest, 0, values)


def _even(values: NDArray[Any], fill: int = 0) -> NDArray[Any]:
    """Add a row and a column where the sides are odd."""
    odd = [(0, n % 2) for n in values.shape]
    return values if odd == [(0, 0), (0, 0)] else np.pad(values, odd, constant_values=fill)


def tile(values: NDArray[Any], column: int, row: int) -> NDArray[Any]:
    """Cut a tile out of a level."""
    part = values[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
    return np.ascontiguousarray(part)
