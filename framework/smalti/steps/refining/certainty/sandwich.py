r"""What reflections and priors know of the parameters, where reflections are weighed by their residuals.

A reflection i with weight u (0 outlier, 1 believed) adds the score s = u J^T V^-1 r to the equations that are
solved, sum s + K (p - p0) = 0, with K what priors and restraints hold. Weights that depend on the residuals
change both sides of the covariance of an M-estimator [Huber 1981, Robust Statistics, 7.6]:

* the curvature A = E[-ds/dp]. When r grows, u falls, and the score grows by less than u says: with
  z = r / sigma the factor is E[d(u z_k)/dz_k] = E[u] + E[z_k du/dz_k], and not E[u]. Over the three
  coordinates the latter adds up to E[du / d ln|z|]; each is given a third, as it has where spots err alike
  in all directions;
* the scatter M = E[s s^T], with the factor E[u^2 z_k^2].

The error of the solution is (A + K)^-1 (sum s - K (p_true - p0)) to first order. Priors are knowledge of the
truth: p_true - p0 has covariance K^-1, so that

    cov = (A + K)^-1 (M + K) (A + K)^-1 .

With weights of 1 and variances that are right M = A, and this is the inverse of the normal matrix; with no
data it is that of the prior. A covariance without K in its middle would take the prior's word for exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.solution import Prior
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["Information", "curvature_factor", "factors_at_end", "factors_of", "information", "scatter_factor"]

Array = NDArray[np.float64]

_BIN = 0.1
"""Width of the bins of ln|z| in which mean weights are compared."""

_RANGE = (0.1, 50.0)
"""Of |z|: below, weights are flat; above, they are nothing."""

_LEAST_CURVATURE = 0.2
_BELIEF = 10.0
"""So many residuals is the assumption worth that the variances are right."""


@dataclass(frozen=True)
class Information:
    """Matrices (n, n) in the parameters of the minimiser.

    Attributes
    ----------
    curvature : (n, n)
        A: what the data hold the parameters with.
    scatter : (n, n)
        M: covariance of the sum of the scores.
    held : (n, n)
        K: what priors and restraints hold them with.
    factors : dict
        ``curvature_xy``, ``curvature_phi``, ``scatter_xy``, ``scatter_phi``: relative to the normal matrix.
    """

    curvature: Array
    scatter: Array
    held: Array
    factors: dict[str, float]


def information(fit: Fit, effective: float) -> Information:
    """Gather what is known of the parameters at the end of a fit.

    x and y share their factors: they are measured alike. One more pass over the reflections tells the
    angles' part of the normal matrix from the positions' part.

    Parameters
    ----------
    effective : float
        How many parameters the data determine: residuals are smaller than errors for it.
    """
    source, last, n = fit.source, fit.rounds[-1], fit.source.n_parameters
    factors = factors_at_end(fit, effective)
    held = replace(source, weights=np.zeros_like(source.weights)).normal_equations(fit.p).matrix
    nothing = Prior(np.zeros(n), np.zeros(n))
    angles = replace(source, weights=source.weights * (0.0, 0.0, 1.0), prior=nothing, restraints=())
    by_angle = angles.normal_equations(fit.p).matrix
    by_place = last.equations.matrix - held - by_angle
    return Information(
        factors["curvature_xy"] * by_place + factors["curvature_phi"] * by_angle,
        factors["scatter_xy"] * by_place + factors["scatter_phi"] * by_angle,
        held,
        factors,
    )


def factors_at_end(fit: Fit, effective: float) -> dict[str, float]:
    """Estimate the factors from all reflections that were judged, as :func:`factors_of`."""
    last, known = fit.rounds[-1], ~fit.held_out & np.isfinite(fit.residuals).all(axis=1)
    return factors_of(fit.residuals[known], last.weights[known], last.noise.variance[known], effective)


def factors_of(residuals: Array, weights: Array, variance: Array, effective: float) -> dict[str, float]:
    """Estimate by what curvature and scatter differ from the normal matrix, for positions and angles.

    Parameters
    ----------
    residuals, variance : (N, 3)
    weights : (N,)
        u of all that were judged.
    effective : float
    """
    z = residuals / np.sqrt(variance)
    freedom = max(1.0 - effective / max(3.0 * float(weights.sum()), 1.0), 0.1)
    distance, factors = np.linalg.norm(z, axis=1), dict[str, float]()
    for name, columns in (("xy", [0, 1]), ("phi", [2])):
        u = np.repeat(weights[:, None], len(columns), axis=1).ravel()
        part, precision = z[:, columns].ravel(), 1.0 / variance[:, columns].ravel()
        curvature = curvature_factor(distance, weights, np.mean(1.0 / variance[:, columns], axis=1), 3)
        factors[f"curvature_{name}"] = curvature
        factors[f"scatter_{name}"] = scatter_factor(part, u, precision, freedom, curvature)
    return factors


def curvature_factor(distance: Array, weights: Array, precision: Array, dimensions: int = 1) -> float:
    """Estimate E[d(u z_k)/dz_k] / E[u] = 1 + E[du / d ln|z|] / (k E[u]).

    The slope is taken from the mean weights of neighbouring bins of ln|z|: the rejector need not be asked
    for it, and it works for weights of 0 and 1 too, whose mean falls where residuals are cut off.

    Parameters
    ----------
    distance : (N,)
        |z|: of the residuals over their standard deviations.
    weights : (N,)
        u in [0, 1], of rejected ones too.
    precision : (N,)
        1 / variance: how much each counts in the normal matrix.
    dimensions : int
        Number k of residuals of a reflection.
    """
    total = float(weights @ precision)
    if total <= 0.0 or weights.min(initial=1.0) == weights.max(initial=1.0):
        return 1.0
    t = np.log(np.clip(distance, *_RANGE))
    number = np.floor((t - t.min()) / _BIN).astype(np.intp)
    mass = np.bincount(number, precision)
    there = mass > 0.0
    mean = np.bincount(number, precision * weights)[there] / mass[there]
    middle = np.bincount(number, precision * t)[there] / mass[there]
    between = 0.5 * (mass[there][1:] + mass[there][:-1])
    change = float(np.sum(between * np.diff(mean) / np.maximum(np.diff(middle), 0.1 * _BIN)))
    return float(np.clip(1.0 + change / (dimensions * total), _LEAST_CURVATURE, 1.0))


def scatter_factor(z: Array, weights: Array, precision: Array, freedom: float, expected: float) -> float:
    """Estimate E[u^2 z^2] / E[u], drawn to what it is where variances are right.

    Parameters
    ----------
    z, weights, precision : (N,)
        Residuals over their standard deviations, and as in :func:`curvature_factor`.
    freedom : float
        Degrees of freedom over the number of residuals.
    expected : float
        The curvature factor, to which it is equal where the variances are right.
    """
    total = float(weights @ precision)
    if total <= 0.0:
        return expected
    found = float((weights * z) ** 2 @ precision) / (total * freedom)
    count = total**2 / float(weights**2 @ precision**2)  # as many as equal weights would be
    return (count * found + _BELIEF * expected) / (count + _BELIEF)
