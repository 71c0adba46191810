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
from smalti_plugins.outliers.covariance import robust_covariance, squared_distances
from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, Strata, group, standardised

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
        own, pooled = standardised(residuals, sigmas, groups)
        limit = 2.0 * gammaincinv(own.shape[1] / 2.0, self.probability)
        near = np.empty(len(own), dtype=bool)
        for number in np.flatnonzero(groups.counts >= self.min_observations):
            part = _slice(groups, number)
            near[part] = squared_distances(own[part], *robust_covariance(own[part], self.support)) <= limit
        if (groups.counts < self.min_observations).any():
            self._judge_sparse(own, pooled, groups, limit, near)
        result[groups.rows[near]] = 1.0
        return result

    def _judge_sparse(
        self, own: Array, pooled: Array, groups: Strata, limit: float, near: NDArray[np.bool_]
    ) -> None:
        """Judge the strata with few observations, into ``near``."""
        telling = np.repeat(groups.counts >= LEAST_FOR_CENTRE, groups.counts)
        lonely = ~telling
        sparse = telling & np.repeat(groups.counts < self.min_observations, groups.counts)
        if sparse.any():
            # Their centre is their median, which is zero here.
            covariance = robust_covariance(_picked(own[telling]), self.support)[1]
            near[sparse] = squared_distances(own[sparse], np.zeros(own.shape[1]), covariance) <= limit
        if lonely.any():
            everyone = robust_covariance(_picked(pooled), self.support)
            near[lonely] = squared_distances(pooled[lonely], *everyone) <= limit


def _slice(groups: Strata, number: int | np.intp) -> slice:
    start = int(groups.starts[number])
    return slice(start, start + int(groups.counts[number]))


def _picked(values: Array) -> Array:
    return values[:: max(1, len(values) // POOL)]


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[MinimumCovarianceDeterminant]]:
    """Bring the minimum covariance determinant."""
    return [MinimumCovarianceDeterminant]
