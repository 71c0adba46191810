"""Where and when reflections of a rotating crystal diffract."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.rotation import rotate

__all__ = ["diffracted_beams", "diffraction_angles", "miller_indices_within", "nearest_turn", "zeta"]

Array = NDArray[np.float64]


def diffraction_angles(q: ArrayLike, axis: ArrayLike, s0: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """The two angles at which rotating reciprocal-lattice points cross the Ewald sphere.

    With q = q_par e + q_perp and p = e x q, |s0 + R q| = |s0| becomes
    a cos(phi) + b sin(phi) = c with a = q_perp.s0, b = p.s0, c = -|q|^2/2 - (q.e)(e.s0);
    phi = atan2(b, a) +- acos(c / hypot(a, b)).

    Parameters
    ----------
    q : (N, 3) 1/Angstrom
        F U B h, after the fixed rotation, at angle 0.
    axis : (3,)
        e, scan axis before the setting rotation.
    s0 : (3,) 1/Angstrom
        S^-1 s0: the incident beam in the frame before the setting rotation.

    Returns
    -------
    angles : (N, 2) rad in (-2 pi, 2 pi)
        Column 0 is the crossing where the point *enters* the sphere as phi grows, column 1 where it
        leaves; nan where the point never crosses.
    crosses : (N,) bool
    """
    q = np.asarray(q, dtype=float)
    e = np.asarray(axis, dtype=float)
    beam = np.asarray(s0, dtype=float)
    along = q @ e
    a = (q - along[:, None] * e) @ beam
    b = np.cross(e, q) @ beam
    c = -0.5 * np.einsum("ni,ni->n", q, q) - along * (e @ beam)
    radius = np.hypot(a, b)
    crosses = np.abs(c) <= radius
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.arccos(np.where(crosses, c / radius, np.nan))
    middle = np.arctan2(b, a)
    # |s0 + r|^2 - |s0|^2 = 2 (a cos + b sin - c) falls through zero at middle + half: the point enters.
    return np.stack([middle + half, middle - half], axis=1), crosses


def diffracted_beams(q: ArrayLike, angle: ArrayLike, axis: ArrayLike, S: Array, s0: ArrayLike) -> Array:
    """Diffracted wave vectors s1 = s0 + S R(e, phi) q, (N, 3) 1/Angstrom.

    Parameters
    ----------
    q : (N, 3) 1/Angstrom
        F U B h.
    angle : (N,) rad
    axis : (3,)
        Scan axis before the setting rotation.
    S : (3, 3)
    s0 : (3,) 1/Angstrom, laboratory
    """
    return np.asarray(np.asarray(s0, dtype=float) + rotate(axis, angle, q) @ S.T)


def nearest_turn(angle: ArrayLike, reference: ArrayLike) -> Array:
    """Move angles by whole turns to within pi of a reference, elementwise, rad."""
    a = np.asarray(angle, dtype=float)
    return np.asarray(a - 2.0 * np.pi * np.round((a - np.asarray(reference, dtype=float)) / (2.0 * np.pi)))


def miller_indices_within(A: ArrayLike, d_min: float) -> NDArray[np.int32]:
    """All Miller indices, but 0 0 0, of resolution d_min (Angstrom) or lower, (N, 3)."""
    A = np.asarray(A, dtype=float)
    # |h_i| <= |a_i| / d_min, since h_i = a_i . r and |r| <= 1/d_min.
    limits = np.floor(np.linalg.norm(np.linalg.inv(A), axis=1) / d_min).astype(int)
    ranges = [np.arange(-n, n + 1) for n in limits]
    h = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.linalg.norm(h @ A.T, axis=1)
    return np.asarray(h[(length > 0.0) & (length <= 1.0 / d_min)], dtype=np.int32)


def zeta(s1: Array, s0: Array, axis: Array) -> Array:
    """Cosine of the angle between spindle and rocking direction, (N,), sign kept.

    zeta = m2 . (s1 x s0) / |s1 x s0| [Kabsch 2010, Acta Cryst. D66, 133].
    """
    across = np.cross(s1, s0)
    return np.asarray(across @ axis / np.maximum(np.linalg.norm(across, axis=1), 1e-12))
