"""Shifts of a detector that bring the phases of a lattice to zero: the search, and the fit that ends it.

A shift o (2,) mm moves each point r by J o. With the right one v.(r + J o) is near an integer for every
vector v of the lattice and every spot. A spindle that is not where the header has it moves points too,
and looks in part like a shift: in the last fit it is free within what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from smalti.geometry.lattice import fit_A

__all__ = [
    "FIRST",
    "JointFit",
    "fit_A_and_shift",
    "growing_fits",
    "joint_fit",
    "likelihood",
    "possible_shifts",
]

Array = NDArray[np.float64]

NEAR = 0.2
"""Fractions of an index within which a spot belongs to its lattice point."""

LEAST = 12
"""Spots near lattice points, below which lattice and shift are not told together."""

NOTHING = 1e-9
"""Size of a column below which what it stands for moves no point, as a turn about the spindle."""


FIRST = 200
"""Spots of lowest resolution with which shift and lattice are fitted first."""

MOST = 8
"""Shifts that are followed to more spots."""


@dataclass(frozen=True, slots=True)
class JointFit:
    """Lattice and shift fitted together.

    Attributes
    ----------
    A : (3, 3) 1/Angstrom
    shift : (2,) mm
    covariance : (2, 2) mm^2
        Of the shift, with everything else free; infinite where nothing could be fitted.
    likelihood : float
        Logarithm of the likelihood of the points, more than that of points strewn evenly.
    """

    A: Array
    shift: Array
    covariance: Array
    likelihood: float


def possible_shifts(phase: Array, slope: Array, reach: float, pixel: float) -> Array:
    """Find the shifts (K, 2) mm that make the mean of cos 2 pi (phase + slope shift) high.

    Parameters
    ----------
    phase : (M,)
        v.r of spots and lattice vectors.
    slope : (M, 2) 1/mm
        v.J of the same.
    reach, pixel : float
        How far to search, and the size of a pixel, mm.
    """
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


def joint_fit(
    points: Array,
    J: Array,
    A: Array,
    start: Array,
    widths: Array | None = None,
    *,
    hold: bool = False,
    rounds: int = 4,
) -> JointFit:
    """Fit lattice and shift together to the points near lattice points, choosing these anew each round.

    With the indices fixed, r + J o = A h is linear in A and o.

    Parameters
    ----------
    points : (N, 3) 1/Angstrom
    J : (N, 3, K)
        Derivatives of the points by the shift (1/Angstrom per mm), and by whatever else moves them.
    A : (3, 3) 1/Angstrom
    start : (K,) mm, ...
    widths : (K,) mm, ...
        How far each may be from nothing, as a standard deviation; none: all are free.
    hold : bool
        Whether the shift stays as it is and only the lattice adapts.
    """
    o, A = np.array(start, dtype=float), np.array(A)
    covariance = np.full((len(start), len(start)), np.inf)
    for _ in range(rounds):
        moved = points + J @ o
        fractional = moved @ np.linalg.inv(A).T
        h = np.rint(fractional)
        misfit = np.linalg.norm(fractional - h, axis=1)
        good = misfit < NEAR
        if good.sum() < LEAST or np.linalg.matrix_rank(h[good]) < 3:
            break
        if hold:
            A = fit_A(moved[good], h[good])
        else:
            A, o, covariance = fit_A_and_shift(points[good], J[good], h[good], widths)
    return JointFit(A, o[:2], covariance[:2, :2], likelihood(points + J @ o, A))


def growing_fits(points: Array, J: Array, A: Array, starts: Sequence[Array], apart: float) -> list[JointFit]:
    """Fit lattice and shift to the first points, from several shifts, and on to all; likeliest first.

    A lattice found with the beam far off is itself a little wrong: only points of low resolution, which are
    to come first, tell what shift they need before it is mended. Shifts nearer to one another than ``apart``
    (mm) are one.
    """
    size = min(FIRST, len(points))
    fits = _distinct([joint_fit(points[:size], J[:size], A, start) for start in starts], apart)[:MOST]
    while size < len(points):
        size = min(2 * size, len(points))
        fits = [joint_fit(points[:size], J[:size], fit.A, fit.shift) for fit in fits]
    return _distinct(fits, apart)


def _distinct(fits: Sequence[JointFit], apart: float) -> list[JointFit]:
    """Those that differ in the shift, likeliest first."""
    kept: list[JointFit] = []
    for fit in sorted(fits, key=lambda fit: -fit.likelihood):
        if all(np.linalg.norm(fit.shift - other.shift) > apart for other in kept):
            kept.append(fit)
    return kept


def likelihood(points: Array, A: Array, rounds: int = 15) -> float:
    """Log-likelihood of points (N, 3) that are a lattice's with a gaussian error, or strewn evenly.

    A part f of the points lies about lattice points with variance s^2 in each direction, the rest anywhere in
    the cell of volume V* = |det A|; f and s^2 are those that make it largest (expectation and maximisation).
    Relative to f = 0. Unlike a count of points near lattice points it tells a lattice that fits to a
    hundredth of an index from one that fits to a twentieth.
    """
    fractional = points @ np.linalg.inv(A).T
    square = np.sum(((fractional - np.rint(fractional)) @ A.T) ** 2, axis=1)
    volume = abs(float(np.linalg.det(A)))
    f, variance = 0.5, max(float(np.median(square)) / 3.0, 1e-14)
    value = 0.0
    for _ in range(rounds):
        density = np.exp(-0.5 * square / variance) * volume / (2.0 * np.pi * variance) ** 1.5
        mixture = f * density + (1.0 - f)
        value = float(np.log(mixture).sum())
        share = f * density / mixture
        f = float(np.clip(share.mean(), 0.0, 0.999))
        variance = max(float(share @ square) / max(3.0 * float(share.sum()), 1e-9), 1e-14)
    return value


def fit_A_and_shift(
    points: Array, J: Array, h: Array, widths: Array | None = None
) -> tuple[Array, Array, Array]:
    """Least squares of A h - J o = r for A (3, 3) and o (K,), with the covariance of o (K, K).

    It is that of the scatter seen, spot by spot (H. White, Econometrica 48 (1980) 817): three
    coordinates of a spot go together, and an angle is told less well than a place on the detector. One
    variance for all would promise too much. ``widths`` (K,) are standard deviations of o about nothing.
    """
    n, free = len(points), 9 + J.shape[2]
    design = np.zeros((n, 3, free))
    for row in range(3):
        design[:, row, 3 * row : 3 * row + 3] = h
    design[:, :, 9:] = -J
    # Columns of one size: indices are whole numbers, derivatives thousandths.
    size = np.linalg.norm(design, axis=(0, 1))
    size[size < NOTHING] = 1.0
    design /= size
    matrix, y = design.reshape(3 * n, free), points.reshape(3 * n)
    weights = np.zeros(free)
    if widths is not None:
        residual = y - matrix @ np.linalg.lstsq(matrix, y, rcond=1e-9)[0]
        weights[9:] = 1.4826 * float(np.median(np.abs(residual))) / (widths * size[9:])
    whole = np.concatenate([matrix, np.diag(weights)])
    solution = np.linalg.lstsq(whole, np.concatenate([y, np.zeros(free)]), rcond=1e-9)[0]
    residual = y - matrix @ solution
    slopes = np.einsum("nik,ni->nk", design, residual.reshape(n, 3))
    scatter = slopes.T @ slopes * (n / max(n - free / 3.0, 1.0))
    scatter += float(np.mean(residual**2)) * np.diag(weights**2)
    inverse = np.linalg.pinv(whole.T @ whole, rcond=1e-12)
    covariance = (inverse @ scatter @ inverse)[9:, 9:] / np.outer(size[9:], size[9:])
    solution = solution / size
    return np.asarray(solution[:9].reshape(3, 3)), np.asarray(solution[9:]), np.asarray(covariance)


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
