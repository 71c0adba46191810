"""Quantiles of many short pieces of a long list, behind a wrapper that checks types and shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _strata

__all__ = ["quantiles"]


def quantiles(
    values: NDArray[np.float64], bounds: NDArray[np.int64], levels: tuple[float, ...]
) -> NDArray[np.float64]:
    """Give quantiles of each column in each stratum, linearly interpolated.

    Parameters
    ----------
    values : (M, k) float64
        Finite; the rows of one stratum together.
    bounds : (S + 1,) int64
        Where each stratum begins, and M. None is empty.
    levels : tuple of float
        Ascending, in [0, 1].

    Returns
    -------
    (L, S, k)
    """
    for name, array, dtype, ndim in (("values", values, np.float64, 2), ("bounds", bounds, np.int64, 1)):
        if array.dtype != dtype or array.ndim != ndim or not array.flags.c_contiguous:
            raise TypeError(
                f"{name} must be C-contiguous {np.dtype(dtype).name} of {ndim} dimensions, "
                f"not {array.dtype} of shape {array.shape}"
            )
    sizes = np.diff(bounds)
    if bounds.size == 0 or bounds[0] != 0 or bounds[-1] != len(values) or (sizes < 1).any():
        raise ValueError("bounds must rise from 0 to the number of rows, with no stratum empty")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    wanted = np.array(levels, dtype=np.float64)
    if wanted.size == 0 or wanted.min() < 0.0 or wanted.max() > 1.0 or (np.diff(wanted) < 0.0).any():
        raise ValueError("levels must ascend within [0, 1]")
    out = np.empty((wanted.size, sizes.size, values.shape[1]))
    _strata.quantiles(values, bounds, wanted, np.empty(sizes.max(initial=1)), out)
    return out
