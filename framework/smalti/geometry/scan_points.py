"""Crystals that vary over a scan, given by A at the ends of all images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["between_points", "of_images", "orientations", "turns"]

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


def orientations(points: ArrayLike) -> Array:
    """Give the orientations U (n, 3, 3) of A = U B (n, 3, 3), with B in the PDB convention."""
    A = np.asarray(points, dtype=float)
    axes = np.linalg.inv(A)
    # B^-1 is the Cholesky factor of the metric of a, b, c.
    return np.asarray(A @ np.linalg.cholesky(axes @ np.swapaxes(axes, -1, -2)))


def turns(points: ArrayLike) -> Array:
    """Give the rotation vectors (n, 3) mrad that turn the first of A (n, 3, 3) into each, cells apart."""
    U = orientations(points)
    R = U @ U[0].T
    sines = 0.5 * np.stack(
        [R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=1
    )
    sine = np.linalg.norm(sines, axis=1, keepdims=True)
    cosine = 0.5 * (np.trace(R, axis1=1, axis2=2) - 1.0)[:, None]
    angle = np.arctan2(sine, cosine)
    return np.asarray(1e3 * sines * np.where(sine > 0.0, angle / np.where(sine > 0.0, sine, 1.0), 1.0))
