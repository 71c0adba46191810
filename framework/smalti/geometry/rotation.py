"""Rotations about an axis and their derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["rotate", "rotation", "rotation_derivative", "rotation_vector", "skew"]

Array = NDArray[np.float64]


def skew(vector: ArrayLike) -> Array:
    """Give the matrix [v]x with [v]x u = v x u, (..., 3, 3)."""
    v = np.asarray(vector, dtype=float)
    out = np.zeros((*v.shape, 3))
    out[..., 0, 1], out[..., 0, 2] = -v[..., 2], v[..., 1]
    out[..., 1, 0], out[..., 1, 2] = v[..., 2], -v[..., 0]
    out[..., 2, 0], out[..., 2, 1] = -v[..., 1], v[..., 0]
    return out


def rotation(axis: ArrayLike, angle: ArrayLike) -> Array:
    """Rotation matrices about one axis (Rodrigues' formula).

    Parameters
    ----------
    axis : (3,)
        Need not be a unit vector.
    angle : (...) rad

    Returns
    -------
    (..., 3, 3)
    """
    e = np.asarray(axis, dtype=float)
    cross = skew(e / np.linalg.norm(e))
    a = np.asarray(angle, dtype=float)[..., None, None]
    return np.asarray(np.eye(3) + np.sin(a) * cross + (1.0 - np.cos(a)) * (cross @ cross))


def rotation_derivative(axis: ArrayLike, angle: ArrayLike) -> Array:
    """Derivative of :func:`rotation` with respect to the angle, (..., 3, 3) 1/rad."""
    e = np.asarray(axis, dtype=float)
    cross = skew(e / np.linalg.norm(e))
    a = np.asarray(angle, dtype=float)[..., None, None]
    return np.asarray(np.cos(a) * cross + np.sin(a) * (cross @ cross))


def rotate(axis: ArrayLike, angle: ArrayLike, vectors: ArrayLike) -> Array:
    """Rotate vectors (N, 3) about an axis (3,) by angles (N,) or one angle, rad; gives (N, 3)."""
    e = np.asarray(axis, dtype=float)
    e = e / np.linalg.norm(e)
    v = np.asarray(vectors, dtype=float)
    a = np.asarray(angle, dtype=float)[..., None]
    along = (v @ e)[..., None] * e
    return np.asarray(along + np.cos(a) * (v - along) + np.sin(a) * np.cross(e, v))


def rotation_vector(R: ArrayLike) -> Array:
    """Give the rotation vector (axis times angle, rad) of a rotation matrix (3, 3)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(np.asarray(R, dtype=float)).as_rotvec())
