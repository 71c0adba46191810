"""Lattices from the coherent Fourier transform of all spots of a sweep.

The classical way [Bricogne 1986; Campbell 1998, J. Appl. Cryst. 31, 407]: one transform of all points.
Where the beam is off by D_b across the spindle, a peak at v is attenuated by
J0(2 pi |v_perp| D_b / (lambda D)), v_perp being the part of v across the spindle: beyond
|v_perp| D_b = 0.2765 lambda D the double of an axis outweighs the axis. (An offset along the spindle turns
with nothing and only changes the phase.) It is here to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import same_lattice, shortest_vectors
from smalti.geometry.transform import Wedges, distinct, refine_vectors
from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import Candidate, PointCloud
from smalti_plugins.indexers._bases import lattices
from smalti_plugins.indexers._maxima import strongest

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FFT3D:
    """Find lattices by one Fourier transform of all spots; it needs the right beam centre."""

    name: ClassVar[str] = "fft3d"

    grid: int = option(256, "Most points of the transform along each axis.", ge=64, le=512)
    spots: int = option(6000, "How many spots of lowest resolution to refine vectors with.", ge=50)
    min_cell: float = option(3.0, "Shortest cell axis to look for.", unit="Angstrom", gt=0)
    min_power: float = option(0.05, "Least power of a vector, relative to the strongest.", gt=0, lt=1)
    vectors: int = option(60, "How many of the strongest vectors to look at.", ge=3, le=300)
    basis: Literal["explaining", "strongest"] = option(
        "explaining",
        "Which bases to propose: those that explain most of the peaks, or simply the strongest peaks (the "
        "classical choice, which doubles axes where the beam centre is wrong).",
    )
    max_candidates: int = option(6, "How many lattices to propose.", ge=1)

    def candidates(
        self, cloud: PointCloud, max_cell: float, known_cell: tuple[float, ...] | None = None
    ) -> Sequence[Candidate]:
        """Propose lattices, best first; the known cell is not needed and not used."""
        # Imported here because discovery imports every plugin, and only an indexer at work needs it.
        from scipy import fft

        if len(cloud.points) < 4:
            return []
        length = np.linalg.norm(cloud.points, axis=1)
        order = np.argsort(length, kind="stable")
        # A reach of n/(4 R) in real space leaves room for max_cell; a few dozen points are needed anyhow.
        R = max(self.grid / (4.4 * max_cell), float(length[order[: 4 * self.vectors]][-1]))
        R = min(R, float(length.max()))
        n = min(self.grid, 2 * fft.next_fast_len(int(np.ceil(2.2 * max_cell * R)), real=True))
        near = order[length[order] <= R]
        amplitude = fft.rfftn(point_histogram(cloud.points[near], R, n), workers=1).real
        reach = min(max_cell, n / (4.0 * R))
        peaks, _ = strongest(amplitude**2, 1.0 / (2.0 * R), self.min_cell, reach, self.vectors)
        if len(peaks) < 3:
            return []
        # One wedge that holds everything: its power is that of the coherent sum.
        whole = near[: self.spots]
        vectors, power = refine_vectors(
            peaks, Wedges.of(cloud.points[whole], np.zeros(whole.size, dtype=np.intp))
        )
        vectors, power = distinct(vectors, power, self.min_cell)
        strong = power > self.min_power * power.max()
        propose = lattices if self.basis == "explaining" else strongest_bases
        return propose(vectors[strong], power[strong], self.max_candidates)


def point_histogram(points: Array, R: float, n: int) -> NDArray[np.float32]:
    """Histogram (n, n, n) of points within R of the origin and their opposites, with a Gaussian taper.

    Voxel 0 is the origin; the spacing is 2 R/n, wrapped around. With the opposite of each point (Friedel's
    law) the transform is real.
    """
    square = np.einsum("ij,ij->i", points, points)
    i, j, k = np.rint(points * (n / (2.0 * R))).astype(np.int64).T
    places = [((sign * i) % n * n + (sign * j) % n) * n + (sign * k) % n for sign in (1, -1)]
    weights = np.tile(np.exp(-2.0 * square / (R * R)), 2)
    flat = np.bincount(np.concatenate(places), weights, n**3)
    return flat.astype(np.float32).reshape(n, n, n)


def strongest_bases(vectors: Array, power: Array, count: int) -> list[Candidate]:
    """Propose triples of the strongest vectors, strongest first.

    A vector is dropped for being a multiple of a shorter one only where that has more power: through this
    gate a doubled axis passes when the axis itself is attenuated. The score is the mean power of the triple.

    Parameters
    ----------
    vectors : (K, 3) Angstrom
    power : (K,)
        Falling.
    """
    length = np.linalg.norm(vectors, axis=1)
    kept = [k for k in range(len(vectors)) if not _needless(k, vectors, length, power)][:12]
    found: list[Candidate] = []
    bases: list[Array] = []
    for triple in sorted(combinations(kept, 3), key=lambda rows: -float(power[list(rows)].mean())):
        basis = vectors[list(triple)]
        if abs(float(np.linalg.det(basis))) < 0.1 * float(np.prod(length[list(triple)])):
            continue
        reduced, _ = shortest_vectors(basis)
        if not any(same_lattice(reduced, other) for other in bases):
            bases.append(reduced)
            found.append(Candidate(np.asarray(np.linalg.inv(reduced)), float(power[list(triple)].mean())))
        if len(found) == count:
            break
    return found


def _needless(k: int, vectors: Array, length: Array, power: Array) -> bool:
    """Whether vector k is a multiple of a shorter one with more power, within a tenth of that."""
    for j in np.flatnonzero((length < 0.75 * length[k]) & (power > power[k])):
        n = round(float(length[k] / length[j]))
        apart = min(np.linalg.norm(vectors[k] - sign * n * vectors[j]) for sign in (1, -1))
        if apart < 0.1 * length[j]:
            return True
    return False


@hookimpl
def smalti_indexers() -> Sequence[type[FFT3D]]:
    """Bring the coherent Fourier indexer."""
    return [FFT3D]
