"""Crystals that vary over a scan, given by A at the ends of all images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["between_points", "of_images"]

Array = NDArray[np.float64]


def between_points(points: ArrayLike, z: ArrayLike) -> Array:
    """Give A (N, 3, 3) at places of a scan, on straight lines between the ends of the images.

    Parameters
    ----------
    points : (n + 1, 3, 3) 1/Angstrom
        A at the start of the first image, the end of the first, ..., the end of the last.
    z : (N,)
        In images from the start of the scan; beyond an end it is as at the end.
    """
    A = np.asarray(points, dtype=float)
    place = np.clip(np.asarray(z, dtype=float), 0.0, len(A) - 1)
    image = np.minimum(place.astype(np.intp), len(A) - 2)
    share = (place - image)[:, None, None]
    return np.asarray((1.0 - share) * A[image] + share * A[image + 1])


def of_images(points: ArrayLike, z: ArrayLike) -> Array:
    """Give A (N, 3, 3) of the images that hold places of a scan: the mean of that at their two ends.

    This is how a refinement composes it; parameters as in :func:`between_points`.
    """
    n = len(np.asarray(points)) - 1
    middles = np.clip(np.floor(np.asarray(z, dtype=float)), 0, n - 1) + 0.5
    return between_points(points, middles)
