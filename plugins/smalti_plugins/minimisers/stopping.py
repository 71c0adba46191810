"""What the minimisers share: solving symmetric systems and measuring progress."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

__all__ = ["rmsd_change", "scaled", "solve"]

Array = NDArray[np.float64]


def solve(matrix: Array, vector: Array, damping: float = 0.0) -> Array:
    """Solve (N + damping diag N) x = vector for a symmetric, positive semi-definite N.

    The system is scaled to a unit diagonal first, since mm, mrad and 1/Angstrom^2 differ by orders.
    Directions that neither data nor priors determine (eigenvalues below 1e-12 of the scaled matrix)
    get no step.
    """
    scale = 1.0 / np.sqrt(np.where(np.diag(matrix) > 0.0, np.diag(matrix), 1.0))
    unit = matrix * np.outer(scale, scale)
    unit[np.diag_indices_from(unit)] *= 1.0 + damping
    try:
        factor = linalg.cho_factor(unit)
        # Cholesky of a singular matrix may succeed by rounding; its pivots show it.
        if np.diag(factor[0]).min() > 1e-6:
            return np.asarray(scale * linalg.cho_solve(factor, scale * vector))
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(unit)
    seen = values > 1e-12 * max(values[-1], 1.0)
    along = vectors[:, seen].T @ (scale * vector)
    return np.asarray(scale * (vectors[:, seen] @ (along / values[seen])))


def scaled(matrix: Array, step: Array) -> float:
    """Size of a step against the ESDs: root mean square over the parameters, for weights that are right."""
    square = float(step @ matrix @ step)
    return math.sqrt(max(square, 0.0) / max(len(step), 1))


def rmsd_change(before: tuple[float, ...], after: tuple[float, ...]) -> float:
    """Largest relative change of any RMSD."""
    return max((abs(a - b) / a for a, b in zip(before, after, strict=True) if a > 0.0), default=0.0)
