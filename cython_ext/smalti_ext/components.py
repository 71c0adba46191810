"""Groups of strong pixels and the background around them, behind wrappers that check types and shapes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _components
from smalti_ext.checking import check

__all__ = ["CUT", "OVERLOADED", "Labels", "beside", "by_group", "label", "surroundings"]

CUT, OVERLOADED = 1, 2
"""Bits of what :func:`beside` gives."""


class Labels(NamedTuple):
    """Groups of strong pixels.

    Attributes
    ----------
    group : (N,) int64
        Number of the group of each pixel; groups are numbered by their first pixels.
    n_groups : int
    """

    group: NDArray[np.int64]
    n_groups: int


def label(
    starts: NDArray[np.int64],
    linked: NDArray[np.bool_],
    index: NDArray[np.int32],
    panel: NDArray[np.int16],
    n_fast: int,
) -> Labels:
    """Number the groups of strong pixels that touch along fast, slow or from frame to frame.

    Pixels of different panels never touch. Time and memory grow with the strong pixels, not with the
    frames [union-find over runs of two sorted lists].

    Parameters
    ----------
    starts : (F + 1,) int64
        Where the list of each frame begins in ``index``; the last is N.
    linked : (F,) bool
        Whether a frame continues the one before it in the list; the first never does.
    index : (N,) int32
        Flat indices slow * n_fast + fast, ascending within each frame.
    panel : (N,) int16
        Panel of each pixel.
    n_fast : int
        Pixels in a row of a frame.
    """
    for name, array, dtype in (
        ("starts", starts, np.int64),
        ("linked", linked, np.bool_),
        ("index", index, np.int32),
        ("panel", panel, np.int16),
    ):
        if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
            raise TypeError(f"{name} must be one contiguous row of {np.dtype(dtype)}, not {array.dtype}")
    n = index.size
    if panel.size != n or starts.size != linked.size + 1:
        raise ValueError(
            f"lengths do not fit: {n} pixels, {panel.size} panels, {linked.size} frames, {starts.size} starts"
        )
    if starts[0] != 0 or starts[-1] != n or np.any(np.diff(starts) < 0):
        raise ValueError("starts must rise from 0 to the number of pixels")
    if linked.size and linked[0]:
        raise ValueError("the first frame continues nothing")
    group = np.empty(n, dtype=np.int64)
    return Labels(group, _components.label(starts, linked.view(np.uint8), index, panel, n_fast, group))


def by_group(group: NDArray[np.int64], n_groups: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order pixels by their groups, those of each group as they are.

    It takes time in proportion to the pixels, where sorting would take several times as long.

    Parameters
    ----------
    group : (N,) int64
        Number of the group of each pixel, 0 to n_groups - 1.

    Returns
    -------
    order : (N,) int64
        Pixels, group after group.
    starts : (n_groups + 1,) int64
        Where each group begins in ``order``; the last is N.
    """
    check("group", group, (group.size,), np.int64)
    if group.size and not 0 <= group.min() <= group.max() < n_groups:
        raise ValueError(f"groups must be from 0 to {n_groups - 1}")
    order, starts = np.empty(group.size, dtype=np.int64), np.zeros(n_groups + 1, dtype=np.int64)
    _components.by_group(group, starts, order)
    return order, starts


def surroundings(
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    index: NDArray[np.int32],
    *,
    guard: int = 2,
    reach: int = 7,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sum the background around each strong pixel of a frame.

    The background are the usable pixels (of less than 2^24 counts) within ``reach`` of it that are more
    than ``guard`` pixels (both counted as in a square) from every strong pixel, so that the flanks of
    spots stay out.

    Parameters
    ----------
    counts : (slow, fast) int32
    mask : (slow, fast) bool
        True where a pixel may be used.
    index : (N,) int32
        Flat indices of the strong pixels.

    Returns
    -------
    total : (N,) int64
        Sum of the background counts.
    pixels : (N,) int32
        Number of background pixels; may be 0.
    """
    _check_frame(counts, mask, index)
    total = np.empty(index.size, dtype=np.int64)
    pixels = np.empty(index.size, dtype=np.int32)
    if counts.size:
        n_slow, n_fast = counts.shape
        bits = np.zeros((n_slow, (n_fast + 63) // 64), dtype=np.uint64)
        columns = np.empty((n_fast, 4), dtype=np.int64)
        _components.surroundings(
            counts, mask.view(np.uint8), index, guard, reach, bits, columns, total, pixels
        )
    return total, pixels


def beside(
    counts: NDArray[np.int32],
    usable: NDArray[np.bool_],
    good: NDArray[np.bool_],
    panels: NDArray[np.int16],
    index: NDArray[np.int32],
    highest: NDArray[np.int32],
) -> NDArray[np.uint8]:
    """Tell what the four neighbours of each strong pixel are.

    Parameters
    ----------
    counts : (slow, fast) int32
    usable : (slow, fast) bool
        Pixels that may be used on this frame.
    good : (slow, fast) bool
        Those that may be used but for their counts.
    panels : (slow, fast) int16
        Panel of each pixel; strong pixels lie on one.
    index : (N,) int32
        Flat indices of the strong pixels.
    highest : (P,) int32
        Highest trusted counts of the panels.

    Returns
    -------
    (N,) uint8
        ``CUT`` where the panel ends or a neighbour cannot be used, ``OVERLOADED`` where one is good but
        above the trusted range.
    """
    _check_frame(counts, usable, index)
    check("good", good, counts.shape, np.bool_)
    check("panels", panels, counts.shape, np.int16)
    check("highest", highest, (highest.size,), np.int32)
    if index.size:
        on = panels.reshape(-1)[index]
        if not 0 <= on.min() <= on.max() < highest.size:
            raise ValueError(f"strong pixels must lie on panels 0 to {highest.size - 1}")
    out = np.empty(index.size, dtype=np.uint8)
    _components.beside(counts, usable.view(np.uint8), good.view(np.uint8), panels, index, highest, out)
    return out


def _check_frame(counts: NDArray[np.int32], mask: NDArray[np.bool_], index: NDArray[np.int32]) -> None:
    if counts.ndim != 2:
        raise TypeError(f"counts must be (slow, fast), not {counts.ndim}-D")
    check("counts", counts, counts.shape, np.int32)
    check("mask", mask, counts.shape, np.bool_)
    check("index", index, (index.size,), np.int32)
    if index.size and not 0 <= index.min() <= index.max() < counts.size:
        raise ValueError("an index lies outside the frame")
