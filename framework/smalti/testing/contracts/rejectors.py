"""What an outlier rejector promises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

Array = NDArray[np.float64]
REJECTS_NOTHING = "none"
"""Name of the one component that may let gross outliers pass."""


def _weigh(rejector: OutlierRejector, residuals: Array, strata: NDArray[np.intp]) -> Array:
    weights = rejector.weights(residuals, np.ones_like(residuals), strata)
    require(isinstance(weights, np.ndarray), "it does not return an array")
    require(weights.shape == (len(residuals),), f"weights has shape {weights.shape}, not ({len(residuals)},)")
    require(bool(np.isfinite(weights).all()), "a weight is not finite")
    require(bool(((weights >= 0) & (weights <= 1)).all()), "a weight is outside [0, 1]")
    return weights


def _share(weights: Array) -> float:
    """How many reflections of equal weight would be worth as much, over how many there are.

    (sum w)^2 / (n sum w^2) [Kish 1965, Survey Sampling]: the part kept by a hard rejecter, and for soft
    weights, whose scale says nothing, what their unevenness leaves.
    """
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / (len(weights) * squares) if squares > 0.0 else 0.0


def _clean() -> tuple[Array, NDArray[np.intp]]:
    """Gaussian residuals of three strata, each with its own offset, as displaced panels have."""
    rng = np.random.default_rng(17)
    strata = np.repeat(np.arange(3), 300)
    return rng.normal(size=(900, 3)) + np.array([0.0, 4.0, -2.0])[strata][:, None], strata


def keeps_clean_data(rejector: OutlierRejector) -> None:
    """Gaussian residuals keep nine tenths of their worth, whatever the offset of their stratum."""
    residuals, strata = _clean()
    weights = _weigh(rejector, residuals, strata)
    for stratum in range(3):
        kept = _share(weights[strata == stratum])
        require(kept > 0.9, f"clean residuals of a displaced stratum keep {kept:.0%} of their worth")


def drops_gross_outliers(rejector: OutlierRejector) -> None:
    """Residuals of 50 standard deviations lose their weight (unless the component is 'none')."""
    residuals, strata = _clean()
    bad = np.random.default_rng(19).choice(900, 40, replace=False)
    residuals[bad] += 50.0
    weights = _weigh(rejector, residuals, strata)
    if rejector.name == REJECTS_NOTHING:
        return
    good = np.setdiff1d(np.arange(900), bad)
    passed = int((weights[bad] > 0.5 * weights[good].mean()).sum())
    require(passed == 0, f"{passed} of 40 residuals of 50 standard deviations keep their weight")
    kept = _share(weights[good])
    require(kept > 0.85, f"beside 4 % of outliers, good residuals keep {kept:.0%} of their worth")


def bears_small_strata(rejector: OutlierRejector) -> None:
    """No reflection, one, two, or many equal ones in a stratum do no harm."""
    _weigh(rejector, np.zeros((0, 3)), np.zeros(0, dtype=np.intp))
    rng = np.random.default_rng(23)
    strata = np.array([0, 1, 1, 2, 2, 2, 5], dtype=np.intp)
    weights = _weigh(rejector, rng.normal(size=(7, 3)), strata)
    require(
        weights[0] > 0.0, "a reflection alone in its stratum is rejected; there is nothing to judge it by"
    )
    weights = _weigh(rejector, np.full((50, 3), 0.3), np.zeros(50, dtype=np.intp))
    require(bool((weights == 1.0).all()), "of fifty equal residuals some are rejected")


def judges_each_stratum_alone(rejector: OutlierRejector) -> None:
    """The order of the rows does not matter, nor does another stratum."""
    residuals, strata = _clean()
    weights = _weigh(rejector, residuals, strata)
    shuffled = np.random.default_rng(29).permutation(900)
    again = _weigh(rejector, residuals[shuffled], strata[shuffled])
    changed = int((np.abs(again - weights[shuffled]) > 1e-6).sum())
    require(changed <= 9, f"{changed} of 900 weights depend on the order of the rows")


def gives_the_same_twice(rejector: OutlierRejector) -> None:
    """The same residuals give the same weights, and are left as they were."""
    residuals, strata = _clean()
    before = residuals.copy()
    first = _weigh(rejector, residuals, strata)
    require(np.array_equal(first, _weigh(rejector, residuals, strata)), "a second call gives other weights")
    require(np.array_equal(before, residuals), "it changes its input")


CHECKS = (
    keeps_clean_data,
    drops_gross_outliers,
    bears_small_strata,
    judges_each_stratum_alone,
    gives_the_same_twice,
)
