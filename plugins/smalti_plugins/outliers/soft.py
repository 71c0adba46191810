"""What rejectors with soft weights share: an M-estimate of the centre of each stratum."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from smalti_plugins.outliers.spread import pooled_spread, shrunk_spread
from smalti_plugins.outliers.strata import (
    LEAST_FOR_CENTRE,
    Strata,
    about_all,
    group,
    standardised,
    usable_sigmas,
)

__all__ = ["efficiency", "soft_weights", "tune"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Weighing = Callable[[Array], Array]
"""Squared distances to weights in [0, 1]; 1 at 0, never growing."""

ROUNDS = 50
"""Most rounds of weights and centres; ten are usual."""
SETTLED = 1e-7
"""A centre that moves by less, in sigmas, has settled."""
POINTS = 30_000


def soft_weights(residuals: Array, sigmas: Array, strata: Index, weigh: Weighing, borrowed: float) -> Array:
    """Weigh each reflection by its distance from the robust centre of its stratum, (N,).

    The centre is that at which the weighted residuals sum to zero, found from the median by
    reweighting [Huber 1981, Robust Statistics, section 7.8]. So a fit that moves each stratum freely,
    with these weights, is the M-estimate itself, and a displaced panel is not taken for outliers.
    With fewer reflections than make a centre, they are judged by the median and spread of all.

    Parameters
    ----------
    residuals, sigmas : (N, k)
    strata : (N,)
    weigh : Callable
    borrowed : float
        How many reflections the spread of all strata counts for in that of each.
    """
    result = np.zeros(len(residuals))
    groups = group(residuals, strata)
    if len(groups) == 0:
        return result
    own = standardised(residuals, sigmas, groups)
    sigma = usable_sigmas(sigmas, groups)
    weights = _settled(own, sigma, shrunk_spread(own, groups, borrowed), groups, weigh)
    lonely = np.repeat(groups.counts < LEAST_FOR_CENTRE, groups.counts)
    if lonely.any():
        pooled = about_all(residuals, sigmas, groups)
        weights[lonely] = weigh(_squares(pooled[lonely] / pooled_spread(pooled)))
    result[groups.rows] = weights
    return result


def _settled(own: Array, sigma: Array, spread: Array, groups: Strata, weigh: Weighing) -> Array:
    """Give weights (M,) about centres that agree with them; ``own`` is about the medians."""
    labels, width = groups.labels, spread[groups.labels]
    weights = weigh(_squares(own / width))
    before = np.zeros_like(spread)
    # Centres are in the units of the residuals: against the smallest sigma they have settled for each.
    least = SETTLED * sigma.min(axis=0)
    for _ in range(ROUNDS):
        centre = _weighted_means(own, sigma, weights, groups)
        weights = weigh(_squares((own - centre[labels] / sigma) / width))
        if (np.abs(centre - before) <= least).all():
            break
        before = centre
    return weights


def _weighted_means(own: Array, sigma: Array, weights: Array, groups: Strata) -> Array:
    """Weighted mean of residuals (own sigma) with weights w / sigma^2, in each stratum, (S, k)."""
    precision = weights[:, None] / sigma**2
    total = np.add.reduceat(precision, groups.starts)
    return np.asarray(
        np.add.reduceat(precision * own * sigma, groups.starts) / np.where(total > 0.0, total, 1.0)
    )


def _squares(values: Array) -> Array:
    """Squared lengths of the rows of (n, k), (n,)."""
    return np.asarray(np.einsum("nk,nk->n", values, values))


def efficiency(weigh: Weighing, k: int) -> float:
    """Efficiency of a location of k normal coordinates with these weights, against the mean.

    For an influence x w(|x|^2) it is (E[w d^2] / k)^2 / (E[w^2 d^2] / k), d^2 chi-squared: the
    derivative that the sandwich needs is, by Stein's lemma, E[x . x w] / k.
    """
    squares = _chi_squared(k)
    weights = weigh(squares)
    return float(np.mean(weights * squares) ** 2 / (k * np.mean(weights**2 * squares)))


def tune(family: Callable[[float], Weighing], target: float, k: int) -> float:
    """Find the constant, between 1 and 1000, of a family of weights that has a given efficiency.

    Efficiency must grow with the constant.
    """
    # Imported here because discovery imports every plugin, and scipy.optimize takes longer than the rest.
    from scipy.optimize import brentq

    return float(brentq(lambda constant: efficiency(family(constant), k) - target, 1.0, 1e3, xtol=1e-6))


@lru_cache(maxsize=8)
def _chi_squared(k: int) -> Array:
    """Midpoints of equal parts of the chi-squared distribution with k degrees of freedom."""
    return np.asarray(2.0 * gammaincinv(k / 2.0, (np.arange(POINTS) + 0.5) / POINTS))
