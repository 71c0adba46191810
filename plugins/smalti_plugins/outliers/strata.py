"""What rejectors share: grouping by stratum, and what a sparse stratum borrows from the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti_ext import strata

__all__ = ["LEAST_FOR_CENTRE", "Strata", "about_all", "group", "quantiles", "standardised", "usable_sigmas"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LEAST_FOR_CENTRE = 5
"""Observations from which the median of a stratum is taken as its centre.

With fewer, one or two gross outliers could pass for the centre; such a stratum is judged by the pool.
"""


@dataclass(frozen=True, slots=True)
class Strata:
    """Rows grouped by stratum.

    Attributes
    ----------
    rows : (M,) intp
        Row numbers, those of one stratum together.
    starts : (S,) intp
        Where each stratum begins in ``rows``.
    counts : (S,) intp
        How many rows each stratum has, at least 1.
    """

    rows: Index
    starts: Index
    counts: Index

    def __len__(self) -> int:
        return len(self.starts)

    def members(self, number: int) -> Index:
        """Give the rows of one stratum."""
        start = self.starts[number]
        return self.rows[start : start + self.counts[number]]

    @property
    def labels(self) -> Index:
        """Number of the stratum of each entry of ``rows``, (M,)."""
        return np.repeat(np.arange(len(self)), self.counts)


def group(residuals: Array, numbers: Index) -> Strata:
    """Group the rows with finite residuals (N, k) by number of their stratum (N,)."""
    finite = np.flatnonzero(np.isfinite(residuals).all(axis=1))
    rows = finite[np.argsort(numbers[finite], kind="stable")]
    if rows.size == 0:
        return Strata(rows, rows, rows)
    starts = np.flatnonzero(np.r_[True, np.diff(numbers[rows]) != 0])
    return Strata(rows, starts, np.diff(np.r_[starts, rows.size]))


def quantiles(values: Array, groups: Strata, levels: tuple[float, ...]) -> Array:
    """Give quantiles of each column in each stratum, linearly interpolated.

    Parameters
    ----------
    values : (M, k)
        In the order of ``groups.rows``.
    levels : tuple of float
        Ascending, in [0, 1].

    Returns
    -------
    (L, S, k)
    """
    bounds = np.append(groups.starts, len(values)).astype(np.int64)
    return strata.quantiles(np.ascontiguousarray(values), bounds, levels)


def standardised(residuals: Array, sigmas: Array, groups: Strata) -> Array:
    """Express residuals in their own standard deviations, about the centre of their stratum.

    Weak spots scatter more than strong ones: judged in micrometres, good weak spots would look like
    outliers among strong ones, and bad strong spots would pass among weak ones.

    Parameters
    ----------
    residuals, sigmas : (N, k)
        A sigma that is not a positive number is taken for the median of its column.

    Returns
    -------
    (M, k)
        (r - median of the stratum) / sigma, in the order of ``groups.rows``.
    """
    r = residuals[groups.rows]
    centre = quantiles(r, groups, (0.5,))[0]
    r -= np.repeat(centre, groups.counts, axis=0)
    r /= usable_sigmas(sigmas, groups)
    return r


def about_all(residuals: Array, sigmas: Array, groups: Strata) -> Array:
    """Express residuals in their own standard deviations, about the median of all: for the smallest strata.

    Returns
    -------
    (M, k)
        (r - median of all) / sigma, in the order of ``groups.rows``.
    """
    r = residuals[groups.rows]
    return np.asarray((r - np.median(r, axis=0)) / usable_sigmas(sigmas, groups))


def usable_sigmas(sigmas: Array, groups: Strata) -> Array:
    """Give the sigmas (M, k) in the order of ``groups.rows``, the bad ones replaced by the typical one."""
    sigma = sigmas[groups.rows]
    usable = np.isfinite(sigma) & (sigma > 0.0)
    if usable.all():
        return sigma
    typical = [
        float(np.median(column[good])) if good.any() else 1.0
        for column, good in zip(sigma.T, usable.T, strict=True)
    ]
    return np.where(usable, sigma, typical)
