"""Where the beam meets the detector, from the phases of a lattice that is not yet indexed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from smalti.geometry.panels import PanelArrays, laboratory
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector, Experiment, Experiments
from smalti.steps.indexing.mapping import MappedSpots, rotation_models
from smalti.tables import Reflections

__all__ = ["CentreShift", "centre_shifts", "moved_detectors", "plane_axes"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CentreShift:
    """A shift of one detector across the beam.

    Attributes
    ----------
    shift : (2,) mm
        By how much the detector moves along the two axes of :func:`plane_axes`.
    pixels : (2,)
        The same in pixels of the first panel.
    coherence : float
        Mean cosine of the phases after the shift; 1 for a perfect lattice.
    before : float
        The same before it.
    alternatives : int
        How many shifts within the search range explain the phases about as well (1: unambiguous).
    """

    shift: tuple[float, float]
    pixels: tuple[float, float]
    coherence: float
    before: float
    alternatives: int


def plane_axes(detector: Detector, beam: Beam) -> tuple[Array, Array]:
    """Two unit vectors across the beam, close to fast and slow of the first panel, each (3,)."""
    along = beam.unit_s0
    fast = detector.stacked()[0, :, 0]
    first = fast - (fast @ along) * along
    if np.linalg.norm(first) < 1e-3:
        first = np.cross(along, detector.stacked()[0, :, 1])
    first /= np.linalg.norm(first)
    second = np.cross(along, first)
    sign = 1.0 if second @ detector.stacked()[0, :, 1] >= 0 else -1.0
    return first, sign * second


def centre_shifts(
    experiments: Sequence[Experiment],
    spots: Reflections,
    mapped: MappedSpots,
    basis: Array,
    rows: Index,
    reach: float,
) -> tuple[CentreShift, ...]:
    """Find for each distinct detector the shift that brings the phases of a lattice to zero.

    A shift o moves each point by J o; with the right one, v.(r + J o) is near an integer for every
    lattice vector v and every spot. Since the shift turns with the crystal, it is not periodic on a wide
    sweep; on a narrow one it may be, and the shift nearest to none is taken.

    Parameters
    ----------
    basis : (3, 3) Angstrom
        Rows a, b, c.
    rows : (M,)
        The spots to use; those of low resolution suffer least from an inexact lattice.
    reach : float
        How far to search, px.
    """
    vectors = _short_vectors(basis)
    found = []
    for detector in Experiments(tuple(experiments)).unique("detector"):
        members = [k for k, item in enumerate(experiments) if item.detector is detector]
        mine = rows[np.isin(mapped.sweep[rows], members)]
        pixel = max(detector.panels[0].pixel_size)
        if mine.size < 6:
            found.append(CentreShift((0.0, 0.0), (0.0, 0.0), 0.0, 0.0, 0))
            continue
        J = _derivatives(experiments, spots, mapped, mine)
        phase = (mapped.rlp[mine] @ vectors.T).ravel()
        slope = np.einsum("nik,vi->nvk", J, vectors).reshape(-1, 2)
        trials = _search(phase, slope, reach * pixel, pixel)
        found.append(_choose(trials, phase, slope, _explained(trials, mapped.rlp[mine], J, basis), pixel))
    return tuple(found)


def moved_detectors(experiments: Sequence[Experiment], shifts: Sequence[CentreShift]) -> list[Experiment]:
    """Give the experiments with each distinct detector moved across the beam; shared ones stay shared."""
    moved = {}
    for detector, shift in zip(Experiments(tuple(experiments)).unique("detector"), shifts, strict=True):
        beam = next(item.beam for item in experiments if item.detector is detector)
        first, second = plane_axes(detector, beam)
        step = shift.shift[0] * first + shift.shift[1] * second
        moved[id(detector)] = detector.moved({(): (np.eye(3), step)}) if np.any(step) else detector
    return [replace(item, detector=moved[id(item.detector)]) for item in experiments]


def _short_vectors(basis: Array, count: int = 6) -> Array:
    """The shortest combinations of a reduced basis, one of each pair +-v, (count, 3) Angstrom."""
    steps = np.array([h for h in product((-1, 0, 1), repeat=3) if h > (0, 0, 0)])
    vectors = steps @ basis
    return np.asarray(vectors[np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")[:count]])


def _derivatives(
    experiments: Sequence[Experiment], spots: Reflections, mapped: MappedSpots, rows: Index
) -> Array:
    """Derivatives of the points with respect to a shift of the detector, (M, 3, 2) 1/Angstrom per mm.

    s1 = p/(|p| lambda), so ds1 = (I - u u^T) e/(|p| lambda) with u = p/|p|.
    """
    out = np.zeros((rows.size, 3, 2))
    for number, item in enumerate(experiments):
        here = np.flatnonzero(mapped.sweep[rows] == number)
        mine = rows[here]
        if mine.size == 0:
            continue
        goniometer, _ = rotation_models(item)
        panel = spots["panel"][mine].astype(np.intp)
        p = laboratory(mapped.mm[mine, :2], panel, PanelArrays.of(item.detector))
        distance = np.linalg.norm(p, axis=1)
        u = p / distance[:, None]
        back = goniometer.F.T @ rotation(goniometer.axis, -mapped.mm[mine, 2]) @ goniometer.S.T
        for k, e in enumerate(plane_axes(item.detector, item.beam)):
            ds1 = (e - (u @ e)[:, None] * u) / (distance * item.beam.wavelength)[:, None]
            out[here, :, k] = np.einsum("nij,nj->ni", back, ds1)
    return out


def _search(phase: Array, slope: Array, reach: float, pixel: float) -> Array:
    """Find the shifts (K, 2) mm that make the mean of cos 2 pi (phase + slope shift) high."""
    # A sixth of a cycle for the spot that feels the shift most; never finer than half a pixel.
    steep = float(np.percentile(np.linalg.norm(slope, axis=1), 95))
    step = max(min(1.0 / (6.0 * max(steep, 1e-9)), reach / 2.0), 0.5 * pixel)
    n = int(np.ceil(reach / step))
    axis = np.linspace(-n * step, n * step, 2 * n + 1)
    score = _scores(phase, slope, axis)
    peak = (score == ndimage.maximum_filter(score, size=3)) & (score >= score.max() - 0.25 * abs(score.max()))
    places = np.argwhere(peak)
    places = places[np.argsort(-score[peak], kind="stable")][:12]
    return np.array([_climb(phase, slope, axis[place]) for place in places])


def _explained(trials: Array, points: Array, J: Array, basis: Array, tolerance: float = 0.2) -> Array:
    """How well each shift explains the points once the lattice may adapt to it, (K,) in [0, 1].

    With the indices fixed, r + J o = A h is linear in A and o. The measure is the mean over all points of
    1 - (misfit/tolerance)^2, 0 beyond: the fraction indexed, less where they are indexed badly.
    """
    out = np.zeros(len(trials))
    for k, trial in enumerate(trials):
        A, o = np.linalg.inv(basis), trial
        for _ in range(4):
            fractional = (points + J @ o) @ np.linalg.inv(A).T
            h = np.rint(fractional)
            misfit = np.linalg.norm(fractional - h, axis=1)
            good = misfit < tolerance
            if good.sum() < 12:
                break
            A, o = fit_A_and_shift(points[good], J[good], h[good])
        out[k] = float(np.sum(1.0 - (misfit[good] / tolerance) ** 2) / len(points))
    return out


def fit_A_and_shift(points: Array, J: Array, h: Array) -> tuple[Array, Array]:
    """Least squares of A h - J o = r for A (3, 3) and the shift o (2,)."""
    n = len(points)
    design = np.zeros((n, 3, 11))
    for row in range(3):
        design[:, row, 3 * row : 3 * row + 3] = h
    design[:, :, 9:] = -J
    solution = np.linalg.lstsq(design.reshape(3 * n, 11), points.reshape(3 * n), rcond=1e-9)[0]
    return np.asarray(solution[:9].reshape(3, 3)), np.asarray(solution[9:])


def _choose(trials: Array, phase: Array, slope: Array, explained: Array, pixel: float) -> CentreShift:
    """Take the shift that explains most; among equals the one nearest to none."""
    equal = explained >= explained.max() - 0.03
    candidates = trials[equal]
    shift = candidates[np.argmin(np.linalg.norm(candidates, axis=1))]
    before = float(np.cos(2 * np.pi * phase).mean())
    after = float(np.cos(2 * np.pi * (phase + slope @ shift)).mean())
    x, y = shift.tolist()
    return CentreShift((x, y), (x / pixel, y / pixel), after, before, len(candidates))


def _scores(phase: Array, slope: Array, axis: Array) -> Array:
    """Mean cosine over the square grid axis x axis, from factors for x and for y."""
    first = np.exp(2j * np.pi * (phase[:, None] + np.outer(slope[:, 0], axis)))
    second = np.exp(2j * np.pi * np.outer(slope[:, 1], axis))
    return np.asarray((first.T @ second).real / len(phase))


def _climb(phase: Array, slope: Array, start: Array, steps: int = 20) -> Array:
    """Climb to the nearest maximum by Newton steps with the curvature kept negative, (2,) mm."""
    shift = np.array(start, dtype=float)
    for _ in range(steps):
        angle = 2 * np.pi * (phase + slope @ shift)
        gradient = -np.sin(angle) @ slope
        # sum of |cos| keeps the matrix positive where spots are still far from their phase
        curvature = 2 * np.pi * (slope * np.abs(np.cos(angle))[:, None]).T @ slope
        move = np.linalg.lstsq(curvature, gradient, rcond=1e-6)[0]
        shift += move
        if float(np.linalg.norm(move)) < 1e-5:
            break
    return shift
