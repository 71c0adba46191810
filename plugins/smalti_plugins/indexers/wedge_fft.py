"""Lattices from the Fourier transform of difference vectors within wedges of rotation.

The squared transform of the spots of one narrow wedge is the transform of the differences between
them, and those do not change when the beam centre is wrong. Summed over wedges it shows the lattice
where the transform of the whole sweep is smeared out (attenuated by J0(2 pi |v_perp| D_b / (lambda D))
for a beam off by D_b), so that a cell edge cannot lose against its double.
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
from smalti_plugins.indexers._maxima import strongest

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WedgeFFT:
    """Find lattices blind to the beam centre, from differences of spots within wedges of rotation."""

    name: ClassVar[str] = "wedge_fft"

    wedge: float = option(
        12.0, "Widest wedge whose spots are compared with one another.", unit="deg", gt=0, le=90
    )
    grid: int = option(256, "Most points of the transform along each axis.", ge=64, le=512)
    pairs: int = option(1_500_000, "About how many pairs of spots to use.", ge=1000)
    min_cell: float = option(3.0, "Shortest cell axis to look for.", unit="Angstrom", gt=0)
    min_power: float = option(0.15, "Least power of a vector, relative to the strongest.", gt=0, lt=1)
    vectors: int = option(60, "How many of the strongest vectors to look at.", ge=3, le=300)
    max_candidates: int = option(6, "How many lattices to propose.", ge=1)

    def candidates(
        self, cloud: PointCloud, max_cell: float, known_cell: tuple[float, ...] | None = None
    ) -> Sequence[Candidate]:
        """Propose lattices, best first; the known cell is not needed and not used."""
        if len(cloud.points) < 4:
            return []
        wedge = wedge_numbers(cloud.angles, cloud.sweeps, float(np.radians(self.wedge)))
        rows = lowest_resolution(cloud.points, wedge, self.pairs)
        wedges = Wedges.of(cloud.points[rows], wedge[rows])
        if wedges.pairs == 0:
            return []
        peaks = self._peaks(wedges, max_cell)
        if len(peaks) < 3:
            return []
        vectors, power = refine_vectors(peaks, wedges)
        vectors, power = distinct(vectors, power, self.min_cell)
        strong = power > self.min_power * power.max()
        return lattices(vectors[strong], power[strong], self.max_candidates)

    def _peaks(self, wedges: Wedges, max_cell: float) -> Array:
        """Vectors (K, 3) Angstrom of the strongest maxima of the transform on its grid."""
        # Imported here because discovery imports every plugin, and only an indexer at work needs it.
        from scipy import fft

        # A reach of n/(4 R) in real space leaves room for max_cell and some interpolation.
        extent = 2.0 * float(np.linalg.norm(wedges.points, axis=1).max())
        R = min(self.grid / (4.4 * max_cell), extent)
        # Spots that end before the transform does need fewer points (an even number, for its symmetry).
        n = min(self.grid, 2 * fft.next_fast_len(int(np.ceil(2.2 * max_cell * R)), real=True))
        histogram = difference_histogram(wedges, R, n)
        power = fft.rfftn(histogram, workers=1).real
        return strongest(power, 1.0 / (2.0 * R), self.min_cell, max_cell, self.vectors)[0]


def difference_histogram(wedges: Wedges, R: float, n: int) -> NDArray[np.float32]:
    """Histogram (n, n, n) of differences within wedges of length up to R, with a Gaussian taper.

    Voxel 0 is the zero difference; the spacing is 2 R/n, wrapped around. Each pair is entered with one sign
    only: with both, the transform would be real, and twice the real part of this one.
    """
    places, squares = [], []
    scaled, limit = wedges.points * (n / (2.0 * R)), (n / 2.0) ** 2
    for start, count in zip(wedges.starts, wedges.counts, strict=True):
        points = scaled[start : start + count]
        for first in range(0, count - 1, 128):
            block, others = points[first : first + 128], points[first + 1 :]
            square = np.zeros((len(block), len(others)))
            for k in range(3):
                square += (others[None, :, k] - block[:, None, k]) ** 2
            # column c of row r is the pair (first + r, first + 1 + c): each pair once
            row, column = np.nonzero(np.triu(square < limit))
            x, y, z = (np.rint(others[column] - block[row]).astype(np.int32) % n).T
            places.append((x * n + y) * n + z)
            squares.append(square[row, column])
    weights = np.exp(np.concatenate(squares) * (-2.0 / limit)).astype(np.float32)
    histogram = np.zeros(n**3, dtype=np.float32)
    # not bincount, whose sums take twice the memory, and more time to be made narrower than to be made
    np.add.at(histogram, np.concatenate(places), weights)
    return histogram.reshape(n, n, n)


@hookimpl
def smalti_indexers() -> Sequence[type[WedgeFFT]]:
    """Bring the wedge-wise Fourier indexer."""
    return [WedgeFFT]
