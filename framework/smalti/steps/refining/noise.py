"""How well the centroids are known: variances for the weights and for the judging of residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.observations import Observations
from smalti.steps.refining.uncertainty import reduced_chi_squared
from smalti.steps.refining.variance_model import Terms, described, fit, robust_variance, terms

__all__ = ["Noise", "first_noise", "later_noise"]

Array = NDArray[np.float64]
Groups = NDArray[np.intp]

_HALF_TRUST = 100
"""With so many reflections the fitted variances and those of the table count alike."""

_LEAST_STRATUM = 5
_WIDEST = 1.0 / 4.0
"""Where nothing can be estimated the middle of a cut spot is off by half the unseen width."""

_KINDS = ("x", "y", "phi")


@dataclass(frozen=True)
class Noise:
    """Variances of the centroids of one round.

    Attributes
    ----------
    variance : (N, 3) mm^2, mm^2, rad^2
        Of residuals against the models: what weights are made of.
    judging : (N, 3)
        Of residuals about the middle of their stratum: what outliers are judged by. Panels that are still
        out of place widen the former, not this.
    scale : float
        Reduced chi-squared of what is used, against the variances before they were scaled by it.
    terms : Mapping
        For x, y and phi the coefficients of the fitted variance, px^2 or image^2.
    """

    variance: Array
    judging: Array
    scale: float
    terms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def first_noise(
    data: Observations, residuals: Array, groups: Groups, estimate: bool, effective: float = 0.0
) -> Noise:
    """Estimate it before anything is judged, when only the scatter within strata tells something.

    Parameters
    ----------
    effective : float
        Number of parameters that have already been fitted to the data.
    """
    deviations = _about_strata(residuals, groups) * _followed(data.n, effective)
    scale = _robust_scale(deviations / np.sqrt(_telling(data, estimate)))
    if not estimate:
        return Noise(scale * data.variance, scale * data.variance, scale)
    variance, found = _fitted(data, deviations, scale)
    return Noise(variance, variance, 1.0, found)


def later_noise(
    data: Observations,
    residuals: Array,
    groups: Groups,
    weights: Array,
    effective: float,
    estimate: bool,
) -> Noise:
    """Estimate it at a minimum.

    Parameters
    ----------
    weights : (N,)
        What the judge gave.
    effective : float
        Number of parameters that the data determined.
    """
    telling = _telling(data, estimate)
    scale = _chi_squared(residuals, telling, weights, effective)
    if not estimate:
        return Noise(scale * data.variance, scale * data.variance, scale)
    deviations = _about_strata(residuals, groups)
    judging, _ = _fitted(data, deviations, _robust_scale(deviations / np.sqrt(telling)))
    followed = _followed(int((weights > 0.0).sum()), effective)
    used = np.where(weights[:, None] > 0.0, residuals, np.nan)
    variance, found = _fitted(data, used * followed, scale)
    # Tails longer than those of normal deviates add to the ESDs; shorter ones are what the judge cut off.
    excess = max(1.0, _chi_squared(residuals, variance, weights, effective))
    return Noise(excess * variance, judging, excess, found)


def _fitted(
    data: Observations, deviations: Array, scale: float
) -> tuple[Array, dict[str, Mapping[str, float]]]:
    """Fit variances (N, 3) to deviations (N, 3), and draw them to those of the table where they are few."""
    unit = data.traits.unit**2
    fallback = scale * data.variance
    fallback[:, 2] += _WIDEST * data.traits.unseen**2 * unit[:, 2]
    good = np.isfinite(deviations).all(axis=1)
    share = good.sum() / (good.sum() + _HALF_TRUST)
    variance, found = np.empty_like(fallback), {}
    models = terms(data.traits, data.variance / unit)
    for k, (kind, model) in enumerate(zip(_KINDS, models, strict=True)):
        squares = deviations[good, k] ** 2 / unit[good, k]
        start = np.zeros(len(model.names))
        start[0] = robust_variance(squares)
        seen = Terms(model.names, model.columns[good], model.known[good])
        coefficients = fit(squares, seen, start) if squares.size else start
        own = model.variance(coefficients) * unit[:, k]
        variance[:, k] = share * own + (1.0 - share) * fallback[:, k]
        found[kind] = described(model, coefficients)
    return variance, found


def _followed(n: int, effective: float) -> float:
    """How much larger the errors of centroids are than their residuals, after which the models have gone."""
    return float(np.sqrt(min(3 * n / max(3 * n - effective, 1.0), 2.0)))


def _about_strata(residuals: Array, groups: Groups) -> Array:
    """Deviations (N, 3) from the median of the stratum; nan in strata with too few for one.

    Where most strata are that small, deviations from the median of all.
    """
    finite = np.flatnonzero(np.isfinite(residuals).all(axis=1))
    order = finite[np.argsort(groups[finite], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    telling = [part for part in parts if len(part) >= _LEAST_STRATUM]
    if 2 * sum(map(len, telling)) < len(finite):
        telling = [finite]
    deviations = np.full_like(residuals, np.nan)
    for part in telling:
        shrunk = np.sqrt(len(part) / max(len(part) - 1, 1))
        deviations[part] = shrunk * (residuals[part] - np.median(residuals[part], axis=0))
    return deviations


def _telling(data: Observations, estimate: bool) -> Array:
    """Variances of the table (N, 3); nan for angles of spots that were cut, of which it knows nothing."""
    variance = data.variance.copy()
    if estimate:
        variance[data.traits.unseen > 0.0, 2] = np.nan
    return variance


def _robust_scale(normalised: Array) -> float:
    """Variance of normalised deviations from their absolute medians, drawn to 1 where they are few."""
    columns = [column[np.isfinite(column)] for column in normalised.T]
    squares = sum(robust_variance(column**2) * column.size for column in columns)
    return reduced_chi_squared(squares, sum(column.size for column in columns), 0.0)


def _chi_squared(residuals: Array, variance: Array, weights: Array, effective: float) -> float:
    """Reduced chi-squared of what is used and known, drawn to 1 where degrees of freedom are few.

    A reflection of weight w counts as w observations, as its square does.
    """
    used = weights > 0.0
    squares = weights[used, None] * residuals[used] ** 2 / variance[used]
    count = (weights[used, None] * np.isfinite(squares)).sum()
    return reduced_chi_squared(float(np.nansum(squares)), round(float(count)), effective)
