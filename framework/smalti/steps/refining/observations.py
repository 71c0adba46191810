"""The reflections of a refinement as arrays, sorted into cells of one experiment and one panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import Spots

__all__ = ["Observations"]

Array = NDArray[np.float64]

CHUNK = 1024
"""Reflections of one partial sum. Sums are formed chunk by chunk and added in order, so that they do
not depend on the number of threads."""


@dataclass(frozen=True)
class Observations:
    """Observed centroids and what predicts them.

    Attributes
    ----------
    rows : (N,) intp
        Row of each in the reflection table.
    spots : Spots
        Sorted by experiment, then by panel (counted over all detectors).
    observed : (N, 3) mm, mm, rad
    variance : (N, 3) mm^2, mm^2, rad^2
    chunks : (C + 1,) int64
        Where chunks begin; none crosses from one experiment or panel to another.
    """

    rows: NDArray[np.intp]
    spots: Spots
    observed: Array
    variance: Array
    chunks: NDArray[np.int64]

    @classmethod
    def of(cls, rows: NDArray[np.intp], spots: Spots, observed: Array, variance: Array) -> Observations:
        """Sort them (a stable sort: rows stay in the order of the table within a cell)."""
        order = np.lexsort((spots.panel, spots.experiment))
        spots = Spots(
            np.ascontiguousarray(spots.h[order], dtype=float),
            spots.entering[order],
            spots.angle[order],
            spots.experiment[order],
            spots.panel[order],
        )
        return cls(rows[order], spots, observed[order], variance[order], _chunks(spots))

    @property
    def chunk_experiment(self) -> NDArray[np.int64]:
        """Experiment of each chunk, (C,)."""
        return self.spots.experiment[self.chunks[:-1]].astype(np.int64)

    @property
    def chunk_panel(self) -> NDArray[np.int64]:
        """Panel of each chunk, (C,)."""
        return self.spots.panel[self.chunks[:-1]].astype(np.int64)

    @property
    def n(self) -> int:
        """Number of reflections."""
        return len(self.rows)


def _chunks(spots: Spots) -> NDArray[np.int64]:
    new = np.flatnonzero((np.diff(spots.experiment) != 0) | (np.diff(spots.panel) != 0)) + 1
    cells = np.concatenate([[0], new, [len(spots.h)]])
    bounds = [np.arange(a, b, CHUNK) for a, b in zip(cells[:-1], cells[1:], strict=True)]
    return np.concatenate([*bounds, [len(spots.h)]]).astype(np.int64)
