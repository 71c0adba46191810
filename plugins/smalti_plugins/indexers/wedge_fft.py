"""Lattices from the Fourier transform of difference vectors within wedges of rotation.

The squared transform of the spots of one narrow wedge is the transform of the differences between
them, and those do not change when the beam centre is wrong. Summed over wedges it shows the lattice
where the transform of the whole sweep is smeared out (attenuated by J0(2 pi |v_perp| D_b / (lambda D))
for a beam off by D_b), so that a cell edge cannot lose against its double.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from smalti.geometry.lattice import same_lattice, shortest_vectors
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

SMALTI_API = API

Array = NDArray[np.float64]
Index = NDArray[np.intp]


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
        # A reach of n/(4 R) in real space leaves room for max_cell and some interpolation.
        extent = 2.0 * float(np.linalg.norm(wedges.points, axis=1).max())
        R = min(self.grid / (4.4 * max_cell), extent)
        # Spots that end before the transform does need fewer points (an even number, for its symmetry).
        n = min(self.grid, 2 * fft.next_fast_len(int(np.ceil(2.2 * max_cell * R)), real=True))
        histogram = difference_histogram(wedges, R, n)
        power = fft.rfftn(histogram, workers=1).real
        peaks, height = grid_maxima(power, 1.0 / (2.0 * R), self.min_cell, max_cell)
        if len(peaks) == 0:
            return peaks
        # Beside a very long axis the strongest peaks may all lie in one plane.
        high = np.flatnonzero(height > 0.4 * height[0])
        chosen = np.union1d(np.arange(min(self.vectors, len(peaks))), high[spanning(peaks[high])])
        return peaks[chosen]


def difference_histogram(wedges: Wedges, R: float, n: int) -> NDArray[np.float32]:
    """Histogram (n, n, n) of differences within wedges of length up to R, with a Gaussian taper.

    Voxel 0 is the zero difference; the spacing is 2 R/n, wrapped around. Both signs are entered.
    """
    places, weights = [], []
    for start, count in zip(wedges.starts, wedges.counts, strict=True):
        points = wedges.points[start : start + count]
        for first in range(0, count - 1, 256):
            block = points[first : first + 256]
            difference = points[None, first + 1 :] - block[:, None]
            square = np.einsum("ijk,ijk->ij", difference, difference)
            # column c of row r is the pair (first + r, first + 1 + c): each pair once
            near = np.triu(np.ones(square.shape, dtype=bool)) & (square < R * R)
            i, j, k = (np.rint(difference[near] * (n / (2.0 * R))).astype(np.int64)).T
            places += [((sign * i) % n * n + (sign * j) % n) * n + (sign * k) % n for sign in (1, -1)]
            weights += 2 * [np.exp(-2.0 * square[near] / (R * R))]
    flat = np.bincount(np.concatenate(places), np.concatenate(weights), n**3)
    return flat.astype(np.float32).reshape(n, n, n)


def grid_maxima(
    power: NDArray[np.float32], step: float, shortest: float, longest: float, count: int = 2000
) -> tuple[Array, Array]:
    """Find the strongest local maxima of a half-spectrum (n, n, n//2+1), interpolated.

    Returns
    -------
    vectors : (K, 3) Angstrom
        Strongest first, in the half space of the spectrum.
    height : (K,)
    """
    n = power.shape[0]
    axis = np.fft.fftfreq(n, 1.0 / n) * step
    square = (
        axis[:, None, None] ** 2
        + axis[None, :, None] ** 2
        + (np.arange(power.shape[2]) * step)[None, None] ** 2
    )
    inside = (square > shortest**2) & (square < longest**2)
    if not inside.any():
        return np.zeros((0, 3)), np.zeros(0)
    sigma = float(np.std(power[inside]))
    rows = np.argwhere(inside & (power > 3.0 * sigma))
    height = power[tuple(rows.T)]
    keep = np.ones(len(rows), dtype=bool)
    for offset in np.ndindex(3, 3, 3):
        shift = np.array(offset) - 1
        if np.any(shift):
            keep[keep] &= height[keep] >= _at(power, rows[keep] + shift)
    order = np.argsort(-height[keep], kind="stable")[:count]
    return _interpolated(power, rows[keep][order]) * step, height[keep][order].astype(float)


def _at(power: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read a half-spectrum of a real, even function at wrapped or mirrored places (K, 3)."""
    n, half = power.shape[0], power.shape[2]
    mirror = (rows[:, 2] < 0) | (rows[:, 2] >= half)
    place = np.where(mirror[:, None], -rows, rows) % n
    return np.asarray(power[place[:, 0], place[:, 1], place[:, 2]])


def _interpolated(power: NDArray[np.float32], rows: NDArray[np.int64]) -> Array:
    """Places of maxima in grid steps, signed, (K, 3), by a parabola along each axis."""
    n = power.shape[0]
    middle = _at(power, rows).astype(float)
    place = np.where(rows > n // 2, rows - n, rows).astype(float)
    for k in range(3):
        shift = np.eye(3, dtype=np.int64)[k]
        before, after = _at(power, rows - shift).astype(float), _at(power, rows + shift).astype(float)
        bend = before - 2.0 * middle + after
        place[:, k] += np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return place


def spanning(vectors: Array, along: int = 14, across: int = 8, out: int = 8) -> Index:
    """Choose short vectors (rows of (K, 3)) that span space, however long the third axis is.

    The shortest of all, the shortest not parallel to the first, and the shortest out of the plane of the
    first two: beside an axis of 500 Angstrom, hundreds of vectors of a short-axed plane come first.
    """
    order = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
    unit = vectors[order] / np.linalg.norm(vectors[order], axis=1)[:, None]
    chosen = set(range(min(along, len(order))))
    if len(order) > 0:
        apart = np.flatnonzero(np.linalg.norm(np.cross(unit, unit[0]), axis=1) > 0.2)
        chosen.update(apart[:across].tolist())
        if apart.size:
            normal = np.cross(unit[0], unit[apart[0]])
            off = np.flatnonzero(np.abs(unit @ normal) > 0.15 * np.linalg.norm(normal))
            chosen.update(off[:out].tolist())
    return np.asarray(order[sorted(chosen)])


def lattices(vectors: Array, power: Array, count: int, tolerance: float = 0.12) -> list[Candidate]:
    """Propose bases: triples of vectors of which the others are integer combinations.

    The score of a basis is the power of the vectors that have integer coordinates in it, as a fraction of
    all power; between equal scores the smaller cell wins. A sublattice leaves vectors at halves, a
    superlattice that is not there would need a vector without power.
    """
    v, p = vectors, power
    found: list[tuple[float, float, Array]] = []
    for triple in combinations(spanning(v), 3):
        basis = v[list(triple)]
        volume = abs(float(np.linalg.det(basis)))
        if volume < 0.1 * float(np.prod(np.linalg.norm(basis, axis=1))):
            continue
        fractional = v @ np.linalg.inv(basis)
        integer = np.all(np.abs(fractional - np.rint(fractional)) < tolerance, axis=1)
        explained = float(p[integer].sum() / p.sum())
        found.append(
            (explained, volume, _polished(np.rint(fractional[integer]), v[integer], p[integer], basis))
        )
    found.sort(key=lambda item: (-round(item[0], 2), item[1]))
    return _different(found, count)


def _polished(coordinates: Array, vectors: Array, power: Array, basis: Array) -> Array:
    """Fit the basis (3, 3) to all vectors (K, 3) with these integer coordinates, weighted by power."""
    weight = np.sqrt(power)[:, None]
    fitted = np.linalg.lstsq(coordinates * weight, vectors * weight, rcond=None)
    return np.asarray(fitted[0]) if fitted[2] == 3 else basis


def _different(found: list[tuple[float, float, Array]], count: int) -> list[Candidate]:
    """Keep one basis of each lattice, reduced, the best ``count``."""
    chosen: list[Candidate] = []
    bases: list[Array] = []
    for explained, _, basis in found:
        if len(chosen) == count:
            break
        reduced, _ = shortest_vectors(basis)
        if not any(same_lattice(reduced, other) for other in bases):
            bases.append(reduced)
            chosen.append(Candidate(np.asarray(np.linalg.inv(reduced)), explained))
    return chosen


@hookimpl
def smalti_indexers() -> Sequence[type[WedgeFFT]]:
    """Bring the wedge-wise Fourier indexer."""
    return [WedgeFFT]
