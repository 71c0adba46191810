"""The Fourier transform of points in reciprocal space, summed in powers over wedges of rotation.

With F_w(v) = sum over the points of wedge w of exp(2 pi i v.r),

    P(v) = sum_w (|F_w|^2 - N_w) / sum_w (N_w^2 - N_w)

is 1 at a lattice vector v of exact points and about 0 elsewhere. An error of the beam centre moves
all points of one narrow wedge alike, which changes the phases of the F_w but not their powers, so
that P does not feel it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Wedges", "distinct", "lowest_resolution", "refine_vectors", "wedge_numbers", "wedge_power"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

TWO_PI = 2.0 * np.pi


def wedge_numbers(angles: Array, sweeps: Index, width: float) -> Index:
    """Number the wedges: equal divisions, at most ``width`` wide, of the range that each sweep covers.

    Parameters
    ----------
    angles : (N,) rad
    sweeps : (N,) int
    width : float
        rad.

    Returns
    -------
    (N,) intp
        0 .. W-1 without gaps; never two sweeps in one wedge.
    """
    number = np.zeros(len(angles), dtype=np.intp)
    for sweep in np.unique(sweeps):
        rows = np.flatnonzero(sweeps == sweep)
        low, high = angles[rows].min(), angles[rows].max()
        count = max(1, int(np.ceil((high - low) / width - 1e-9)))
        within = np.minimum(
            ((angles[rows] - low) / max(high - low, 1e-12) * count).astype(np.intp), count - 1
        )
        number[rows] = within + int(sweep) * 1_000_000
    return np.unique(number, return_inverse=True)[1].astype(np.intp)


@dataclass(frozen=True, slots=True)
class Wedges:
    """Points sorted by wedge.

    Attributes
    ----------
    points : (N, 3) 1/Angstrom
        Relative to the mean of their wedge, which leaves every power as it is and phases small.
    starts : (W,) intp
        First point of each wedge.
    counts : (W,) intp
    """

    points: Array
    starts: Index
    counts: Index

    @classmethod
    def of(cls, points: Array, wedge: Index) -> Wedges:
        """Sort points (N, 3) by their wedge (N,)."""
        order = np.argsort(wedge, kind="stable")
        _, starts, counts = np.unique(wedge[order], return_index=True, return_counts=True)
        ordered = points[order]
        means = np.add.reduceat(ordered, starts, axis=0) / counts[:, None]
        return cls(ordered - np.repeat(means, counts, axis=0), starts, counts)

    @property
    def pairs(self) -> float:
        """Number of ordered pairs of different points within wedges."""
        return float(np.sum(self.counts.astype(float) * (self.counts - 1)))


def wedge_power(vectors: ArrayLike, wedges: Wedges) -> Array:
    """P(v), (K,), of real-space vectors (K, 3) Angstrom."""
    cosine, sine = _waves(np.atleast_2d(np.asarray(vectors, dtype=float)), wedges.points)
    real = np.add.reduceat(cosine, wedges.starts, axis=1, dtype=float)
    imaginary = np.add.reduceat(sine, wedges.starts, axis=1, dtype=float)
    power = np.sum(real**2 + imaginary**2, axis=1) - wedges.counts.sum()
    return np.asarray(power / max(wedges.pairs, 1.0))


def _waves(vectors: Array, points: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosine and sine (K, N) of 2 pi v.r.

    Seven digits are enough of a wave, whole turns being taken off before, and cost a seventh of the time.
    """
    turns = vectors @ points.T
    phase = (turns - np.rint(turns)).astype(np.float32) * np.float32(TWO_PI)
    return np.cos(phase), np.sin(phase)


def refine_vectors(vectors: Array, wedges: Wedges, steps: int = 6) -> tuple[Array, Array]:
    """Climb P from each vector to the maximum beside it, by damped Newton steps.

    A step that would not climb is shortened to a quarter; one that leads downhill is not taken.

    Parameters
    ----------
    vectors : (K, 3) Angstrom
    wedges : Wedges
    steps : int

    Returns
    -------
    vectors : (K, 3) Angstrom
    power : (K,)
    """
    best = np.array(vectors, dtype=float)
    power = wedge_power(best, wedges)
    reach = 0.25 / max(float(np.sqrt(np.mean(np.sum(wedges.points**2, axis=1)))), 1e-12)
    moving = np.arange(len(best))
    for _ in range(steps):
        gradient, hessian = _derivatives(best[moving], wedges)
        step = _ascent(gradient, hessian, reach)
        climbed = np.zeros(len(moving), dtype=bool)
        for shrink in (1.0, 0.25):
            left = np.flatnonzero(~climbed)
            trial = best[moving[left]] + shrink * step[left]
            value = wedge_power(trial, wedges)
            better = value > power[moving[left]]
            best[moving[left[better]]], power[moving[left[better]]] = trial[better], value[better]
            climbed[left[better]] = True
        moving = moving[climbed & (np.linalg.norm(step, axis=1) > 1e-3 * reach)]
        if moving.size == 0:
            break
    return best, power


def _derivatives(vectors: Array, wedges: Wedges) -> tuple[Array, Array]:
    """Gradient (K, 3) and Hessian (K, 3, 3) of the unnormalised power sum_w |F_w|^2."""
    r, starts = wedges.points, wedges.starts
    gradient, hessian = np.zeros((len(vectors), 3)), np.zeros((len(vectors), 3, 3))
    outer = np.einsum("ni,nj->nij", r, r).reshape(-1, 9)
    rows = np.ascontiguousarray(r.T)
    for k, (cosine, sine) in enumerate(zip(*_waves(vectors, r), strict=True)):
        wave = cosine.astype(float) + 1j * sine
        F = np.add.reduceat(wave, starts)
        slopes = np.add.reduceat(wave * rows, starts, axis=1) * (1j * TWO_PI)
        # F* dF summed over wedges is a sum over points: none of their second derivatives is summed by wedge
        turned = np.repeat(F.conj(), wedges.counts) * wave
        gradient[k] = -2.0 * TWO_PI * (turned.imag @ r)
        curved = (turned.real @ outer).reshape(3, 3) * TWO_PI**2
        hessian[k] = 2.0 * (np.real(slopes.conj() @ slopes.T) - curved)
    return gradient, hessian


def _ascent(gradient: Array, hessian: Array, reach: float) -> Array:
    """Newton steps (K, 3) with the curvature made negative in every direction, at most ``reach`` long."""
    values, axes = np.linalg.eigh(hessian)
    floor = 1e-6 * np.max(np.abs(values), axis=1, keepdims=True) + 1e-300
    along = np.einsum("kji,kj->ki", axes, gradient) / np.maximum(np.abs(values), floor)
    step = np.einsum("kij,kj->ki", axes, along)
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, reach / np.maximum(length, 1e-300)))


def lowest_resolution(points: Array, wedge: Index, pairs: int) -> Index:
    """Choose the rows of lowest resolution, equally many in each wedge, for about this many pairs."""
    length = np.linalg.norm(points, axis=1)
    order = np.lexsort((length, wedge))
    starts = np.searchsorted(wedge[order], np.arange(wedge.max() + 1))
    rank = np.arange(len(order)) - starts[wedge[order]]
    counts = np.bincount(wedge)
    limit = counts.max()
    while limit > 2 and np.sum(np.minimum(counts, limit).astype(float) ** 2) / 2 > pairs:
        limit = int(limit * 0.9)
    return np.asarray(order[rank < limit])


def distinct(vectors: Array, power: Array, shortest: float, tolerance: float = 0.02) -> tuple[Array, Array]:
    """Drop vectors that are the same as a stronger one, or its opposite, or near the origin.

    Parameters
    ----------
    vectors : (K, 3) Angstrom
    power : (K,)
    shortest : float
        Least length, Angstrom.
    tolerance : float
        Largest difference of two that are the same, relative to their length (0.1 Angstrom more are allowed).

    Returns
    -------
    vectors, power
        Of those that remain, strongest first.
    """
    length = np.linalg.norm(vectors, axis=1)
    kept: list[int] = []
    for k in np.argsort(-power, kind="stable"):
        if length[k] < shortest:
            continue
        others = vectors[kept]
        apart = np.minimum(
            np.linalg.norm(others - vectors[k], axis=1), np.linalg.norm(others + vectors[k], axis=1)
        )
        if np.all(apart > tolerance * length[k] + 0.1):
            kept.append(int(k))
    return vectors[kept], power[kept]
