"""Numbers that look random and depend on nothing but what they are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["mixed"]


def mixed(columns: NDArray[np.uint64], seed: int = 0) -> NDArray[np.uint64]:
    """Mix the bits of each row of (N, k) and of a seed into one number, (N,).

    The finaliser of splitmix64 (Steele, Lea & Flood 2014, OOPSLA 453).
    """
    with np.errstate(over="ignore"):
        x = np.full(len(columns), seed, dtype=np.uint64)
        for column in columns.T:
            x = x * np.uint64(0x9E3779B97F4A7C15) + column
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x ^= x >> np.uint64(31)
    return x
