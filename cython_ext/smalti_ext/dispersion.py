"""Strong pixels of a frame by the index of dispersion, behind wrappers that check types and shapes.

Over the window of (2 kx + 1) x (2 ky + 1) pixels around a pixel, clipped at the edges of the frame,
n, x and y are the number, the sum and the sum of squares of the valid counts. A pixel is *dispersed*
when n >= min_local, x >= 0 and the variance exceeds what a Poisson background of gain G shows::

    n y - x^2 > G x (n - 1 + sigma_background sqrt(2 (n - 1)))

Pixels that are masked or hold 2^24 or more count nowhere. All sums are exact integers; the only
rounding is that of the right-hand sides, in double precision.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _dispersion

__all__ = ["LARGEST_WINDOW", "dispersion", "dispersion_extended"]

LARGEST_WINDOW = 181
"""Most pixels in a window: n^2 2^48 must fit 63 bits."""


class _Frame(NamedTuple):
    counts: NDArray[np.int32]
    mask: NDArray[np.uint8]
    kx: int
    ky: int


def dispersion(
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    *,
    kernel_size: tuple[int, int] = (3, 3),
    gain: float = 1.0,
    sigma_background: float = 6.0,
    sigma_strong: float = 3.0,
    min_local: int = 2,
    global_threshold: float = 0.0,
) -> NDArray[np.intp]:
    """Find pixels that are dispersed and stand out of their own window.

    Strong is a dispersed pixel with count c > global_threshold and n c - x > sigma_strong sqrt(G x n).

    Parameters
    ----------
    counts : (slow, fast) int32, C-contiguous
    mask : (slow, fast) bool, C-contiguous
        True where a pixel may be used.
    kernel_size : (kx, ky) px
        Half-widths of the window along fast and slow.
    gain : float
        Counts per photon.
    sigma_background, sigma_strong : float
        Standard deviations of the two tests.
    min_local : int
        Fewest valid pixels in a window; 0 or less asks for a full window.
    global_threshold : float
        Strong pixels hold more counts than this.

    Returns
    -------
    (M,) intp
        Flat indices, ascending.
    """
    frame = _checked(counts, mask, kernel_size)
    found, n_found, _ = _scan(
        frame, gain, sigma_background, sigma_strong, min_local, global_threshold, extended=False
    )
    return found[:n_found].copy()


def dispersion_extended(
    counts: NDArray[np.int32],
    mask: NDArray[np.bool_],
    *,
    kernel_size: tuple[int, int] = (3, 3),
    gain: float = 1.0,
    sigma_background: float = 6.0,
    sigma_strong: float = 3.0,
    min_local: int = 2,
    global_threshold: float = 0.0,
    masked_flagged: bool = True,
) -> NDArray[np.intp]:
    """Find pixels that stand out of the background around the dispersed areas.

    The foreground are the dispersed pixels all of whose neighbours within min(kx, ky) - 1 pixels are
    dispersed too. Strong is a foreground pixel with count c > global_threshold and
    c >= m + sigma_strong sqrt(G m), where m is the mean of the valid pixels that are not foreground in
    the window with half-widths kx + 2, ky + 2 (0 when there are fewer than two).

    Parameters
    ----------
    masked_flagged : bool
        Whether a masked neighbour counts as dispersed, as in DIALS since dials#2790, so that spots keep
        their pixels beside gaps; before, they lost a rim of min(kx, ky) - 1 pixels there.

    The other parameters and the result are those of :func:`dispersion`.
    """
    frame = _checked(counts, mask, kernel_size)
    found, n_found, pixels = _scan(
        frame, gain, sigma_background, sigma_strong, min_local, global_threshold, extended=True
    )
    n_strong = _dispersion.refine(
        frame.counts,
        frame.mask,
        frame.kx,
        frame.ky,
        gain,
        sigma_strong,
        global_threshold,
        masked_flagged,
        pixels,
        found,
        n_found,
    )
    return found[:n_strong].copy()


def _scan(
    frame: _Frame,
    gain: float,
    sigma_background: float,
    sigma_strong: float,
    min_local: int,
    global_threshold: float,
    *,
    extended: bool,
) -> tuple[NDArray[np.intp], int, NDArray[np.uint8]]:
    counts, mask, kx, ky = frame
    n_slow, n_fast = counts.shape
    rows, area = 2 * ky + 2, (2 * kx + 1) * (2 * ky + 1)
    n = np.arange(area + 1.0)
    degrees = np.maximum(n - 1.0, 0.0)
    # Pages of these that nobody writes to are never given out by the system: both are sparse.
    pixels = np.zeros((n_slow, n_fast) if extended else (1, 1), dtype=np.uint8)
    found = np.empty(counts.size, dtype=np.intp)
    n_found = _dispersion.scan(
        counts,
        mask,
        kx,
        ky,
        gain,
        sigma_background,
        sigma_strong,
        min_local if min_local > 0 else area,
        global_threshold,
        extended,
        math.isqrt((2**31 - 1) // area),  # no sum of squares over a window of clipped counts overflows
        np.zeros((rows, n_fast), dtype=np.int16),
        np.zeros((rows, n_fast), dtype=np.uint16),
        np.zeros(n_fast + 2 * kx, dtype=np.uint16),
        np.zeros((2, n_fast + 2 * kx), dtype=np.uint32),
        np.zeros(n_fast + 2 * kx + 1, dtype=np.uint16),
        np.zeros((2, n_fast + 2 * kx + 1), dtype=np.uint32),
        np.zeros(n_fast, dtype=np.uint8),
        gain * (degrees + sigma_background * np.sqrt(2.0 * degrees)),
        pixels,
        found,
    )
    return found, n_found, pixels


def _checked(counts: NDArray[np.int32], mask: NDArray[np.bool_], kernel_size: tuple[int, int]) -> _Frame:
    if counts.dtype != np.int32 or counts.ndim != 2 or not counts.flags.c_contiguous:
        raise TypeError(
            f"counts must be (slow, fast) int32, C-contiguous, not {counts.ndim}-D {counts.dtype}"
        )
    if mask.dtype != np.bool_ or mask.shape != counts.shape or not mask.flags.c_contiguous:
        raise TypeError(f"mask must be bool {counts.shape}, C-contiguous, not {mask.dtype} {mask.shape}")
    kx, ky = kernel_size
    if kx < 1 or ky < 1 or (2 * kx + 1) * (2 * ky + 1) > LARGEST_WINDOW:
        raise ValueError(
            f"kernel_size {kx}, {ky} must be at least 1 and give a window of at most {LARGEST_WINDOW} pixels"
        )
    return _Frame(counts, mask.view(np.uint8), kx, ky)
