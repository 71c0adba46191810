"""Several frames as one: their sum, mean or maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.counts import Frame, Index

__all__ = ["HOWS", "How", "Stack", "shifted", "stacked"]

How = Literal["sum", "mean", "max"]
HOWS: tuple[How, ...] = get_args(How)


@dataclass(frozen=True)
class Stack:
    """Frames taken together.

    Attributes
    ----------
    total : (slow, fast) int32 or int64
        Sum or maximum of the counts; 0 where a frame has none.
    n : int
        Number of frames.
    how : "sum", "mean" or "max"
    missing, over : (M,) and (K,) int32
        Flat indices of pixels that any of the frames is without, or has above the trusted range.
    """

    total: NDArray[Any]
    n: int
    how: How
    missing: Index
    over: Index

    @property
    def divisor(self) -> int:
        """By what ``total`` is divided for the number shown."""
        return self.n if self.how == "mean" else 1

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.total.nbytes + self.missing.nbytes + self.over.nbytes


def stacked(frames: Sequence[Frame], how: How) -> Stack:
    """Take frames of one roll together."""
    first = frames[0].values
    if how == "max":
        total = first.astype(np.int32)
        for frame in frames[1:]:
            np.maximum(total, frame.values, out=total)
    else:
        total = first.astype(_type_of_sum(frames))
        for frame in frames[1:]:
            total += frame.values
    return Stack(total, len(frames), how, *_lost(frames))


def shifted(before: Stack, leaving: Frame, frames: Sequence[Frame], how: How) -> Stack:
    """Move a sum on by one frame: take off the one that leaves, add the last of the new ``frames``.

    Two passes over the pixels, however many frames there are. ``frames`` (those of the new stack) are
    only asked for the pixels that they lack.
    """
    total = before.total.astype(np.promote_types(before.total.dtype, _type_of_sum(frames)))
    total -= leaving.values
    total += frames[-1].values
    return Stack(total, len(frames), how, *_lost(frames))


def _type_of_sum(frames: Sequence[Frame]) -> type[np.signedinteger[Any]]:
    wide = any(frame.values.dtype == np.int32 for frame in frames)
    bound = max(int(np.abs(frame.values).max()) for frame in frames) if wide else np.iinfo(np.uint16).max
    return np.int32 if bound * len(frames) <= np.iinfo(np.int32).max else np.int64


def _lost(frames: Sequence[Frame]) -> tuple[Index, Index]:
    over = _union([frame.over for frame in frames])
    missing = _union([frame.missing for frame in frames])
    return missing[~np.isin(missing, over)], over


def _union(parts: Sequence[Index]) -> Index:
    first = parts[0]
    if all(np.array_equal(first, part) for part in parts[1:]):
        return first
    return np.unique(np.concatenate(parts))
