"""Tukey's bisquare: weights that fall smoothly to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_plugins.outliers.soft import Weighing, soft_weights, tune

SMALTI_API = API

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class TukeyBisquare:
    """Weigh by (1 - (d/c)^2)^2 within c spreads of the centre of the stratum, and nothing beyond.

    The bisquare of Beaton & Tukey (1974, Technometrics 16, 147). Its c follows from the efficiency
    asked for: 0.95 makes it 4.685 for one coordinate, as tables have it, and 5.49 for three. Gross
    outliers have no pull at all, and no spot jumps between in and out as the model moves.
    """

    name: ClassVar[str] = "tukey_bisquare"

    efficiency: float = option(
        0.97, "Efficiency for normally distributed residuals; the rest is the price of resistance.",
        ge=0.5, le=0.999,
    )  # fmt: skip
    borrowed: float = option(
        20.0, "How many reflections the spread of all strata counts for in that of each.", ge=0
    )

    def weights(self, residuals: Array, sigmas: Array, strata: Index) -> Array:
        """Give weights that fall with distance; 0 for a residual that is not finite, (N,)."""
        limit = _limit(self.efficiency, residuals.shape[1])
        return soft_weights(residuals, sigmas, strata, _bisquare(limit), self.borrowed)


def _bisquare(limit: float) -> Weighing:
    return lambda squares: np.asarray(np.maximum(1.0 - squares / limit**2, 0.0) ** 2)


@lru_cache(maxsize=32)
def _limit(efficiency: float, k: int) -> float:
    """Distance of no weight that has an efficiency for k coordinates."""
    return tune(_bisquare, efficiency, k)


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[TukeyBisquare]]:
    """Bring the bisquare."""
    return [TukeyBisquare]
