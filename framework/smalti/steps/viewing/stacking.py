"""Several frames as one: their sum, mean or maximum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.counts import Frame, Index

__all__ = ["HOWS", "How", "Lost", "Stack", "shifted", "stacked"]

How = Literal["sum", "mean", "max"]
Lost = tuple[Index, Index]
"""Pixels without a measurement, and pixels above the trusted range: flat indices."""
HOWS: tuple[How, ...] = get_args(How)


@dataclass(frozen=True)
class Stack:
    """Frames taken together.

    Attributes
    ----------
    total : (slow, fast) int32 or int64, of a single frame any integer type
        Sum or maximum of the counts; 0 where a frame has none.
    n : int
        Number of frames.
    how : "sum", "mean" or "max"
    bound : int
        What no total is larger than.
    missing, over : (M,) and (K,) int32
        Flat indices of pixels that any of the frames is without, or has above the trusted range.
    scale : int
        Parts of one that ``total`` counts: numbers that are not whole are kept as thousandths.
    """

    total: NDArray[Any]
    n: int
    how: How
    bound: int
    missing: Index
    over: Index
    scale: int = 1

    @property
    def divisor(self) -> int:
        """By what ``total`` is divided for the number shown."""
        return self.scale * (self.n if self.how == "mean" else 1)

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.total.nbytes + self.missing.nbytes + self.over.nbytes


def stacked(frames: Iterable[Frame], how: How) -> Stack:
    """Take frames of one roll together; each is let go of before the next is asked for."""
    total: NDArray[Any] | None = None
    lost: list[Lost] = []
    bound = 0
    for frame in frames:
        bound += frame.largest
        lost.append((frame.missing, frame.over))
        if total is None:
            total = frame.values  # a single frame stays in the small type that it is kept in
            continue
        if len(lost) == 2:
            total = total.astype(np.int32)
        if how == "max":
            np.maximum(total, frame.values, out=total)
        else:
            total = _wide(total, bound)
            np.add(total, frame.values, out=total, casting="unsafe")
    assert total is not None
    return Stack(total, len(lost), how, bound, *_joined(lost))


def shifted(before: Stack, leaving: Frame, entering: Frame, lost: Sequence[Lost]) -> Stack:
    """Move a sum on by one frame: two passes over the pixels, however many frames there are.

    Parameters
    ----------
    before : Stack
    leaving, entering : Frame
        The first frame of the old sum and the last of the new one.
    lost : sequence of (missing, over)
        The pixels that the frames of the new sum lack.
    """
    bound = before.bound - leaving.largest + entering.largest
    total = _wide(before.total.copy(), before.bound + entering.largest)
    np.subtract(total, leaving.values, out=total, casting="unsafe")
    np.add(total, entering.values, out=total, casting="unsafe")
    return Stack(total, before.n, before.how, bound, *_joined(lost))


def _wide(total: NDArray[Any], bound: int) -> NDArray[Any]:
    """Give sums in a type that holds what they may come to."""
    return total if bound <= np.iinfo(total.dtype).max else total.astype(np.int64)


def _joined(lost: Sequence[Lost]) -> Lost:
    over = _union([item[1] for item in lost])
    missing = _union([item[0] for item in lost])
    return (missing[~np.isin(missing, over)] if over.size else missing), over


def _union(parts: Sequence[Index]) -> Index:
    first = parts[0]
    if all(np.array_equal(first, part) for part in parts[1:]):
        return first
    return np.unique(np.concatenate(parts))
