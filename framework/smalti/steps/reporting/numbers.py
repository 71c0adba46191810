"""Numbers as the report keeps them: few digits, and nothing that JSON cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["binned_mean", "binned_mean_of_known", "listed", "mean_and_rms", "nice", "significant"]

Array = NDArray[np.float64]
DIGITS = 4


def significant(value: float, digits: int = DIGITS) -> float | None:
    """Round to some significant digits; None for what is not finite."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def listed(values: ArrayLike, digits: int = DIGITS) -> list[Any]:
    """Turn an array of any shape into nested lists of rounded numbers; None for what is not finite."""
    array = np.asarray(values, dtype=float)
    if array.ndim > 1:
        return [listed(row, digits) for row in array]
    return [significant(float(value), digits) for value in array]


def nice(value: float) -> float:
    """Give the next number of the kind 1, 2, 5, 10, ... not below a positive value."""
    if not (value > 0.0 and math.isfinite(value)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * (1.0 - 1e-9))


def binned_mean(index: NDArray[np.intp], values: Array, n: int) -> tuple[NDArray[np.intp], Array]:
    """Give count (n,) and mean (n, k) of values (N, k) by bin (N,); nan where a bin is empty."""
    counts = np.bincount(index, minlength=n)
    sums = np.stack([np.bincount(index, column, minlength=n) for column in values.T], axis=1)
    with np.errstate(invalid="ignore"):
        return counts, sums / np.where(counts, counts, np.nan)[:, None]


def binned_mean_of_known(index: NDArray[np.intp], values: Array, n: int) -> tuple[NDArray[np.intp], Array]:
    """Give count (n,) and mean (n,) by bin of those values (N,) that are finite; nan where there are none."""
    known = np.isfinite(values)
    counts, mean = binned_mean(index[known], values[known][:, None], n)
    return counts, mean[:, 0]


def mean_and_rms(index: NDArray[np.intp], values: Array, n: int) -> tuple[NDArray[np.intp], Array, Array]:
    """Give count (n,), mean (n, k) and root mean square (n, k) by bin."""
    counts, mean = binned_mean(index, values, n)
    return counts, mean, np.sqrt(binned_mean(index, values**2, n)[1])
