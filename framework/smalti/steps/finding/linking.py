"""Strong pixels of frame after frame become spots, in memory that does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from smalti.steps.finding.hot import HOT_FRAMES, hot_pixels
from smalti.steps.finding.pixels import Pixels
from smalti_ext.components import label

__all__ = ["Groups", "link"]

CHUNK = 32
"""Frames that are linked at a time; it decides on memory and speed, not on the result."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Complete groups of connected strong pixels.

    Attributes
    ----------
    pixels : Pixels
    group : (N,) int64
        Number of the group of each pixel, 0 to n - 1, in the order of the groups' first pixels.
    n : int
    hot : (H,) int32
        Flat indices of hot pixels that were taken out (given with the last groups of a run).
    """

    pixels: Pixels
    group: NDArray[np.int64]
    n: int
    hot: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))


def link(
    frames: Iterable[tuple[Pixels, bool]], n_fast: int, *, remove_hot: bool = True, chunk: int = CHUNK
) -> Iterator[Groups]:
    """Link the strong pixels of the frames of one run.

    Pixels that touch along fast, slow or from frame to frame on one panel belong together (6
    neighbours). A group is given out once nothing can join it any more. Until the last frame those
    that hold a pixel which was strong in every frame so far are kept back, since only then is it known
    whether that pixel is hot. How the frames are cut into chunks does not show in the groups.

    Parameters
    ----------
    frames : iterable of (Pixels, bool)
        The strong pixels of each usable frame, positions rising from 0, and whether the frame
        continues the one before it.
    n_fast : int
        Pixels in a row of a frame.
    remove_hot : bool
        Whether to take out hot pixels.
    """
    held = Pixels.none()
    always: NDArray[np.int32] | None = None
    continues: list[bool] = []
    fresh: list[Pixels] = []
    for pixels, linked in frames:
        continues.append(linked)
        fresh.append(pixels)
        if remove_hot:
            always = (
                pixels.index if always is None else np.intersect1d(always, pixels.index, assume_unique=True)
            )
        if len(fresh) == chunk:
            pool = Pixels.joined([held, *fresh])
            groups = _labelled(pool, continues, n_fast)
            is_open = _unfinished(groups, len(continues) - 1, always)
            held, fresh = pool.take(is_open), []
            yield _kept(groups, ~is_open)
    pool = Pixels.joined([held, *fresh])
    hot = np.empty(0, dtype=np.int32)
    if always is not None and always.size and len(continues) >= HOT_FRAMES:
        hot = hot_pixels(pool, always, n_fast, len(continues))
        pool = pool.take(~np.isin(pool.index, hot))
    last = _labelled(pool, continues, n_fast)
    yield replace(last, hot=hot)


def _labelled(pixels: Pixels, continues: list[bool], n_fast: int) -> Groups:
    positions, first = np.unique(pixels.frame, return_index=True)
    starts = np.append(first, len(pixels)).astype(np.int64)
    follows = np.diff(positions, prepend=-2) == 1
    linked = follows & np.array(continues, dtype=bool)[positions]
    found = label(starts, np.ascontiguousarray(linked), pixels.index, pixels.panel, n_fast)
    return Groups(pixels, found.group, found.n_groups)


def _unfinished(groups: Groups, last: int, always: NDArray[np.int32] | None) -> NDArray[np.bool_]:
    """Pixels (N,) of groups that reach the last frame or may turn out to hold a hot pixel."""
    waits = groups.pixels.frame == last
    if always is not None:
        waits |= np.isin(groups.pixels.index, always)
    unfinished = np.zeros(groups.n, dtype=bool)
    unfinished[groups.group[waits]] = True
    return unfinished[groups.group]


def _kept(groups: Groups, rows: NDArray[np.bool_]) -> Groups:
    """The groups of some pixels, whole groups at a time, numbered anew in the same order."""
    group, there = groups.group[rows], np.zeros(groups.n, dtype=bool)
    there[group] = True
    number = np.cumsum(there) - 1
    return Groups(groups.pixels.take(rows), number[group], int(np.count_nonzero(there)))
