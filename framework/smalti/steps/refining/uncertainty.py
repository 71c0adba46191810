"""How sure the parameters are: covariance, share of the priors, directions that nothing determines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.solution import NormalEquations, Prior

__all__ = ["Uncertainty", "assess", "effective_parameters", "reduced_chi_squared"]

Array = NDArray[np.float64]

NULL = 1e-9
"""Eigenvalues of the scaled normal matrix of the data below this are directions that no data see."""


@dataclass(frozen=True)
class Uncertainty:
    """What is known of n parameters.

    Attributes
    ----------
    covariance : (n, n)
        Inverse of the undamped normal matrix, priors included, in the units of the parameters. The
        weights are scaled beforehand so that reduced chi-squared is 1.
    prior_share : (n,)
        Posterior over prior variance: 0 where the data decide, 1 where only the prior does.
    effective : float
        How many parameters the data determine: the trace of the hat matrix.
    smallest : float
        Smallest eigenvalue of the normal matrix of the data alone, scaled to a unit diagonal.
    null_directions : (k, n)
        Directions of parameter space that the data alone do not see.
    """

    covariance: Array
    prior_share: Array
    effective: float
    smallest: float
    null_directions: Array

    @property
    def esd(self) -> Array:
        """Standard deviations of the parameters, (n,)."""
        return np.sqrt(np.diag(self.covariance))


def assess(equations: NormalEquations, prior: Prior) -> Uncertainty:
    """Work out covariance and null directions from the normal equations at the minimum."""
    n = len(equations.parameters)
    if n == 0:
        return Uncertainty(np.zeros((0, 0)), np.zeros(0), 0.0, 1.0, np.zeros((0, 0)))
    covariance = _inverse(equations.matrix)
    share = np.clip(np.diag(covariance) * prior.precision, 0.0, 1.0)
    data = equations.matrix - np.diag(prior.precision)
    scale = _unit_scale(np.diag(data))
    values, vectors = linalg.eigh(data * np.outer(scale, scale))
    null = values < NULL
    return Uncertainty(
        covariance,
        share,
        float(n - share.sum()),
        float(values[0]),
        np.asarray((vectors[:, null] * scale[:, None]).T),
    )


def effective_parameters(equations: NormalEquations, prior: Prior) -> float:
    """How many parameters the data determine: n less the shares of the priors."""
    return float(determined(equations, prior).sum())


def determined(equations: NormalEquations, prior: Prior) -> Array:
    """How far the data determine each parameter, (n,): 1 less the share of its prior."""
    return np.asarray(1.0 - np.clip(np.diag(_inverse(equations.matrix)) * prior.precision, 0.0, 1.0))


def _unit_scale(diagonal: Array) -> Array:
    """What brings a matrix to a unit diagonal; 1 for rows of zeros."""
    return np.asarray(1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)))


def _inverse(matrix: Array) -> Array:
    """Inverse of a symmetric matrix; what nothing determines gets an enormous variance."""
    scale = _unit_scale(np.diag(matrix))
    unit = matrix * np.outer(scale, scale)
    try:
        factor = linalg.cholesky(unit)
        if factor.diagonal().min(initial=1.0) > 1e-6:  # a singular matrix may pass by rounding
            half = linalg.solve_triangular(factor, np.eye(len(unit)))
            return np.asarray((half @ half.T) * np.outer(scale, scale))
    except linalg.LinAlgError:
        pass
    values, vectors = linalg.eigh(unit)
    inverse = (vectors / np.maximum(values, 1e-14 * max(float(values[-1]), 1e-300))) @ vectors.T
    return np.asarray(inverse * np.outer(scale, scale))


def reduced_chi_squared(
    chi_squared: float, n_residuals: int, n_parameters: float, belief: float = 10.0
) -> float:
    """Chi-squared per degree of freedom, drawn towards 1 where there are few.

    The posterior mean of a variance scale with a prior worth ``belief`` degrees of freedom at 1: three
    residuals more than parameters do not show that centroids are ten times better than they say.
    """
    freedom = max(n_residuals - n_parameters, 0.0)
    return (chi_squared + belief) / (freedom + belief)
