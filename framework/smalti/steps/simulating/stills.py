"""Which reflections still crystals show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.stills import still_beams

__all__ = ["Shown", "near_the_sphere", "shown"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

REACH = 4.0
"""Beyond this many standard deviations of the rocking curve a reflection is not shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Reflections of many crystals.

    Attributes
    ----------
    crystal : (N,) intp
        Number of the crystal, ascending.
    h : (N, 3) int32
    s1 : (N, 3) 1/Angstrom
    delta_psi : (N,) rad
    sigma : (N,) rad
        Standard deviation of DeltaPsi.
    """

    crystal: Index
    h: NDArray[np.int32]
    s1: Array
    delta_psi: Array
    sigma: Array

    def where(self, chosen: NDArray[np.bool_] | Index) -> Shown:
        """Give some of them."""
        return Shown(
            self.crystal[chosen], self.h[chosen], self.s1[chosen], self.delta_psi[chosen], self.sigma[chosen]
        )


def shown(
    A: Array, s0: Array, d_min: float, mosaicity: float, bandwidth: float, rng: np.random.Generator
) -> Shown:
    """Draw the reflections that still crystals A (K, 3, 3) 1/Angstrom show in a beam s0 (3,).

    A reflection that is turned out of the Ewald sphere by DeltaPsi is shown with the probability
    exp(-DeltaPsi^2 / 2 sigma^2), so that DeltaPsi of what is shown is normal with

        sigma^2 = mosaicity^2 + (bandwidth tan(theta))^2,

    as by Bragg's law a relative change of wavelength turns by tan(theta).

    Parameters
    ----------
    mosaicity : float
        rad, standard deviation.
    bandwidth : float
        Standard deviation of the wavelength, as a fraction.
    """
    wavelength = 1.0 / float(np.linalg.norm(s0))
    steepest = np.tan(np.arcsin(min(0.999, wavelength / (2.0 * d_min))))
    widest = REACH * float(np.hypot(mosaicity, bandwidth * steepest))
    crystal, h = near_the_sphere(A, s0, d_min, widest)
    q = np.matmul(A[crystal], h[:, :, None].astype(float))[:, :, 0]
    s1, delta_psi = still_beams(q, s0)
    sine = 0.5 * wavelength * np.sqrt(np.einsum("ni,ni->n", q, q))
    square = mosaicity**2 + bandwidth**2 * sine**2 / np.maximum(1.0 - sine**2, 1e-6)
    chance = np.exp(-0.5 * delta_psi**2 / square)
    seen = (np.abs(delta_psi) < REACH * np.sqrt(square)) & (rng.random(len(h)) < chance)
    return Shown(crystal[seen], h[seen], s1[seen], delta_psi[seen], np.sqrt(square[seen]))


def near_the_sphere(A: Array, s0: Array, d_min: float, angle: float) -> tuple[Index, NDArray[np.int32]]:
    """Find all points of lattices that a turn by an angle can bring onto the Ewald sphere.

    Rows of the lattice along its closest direction are cut with the shell of all points that are nearer to
    the sphere than angle / d_min: at most two pieces of each, and no point between them is looked at.

    Parameters
    ----------
    A : (K, 3, 3) 1/Angstrom
    s0 : (3,) 1/Angstrom
    d_min : float
        Angstrom.
    angle : float
        rad.

    Returns
    -------
    crystal : (N,)
        Ascending.
    h : (N, 3)
    """
    along = int(np.argmin(np.linalg.norm(A[0], axis=0)))
    across = [k for k in range(3) if k != along]
    pairs = _rows_within(A, across, d_min)
    g = A[:, :, along]
    start = np.matmul(A[:, :, across], pairs.T.astype(float)).transpose(0, 2, 1)  # (K, R, 3)
    step = np.einsum("ki,ki->k", g, g)[:, None]
    middle = -np.einsum("kri,ki->kr", start, g) / step  # where the row is nearest to the origin
    short = d_min**-2 - np.einsum("kri,kri->kr", start, start) + middle**2 * step
    reach = np.sqrt(np.maximum(short, 0.0) / step)
    centre = middle - (g @ s0)[:, None] / step
    k = float(np.linalg.norm(s0))
    away = start + s0
    inner = centre**2 * step - np.einsum("kri,kri->kr", away, away)
    shell = angle / d_min
    outer = inner + (k + shell) ** 2
    radius = np.sqrt(np.maximum(outer, 0.0) / step)
    hole = np.sqrt(np.maximum(inner + max(k - shell, 0.0) ** 2, 0.0) / step)
    real = (outer > 0.0) & (short > 0.0)
    pieces = []
    for first, last in ((centre - radius, centre - hole), (centre + hole, centre + radius)):
        low = np.where(real, np.ceil(np.maximum(first, middle - reach)), 1.0)
        high = np.where(real, np.floor(np.minimum(last, middle + reach)), 0.0)
        pieces.append((low.astype(np.int32), high.astype(np.int32)))
    # A row that the hole does not cut is one piece: the second begins after the first.
    pieces[1] = (np.maximum(pieces[1][0], pieces[0][1] + 1), pieces[1][1])
    return _points(pieces, pairs, across, along)


def _rows_within(A: Array, across: list[int], d_min: float) -> NDArray[np.int32]:
    """All pairs of indices (R, 2) whose rows any of the lattices may have within the resolution."""
    axes = np.linalg.norm(np.linalg.inv(A), axis=2).max(axis=0)
    n = np.floor(axes[across] / d_min).astype(int)
    grid = np.meshgrid(*(np.arange(-m, m + 1) for m in n), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 2).astype(np.int32)


def _points(
    pieces: list[tuple[NDArray[np.int32], NDArray[np.int32]]],
    pairs: NDArray[np.int32],
    across: list[int],
    along: int,
) -> tuple[Index, NDArray[np.int32]]:
    """Spell out the points of pieces of rows, each (K, R) first and last number."""
    crystals, indices = [], []
    for low, high in pieces:
        crystal, row = np.nonzero(high >= low)
        n = high[crystal, row] - low[crystal, row] + 1
        first = np.cumsum(n) - n
        h = np.empty((int(n.sum()), 3), dtype=np.int32)
        h[:, across] = np.repeat(pairs[row], n, axis=0)
        h[:, along] = np.arange(len(h)) - np.repeat(first - low[crystal, row], n)
        crystals.append(np.repeat(crystal, n))
        indices.append(h)
    crystal, h = np.concatenate(crystals), np.concatenate(indices)
    order = np.argsort(crystal, kind="stable")
    order = order[np.any(h[order] != 0, axis=1)]
    return crystal[order], h[order]
