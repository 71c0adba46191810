"""Cells and reciprocal space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.rotation import rotate

__all__ = ["B_from_cell", "map_to_reciprocal", "resolution"]

Array = NDArray[np.float64]


def B_from_cell(cell: ArrayLike) -> Array:
    """Orthogonalisation B of the reciprocal cell in the PDB convention (a along x).

    Parameters
    ----------
    cell : (6,)
        a b c in Angstrom, alpha beta gamma in degrees.

    Returns
    -------
    (3, 3) 1/Angstrom, lower triangular: B = O^-T with O = [a | b | c] upper triangular.
    """
    a, b, c, alpha, beta, gamma = np.asarray(cell, dtype=float)
    ca, cb, cg = np.cos(np.radians([alpha, beta, gamma]))
    sg = np.sin(np.radians(gamma))
    cx, cy = cb, (ca - cb * cg) / sg
    orthogonal = np.array(
        [[a, b * cg, c * cx], [0.0, b * sg, c * cy], [0.0, 0.0, c * np.sqrt(1.0 - cx * cx - cy * cy)]]
    )
    return np.asarray(np.linalg.inv(orthogonal).T)


def resolution(vectors: ArrayLike) -> Array:
    """Resolution d (Angstrom) of reciprocal-lattice vectors (N, 3) 1/Angstrom."""
    return np.asarray(1.0 / np.linalg.norm(np.asarray(vectors, dtype=float), axis=-1))


def map_to_reciprocal(
    s1: ArrayLike, angle: ArrayLike, s0: ArrayLike, axis: ArrayLike, F: Array, S: Array
) -> Array:
    """Turn diffracted beam vectors back to reciprocal-lattice points at rotation angle 0.

    rlp = F^-1 R(axis, -angle) S^-1 (s1 - s0).

    Parameters
    ----------
    s1 : (N, 3) 1/Angstrom, of length 1/wavelength
    angle : (N,) rad
    s0 : (3,) 1/Angstrom
    axis : (3,)
        Scan axis before the setting rotation.
    F, S : (3, 3)
        Fixed and setting rotation.

    Returns
    -------
    (N, 3) 1/Angstrom
    """
    r = (np.asarray(s1, dtype=float) - np.asarray(s0, dtype=float)) @ S  # row vectors: S^-1 r = r S
    return rotate(axis, -np.asarray(angle, dtype=float), r) @ F
