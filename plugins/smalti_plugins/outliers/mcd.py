"""Minimum covariance determinant: reject what is far in the metric of the tightest half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_plugins.outliers.covariance import near, robust_covariance, robust_covariances
from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, Strata, about_all, group, standardised

SMALTI_API = API

Array = NDArray[np.float64]
Index = NDArray[np.intp]

POOL = 20_000
"""Reflections from which the covariance lent to sparse strata is estimated, evenly picked."""


@dataclass(frozen=True)
class MinimumCovarianceDeterminant:
    """Reject a reflection whose robust Mahalanobis distance is beyond a quantile of chi-squared.

    Centre and covariance of each stratum are those of its half with the smallest determinant
    (Rousseeuw & Van Driessen 1999, Technometrics 41, 212), reweighted; the search starts from fixed
    estimates, so that equal data give equal answers. Correlated residuals are judged together. A
    stratum with few observations has its own median and the covariance of all strata about theirs.
    """

    name: ClassVar[str] = "mcd"

    probability: float = option(
        0.975, "Fraction of normally distributed residuals that are kept.", gt=0.5, lt=1
    )
    support: float = option(
        0.5, "Fraction of a stratum that must be good; 0.5 withstands the most outliers.", ge=0.5, le=1
    )
    min_observations: int = option(
        30, "A stratum with fewer reflections borrows the covariance of the others.", ge=10
    )

    def weights(self, residuals: Array, sigmas: Array, strata: Index) -> Array:
        """Give 1 to what is near and 0 to what is far; a residual that is not finite is far, (N,)."""
        result = np.zeros(len(residuals))
        groups = group(residuals, strata)
        if len(groups) == 0:
            return result
        # In units of sigma millimetres and radians compare, and so does the least spread.
        own = standardised(residuals, sigmas, groups)
        limit = 2.0 * gammaincinv(own.shape[1] / 2.0, self.probability)
        good = np.empty(len(own), dtype=bool)
        rich = groups.counts >= self.min_observations
        rows = np.repeat(rich, groups.counts)
        values, bounds = own[rows], _bounds(groups.counts[rich])
        estimates = robust_covariances(values, bounds, self.support)
        good[rows] = near(values, bounds, *estimates, limit)
        if not rich.all():
            self._judge_sparse(own, about_all(residuals, sigmas, groups), groups, limit, good)
        result[groups.rows[good]] = 1.0
        return result

    def _judge_sparse(
        self, own: Array, pooled: Array, groups: Strata, limit: float, good: NDArray[np.bool_]
    ) -> None:
        """Judge the strata with few observations, into ``good``."""
        telling = np.repeat(groups.counts >= LEAST_FOR_CENTRE, groups.counts)
        sparse = telling & np.repeat(groups.counts < self.min_observations, groups.counts)
        if sparse.any():
            # Their centre is their median, which is zero here.
            covariance = robust_covariance(_picked(own[telling]), self.support)[1]
            good[sparse] = _near_one(own[sparse], np.zeros(own.shape[1]), covariance, limit)
        if not telling.all():
            everyone = robust_covariance(_picked(pooled), self.support)
            good[~telling] = _near_one(pooled[~telling], *everyone, limit)


def _bounds(counts: Index) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _near_one(values: Array, centre: Array, covariance: Array, limit: float) -> NDArray[np.bool_]:
    return near(values, np.array([0, len(values)]), centre[None], covariance[None], limit)


def _picked(values: Array) -> Array:
    return np.ascontiguousarray(values[:: max(1, len(values) // POOL)])


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[MinimumCovarianceDeterminant]]:
    """Bring the minimum covariance determinant."""
    return [MinimumCovarianceDeterminant]
