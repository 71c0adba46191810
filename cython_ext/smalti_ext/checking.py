"""Checks of what kernels are given: a wrong type or shape is an error, never a copy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["check", "check_cells"]

Index = NDArray[np.int64]


def check(name: str, array: NDArray[np.generic], shape: tuple[int, ...], dtype: type = np.float64) -> None:
    """Refuse an array that is not C-contiguous, of this shape and type.

    Raises
    ------
    TypeError
    """
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise TypeError(
            f"{name} must be C-contiguous {np.dtype(dtype).name} of shape {shape}, "
            f"not {array.dtype} of shape {array.shape}"
        )


def check_cells(n: int, chunks: Index, experiment: Index, panel: Index, limits: tuple[int, int]) -> None:
    """Refuse chunks (C + 1,) that leave n reflections, or experiments and panels (C,) beyond their number.

    Raises
    ------
    TypeError, ValueError
    """
    c = len(chunks) - 1
    check("chunks", chunks, (c + 1,), np.int64)
    check("experiment", experiment, (c,), np.int64)
    check("panel", panel, (c,), np.int64)
    if c and (chunks[0] < 0 or chunks[-1] > n or (np.diff(chunks) < 0).any()):
        raise ValueError("chunks must ascend within the reflections")
    for name, values, limit in zip(("experiment", "panel"), (experiment, panel), limits, strict=True):
        if c and (values.min() < 0 or values.max() >= limit):
            raise ValueError(f"{name} must be from 0 to {limit - 1}")
