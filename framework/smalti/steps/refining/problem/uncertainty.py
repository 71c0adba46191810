"""How sure the parameters are: covariance, and share of the priors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.solution import NormalEquations, Prior
from smalti.steps.refining.problem.covariance import Covariance

__all__ = [
    "Uncertainty",
    "assess",
    "determined",
    "effective_parameters",
    "inverse_of",
    "reduced_chi_squared",
    "unit_scale",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Uncertainty:
    """What is known of n parameters.

    Attributes
    ----------
    covariance : Covariance
        (A + K)^-1 (M + K) (A + K)^-1 with the matrices of
        :mod:`smalti.steps.refining.certainty.sandwich`, in the units of the parameters.
    prior_share : (n,)
        Diagonal of (A + K)^-1 K: 0 where the data decide, 1 where only priors and restraints do.
    effective : float
        How many parameters the data determine: the trace of (A + K)^-1 A.
    """

    covariance: Covariance
    prior_share: Array
    effective: float

    @property
    def esd(self) -> Array:
        """Standard deviations of the parameters, (n,)."""
        return np.sqrt(np.maximum(self.covariance.variances, 0.0))


def assess(curvature: Array, scatter: Array, held: Array) -> Uncertainty:
    """Work out the covariance from what data, their scatter and priors hold, (n, n) each: A, M and K."""
    inverse, seen = _inverses(curvature + held)
    # As the inverse and what the scatter adds to it: rounding errors of null directions stay where they are.
    covariance = inverse + seen @ (scatter - curvature) @ seen
    share = np.clip(np.einsum("ij,ji->i", inverse, held), 0.0, 1.0)
    joint = Covariance.joint(0.5 * (covariance + covariance.T))
    return Uncertainty(joint, share, float(len(share) - share.sum()))


def effective_parameters(equations: NormalEquations, prior: Prior) -> float:
    """How many parameters the data determine: n less the shares of the priors."""
    return float(determined(equations, prior).sum())


def determined(equations: NormalEquations, prior: Prior) -> Array:
    """How far the data determine each parameter, (n,): 1 less the share of its prior."""
    return np.asarray(1.0 - np.clip(np.diag(_inverses(equations.matrix)[0]) * prior.precision, 0.0, 1.0))


def inverse_of(matrix: Array) -> Array:
    """Give the inverse of a symmetric matrix (n, n); what nothing determines has an enormous variance."""
    return _inverses(matrix)[0]


def unit_scale(diagonal: Array) -> Array:
    """What brings a matrix to a unit diagonal; 1 for rows of zeros."""
    return np.asarray(1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)))


def _inverses(matrix: Array) -> tuple[Array, Array]:
    """Inverse of a symmetric matrix, and the same without what nothing determines.

    In the former such directions have an enormous variance, in the latter none.
    """
    scale = unit_scale(np.diag(matrix))
    unit = matrix * np.outer(scale, scale)
    try:
        factor = linalg.cholesky(unit)
        if factor.diagonal().min(initial=1.0) > 1e-6:  # a singular matrix may pass by rounding
            half = linalg.solve_triangular(factor, np.eye(len(unit)))
            inverse = np.asarray((half @ half.T) * np.outer(scale, scale))
            return inverse, inverse
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(unit)
    least = max(float(values[-1]), 1e-300)
    by_value = 1.0 / np.maximum(values, 1e-14 * least)
    both = [(vectors * part) @ vectors.T for part in (by_value, by_value * (values > 1e-11 * least))]
    return np.asarray(both[0] * np.outer(scale, scale)), np.asarray(both[1] * np.outer(scale, scale))


def reduced_chi_squared(
    chi_squared: float, n_residuals: int, n_parameters: float, belief: float = 10.0
) -> float:
    """Chi-squared per degree of freedom, drawn towards 1 where there are few.

    The posterior mean of a variance scale with a prior worth ``belief`` degrees of freedom at 1: three
    residuals more than parameters do not show that centroids are ten times better than they say.
    """
    freedom = max(n_residuals - n_parameters, 0.0)
    return (chi_squared + belief) / (freedom + belief)
