"""Location and scatter that up to half of the data cannot spoil."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincinv

from smalti_ext import mcd

__all__ = ["consistency", "near", "robust_covariance", "robust_covariances"]

Array = NDArray[np.float64]

REWEIGHTING = 0.975
"""Fraction of good observations that take part in the final, efficient estimate.

The innermost half of a sample with outliers is more than half of the good ones, so its covariance, scaled
as if it were half, is too wide; reweighting takes most of that excess away.
"""


def consistency(fraction: Array | float, k: int) -> Array:
    """Factor that makes the covariance of the innermost fractions of k-normal samples unbiased.

    fraction / P(chi2_{k+2} <= q), q the quantile of chi2_k at that fraction [Croux & Haesbroeck 1999,
    J. Multivar. Anal. 71, 161].
    """
    fraction = np.asarray(fraction)
    factor = fraction / gammainc(k / 2.0 + 1.0, gammaincinv(k / 2.0, fraction))
    return np.where(fraction < 1.0, factor, 1.0)


def robust_covariances(values: Array, bounds: NDArray[np.int64], support: float = 0.5) -> tuple[Array, Array]:
    """Estimate centre and covariance of strata by the reweighted minimum covariance determinant.

    Parameters
    ----------
    values : (N, k)
        Finite, in units in which 1/1000 is negligible.
    bounds : (S + 1,)
        Where strata begin and the last ends.
    support : float
        Fraction of a stratum in the innermost set, at least 0.5.

    Returns
    -------
    centre : (S, k)
    covariance : (S, k, k)
        Positive definite.
    """
    counts, k = np.diff(bounds), values.shape[1]
    inner = np.maximum((counts + k + 1) // 2, np.ceil(support * counts).astype(np.int64))
    inner = np.minimum(inner, counts)
    limit = 2.0 * float(gammaincinv(k / 2.0, REWEIGHTING))
    refining = float(consistency(REWEIGHTING, k))
    return mcd.robust_scatter(values, bounds, inner, consistency(inner / counts, k), limit, refining)


def robust_covariance(values: Array, support: float = 0.5) -> tuple[Array, Array]:
    """Estimate centre (k,) and covariance (k, k) of one sample (N, k), as :func:`robust_covariances`."""
    centre, covariance = robust_covariances(values, np.array([0, len(values)]), support)
    return centre[0], covariance[0]


def near(
    values: Array, bounds: NDArray[np.int64], centre: Array, covariance: Array, limit: float
) -> NDArray[np.bool_]:
    """Tell which values (N, k) are within a squared Mahalanobis distance of their stratum's centre, (N,)."""
    return np.asarray(mcd.squared_distances(values, bounds, centre, covariance) <= limit)
