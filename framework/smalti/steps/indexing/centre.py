"""Where the beam meets the detector, from the phases of a lattice that is not yet indexed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, laboratory
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector, Experiment, Experiments
from smalti.steps.indexing.mapping import MappedSpots, map_spots, rotation_models
from smalti.steps.indexing.phases import FIRST, JointFit, growing_fits, joint_fit, possible_shifts
from smalti.tables import Reflections

__all__ = [
    "CentreShift",
    "centre_shifts",
    "chosen_shift",
    "followed_shift",
    "moved_detectors",
    "plane_axes",
    "turns",
]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LEAST_SPOTS = 6
"""On a detector, below which nothing is said about its place."""

CLEAR = 10.0
"""Difference of log-likelihoods from which one shift is clearly better than another ..."""

CLEAR_EACH = 0.03
"""... and the same for each spot, since models are not exact."""

TILT = 5e-3
"""rad: a spindle may be so far from where the header has it (standard deviation). What a sweep does not tell
about it adds to the uncertainty of the shift."""

UNCERTAIN = 1.0
"""Pixels: a shift less certain than this in some direction is not taken in that direction."""


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
        How many shifts within the search range explain the spots about as well (1: unambiguous).
    esd : (2,) px
        Standard uncertainties along the two axes, lattice and tilt of the spindle being free; infinite where
        nothing was fitted.
    kept : str
        Why the detector was left where the header has it, in all or in one direction; "" where the shift is
        all that was found.
    """

    shift: tuple[float, float]
    pixels: tuple[float, float]
    coherence: float
    before: float
    alternatives: int
    esd: tuple[float, float] = (np.inf, np.inf)
    kept: str = ""


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
    sweep. On a narrow one it may be: where several explain the spots alike the header's place is kept, or
    the nearest to it taken if that does not explain them.

    Parameters
    ----------
    basis : (3, 3) Angstrom
        Rows a, b, c.
    rows : (M,)
        The spots to use; those of low resolution suffer least from an inexact lattice.
    reach : float
        How far to search, px.
    """
    found = []
    for detector in Experiments(tuple(experiments)).unique("detector"):
        members = [k for k, item in enumerate(experiments) if item.detector is detector]
        mine = rows[np.isin(mapped.sweep[rows], members)]
        pixel = max(detector.panels[0].pixel_size)
        if mine.size < LEAST_SPOTS:
            found.append(CentreShift((0.0, 0.0), (0.0, 0.0), 0.0, 0.0, 0, kept="too few spots"))
            continue
        found.append(_shift_of(experiments, spots, mapped, basis, mine, (reach * pixel, pixel)))
    return tuple(found)


def _shift_of(
    experiments: Sequence[Experiment],
    spots: Reflections,
    mapped: MappedSpots,
    basis: Array,
    rows: Index,
    sizes: tuple[float, float],
) -> CentreShift:
    """The shift of the detector of the spots ``rows``; ``sizes`` are search range and pixel, mm."""
    vectors, A, pixel = _short_vectors(basis), np.asarray(np.linalg.inv(basis)), sizes[1]
    rows = rows[np.argsort(np.linalg.norm(mapped.rlp[rows], axis=1), kind="stable")]
    points, J = mapped.rlp[rows], _derivatives(experiments, spots, mapped, rows)
    phase = (points @ vectors.T).ravel()
    slope = np.einsum("nik,vi->nvk", J, vectors).reshape(-1, 2)
    first = FIRST * len(vectors)
    starts = [*possible_shifts(phase[:first], slope[:first], *sizes), *possible_shifts(phase, slope, *sizes)]
    fits = growing_fits(points, J, A, starts, 0.5 * pixel)
    still = joint_fit(points, J, A, np.zeros(2), hold=True)
    choice, alternatives, kept = chosen_shift(fits, still, len(points))
    if choice is not still:
        # Derivatives are those at the header's place: once more, from where the detector is now.
        choice, kept = followed_shift(_again(experiments, spots, mapped, rows, choice), pixel)
    before, after = (
        float(np.cos(2 * np.pi * (phase + slope @ shift)).mean()) for shift in (np.zeros(2), choice.shift)
    )
    x, y = choice.shift.tolist()
    first, second = (np.sqrt(np.diag(choice.covariance)) / pixel).tolist()
    return CentreShift(
        (x, y), (x / pixel, y / pixel), after, before, alternatives, (first, second), kept
    )  # fmt: skip


def chosen_shift(fits: Sequence[JointFit], still: JointFit, count: int) -> tuple[JointFit, int, str]:
    """The likeliest shift; where others are about as likely, none if that will do, else the least one.

    Returns
    -------
    choice : JointFit
    alternatives : int
    kept : str
    """
    best = max(fit.likelihood for fit in fits)
    margin = max(CLEAR, CLEAR_EACH * count)
    equal = [fit for fit in fits if fit.likelihood >= best - margin]
    if len(equal) > 1 and still.likelihood >= best - margin:
        return still, len(equal), f"{len(equal)} places explain the spots alike, and the header's does, too"
    return min(equal, key=lambda fit: float(np.linalg.norm(fit.shift))), len(equal), ""


def _again(
    experiments: Sequence[Experiment], spots: Reflections, mapped: MappedSpots, rows: Index, fit: JointFit
) -> JointFit:
    """Fit once more with everything worked out anew for the detector as shifted."""
    number = int(mapped.sweep[rows[0]])
    detector = experiments[number].detector
    x, y = fit.shift.tolist()
    shift = CentreShift((x, y), (0.0, 0.0), 0.0, 0.0, 1)
    none = CentreShift((0.0, 0.0), (0.0, 0.0), 0.0, 0.0, 1)
    unique = Experiments(tuple(experiments)).unique("detector")
    moved = moved_detectors(experiments, [shift if item is detector else none for item in unique])
    few = Reflections({name: spots[name][rows] for name in ("xyzobs.px.value", "panel")})
    there = map_spots(moved, few, mapped.sweep[rows])
    J = _derivatives(moved, few, there, np.arange(rows.size))
    turning = np.concatenate([J, turns(moved, there)], axis=2)
    widths = np.array([np.inf, np.inf, TILT, TILT, TILT])
    again = joint_fit(there.rlp, turning, fit.A, np.zeros(5), widths)
    return replace(again, shift=fit.shift + again.shift)


def followed_shift(fit: JointFit, pixel: float) -> tuple[JointFit, str]:
    """Take a shift only in the directions in which the spots determine it."""
    if not np.all(np.isfinite(fit.covariance)):
        return replace(fit, shift=np.zeros(2)), "the spots do not determine it"
    variances, axes = np.linalg.eigh(fit.covariance)
    told = np.sqrt(variances) < UNCERTAIN * pixel
    if told.all():
        return fit, ""
    kept = "the spots do not determine it" + (" in one direction" if told.any() else "")
    return replace(fit, shift=axes[:, told] @ (axes[:, told].T @ fit.shift)), kept


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


def turns(experiments: Sequence[Experiment], mapped: MappedSpots) -> Array:
    """Derivatives of points by a small turn t of the goniometer as a whole, (N, 3, 3) 1/Angstrom.

    With g = S^T t the axis becomes e + g x e, and the point r = F^T R(e, -phi) S^T (s1 - s0) moves by
    F^T (g - R(e, -phi) g) x r. A turn about the spindle moves nothing.
    """
    out = np.zeros((len(mapped.rlp), 3, 3))
    for number, item in enumerate(experiments):
        rows = np.flatnonzero(mapped.sweep == number)
        goniometer, _ = rotation_models(item)
        turned = (
            goniometer.F.T @ (np.eye(3) - rotation(goniometer.axis, -mapped.mm[rows, 2])) @ goniometer.S.T
        )
        for k in range(3):
            out[rows, :, k] = np.cross(turned[:, :, k], mapped.rlp[rows])
    return out


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
