"""Strong pixels of a frame by the index of dispersion, behind wrappers that check types and shapes.

Over the window of (2 kx + 1) x (2 ky + 1) pixels around a pixel, clipped at the edges of the frame,
n, x and y are the number, the sum and the sum of squares of the valid counts. A pixel is *dispersed*
when n >= min_local, x >= 0 and the variance exceeds what a Poisson background of gain G shows::

    n y - x^2 > G x (n - 1 + sigma_background sqrt(2 (n - 1)))

Pixels that are masked or hold 2^24 or more count nowhere. All sums are exact integers; the only
rounding is that of the right-hand sides, in double precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _dispersion

__all__ = ["LARGEST_WINDOW", "dispersion", "dispersion_extended"]

LARGEST_WINDOW = 181
"""Most pixels in a window: n^2 2^48 must fit 63 bits."""


class _Test(NamedTuple):
    gain: float
    sigma_background: float
    sigma_strong: float
    min_local: int
    global_threshold: float
    extended: bool = False
    masked_flagged: bool = True


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
    test = _Test(gain, sigma_background, sigma_strong, min_local, global_threshold)
    return _find(_checked(counts, mask, kernel_size), test)


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
    test = _Test(gain, sigma_background, sigma_strong, min_local, global_threshold, True, masked_flagged)
    return _find(_checked(counts, mask, kernel_size), test)


def _find(frame: _Frame, test: _Test) -> NDArray[np.intp]:
    counts, mask, kx, ky = frame
    n_slow, n_fast = counts.shape
    if counts.size == 0:
        return np.empty(0, dtype=np.intp)
    area = (2 * kx + 1) * (2 * ky + 1)
    n = np.arange(area + 1.0)
    degrees = np.maximum(n - 1.0, 0.0)
    needed = test.gain * (degrees + test.sigma_background * np.sqrt(2.0 * degrees))
    abreast = min(_dispersion.MOST, -(-n_fast // _dispersion.COLUMNS))
    # Pages of it that nobody writes to are never given out by the system.
    found = np.empty(counts.size, dtype=np.intp)
    n_found = _dispersion.find(
        counts,
        mask,
        kx,
        ky,
        test.gain,
        test.sigma_strong,
        test.min_local if test.min_local > 0 else area,
        test.global_threshold,
        test.extended,
        test.masked_flagged,
        # A little less, so that no rounding makes the screens too strict.
        float((needed[2:] / n[2:]).min()) * (1.0 - 1e-9),
        needed,
        np.zeros((2, n_slow, (n_fast + 63) // 64), dtype=np.uint64),
        np.empty((2, n_fast, 4), dtype=np.int64),
        np.empty(abreast * _dispersion.RING, dtype=np.int32),
        np.empty(abreast * _dispersion.TILE, dtype=np.uint8),
        found,
    )
    return found[:n_found].copy()


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
