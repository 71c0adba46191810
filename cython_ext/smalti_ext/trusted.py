"""Trusted pixels of a frame, behind a wrapper that checks types and shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _trusted
from smalti_ext.checking import check

__all__ = ["Area", "mark_trusted"]

Area = tuple[int, int, int, int, float, float]
"""Column, row, width and height of a part of the frame (px), lowest and highest trusted count of it."""

_LIMITS = np.iinfo(np.int32)


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
    if counts.ndim != 2:
        raise TypeError(f"counts must be (slow, fast), not {counts.ndim}-D")
    check("counts", counts, counts.shape, np.int32)
    check("good", good, counts.shape, np.bool_)
    check("out", out, counts.shape, np.bool_)
    n_slow, n_fast = counts.shape
    for column, row, width, height, low, high in areas:
        if min(column, row, width, height) < 0 or column + width > n_fast or row + height > n_slow:
            raise ValueError(f"the area {column, row, width, height} is not within {n_fast} x {n_slow} px")
        _trusted.mark(
            counts,
            good.view(np.uint8),
            row,
            height,
            column,
            width,
            math.ceil(_held(low)),
            math.floor(_held(high)),
            out.view(np.uint8),
        )


def _held(limit: float) -> float:
    return min(max(limit, _LIMITS.min), _LIMITS.max)
