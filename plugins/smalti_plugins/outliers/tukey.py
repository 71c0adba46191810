"""Tukey's fences: reject what lies far outside the quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, Strata, group, quantiles, typical_sigmas

SMALTI_API = API

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NEGLIGIBLE = 1e-3
"""Fences stand at least this many sigmas from the quartiles, or rounding errors would be outliers."""


@dataclass(frozen=True)
class Tukey:
    """Reject a reflection if any residual is outside [Q1 - m IQR, Q3 + m IQR] of its stratum.

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
        values = residuals[groups.rows]
        low, high = _quartiles(values, groups, self.min_observations)
        margin = self.iqr_multiplier * (high - low)
        margin = np.maximum(margin, NEGLIGIBLE * typical_sigmas(sigmas[groups.rows]))
        labels = groups.labels
        inside = (values >= (low - margin)[labels]) & (values <= (high + margin)[labels])
        result[groups.rows[inside.all(axis=1)]] = 1.0
        return result


def _quartiles(values: Array, groups: Strata, enough: int) -> tuple[Array, Array]:
    """Give the quartiles Q1, Q3 by which each stratum is judged, each (S, k)."""
    low, median, high = quantiles(values, groups, (0.25, 0.5, 0.75))
    few = groups.counts < enough
    if few.any():
        centred = values - median[groups.labels]
        # A median of one or two values is at those values: their deviations say nothing of the spread.
        telling = np.repeat(groups.counts >= LEAST_FOR_CENTRE, groups.counts)
        if telling.any():
            pooled_low, pooled_high = np.quantile(centred[telling], (0.25, 0.75), axis=0)
            low[few], high[few] = median[few] + pooled_low, median[few] + pooled_high
    lonely = groups.counts < LEAST_FOR_CENTRE
    if lonely.any():
        low[lonely], high[lonely] = np.quantile(values, (0.25, 0.75), axis=0)
    return low, high


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[Tukey]]:
    """Bring Tukey's fences."""
    return [Tukey]
