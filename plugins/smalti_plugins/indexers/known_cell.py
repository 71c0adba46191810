"""Orientations of a known cell, by a search over the directions of its axes.

In the wedge-wise transform of the spots each axis is a peak at a known distance from the origin, so
that only directions have to be searched. Two axes at their known angle give the orientation; no
threshold has to be passed by all three, and a few dozen spots are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.geometry.lattice import same_lattice, shortest_vectors
from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.transform import (
    Wedges,
    distinct,
    lowest_resolution,
    refine_vectors,
    wedge_numbers,
    wedge_power,
)
from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import Candidate, PointCloud
from smalti_plugins.indexers._directions import half_sphere

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class KnownCell:
    """Find the orientations of a known cell, from few spots or many, blind to the beam centre."""

    name: ClassVar[str] = "known_cell"

    wedge: float = option(
        12.0, "Widest wedge whose spots are compared with one another.", unit="deg", gt=0, le=90
    )
    spots: int = option(400, "How many spots of lowest resolution to use.", ge=20, le=20_000)
    step: float = option(1.2, "Step between the directions searched.", unit="deg", gt=0.1, le=5)
    directions: int = option(24, "How many directions of each axis to keep.", ge=2, le=200)
    length_tolerance: float = option(0.05, "Relative tolerance of the lengths of axes.", gt=0, lt=0.3)
    angle_tolerance: float = option(4.0, "Tolerance of the angles between axes.", unit="deg", gt=0, le=15)
    max_candidates: int = option(6, "How many orientations to propose.", ge=1)

    def candidates(
        self, cloud: PointCloud, max_cell: float, known_cell: tuple[float, ...] | None = None
    ) -> Sequence[Candidate]:
        """Propose orientations, best first; refuses to work without the cell."""
        if known_cell is None:
            raise UsageError(
                "The indexer known_cell was given no cell.",
                "It looks for the orientation of a cell that is known.",
                "Give the cell with --unit-cell, or use the indexer wedge_fft.",
            )
        if len(cloud.points) < 4:
            return []
        ideal = shortest_vectors(np.linalg.inv(B_from_cell(known_cell)))[0]
        longest = float(np.linalg.norm(ideal, axis=1).max())
        wedges = self._wedges(cloud, longest)
        if wedges.pairs == 0:
            return []
        found = self._directions(ideal, wedges)
        return self._orientations(ideal, found, wedges)

    def _wedges(self, cloud: PointCloud, longest: float) -> Wedges:
        """The spots to use: low resolution, so that a step of direction is a part of a cycle."""
        wedge = wedge_numbers(cloud.angles, cloud.sweeps, float(np.radians(self.wedge)))
        length = np.linalg.norm(cloud.points, axis=1)
        reach = max(
            0.4 / (float(np.radians(self.step)) * longest), float(np.sort(length)[: self.spots][-1]) / 4
        )
        near = np.flatnonzero(length <= reach)
        if near.size < 40:
            near = np.argsort(length, kind="stable")[:40]
        pairs = self.spots**2 // (2 * int(wedge.max() + 1))
        rows = near[
            lowest_resolution(cloud.points[near], np.unique(wedge[near], return_inverse=True)[1], pairs)
        ]
        return Wedges.of(cloud.points[rows], wedge[rows])

    def _directions(self, ideal: Array, wedges: Wedges) -> list[tuple[Array, Array]]:
        """For each axis the vectors (K, 3) Angstrom of its length with most power, and their powers (K,)."""
        sphere = half_sphere(float(np.radians(self.step)))
        done: dict[float, tuple[Array, Array]] = {}
        for length in np.linalg.norm(ideal, axis=1).tolist():
            key = next((known for known in done if abs(known / length - 1.0) < 0.002), None)
            if key is None:
                power = np.concatenate(
                    [
                        wedge_power(length * part, wedges)
                        for part in np.array_split(sphere, len(sphere) // 500 + 1)
                    ]
                )
                order = np.argsort(-power, kind="stable")[: 12 * self.directions]
                vectors, power = distinct(length * sphere[order], power[order], 0.5 * length, 0.08)
                vectors, power = refine_vectors(vectors[: 2 * self.directions], wedges, 8)
                near = np.abs(np.linalg.norm(vectors, axis=1) / length - 1.0) <= self.length_tolerance
                vectors, power = distinct(vectors[near], power[near], 0.5 * length)
                done[length] = (vectors[: self.directions], power[: self.directions])
            else:
                done[length] = done[key]
        return [done[length] for length in np.linalg.norm(ideal, axis=1).tolist()]

    def _orientations(
        self, ideal: Array, found: list[tuple[Array, Array]], wedges: Wedges
    ) -> list[Candidate]:
        """Pairs of axes at their angle, turned into whole bases and scored by the power of short vectors."""
        bases = [
            basis
            for i, j in ((0, 1), (0, 2), (1, 2))
            for basis in paired(ideal, i, j, found[i][0], found[j][0], self.angle_tolerance)
        ]
        if not bases:
            return []
        combinations = np.array([h for h in product((-1, 0, 1), repeat=3) if h > (0, 0, 0)], dtype=float)
        score = np.array([wedge_power(combinations @ basis, wedges).mean() for basis in bases])
        chosen: list[Array] = []
        for k in np.argsort(-score, kind="stable"):
            if not any(same_lattice(bases[k], other) for other in chosen):
                chosen.append(bases[k])
            if len(chosen) == self.max_candidates:
                break
        polished = [self._polished(basis, combinations, wedges) for basis in chosen]
        kept: list[Candidate] = []
        for item in sorted(polished, key=lambda candidate: -candidate.score):
            if not any(same_lattice(np.linalg.inv(item.A), np.linalg.inv(other.A)) for other in kept):
                kept.append(item)
        return kept

    def _polished(self, basis: Array, combinations: Array, wedges: Wedges) -> Candidate:
        """Let the short vectors climb to their maxima and fit the basis to those that stayed near."""
        before = combinations @ basis
        after, power = refine_vectors(before, wedges, 8)
        moved = np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)
        weight = np.where(moved < self.length_tolerance, np.maximum(power, 0.0), 0.0)[:, None]
        fitted, _, rank, _ = np.linalg.lstsq(combinations * weight, after * weight, rcond=1e-3)
        if rank == 3:
            basis = np.asarray(fitted)
        score = float(wedge_power(combinations @ basis, wedges).mean())
        return Candidate(np.asarray(np.linalg.inv(basis)), score)


def paired(ideal: Array, i: int, j: int, first: Array, second: Array, tolerance: float) -> list[Array]:
    """Bases (3, 3) Angstrom with axes i and j along vectors found, where their angle is the known one.

    Parameters
    ----------
    ideal : (3, 3) Angstrom
        The known cell in some orientation, rows a b c.
    first, second : (K, 3) and (M, 3) Angstrom
        Vectors that may be axis i and axis j, or their opposites.
    tolerance : float
        Degrees.
    """
    known = frame(ideal[i], ideal[j])
    target = _angle(ideal[i], ideal[j])
    bases = []
    for u in first:
        for v in second:
            for sign in (1.0, -1.0):
                if abs(_angle(u, sign * v) - target) <= tolerance:
                    # both frames are right-handed, so that the third axis falls on its own side
                    R = frame(u, sign * v) @ known.T
                    bases.append(ideal @ R.T)
                    if not _symmetric(ideal, i, j):
                        R = frame(-u, -sign * v) @ known.T
                        bases.append(ideal @ R.T)
    return bases


def _symmetric(ideal: Array, i: int, j: int) -> bool:
    """Whether turning axes i and j around gives the same lattice: the third is across both."""
    k = 3 - i - j
    unit = ideal / np.linalg.norm(ideal, axis=1)[:, None]
    return bool(abs(unit[k] @ unit[i]) < 1e-6 and abs(unit[k] @ unit[j]) < 1e-6)


def frame(u: Array, v: Array) -> Array:
    """Right-handed orthonormal frame as columns: bisector of u and v, in their plane across it, normal."""
    a, b = u / np.linalg.norm(u), v / np.linalg.norm(v)
    x = (a + b) / np.linalg.norm(a + b)
    z = np.cross(a, b)
    z /= np.linalg.norm(z)
    return np.column_stack([x, np.cross(z, x), z])


def _angle(u: Array, v: Array) -> float:
    cosine = float(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


@hookimpl
def smalti_indexers() -> Sequence[type[KnownCell]]:
    """Bring the orientation search for a known cell."""
    return [KnownCell]
