"""The spots of reflection tables, found by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.gallery import Gallery
from smalti.tables import Flag, Reflections

__all__ = ["KINDS", "SpotIndex", "Spots", "index_spots"]

Array = NDArray[np.float64]
KINDS = ("spots", "indexed", "outliers")
"""What a spot is: found only, indexed, or indexed and rejected by a refinement."""


@dataclass(frozen=True)
class Spots:
    """Spots of one or more tables.

    Attributes
    ----------
    roll : (N,) int
        Roll of the images.
    z : (N, 2)
        Array indices between which each was seen.
    panel : (N,) int
    observed : (N, 2) px on the panel
    size : (N,) px
        Half-width of the box of its strong pixels.
    predicted : (N, 2) px on the panel; nan where there is no prediction
    hkl : (N, 3) int
    kind : (N,) int
        Position in :data:`KINDS`.
    table : (N,) int
        Which table it is from.
    """

    roll: NDArray[np.intp]
    z: Array
    panel: NDArray[np.intp]
    observed: Array
    size: Array
    predicted: Array
    hkl: NDArray[np.int32]
    kind: NDArray[np.intp]
    table: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> Spots:
        """Give some of the spots."""
        return Spots(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.roll)


@dataclass(frozen=True)
class SpotIndex:
    """Spots in the order of their first frame, so that those of a frame are found without looking at all.

    Attributes
    ----------
    spots : Spots
        Ordered by roll and first frame.
    bounds : (R + 1,) int
        Where each roll begins.
    depth : (R,)
        Most frames that a spot of the roll is seen on.
    reach : (R,)
        Frames, on either side of its middle, over which a spot of the roll is commonly seen.
    """

    spots: Spots
    bounds: NDArray[np.intp]
    depth: Array
    reach: Array

    def on(self, roll: int, begin: float, end: float) -> Spots:
        """Give the spots of a roll that were seen between two array indices."""
        a, b = int(self.bounds[roll]), int(self.bounds[roll + 1])
        first = self.spots.z[a:b, 0]
        low = int(np.searchsorted(first, begin - self.depth[roll], "left"))
        high = int(np.searchsorted(first, end, "left"))
        rows = np.arange(a + low, a + high)
        return self.spots.take(rows[self.spots.z[rows, 1] > begin])


def index_spots(gallery: Gallery, tables: Sequence[Reflections]) -> SpotIndex:
    """Sort the spots of some tables by frame; reflections that were never observed are left out."""
    parts = [_spots(gallery, table, number) for number, table in enumerate(tables)]
    names = Spots.__dataclass_fields__
    joined = (
        Spots(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
        if parts
        else _none()
    )
    order = np.lexsort((joined.z[:, 0], joined.roll))
    ordered = joined.take(order)
    n = len(gallery.rolls)
    bounds = np.searchsorted(ordered.roll, np.arange(n + 1))
    depth = np.zeros(n)
    np.maximum.at(depth, ordered.roll, ordered.z[:, 1] - ordered.z[:, 0])
    frames = ordered.z[:, 1] - ordered.z[:, 0]
    # A spot that touches d frames lasts between d - 1 and d of them.
    reach = [
        0.5 * (float(np.median(frames[a:b])) - 0.5) if b > a else 0.0
        for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    return SpotIndex(ordered, bounds, depth, np.array(reach))


def _none() -> Spots:
    return Spots(
        np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros(0),
        np.zeros((0, 2)), np.zeros((0, 3), np.int32), np.zeros(0, np.intp), np.zeros(0, np.intp),
    )  # fmt: skip


def _spots(gallery: Gallery, table: Reflections, number: int) -> Spots:
    table.require("id", "panel", "xyzobs.px.value")
    observed = table["xyzobs.px.value"]
    flags = table["flags"] if "flags" in table else np.zeros(table.n_rows, dtype=np.uint64)
    hkl = table["miller_index"] if "miller_index" in table else np.zeros((table.n_rows, 3), dtype=np.int32)
    indexed = _has(flags, Flag.INDEXED) | ((table["id"] >= 0) & np.any(hkl != 0, axis=1))
    kind = np.where(indexed, np.where(_has(flags, Flag.CENTROID_OUTLIER), 2, 1), 0)
    predicted = np.full((table.n_rows, 2), np.nan)
    if "xyzcal.px" in table:
        known = _has(flags, Flag.PREDICTED) & indexed
        predicted[known] = table["xyzcal.px"][known, :2]
    if "bbox" in table:
        box = table["bbox"]
        z = box[:, 4:6].astype(float)
        size = 0.5 * np.maximum(box[:, 1] - box[:, 0], box[:, 3] - box[:, 2])
    else:
        z = np.floor(observed[:, 2:3]) + np.array([[0.0, 1.0]])
        size = np.full(table.n_rows, 2.0)
    roll = _rolls(gallery, table)
    real = (roll >= 0) & np.any(observed[:, :2] != 0.0, axis=1)
    spots = Spots(
        roll, z, table["panel"].astype(np.intp), observed[:, :2], size, predicted, hkl, kind.astype(np.intp),
        np.full(table.n_rows, number, dtype=np.intp),
    )  # fmt: skip
    return spots.take(np.flatnonzero(real))


def _has(flags: NDArray[Any], flag: Flag) -> NDArray[np.bool_]:
    bit = np.uint64(int(flag))
    return np.asarray((flags & bit) == bit)


def _rolls(gallery: Gallery, table: Reflections) -> NDArray[np.intp]:
    """Tell the roll of each row by its experiment, else by its image set; -1 where neither does."""
    n_experiments, n_rolls = len(gallery.experiments), len(gallery.rolls)
    of_experiment = np.full(n_experiments + 1, -1, dtype=np.intp)
    for roll in gallery.rolls:
        of_experiment[list(roll.members)] = roll.number
    number = table["id"]
    inside = (number >= 0) & (number < n_experiments)
    found = of_experiment[np.where(inside, number, n_experiments)]
    if "imageset_id" in table:
        images = table["imageset_id"].astype(np.intp)
        found = np.where((found < 0) & (images >= 0) & (images < n_rolls), images, found)
    elif n_rolls == 1:
        found = np.zeros_like(found)
    return np.asarray(found)
