"""The reflections of a refinement as arrays, sorted into cells of one experiment and one panel."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import Spots

__all__ = ["Observations", "Traits"]

Array = NDArray[np.float64]

CHUNK = 1024
"""Reflections of one partial sum. Sums are formed chunk by chunk and added in order, so that they do
not depend on the number of threads."""


@dataclass(frozen=True)
class Traits:
    """What tells how well the centroids of N reflections are known.

    Attributes
    ----------
    unit : (N, 3) mm, mm, rad
        Size of a pixel and of an image; of stills a milliradian of DeltaPsi.
    intensity : (N,) counts
        nan where it is not known.
    zeta : (N,)
        |e.(s1 x s0)| / |s1 x s0|: 1 across the spindle, 0 where a reflection moves along the Ewald sphere.
    unseen : (N,) images
        Width within which the middle of a spot lies that an end of the scan has cut; 0 for whole spots.
    single : (N,) bool
        Whether the spot is on one image only, of which it may be anywhere.
    still : (N,) bool
        Whether it was seen in a still: then the third coordinate is DeltaPsi.
    theta : (N,) rad
        Bragg angle.
    """

    unit: Array
    intensity: Array
    zeta: Array
    unseen: Array
    single: NDArray[np.bool_]
    still: NDArray[np.bool_]
    theta: Array

    def take(self, rows: NDArray[np.intp]) -> Traits:
        """Give some of them, by index."""
        return Traits(*(getattr(self, item.name)[rows] for item in fields(self)))


@dataclass(frozen=True)
class Observations:
    """Observed centroids and what predicts them.

    Attributes
    ----------
    rows : (N,) intp
        Row of each in the reflection table.
    spots : Spots
        Sorted by experiment, then by panel (counted over all detectors), then by observed angle.
    observed : (N, 3) mm, mm, rad
        The angle is 0 for stills: DeltaPsi is observed as 0.
    variance : (N, 3) mm^2, mm^2, rad^2
        What the table says; of DeltaPsi, of which it says nothing, 1 mrad^2.
    traits : Traits
    chunks : (C + 1,) int64
        Where chunks begin; none crosses from one experiment or panel to another.
    """

    rows: NDArray[np.intp]
    spots: Spots
    observed: Array
    variance: Array
    traits: Traits
    chunks: NDArray[np.int64]

    @classmethod
    def of(
        cls, rows: NDArray[np.intp], spots: Spots, observed: Array, variance: Array, traits: Traits
    ) -> Observations:
        """Sort them by experiment, panel and angle."""
        order = np.lexsort((spots.angle, spots.panel, spots.experiment))
        spots = replace(spots.take(order), h=np.ascontiguousarray(spots.h[order], dtype=float))
        return cls(rows[order], spots, observed[order], variance[order], traits.take(order), _chunks(spots))

    def take(self, rows: NDArray[np.intp]) -> Observations:
        """Give some of them, by index."""
        return Observations.of(
            self.rows[rows],
            self.spots.take(rows),
            self.observed[rows],
            self.variance[rows],
            self.traits.take(rows),
        )

    @property
    def chunk_experiment(self) -> NDArray[np.int64]:
        """Experiment of each chunk, (C,)."""
        return self.spots.experiment[self.chunks[:-1]].astype(np.int64)

    @property
    def chunk_panel(self) -> NDArray[np.int64]:
        """Panel of each chunk, (C,)."""
        return self.spots.panel[self.chunks[:-1]].astype(np.int64)

    @cached_property
    def cell(self) -> NDArray[np.intp]:
        """Number the reflections (N,) by experiment and panel, those of stills by panel alone.

        A still has few reflections on a panel: too few to draw from, or to tell where its panel is.
        """
        spots, still = self.spots, self.traits.still
        by_cell = np.cumsum((np.diff(spots.experiment) != 0) | (np.diff(spots.panel) != 0))
        cell = np.concatenate([[0], by_cell])[: self.n].astype(np.intp)
        if not still.any():
            return cell
        together = cell.max() + 1 + spots.panel
        return np.asarray(np.unique(np.where(still, together, cell), return_inverse=True)[1], dtype=np.intp)

    @property
    def n(self) -> int:
        """Number of reflections."""
        return len(self.rows)


def _chunks(spots: Spots) -> NDArray[np.int64]:
    new = np.flatnonzero((np.diff(spots.experiment) != 0) | (np.diff(spots.panel) != 0)) + 1
    cells = np.concatenate([[0], new, [len(spots.h)]])
    bounds = [np.arange(a, b, CHUNK) for a, b in zip(cells[:-1], cells[1:], strict=True)]
    return np.concatenate([*bounds, [len(spots.h)]]).astype(np.int64)
