"""Down-weight residuals smoothly instead of rejecting them."""

from dataclasses import dataclass

import numpy as np

from smalti.hookspecs import API, hookimpl
from smalti.options import option

SMALTI_API = API


@dataclass(frozen=True)
class Soft:
    name = "soft"
    bend: float = option(3.0, "Robust standard deviations beyond which the weight falls off.", gt=0)

    def weights(self, residuals, sigmas, strata):
        weights = np.ones(len(residuals))
        for stratum in np.unique(strata):
            rows = np.flatnonzero(strata == stratum)
            away = np.abs(residuals[rows] - np.median(residuals[rows], axis=0))
            spread = np.maximum(1.4826 * np.median(away, axis=0), 0.1 * np.median(sigmas[rows], axis=0))
            distance = np.max(away / spread, axis=1)
            weights[rows] = np.minimum(1.0, (self.bend / np.maximum(distance, 1e-9)) ** 2)
        return weights


@hookimpl
def smalti_outlier_rejectors():
    return [Soft]
