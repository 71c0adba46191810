"""What the minimisers share: solving symmetric systems and telling when to stop."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.roles import NormalSource
from smalti.solution import Ended, NormalEquations

__all__ = ["judge_rmsd", "linearised", "rmsd_change", "scaled", "solve", "target_reached", "unit_scale"]

Array = NDArray[np.float64]

CLOSE = 3e-3
"""How near the minimum must be, in ESDs, before RMSDs that stand still count as an end."""


def unit_scale(matrix: Array) -> Array:
    """Give what brings a matrix (n, n) to a unit diagonal, (n,); 1 for rows of zeros.

    The inverse is the unit of each parameter in which its own curvature is 1: for weights that are
    right, the ESD that it would have if all others were known.
    """
    diagonal = np.diag(matrix)
    return np.asarray(1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)))


def solve(matrix: Array, vector: Array, damping: float = 0.0) -> Array:
    """Solve (N + damping diag N) x = vector for a symmetric, positive semi-definite N.

    The system is scaled to a unit diagonal first, since mm, mrad and 1/Angstrom^2 differ by orders.
    Directions that neither data nor priors determine (eigenvalues below 1e-12 of the scaled matrix)
    get no step.
    """
    scale = unit_scale(matrix)
    unit = matrix * np.outer(scale, scale)
    unit[np.diag_indices_from(unit)] *= 1.0 + damping
    try:
        factor = linalg.cho_factor(unit)
        # Cholesky of a singular matrix may succeed by rounding; its pivots show it.
        if np.diag(factor[0]).min(initial=1.0) > 1e-6:
            return np.asarray(scale * linalg.cho_solve(factor, scale * vector))
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(unit)
    seen = values > 1e-12 * max(values[-1], 1.0)
    along = vectors[:, seen].T @ (scale * vector)
    return np.asarray(scale * (vectors[:, seen] @ (along / values[seen])))


def linearised(source: NormalSource, p: Array) -> NormalEquations | None:
    """Linearise at p (n,); None where it makes no models or something cannot be predicted."""
    try:
        found = source.normal_equations(p)
    except np.linalg.LinAlgError:  # parameters that are no cell
        return None
    return found if math.isfinite(found.objective) else None


def scaled(matrix: Array, step: Array) -> float:
    """Size of a step against the ESDs: root mean square over the parameters, for weights that are right."""
    square = float(step @ matrix @ step)
    return math.sqrt(max(square, 0.0) / max(len(step), 1))


def rmsd_change(before: tuple[float, ...], after: tuple[float, ...]) -> float:
    """Largest relative change of any RMSD."""
    return max((abs(a - b) / a for a, b in zip(before, after, strict=True) if a > 0.0), default=0.0)


def target_reached(rmsd: tuple[float, float, float], target: tuple[float, ...]) -> bool:
    """Tell whether the RMSDs (mm, mm, rad) are within a target (mm, mm, degrees); an empty one is never.

    A target of two numbers is for the positions alone.
    """
    given = (rmsd[0], rmsd[1], math.degrees(rmsd[2]))[: len(target)]
    return bool(target) and all(value <= limit for value, limit in zip(given, target, strict=False))


def judge_rmsd(
    before: tuple[float, float, float],
    after: tuple[float, float, float],
    left: float,
    tolerance: float,
    target: tuple[float, ...],
) -> Ended | None:
    """Tell whether a step ends it by its RMSDs; ``left`` is how far the minimum was before it, in ESDs."""
    if target_reached(after, target):
        return Ended.RMSD_TARGET
    if rmsd_change(before, after) < tolerance and left < CLOSE:
        return Ended.RMSD_CONVERGED
    return None
