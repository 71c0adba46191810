"""What rejectors share: grouping by stratum, and what a sparse stratum borrows from the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_FOR_CENTRE", "Strata", "group", "quantiles", "standardised", "usable_sigmas"]

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


def group(residuals: Array, strata: Index) -> Strata:
    """Group the rows with finite residuals (N, k) by stratum (N,)."""
    finite = np.flatnonzero(np.isfinite(residuals).all(axis=1))
    rows = finite[np.argsort(strata[finite], kind="stable")]
    if rows.size == 0:
        return Strata(rows, rows, rows)
    starts = np.flatnonzero(np.r_[True, np.diff(strata[rows]) != 0])
    return Strata(rows, starts, np.diff(np.r_[starts, rows.size]))


def quantiles(values: Array, groups: Strata, levels: tuple[float, ...]) -> Array:
    """Give quantiles of each column in each stratum, linearly interpolated.

    Parameters
    ----------
    values : (M, k)
        In the order of ``groups.rows``.
    levels : tuple of float
        In [0, 1].

    Returns
    -------
    (L, S, k)
    """
    result = np.empty((len(levels), len(groups), values.shape[1]))
    bounds = np.r_[groups.starts, len(values)].tolist()
    for column in range(values.shape[1]):
        ordered = values[:, column].copy()
        for start, end in zip(bounds[:-1], bounds[1:], strict=True):
            ordered[start:end].sort()  # many short sorts: several times faster than one long one
        for k, level in enumerate(levels):
            place = level * (groups.counts - 1)
            below = np.floor(place).astype(np.intp)
            above = np.minimum(below + 1, groups.counts - 1)
            low, high = ordered[groups.starts + below], ordered[groups.starts + above]
            result[k, :, column] = low + (place - below) * (high - low)
    return result


def standardised(residuals: Array, sigmas: Array, groups: Strata) -> tuple[Array, Array]:
    """Express residuals in their own standard deviations, about the centre of their stratum.

    Weak spots scatter more than strong ones: judged in micrometres, good weak spots would look like
    outliers among strong ones, and bad strong spots would pass among weak ones.

    Parameters
    ----------
    residuals, sigmas : (N, k)
        A sigma that is not a positive number is taken for the median of its column.

    Returns
    -------
    own : (M, k)
        (r - median of the stratum) / sigma, in the order of ``groups.rows``.
    pooled : (M, k)
        (r - median of all) / sigma.
    """
    r, sigma = residuals[groups.rows], usable_sigmas(sigmas, groups)
    centre = quantiles(r, groups, (0.5,))[0]
    return (r - centre[groups.labels]) / sigma, (r - np.median(r, axis=0)) / sigma


def usable_sigmas(sigmas: Array, groups: Strata) -> Array:
    """Give the sigmas (M, k) in the order of ``groups.rows``, the bad ones replaced by the typical one."""
    sigma = sigmas[groups.rows]
    usable = np.isfinite(sigma) & (sigma > 0.0)
    typical = [
        float(np.median(column[good])) if good.any() else 1.0
        for column, good in zip(sigma.T, usable.T, strict=True)
    ]
    return np.where(usable, sigma, typical)
