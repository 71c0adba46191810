"""Hot pixels: strong in every frame, and not part of anything that looks like a reflection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.steps.finding.pixels import Pixels
from smalti_ext.components import label

__all__ = ["HOT_FRAMES", "hot_pixels"]

HOT_FRAMES = 8
"""Fewest frames from which a pixel can be judged."""


def hot_pixels(pixels: Pixels, always: NDArray[np.int32], n_fast: int, n_frames: int) -> NDArray[np.int32]:
    """Tell hot pixels among those that were strong in every frame.

    In a narrow wedge, or on stills of one crystal, the core of a real reflection is strong in every
    frame too; but its flanks come and go. So a cluster of always-strong pixels is hot when on more than
    half of the frames no other strong pixel touches it.

    Parameters
    ----------
    pixels : Pixels
        All strong pixels of all groups that hold any of ``always``; others do not matter.
    always : (A,) int32
        Flat indices of the pixels strong in every frame, ascending.
    n_frames : int

    Returns
    -------
    (H,) int32
        The hot ones among ``always``, ascending.
    """
    cluster, n = label(
        np.array([0, always.size], dtype=np.int64),
        np.zeros(1, dtype=bool),
        np.ascontiguousarray(always),
        np.zeros(always.size, dtype=np.int16),
        n_fast,
    )
    flickering = ~np.isin(pixels.index, always)
    index, frame = pixels.index[flickering].astype(np.int64), pixels.frame[flickering]
    column = index % n_fast
    touched = np.zeros((n, n_frames), dtype=bool)
    for step, inside in (
        (1, column < n_fast - 1),
        (-1, column > 0),
        (n_fast, np.ones_like(column, dtype=bool)),
        (-n_fast, np.ones_like(column, dtype=bool)),
    ):
        neighbour = index + step
        place = np.minimum(np.searchsorted(always, neighbour), always.size - 1)
        meets = inside & (always[place] == neighbour)
        touched[cluster[place[meets]], frame[meets]] = True
    hot = touched.sum(axis=1) * 2 < n_frames
    return np.asarray(always[hot[cluster]], dtype=np.int32)
