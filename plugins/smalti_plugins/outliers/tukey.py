"""Tukey's fences: reject what lies far outside the quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, Strata, about_all, group, quantiles, standardised

SMALTI_API = API

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NEGLIGIBLE = 1e-3
"""Fences stand at least this many sigmas from the quartiles, or rounding errors would be outliers."""


@dataclass(frozen=True)
class Tukey:
    """Reject a reflection if any residual, in its sigmas, is outside [Q1 - m IQR, Q3 + m IQR] of its stratum.

    The fences of Tukey (Exploratory Data Analysis, 1977). Each stratum has its own, so that the
    spots of a displaced panel, which are wrong together, are not taken for outliers. A stratum with
    few observations has its own centre and the spread of all strata about theirs; one with next to
    none is judged by the quartiles of all reflections.
    """

    name: ClassVar[str] = "tukey"

    iqr_multiplier: float = option(
        1.5, "How many interquartile ranges beyond the quartiles a residual may lie.", gt=0
    )
    min_observations: int = option(
        20, "A stratum with fewer reflections borrows the spread of the others.", ge=LEAST_FOR_CENTRE
    )

    def weights(self, residuals: Array, sigmas: Array, strata: Index) -> Array:
        """Give 1 within the fences and 0 outside; a residual that is not finite is outside, (N,)."""
        result = np.zeros(len(residuals))
        groups = group(residuals, strata)
        if len(groups) == 0:
            return result
        own = standardised(residuals, sigmas, groups)
        low, high = _quartiles(own, groups, self.min_observations)
        inside = self._inside(own, low, high, groups.labels)
        lonely = np.repeat(groups.counts < LEAST_FOR_CENTRE, groups.counts)
        if lonely.any():
            pooled = about_all(residuals, sigmas, groups)
            low, high = np.quantile(pooled, (0.25, 0.75), axis=0, keepdims=True)
            inside[lonely] = self._inside(pooled, low, high, np.zeros(len(pooled), dtype=np.intp))[lonely]
        result[groups.rows[inside]] = 1.0
        return result

    def _inside(self, values: Array, low: Array, high: Array, labels: Index) -> NDArray[np.bool_]:
        """Tell which values (M, k) are within the fences of their quartiles, each (S, k)."""
        margin = np.maximum(self.iqr_multiplier * (high - low), NEGLIGIBLE)
        return np.asarray(
            ((values >= (low - margin)[labels]) & (values <= (high + margin)[labels])).all(axis=1)
        )


def _quartiles(values: Array, groups: Strata, enough: int) -> tuple[Array, Array]:
    """Give the quartiles Q1, Q3 of each stratum, each (S, k); those of sparse ones are borrowed."""
    low, high = quantiles(values, groups, (0.25, 0.75))
    few = groups.counts < enough
    # A median of one or two values is at those values: their deviations say nothing of the spread.
    telling = np.repeat(groups.counts >= LEAST_FOR_CENTRE, groups.counts)
    if few.any() and telling.any():
        low[few], high[few] = np.quantile(values[telling], (0.25, 0.75), axis=0)
    return low, high


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[Tukey]]:
    """Bring Tukey's fences."""
    return [Tukey]
