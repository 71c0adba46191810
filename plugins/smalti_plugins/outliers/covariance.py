"""Location and scatter that up to half of the data cannot spoil."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincinv

__all__ = ["consistency", "robust_covariance", "squared_distances"]

Array = NDArray[np.float64]

LEAST_VARIANCE = 1e-6
"""Added to every variance: residuals that are all equal still have a metric (sigma/1000)."""
FIRST_STEPS = 2
"""Concentration steps for every start, before only the best go on."""
BEST = 2
"""How many starts go on to convergence."""
MAX_STEPS = 100
REWEIGHTING = 0.975
"""Fraction of good observations that take part in the final, efficient estimate."""
REWEIGHTINGS = 3
"""The innermost half of a sample with outliers is more than half of the good ones, so its covariance,
scaled as if it were half, is too wide; each reweighting takes most of that excess away."""


def squared_distances(values: Array, centre: Array, covariance: Array) -> Array:
    """Squared Mahalanobis distances of (N, k) values from a centre (k,) in a covariance (k, k), (N,)."""
    whitened = (values - centre) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    return np.asarray(np.einsum("nk,nk->n", whitened, whitened))


def consistency(fraction: float, k: int) -> float:
    """Factor that makes the covariance of the innermost fraction of a k-normal sample unbiased.

    fraction / P(chi2_{k+2} <= q), q the quantile of chi2_k at that fraction [Croux & Haesbroeck 1999,
    J. Multivar. Anal. 71, 161].
    """
    if fraction >= 1.0:
        return 1.0
    half_quantile = float(gammaincinv(k / 2.0, fraction))
    return float(fraction / gammainc(k / 2.0 + 1.0, half_quantile))


def robust_covariance(values: Array, support: float = 0.5) -> tuple[Array, Array]:
    """Estimate centre and covariance by the reweighted minimum covariance determinant.

    Concentration steps as in Rousseeuw & Van Driessen (1999, Technometrics 41, 212), from the
    deterministic starts of Hubert, Rousseeuw & Verdonck (2012, J. Comput. Graph. Stat. 21, 618); then
    reweighting, which restores the efficiency for clean data.

    Parameters
    ----------
    values : (N, k)
        Finite, in units in which 1/1000 is negligible.
    support : float
        Fraction of the data in the innermost set, at least 0.5.

    Returns
    -------
    centre : (k,)
    covariance : (k, k)
        Positive definite.
    """
    n, k = values.shape
    h = min(n, max((n + k + 1) // 2, int(np.ceil(support * n))))
    trials = sorted(
        (
            _concentrate(values, centre, covariance, h, FIRST_STEPS)
            for centre, covariance in _starts(values, h)
        ),
        key=lambda trial: trial[2],
    )
    ends = [_concentrate(values, trial[0], trial[1], h, MAX_STEPS) for trial in trials[:BEST]]
    centre, covariance, _ = min(ends, key=lambda end: end[2])
    return _reweighted(values, centre, covariance * consistency(h / n, k))


def _starts(values: Array, h: int) -> list[tuple[Array, Array]]:
    """Give rough estimates that need no luck: each resists outliers of another kind."""
    k = values.shape[1]
    centre = np.median(values, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(values - centre), axis=0), np.sqrt(LEAST_VARIANCE))
    z = (values - centre) / spread
    radius = np.sqrt(np.einsum("nk,nk->n", z, z))
    bounded = np.tanh(z)
    signs = z / np.maximum(radius, 1e-12)[:, None]
    inner = z[np.argpartition(radius, h - 1)[:h]]
    scatters = (np.eye(k), _correlation(bounded), _correlation(signs), np.atleast_2d(np.cov(inner.T)))
    return [(centre, scatter * np.outer(spread, spread) + LEAST_VARIANCE * np.eye(k)) for scatter in scatters]


def _correlation(values: Array) -> Array:
    covariance = values.T @ values / len(values)
    width = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    return np.asarray(covariance / np.outer(width, width) + 1e-6 * np.eye(len(width)))


def _concentrate(
    values: Array, centre: Array, covariance: Array, h: int, steps: int
) -> tuple[Array, Array, float]:
    """Move to the mean and covariance of the h nearest until the determinant settles.

    The determinant cannot grow (theorem 1 of Rousseeuw & Van Driessen 1999).
    """
    determinant = np.inf
    for _ in range(steps):
        nearest = np.argpartition(squared_distances(values, centre, covariance), h - 1)[:h]
        centre, covariance = _moments(values[nearest])
        previous, determinant = determinant, float(np.linalg.det(covariance))
        if determinant >= previous * (1.0 - 1e-9):
            break
    return centre, covariance, determinant


def _moments(values: Array) -> tuple[Array, Array]:
    centre = values.mean(axis=0)
    centred = values - centre
    covariance = centred.T @ centred / len(values)
    return centre, covariance + LEAST_VARIANCE * np.eye(len(centre))


def _reweighted(values: Array, centre: Array, covariance: Array) -> tuple[Array, Array]:
    """Estimate from what is near: efficient, and free of the width that outliers lent the first set."""
    k = values.shape[1]
    limit = 2.0 * gammaincinv(k / 2.0, REWEIGHTING)
    for _ in range(REWEIGHTINGS):
        near = squared_distances(values, centre, covariance) <= limit
        if np.count_nonzero(near) <= k:
            break
        centre, covariance = _moments(values[near])
        covariance *= consistency(REWEIGHTING, k)
    return centre, covariance
