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
    m = np.asarray(R, dtype=float)
    # Four times the products of the elements of the unit quaternion (x, y, z, w), row by row: the row with
    # the largest diagonal gives it without cancellation [Shepperd 1978, J. Guid. Control 1, 223].
    products = np.empty((*m.shape[:-2], 4, 4))
    trace = np.trace(m, axis1=-2, axis2=-1)
    products[..., 3, 3] = 1.0 + trace
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        products[..., i, i] = 1.0 - trace + 2.0 * m[..., i, i]
        products[..., i, j] = products[..., j, i] = m[..., i, j] + m[..., j, i]
        products[..., i, 3] = products[..., 3, i] = m[..., k, j] - m[..., j, k]
    best = np.argmax(np.diagonal(products, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(products, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(q[..., 3:] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., 3:])
    return np.asarray(q[..., :3] * np.where(sine > 0.0, angle / np.where(sine > 0.0, sine, 1.0), 2.0))
