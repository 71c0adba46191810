"""How much residuals scatter: about the middle of their stratum, and against their variances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.uncertainty import reduced_chi_squared
from smalti.steps.refining.weighing.variance_model import ENOUGH, robust_variance
from smalti_ext.strata import quantiles

__all__ = ["about_planes", "about_strata", "chi_squared", "robust_scale"]

Array = NDArray[np.float64]

_LEAST_STRATUM = 5
_LEAST_PLANE = 12

_FOLLOWED = 2.0 - 0.5 * np.pi
"""Of n normal deviates the mean square about their median is 1 - (2 - pi/2)/n: a median has the variance
pi/(2n), and the covariance 1/n with each."""


def about_strata(residuals: Array, groups: NDArray[np.intp], order: NDArray[np.intp]) -> Array:
    """Deviations (N, 3) from the median of the stratum; nan in strata with too few for one.

    Where most strata are that small, deviations from the median of all.

    Parameters
    ----------
    residuals : (N, 3)
        nan for what has no part in it.
    groups : (N,)
        Strata.
    order : (N,)
        What sorts them.
    """
    finite = np.asarray(np.isfinite(residuals).all(axis=1))
    order = order[finite[order]]
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(groups[order])) + 1, [order.size]])
    counts = np.diff(bounds) if order.size else np.zeros(0, dtype=np.int64)
    telling = counts >= _LEAST_STRATUM
    if 2 * counts[telling].sum() < order.size:
        counts = np.array([order.size])
        telling = counts > 0
    out = np.full_like(residuals, np.nan)
    if not telling.any():
        return out
    rows = order[np.repeat(telling, counts)]
    counts, values = counts[telling], residuals[rows]
    middle = quantiles(values, np.concatenate([[0], np.cumsum(counts)]), (0.5,))[0]
    # The median of n follows each of them a little: the mean square about it is smaller.
    wider = np.sqrt(counts / np.maximum(counts - _FOLLOWED, 0.5))
    out[rows] = (values - np.repeat(middle, counts, axis=0)) * np.repeat(wider, counts)[:, None]
    return out


def about_planes(deviations: Array, weights: Array, cell: NDArray[np.intp], observed: Array) -> Array:
    """Deviations (N, 3) of what is used from a plane over its panel: a constant, and slopes along x and y.

    What a panel is turned or tilted by shows as slopes of its residuals; the rest is scatter. nan for what
    is not used, and on panels with too few for slopes.

    Parameters
    ----------
    deviations : (N, 3)
    weights : (N,)
        0 for what is not used.
    cell : (N,)
        By experiment and panel, of stills by panel.
    observed : (N, 3) mm, mm, rad
    """
    out = np.full_like(deviations, np.nan)
    good = np.flatnonzero((weights > 0.0) & np.isfinite(deviations).all(axis=1))
    good = good[np.argsort(cell[good], kind="stable")]
    for rows in np.split(good, np.flatnonzero(np.diff(cell[good])) + 1):
        if len(rows) < _LEAST_PLANE:
            continue
        place = observed[rows, :2] - observed[rows, :2].mean(axis=0)
        plane = np.column_stack([np.ones(len(rows)), place / np.maximum(place.std(axis=0), 1e-9)])
        weighed = plane * weights[rows, None]
        slopes = np.linalg.lstsq(weighed.T @ plane, weighed.T @ deviations[rows], rcond=1e-9)[0]
        out[rows] = (deviations[rows] - plane @ slopes) * np.sqrt(len(rows) / (len(rows) - 3.0))
    return out


def robust_scale(normalised: Array) -> float:
    """Variance of normalised deviations from their absolute medians, drawn to 1 where they are few."""
    some = normalised[:: max(1, -(-len(normalised) // ENOUGH))]
    columns = [column[np.isfinite(column)] for column in some.T]
    squares = sum(robust_variance(column**2) * column.size for column in columns)
    return reduced_chi_squared(squares, sum(column.size for column in columns), 0.0)


def chi_squared(residuals: Array, variance: Array, weights: Array, expect: Array) -> Array:
    """Reduced chi-squared of x, y and phi, (3,), drawn to 1 where degrees of freedom are few.

    A reflection of weight w counts as w observations, as its square does.

    Parameters
    ----------
    residuals : (N, 3)
        Divided by the square root of 1 less their leverage; nan for what has no part.
    variance : (N, 3)
        nan where it is not known.
    weights : (N,)
    expect : (3,)
        Mean square of normal deviates with such weights.
    """
    squares = residuals**2 / variance
    known = np.where(np.isfinite(squares), weights[:, None], 0.0)
    total, count = np.sum(known * np.where(known > 0.0, squares, 0.0), axis=0), known.sum(axis=0)
    return np.array(
        [reduced_chi_squared(s / e, c, 0.0) for s, c, e in zip(total, count, expect, strict=True)]
    )
