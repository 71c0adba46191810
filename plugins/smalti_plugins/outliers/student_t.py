"""Weights of Student's t: the further out, the less it pulls, with no sharp edge."""

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
class StudentT:
    """Weigh as if residuals followed Student's t, whose tails expect what normal ones forbid.

    The weight is nu / (nu + d^2), d the distance in spreads of its stratum: that of the expectation
    maximisation for the multivariate t [Lange, Little & Taylor 1989, J. Am. Stat. Assoc. 84, 881]. Its
    degrees of freedom nu follow from the efficiency asked for: 0.97 makes them 8.6 for one coordinate
    and 10.9 for three. A spot far enough out has no place in any tail, and is rejected.
    """

    name: ClassVar[str] = "student_t"

    efficiency: float = option(
        0.97, "Efficiency for normally distributed residuals; the rest is the price of resistance.",
        ge=0.9, le=0.999,
    )  # fmt: skip
    least_weight: float = option(
        0.05, "A spot of less weight than this is an outlier: its weight is 0.", ge=0, lt=1
    )
    borrowed: float = option(
        20.0, "How many reflections the spread of all strata counts for in that of each.", ge=0
    )

    def weights(self, residuals: Array, sigmas: Array, strata: Index) -> Array:
        """Give weights that fall with distance; 0 for a residual that is not finite, (N,)."""
        freedom = _freedom(self.efficiency, residuals.shape[1])

        def weigh(squares: Array) -> Array:
            weights = _student(freedom)(squares)
            return np.where(weights < self.least_weight, 0.0, weights)

        return soft_weights(residuals, sigmas, strata, weigh, self.borrowed)


def _student(freedom: float) -> Weighing:
    return lambda squares: freedom / (freedom + squares)


@lru_cache(maxsize=32)
def _freedom(efficiency: float, k: int) -> float:
    """Degrees of freedom that have an efficiency for k coordinates."""
    return tune(_student, efficiency, k)


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[StudentT]]:
    """Bring the weights of Student's t."""
    return [StudentT]
