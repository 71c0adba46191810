"""Sums over the pixels of spots, behind a wrapper that checks types and shapes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _moments
from smalti_ext.checking import check

__all__ = ["Moments", "moments"]

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """Sums over spots; w is the weight of a pixel, d its distance from the centroid along an axis.

    Attributes
    ----------
    total, squares : (S,)
        Sum of w, sum of w^2.
    centroid : (S, 3) px, px, frame
        Sum of w x / sum of w; a pixel's centre is at + 0.5.
    spread : (S, 3)
        Sum of w d^2.
    noise : (S, 3)
        Sum of v d^2, where v is the variance of a pixel.
    """

    total: Array
    squares: Array
    centroid: Array
    spread: Array
    noise: Array


def moments(
    starts: NDArray[np.int64],
    index: NDArray[np.int32],
    frame: NDArray[np.int32],
    weight: Array,
    noise: Array,
    n_fast: int,
) -> Moments:
    """Sum over the pixels of spots, each spot's one after the other.

    Parameters
    ----------
    starts : (S + 1,) int64
        Where the pixels of each spot begin, the last is N; no spot is empty.
    index, frame : (N,) int32
        Flat index slow * n_fast + fast, and frame.
    weight, noise : (N,)
    """
    n, n_spots = index.size, starts.size - 1
    check("starts", starts, (n_spots + 1,), np.int64)
    for name, array, dtype in (
        ("index", index, np.int32),
        ("frame", frame, np.int32),
        ("weight", weight, np.float64),
        ("noise", noise, np.float64),
    ):
        check(name, array, (n,), dtype)
    if starts[0] != 0 or starts[-1] != n or np.any(np.diff(starts) < 1):
        raise ValueError("starts must rise from 0 to the number of pixels")
    if n_fast < 1:
        raise ValueError(f"n_fast must be at least 1, not {n_fast}")
    sums, out = np.empty((n_spots, 2)), np.empty((n_spots, 3, 3))
    _moments.moments(starts, index, frame, weight, noise, n_fast, sums, out)
    centroid, spread, scatter = (np.ascontiguousarray(out[:, :, k]) for k in range(3))
    return Moments(sums[:, 0].copy(), sums[:, 1].copy(), centroid, spread, scatter)
