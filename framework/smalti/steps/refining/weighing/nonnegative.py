"""Least squares with coefficients that must not be negative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["nonnegative"]

Array = NDArray[np.float64]


def nonnegative(matrix: Array, slope: Array) -> Array:
    """Minimise 1/2 c^T M c - s^T c over c >= 0, for a few coefficients.

    The active-set method of Lawson & Hanson (1974, Solving Least Squares Problems, chapter 23) on normal
    equations, as Bro & de Jong (1997, J. Chemometrics 11, 393) write it. That of SciPy comes in a package
    that takes longer to import than a refinement does to fit.

    Parameters
    ----------
    matrix : (m, m)
        M, symmetric and positive definite.
    slope : (m,)
        s.
    """
    m = len(slope)
    found, free = np.zeros(m), np.zeros(m, dtype=bool)
    least = 1e-12 * float(np.abs(slope).max(initial=0.0))
    for _ in range(10 * m):  # each coefficient enters and leaves a few times at most
        pull = np.where(free, -np.inf, slope - matrix @ found)
        if not pull.max(initial=-np.inf) > least:
            break
        free[np.argmax(pull)] = True
        found = _within(matrix, slope, found, free)
    return found


def _within(matrix: Array, slope: Array, found: Array, free: NDArray[np.bool_]) -> Array:
    """Go to the minimum over the free coefficients, or to walls that are met on the way; they are held."""
    while free.any():
        trial = np.zeros_like(found)
        trial[free] = np.linalg.solve(matrix[np.ix_(free, free)], slope[free])
        out = free & (trial <= 0.0)
        if not out.any():
            return trial
        part = found[out] / np.maximum(found[out] - trial[out], 1e-300)
        found = found + float(part.min()) * (trial - found)
        free[np.flatnonzero(out)[part <= part.min()]] = False
        found = np.where(free, found, 0.0)
    return np.zeros_like(found)
