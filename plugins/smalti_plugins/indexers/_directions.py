"""Directions in space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["half_sphere"]

Array = NDArray[np.float64]


def half_sphere(step: float) -> Array:
    """Directions (K, 3) evenly spread over half the unit sphere, about ``step`` rad apart.

    A golden-angle spiral: even in z, turning by the golden angle from point to point.
    """
    n = int(np.ceil(2.0 * np.pi / step**2))
    k = np.arange(n)
    z = (k + 0.5) / n
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(1.0 - z * z)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), z])
