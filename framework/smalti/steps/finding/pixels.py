"""Strong pixels as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pixels"]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Strong pixels, ordered by frame and then by index.

    Attributes
    ----------
    frame : (N,) int32
        Position of the frame in its run.
    index : (N,) int32
        Flat index slow * n_fast + fast in the raw frame.
    value : (N,) int32 counts
    panel : (N,) int16
    background : (N,) float64 counts
        Mean of the background pixels around it; nan where there are none.
    support : (N,) int32
        Number of those background pixels.
    overloaded : (N,) bool
        Whether a neighbour is above the trusted range.
    cut : (N,) bool
        Whether a neighbour cannot be used for another reason: a gap, a dead pixel, the end of the panel.
    """

    frame: NDArray[np.int32]
    index: NDArray[np.int32]
    value: NDArray[np.int32]
    panel: NDArray[np.int16]
    background: NDArray[np.float64]
    support: NDArray[np.int32]
    overloaded: NDArray[np.bool_]
    cut: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Pixels:
        """Give no pixels at all."""
        types = (np.int32, np.int32, np.int32, np.int16, np.float64, np.int32, np.bool_, np.bool_)
        columns: list[NDArray[Any]] = [np.empty(0, dtype=kind) for kind in types]
        return cls(*columns)

    @classmethod
    def joined(cls, parts: Sequence[Pixels]) -> Pixels:
        """Join parts one after the other."""
        if not parts:
            return cls.none()
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def take(self, rows: NDArray[Any]) -> Pixels:
        """Give some of the pixels, by index or mask."""
        return Pixels(*(getattr(self, f.name)[rows] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.index)
