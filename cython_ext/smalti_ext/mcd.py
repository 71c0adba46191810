"""The minimum covariance determinant of many groups of values, behind checking wrappers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _mcd
from smalti_ext.checking import check
from smalti_ext.threads import allowed, worthwhile

__all__ = ["MOST_COORDINATES", "robust_scatter", "squared_distances"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_COORDINATES = 6


def robust_scatter(
    values: Array,
    bounds: Index,
    inner: Index,
    widening: Array,
    limit: float,
    refining: float,
    n_threads: int = 0,
) -> tuple[Array, Array]:
    """Estimate centre and covariance of each stratum from its half with the smallest determinant, reweighted.

    Concentration steps as in Rousseeuw & Van Driessen (1999, Technometrics 41, 212), from deterministic
    starts after Hubert, Rousseeuw & Verdonck (2012, J. Comput. Graph. Stat. 21, 618).

    Parameters
    ----------
    values : (N, k) float64
        Finite, in units in which 1/1000 is negligible; k is at most 6.
    bounds : (S + 1,) int64
        Where strata begin and the last ends; each has at least one row.
    inner : (S,) int64
        How many rows of a stratum its innermost set has, at least 1.
    widening : (S,) float64
        What makes the covariance of that set one of all.
    limit : float
        Squared distance up to which values take part in the final estimate.
    refining : float
        What makes the covariance of those one of all.
    n_threads : int
        0 takes what is allowed (:mod:`smalti_ext.threads`). Results do not depend on it.

    Returns
    -------
    centre : (S, k)
    covariance : (S, k, k)
        Positive definite.
    """
    n, k, s = _check_strata(values, bounds)
    check("inner", inner, (s,), np.int64)
    check("widening", widening, (s,))
    if s and (inner.min() < 1 or (inner > np.diff(bounds)).any()):
        raise ValueError("inner must be from 1 to the number of rows of each stratum")
    centre, covariance = np.empty((s, k)), np.empty((s, k, k))
    scratch = np.empty((2, n))
    _mcd.robust_scatter(
        values, bounds, inner, widening, limit, refining, scratch[0], scratch[1], centre, covariance,
        worthwhile(n_threads or allowed(), n, s),
    )  # fmt: skip
    return centre, covariance


def squared_distances(
    values: Array, bounds: Index, centre: Array, covariance: Array, n_threads: int = 0
) -> Array:
    """Give squared Mahalanobis distances (N,) of values from the centre (S, k) of their stratum.

    Parameters as in :func:`robust_scatter`; covariance (S, k, k), positive definite.
    """
    n, k, s = _check_strata(values, bounds)
    check("centre", centre, (s, k))
    check("covariance", covariance, (s, k, k))
    out = np.empty(n)
    threads = worthwhile(n_threads or allowed(), n, s)
    _mcd.squared_distances(values, bounds, centre, covariance, out, threads)
    return out


def _check_strata(values: Array, bounds: Index) -> tuple[int, int, int]:
    """Check values and strata; give the numbers of rows, coordinates and strata."""
    if values.ndim != 2 or not 1 <= values.shape[1] <= MOST_COORDINATES:
        raise TypeError(f"values must be (N, k) with k from 1 to {MOST_COORDINATES}, not {values.shape}")
    n, k = values.shape
    check("values", values, (n, k))
    if bounds.ndim != 1 or len(bounds) < 1:
        raise TypeError(f"bounds must be (S + 1,), not {bounds.shape}")
    check("bounds", bounds, (len(bounds),), np.int64)
    if bounds[0] != 0 or bounds[-1] != n or (np.diff(bounds) < 1).any():
        raise ValueError("bounds must rise from 0 to the number of rows, no stratum empty")
    return n, k, len(bounds) - 1
