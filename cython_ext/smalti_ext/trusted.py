"""Trusted pixels of a frame, behind a wrapper that checks types and shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _trusted
from smalti_ext.checking import check

__all__ = ["Area", "all_trusted", "mark_trusted"]

Area = tuple[int, int, int, int, float, float]
"""Column, row, width and height of a part of the frame (px), lowest and highest trusted count of it."""

_INT32 = np.iinfo(np.int32)


def mark_trusted(
    counts: NDArray[np.int32],
    good: NDArray[np.bool_],
    areas: Sequence[Area],
    out: NDArray[np.bool_],
) -> None:
    """Mark the good pixels whose count lies within the trusted range of their part of the frame.

    Parameters
    ----------
    counts : (slow, fast) int32
    good : (slow, fast) bool
        Pixels that may be used at all; none of them outside all areas.
    areas : sequence of Area
        The parts, which do not overlap; both limits are trusted.
    out : (slow, fast) bool
        Takes the answer, within the areas only: what is outside stays as it is.
    """
    _check(counts, good, areas)
    check("out", out, counts.shape, np.bool_)
    for column, row, width, height, low, high in areas:
        _trusted.mark(
            counts, good.view(np.uint8), row, height, column, width, *_limits(low, high), out.view(np.uint8)
        )


def all_trusted(counts: NDArray[np.int32], good: NDArray[np.bool_], areas: Sequence[Area]) -> bool:
    """Tell whether every good pixel of the areas lies within its trusted range: most frames are so.

    The parameters are those of :func:`mark_trusted`, which would give ``good`` in the areas then. It
    takes less time, since nothing is written.
    """
    _check(counts, good, areas)
    for column, row, width, height, low, high in areas:
        lowest, highest = _limits(low, high)
        if width == 0 or height == 0:
            continue
        if highest < lowest:
            if good[row : row + height, column : column + width].any():
                return False
        elif not _trusted.all_within(
            counts, good.view(np.uint8), row, height, column, width, lowest, highest
        ):
            return False
    return True


def _check(counts: NDArray[np.int32], good: NDArray[np.bool_], areas: Sequence[Area]) -> None:
    if counts.ndim != 2:
        raise TypeError(f"counts must be (slow, fast), not {counts.ndim}-D")
    check("counts", counts, counts.shape, np.int32)
    check("good", good, counts.shape, np.bool_)
    n_slow, n_fast = counts.shape
    for column, row, width, height, _, _ in areas:
        if min(column, row, width, height) < 0 or column + width > n_fast or row + height > n_slow:
            raise ValueError(f"the area {column, row, width, height} is not within {n_fast} x {n_slow} px")


def _limits(low: float, high: float) -> tuple[int, int]:
    """Lowest and highest whole counts of a range."""
    return math.ceil(_held(low)), math.floor(_held(high))


def _held(limit: float) -> float:
    return min(max(limit, _INT32.min), _INT32.max)
