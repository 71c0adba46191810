"""Lattices from one-dimensional Fourier transforms along many directions.

Seen along an axis of the lattice the spots lie in layers; projected onto that direction they are periodic,
and a one-dimensional transform shows the period [Steller, Bolotovsky & Rossmann 1997, J. Appl. Cryst. 30,
1036]. Here the transforms are made for each wedge of rotation and their powers added, so that a wrong beam
centre does no harm, which it does where one transform is made of all. A transform along a line is as long as
it needs to be: cells of which one axis is many times the others fit no three-dimensional grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.transform import (
    Wedges,
    distinct,
    lowest_resolution,
    refine_vectors,
    wedge_numbers,
)
from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import Candidate, PointCloud
from smalti_plugins.indexers._bases import lattices
from smalti_plugins.indexers._directions import half_sphere

SMALTI_API = API

Array = NDArray[np.float64]

PER_DIRECTION = 3
"""Maxima kept of one direction: the period and its first multiples, or two that noise made."""


@dataclass(frozen=True)
class FFT1D:
    """Find lattices from the layers in which spots lie along the axes, blind to the beam centre."""

    name: ClassVar[str] = "fft1d"

    wedge: float = option(
        12.0, "Widest wedge whose spots are compared with one another.", unit="deg", gt=0, le=360
    )
    step: float = option(1.5, "Widest step between the directions searched.", unit="deg", ge=0.3, le=5)
    spots: int = option(2500, "How many spots of low resolution to use.", ge=50, le=20_000)
    min_cell: float = option(3.0, "Shortest cell axis to look for.", unit="Angstrom", gt=0)
    min_power: float = option(0.3, "Least power of a vector, relative to the strongest.", gt=0, lt=1)
    vectors: int = option(60, "How many of the strongest vectors to look at.", ge=3, le=300)
    max_candidates: int = option(6, "How many lattices to propose.", ge=1)

    def candidates(
        self, cloud: PointCloud, max_cell: float, known_cell: tuple[float, ...] | None = None
    ) -> Sequence[Candidate]:
        """Propose lattices, best first; the known cell is not needed and not used."""
        if len(cloud.points) < 4:
            return []
        wedge = wedge_numbers(cloud.angles, cloud.sweeps, float(np.radians(self.wedge)))
        rows = lowest_resolution(cloud.points, wedge, self._pairs(wedge))
        wedges = Wedges.of(cloud.points[rows], wedge[rows])
        if wedges.pairs == 0:
            return []
        near, step = self._narrowed(wedges, max_cell)
        peaks, height = along_directions(half_sphere(step), near, self.min_cell, max_cell)
        if len(peaks) < 3:
            return []
        vectors, power = refine_vectors(self._chosen(peaks, height, near), wedges)
        vectors, power = distinct(vectors, power, self.min_cell)
        strong = power > self.min_power * power.max()
        return lattices(vectors[strong], power[strong], self.max_candidates)

    def _pairs(self, wedge: NDArray[np.intp]) -> int:
        """Pairs within wedges when ``spots`` spots are spread over them evenly."""
        return max(1, self.spots**2 // (2 * int(wedge.max() + 1)))

    def _narrowed(self, wedges: Wedges, max_cell: float) -> tuple[Wedges, float]:
        """Spots near enough for the step between directions, or a step small enough for the spots, rad.

        Between two directions a vector of length L is off by up to L step/2; at |r| = R that turns the
        phase by R L step/2, of which a third of a cycle may be lost. The points are those relative to the
        mean of their wedge, as only differences matter.
        """
        step = float(np.radians(self.step))
        length = np.linalg.norm(wedges.points, axis=1)
        R = max(0.6 / (step * max_cell), float(np.sort(length)[: max(150, len(length) // 8)][-1]))
        R = min(R, float(length.max()))
        rows = length <= R
        number = np.repeat(np.arange(len(wedges.counts)), wedges.counts)
        return Wedges.of(wedges.points[rows], number[rows]), max(min(step, 0.9 / (R * max_cell)), step / 3.0)

    def _chosen(self, peaks: Array, height: Array, wedges: Wedges) -> Array:
        """The strongest peaks, refined; then those off the shortest one, and those off its plane.

        Beside a very long axis the strongest peaks may all lie in one plane, or along one line.
        """
        rows = np.flatnonzero(height > 0.3 * height.max())
        chosen, axes = list[Array](), list[Array]()
        for _ in range(3):
            order = rows[np.argsort(-height[rows], kind="stable")[: 20 * self.vectors]]
            clusters, _ = distinct(peaks[order], height[order], self.min_cell, 0.05)
            if len(clusters) == 0:
                break
            # The direction of a short vector is known only when it has climbed to its maximum.
            clusters, high = refine_vectors(clusters[: self.vectors], wedges)
            clusters, high = distinct(clusters, high, self.min_cell)
            chosen.append(clusters)
            axes.append(_shortest(clusters[high > 0.7 * high[0]]))
            rows = rows[_outside(peaks[rows], axes)]
        return np.concatenate(chosen) if chosen else np.zeros((0, 3))


def _shortest(vectors: Array) -> Array:
    return np.asarray(vectors[np.argmin(np.linalg.norm(vectors, axis=1))])


def _outside(vectors: Array, axes: Sequence[Array]) -> NDArray[np.bool_]:
    """Tell which vectors (K, 3) are more than ten degrees off the line or plane of one or two axes."""
    across = np.linalg.svd(np.array(axes))[2][len(axes) :]
    away = np.linalg.norm(vectors @ across.T, axis=1) > 0.17 * np.linalg.norm(vectors, axis=1)
    return np.asarray(away, dtype=bool)


def along_directions(
    directions: Array, wedges: Wedges, shortest: float, longest: float, block: int = 2_000_000
) -> tuple[Array, Array]:
    """Maxima of the wedge-wise power along directions.

    Parameters
    ----------
    directions : (D, 3)
        Unit vectors.
    wedges : Wedges
        N points in W wedges.
    shortest, longest : float
        Of the vectors looked for, Angstrom.
    block : int
        Numbers to hold at a time.

    Returns
    -------
    vectors : (K, 3) Angstrom
    power : (K,)
        As P(v), but attenuated by the width of the bins.
    """
    # Imported here because discovery imports every plugin, and only an indexer at work needs it.
    from scipy import fft

    R = float(np.linalg.norm(wedges.points, axis=1).max())
    # Bins of 1/(3 longest): a sixth of a cycle on either side; zeros behind make the steps fine.
    bins = int(np.ceil(6.0 * R * longest)) + 1
    n = fft.next_fast_len(2 * bins, real=True)
    spacing = 1.0 / (3.0 * longest)
    real_step = 1.0 / (n * spacing)
    W, N = len(wedges.counts), len(wedges.points)
    number = np.repeat(np.arange(W), wedges.counts)
    size = max(1, block // max(W * n, N))
    vectors, heights = [], []
    for start in range(0, len(directions), size):
        part = directions[start : start + size]
        place = np.rint((part @ wedges.points.T + R) / spacing).astype(np.int64)
        flat = (np.arange(len(part))[:, None] * W + number) * n + place
        counts = np.bincount(flat.ravel(), minlength=len(part) * W * n).astype(np.float32)
        transform = fft.rfft(counts.reshape(len(part), W, n), axis=2, workers=1)
        power = np.sum(transform.real**2 + transform.imag**2, axis=1) - N
        d, k, height = _maxima(power, int(np.ceil(shortest / real_step)), int(longest / real_step))
        vectors.append(part[d] * (k * real_step)[:, None])
        heights.append(height)
    return np.concatenate(vectors), np.concatenate(heights) / max(wedges.pairs, 1.0)


def _maxima(power: NDArray[np.float32], low: int, high: int) -> tuple[NDArray[np.intp], Array, Array]:
    """Row, interpolated column and height of the highest local maxima of each row, columns low to high."""
    high = min(high, power.shape[1] - 2)
    if high <= low:
        return np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0)
    before, middle, after = power[:, low - 1 : high], power[:, low : high + 1], power[:, low + 1 : high + 2]
    before, middle, after = (item[:, : high - low] for item in (before, middle, after))
    peak = np.where((middle >= before) & (middle > after), middle, -np.inf)
    best = np.argsort(-peak, axis=1, kind="stable")[:, :PER_DIRECTION]
    rows = np.repeat(np.arange(len(power)), best.shape[1])
    columns = best.ravel()
    height = peak[rows, columns]
    rows, columns = rows[np.isfinite(height)], columns[np.isfinite(height)]
    x, y, z = (item[rows, columns].astype(float) for item in (before, middle, after))
    bend = np.minimum(x - 2.0 * y + z, -1e-12)
    return rows, columns + low + 0.5 * (x - z) / bend, y


@hookimpl
def smalti_indexers() -> Sequence[type[FFT1D]]:
    """Bring the indexer of one-dimensional transforms."""
    return [FFT1D]
