"""Vectors, matrices and frames shared by all models."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = tuple[float, float, float]
"""Three components, in the laboratory frame unless said."""

Matrix = tuple[float, float, float, float, float, float, float, float, float]
"""A 3 x 3 matrix, row-major."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def vector(values: ArrayLike) -> Vector:
    """Convert three numbers to a tuple of plain floats."""
    x, y, z = np.asarray(values, dtype=float).tolist()
    return (x, y, z)


def matrix(values: ArrayLike) -> Matrix:
    """Convert a (3, 3) array or nine numbers to a row-major tuple of plain floats."""
    flat: list[float] = np.asarray(values, dtype=float).reshape(9).tolist()
    a, b, c, d, e, f, g, h, i = flat
    return (a, b, c, d, e, f, g, h, i)


def as_array(values: Matrix) -> NDArray[np.float64]:
    """Give a row-major tuple as a (3, 3) array."""
    return np.array(values, dtype=float).reshape(3, 3)
