"""Numbers along a line, around the beam and over all pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays
from smalti.models import Experiment
from smalti.steps.viewing.contrast import good_pixels
from smalti.steps.viewing.counts import Ground
from smalti.steps.viewing.pyramid import Code
from smalti.steps.viewing.stacking import Stack

__all__ = ["RadialBins", "histogram", "line_profile", "radial_bins", "radial_profile"]

Array = NDArray[np.float64]
BINS = 600
MOST_POINTS = 4000
FINE = 64
"""Counts up to this have a bin each."""


@dataclass(frozen=True)
class RadialBins:
    """Which pixels are at which distance from the beam in reciprocal space.

    Attributes
    ----------
    bin : (slow, fast) uint16
        Bin of each pixel, ``BINS`` where there is no panel.
    q : (BINS,) 1/Angstrom
        1/d in the middle of each bin.
    """

    bin: NDArray[np.uint16]
    q: Array

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.bin.nbytes


def radial_bins(experiment: Experiment, shape: tuple[int, int]) -> RadialBins:
    """Give each pixel of a raw frame its bin in 1/d, evenly spaced from the beam to the farthest corner.

    |s1 - s0| of the middle of each pixel; the depth of absorption is left aside, it is less than a bin.
    """
    arrays = PanelArrays.of(experiment.detector)
    unit = experiment.beam.unit_s0
    lengths = []
    for number, panel in enumerate(experiment.detector.panels):
        (width, height), (px, py) = panel.image_size, panel.pixel_size
        fast, slow, origin = arrays.d[number].T
        x = ((np.arange(width) + 0.5) * px)[:, None] * fast
        y = ((np.arange(height) + 0.5) * py)[:, None] * slow + origin
        # |r|^2 and r.s0 of r = x + y are sums over rows and columns: no array of vectors is made.
        square = (x * x).sum(1)[None, :] + (y * y).sum(1)[:, None] + 2.0 * (y @ x.T)
        cosine = ((x @ unit)[None, :] + (y @ unit)[:, None]) / np.sqrt(square)
        lengths.append(np.sqrt(np.maximum(2.0 - 2.0 * cosine, 0.0)) / experiment.beam.wavelength)
    top = max(float(q.max()) for q in lengths) * (1.0 + 1e-9)
    bins = np.full(shape, BINS, dtype=np.uint16)
    for panel, q in zip(experiment.detector.panels, lengths, strict=True):
        (fast0, slow0), (width, height) = panel.window, panel.image_size
        bins[slow0 : slow0 + height, fast0 : fast0 + width] = (q * (BINS / top)).astype(np.uint16)
    return RadialBins(bins, np.asarray((np.arange(BINS) + 0.5) * (top / BINS)))


def radial_profile(stack: Stack, ground: Ground, bins: RadialBins) -> tuple[Array, Array, Array]:
    """Give 1/d (1/Angstrom), mean count and largest count of the bins that hold usable pixels."""
    good = good_pixels(stack, ground)
    index, counts = bins.bin[good], stack.total[good]
    n = np.bincount(index, minlength=BINS + 1)[:BINS]
    total = np.bincount(index, weights=counts, minlength=BINS + 1)[:BINS]
    some = n > 0
    mean = total[some] / n[some] / stack.divisor
    square = np.bincount(index, weights=counts.astype(float) ** 2, minlength=BINS + 1)[:BINS][some]
    spread = np.sqrt(np.maximum(square / n[some] / stack.divisor**2 - mean**2, 0.0))
    return bins.q[some], mean, spread


def histogram(stack: Stack, ground: Ground) -> tuple[Array, NDArray[np.intp]]:
    """Give counts and how many usable pixels hold them: each up to 64, then in twelfths of an octave.

    Returns
    -------
    edges : (B + 1,) counts, as shown
    pixels : (B,)
    """
    counts = stack.total[good_pixels(stack, ground)]
    if counts.size == 0:
        return np.array([0.0, 1.0]), np.zeros(1, dtype=np.intp)
    low, high = min(int(counts.min()), 0), int(counts.max())
    # Most counts are small: they are counted as they are, and only the others searched for.
    small = np.bincount(np.minimum(counts - low, FINE + 1 - low), minlength=FINE + 2 - low)
    if high <= FINE:
        top = max(high, low) + 1
        return np.arange(low, top + 1) / stack.divisor, small[: top - low]
    wide = np.unique(np.ceil(FINE * 2.0 ** (np.arange(12 * 26) / 12.0)).astype(np.int64)) + 1
    wide = wide[: int(np.searchsorted(wide, high, "right")) + 1]
    large, _ = np.histogram(counts[counts > FINE], wide)
    edges = np.concatenate([np.arange(low, FINE + 1), wide])
    return edges / stack.divisor, np.concatenate([small[:-1], large])


def line_profile(values: NDArray[Any], points: Array) -> list[float | None]:
    """Give the counts at positions (N, 2) px of the raw frame; None where there is none.

    Parameters
    ----------
    values : (slow, fast)
        Level 0 as it travels: codes are the smallest numbers of its type.
    """
    lowest = np.iinfo(values.dtype).min + len(Code)
    at = np.floor(points[:MOST_POINTS]).astype(np.intp)
    n_slow, n_fast = values.shape
    inside = (at[:, 0] >= 0) & (at[:, 0] < n_fast) & (at[:, 1] >= 0) & (at[:, 1] < n_slow)
    found: list[float | None] = []
    for (x, y), ok in zip(at.tolist(), inside.tolist(), strict=True):
        value = int(values[y, x]) if ok else lowest - 1
        found.append(float(value) if value >= lowest else None)
    return found
