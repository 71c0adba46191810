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
    """Rotation matrices about one axis, or about one for each angle (Rodrigues' formula).

    Parameters
    ----------
    axis : (3,) or (..., 3)
        Need not be of unit length.
    angle : (...) rad

    Returns
    -------
    (..., 3, 3)
    """
    cross = skew(_unit(axis))
    a = np.asarray(angle, dtype=float)[..., None, None]
    return np.asarray(np.eye(3) + np.sin(a) * cross + (1.0 - np.cos(a)) * (cross @ cross))


def rotation_derivative(axis: ArrayLike, angle: ArrayLike) -> Array:
    """Derivative of :func:`rotation` with respect to the angle, (..., 3, 3) 1/rad."""
    cross = skew(_unit(axis))
    a = np.asarray(angle, dtype=float)[..., None, None]
    return np.asarray(np.cos(a) * cross + np.sin(a) * (cross @ cross))


def rotate(axis: ArrayLike, angle: ArrayLike, vectors: ArrayLike) -> Array:
    """Rotate vectors (N, 3) about one axis (3,) or each its own (N, 3), by angles (N,) or one, rad."""
    e = _unit(axis)
    v = np.asarray(vectors, dtype=float)
    a = np.asarray(angle, dtype=float)[..., None]
    along = np.sum(v * e, axis=-1, keepdims=True) * e
    return np.asarray(along + np.cos(a) * (v - along) + np.sin(a) * np.cross(e, v))


def _unit(axis: ArrayLike) -> Array:
    e = np.asarray(axis, dtype=float)
    return np.asarray(e / np.linalg.norm(e, axis=-1, keepdims=True))


def rotation_vector(R: ArrayLike) -> Array:
    """Give the rotation vectors (axis times angle, rad) of rotation matrices (..., 3, 3), (..., 3)."""
    # Imported here because plugins import this module at discovery, and need none of it.
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(np.asarray(R, dtype=float)).as_rotvec())
