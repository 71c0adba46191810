"""Photon counts of simulated frames, behind wrappers that check types, shapes and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _render

__all__ = ["WIDEST_SIGMA", "background", "spots"]

WIDEST_SIGMA = 25.0
"""The largest standard deviation of a spot, pixels: the kernel draws at most 256 pixels across."""


def background(
    mean: NDArray[np.float32], at_zero: NDArray[np.float32], seed: int, frame: int, out: NDArray[np.int32]
) -> None:
    """Fill a frame with Poisson counts.

    The counts depend on the seed, the frame number and the place in the frame only. Releases the
    interpreter lock.

    Parameters
    ----------
    mean : (S, F) float32
        Mean counts; a negative value is written as it is (-1 gap, -2 dead).
    at_zero : (S, F) float32
        exp(-mean), worked out once for all frames.
    seed, frame : int
        0 ... 2^64 - 1.
    out : (S, F) int32
        Takes the counts.
    """
    _check("mean", mean, np.float32, (-1, -1))
    _check("at_zero", at_zero, np.float32, mean.shape)
    _check("out", out, np.int32, mean.shape)
    _render.background(mean, at_zero, seed, frame, out)


def spots(
    centres: NDArray[np.float64],
    counts: NDArray[np.float64],
    windows: NDArray[np.int32],
    sigma: float,
    transmission: NDArray[np.float32],
    seed: int,
    frame: int,
    ceiling: int,
    out: NDArray[np.int32],
) -> None:
    """Add spots to a frame: gaussians integrated over pixels, with Poisson noise.

    The mean of pixel (x, y) is counts * transmission * the integral of the gaussian over the pixel. Pixels
    with negative counts (gaps, dead pixels) stay as they are. Releases the interpreter lock.

    Parameters
    ----------
    centres : (N, 2) float64
        Fast and slow position on the raw frame, px; pixel k covers [k, k + 1).
    counts : (N,) float64
        Mean photons of each spot in this frame.
    windows : (N, 4) int32
        x0 x1 y0 y1 of the panel of each spot on the raw frame, half-open: a spot ends at its panel's edge.
    sigma : float
        Standard deviation of the gaussian, px.
    transmission : (S, F) float32
        Fraction of photons that reach each pixel.
    seed, frame : int
        0 ... 2^64 - 1.
    ceiling : int
        Counts stop here, as a real counter does.
    out : (S, F) int32
        Counts so far; changed in place.
    """
    _check("centres", centres, np.float64, (-1, 2))
    _check("counts", counts, np.float64, (len(centres),))
    _check("windows", windows, np.int32, (len(centres), 4))
    _check("out", out, np.int32, (-1, -1))
    _check("transmission", transmission, np.float32, out.shape)
    if not 0.0 < sigma <= WIDEST_SIGMA:
        raise ValueError(f"sigma must be above 0 and at most {WIDEST_SIGMA:g} px, not {sigma:g}")
    if not np.all(np.abs(centres) < 1e6) or not np.all((counts >= 0.0) & (counts < 1e9)):
        raise ValueError("centres must lie within 1e6 px and counts from 0 to 1e9")
    if len(windows) and (
        windows.min() < 0 or windows[:, 1].max() > out.shape[1] or windows[:, 3].max() > out.shape[0]
    ):
        raise ValueError(f"a window reaches outside the frame of {out.shape[1]} x {out.shape[0]} pixels")
    _render.spots(centres, counts, windows, sigma, transmission, seed, frame, ceiling, out)


def _check(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype)}, not {getattr(array, 'dtype', type(array))}")
    if array.ndim != len(shape) or any(n not in (-1, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape {shape} (-1: any), not {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")
