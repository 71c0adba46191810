"""The crystal: lattice vectors at angle zero and space group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.models.frames import Matrix, Vector, vector

__all__ = ["Crystal", "cell_of_axes"]


def cell_of_axes(axes: ArrayLike) -> NDArray[np.float64]:
    """Cells (..., 6), a b c in Angstrom and alpha beta gamma in degrees, of axes (..., 3, 3), rows a b c."""
    rows = np.asarray(axes, dtype=float)
    lengths = np.linalg.norm(rows, axis=-1)
    unit = rows / lengths[..., None]
    pairs = ((1, 2), (0, 2), (0, 1))
    cosines = np.stack([np.sum(unit[..., j, :] * unit[..., k, :], axis=-1) for j, k in pairs], axis=-1)
    return np.concatenate([lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))], axis=-1)


@dataclass(frozen=True, slots=True)
class Crystal:
    """A crystal lattice in its orientation at rotation angle zero.

    A reciprocal-lattice point is r0 = A h with A = U B; B is the orthogonalisation of the reciprocal
    cell in the PDB convention (a along x) and U the orientation.

    Attributes
    ----------
    real_space : tuple of three Vector
        a, b, c in Angstrom, before the fixed rotation of the goniometer: the rows of A^-1.
    space_group : str
        Hall symbol, as in the file (often with a leading blank).
    scan_points : tuple of Matrix
        A at each scan point (number of images + 1), when the model varies over the scan.
    """

    real_space: tuple[Vector, Vector, Vector]
    space_group: str = " P 1"
    scan_points: tuple[Matrix, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    _known: list[NDArray[np.float64]] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def from_A(
        cls, A: ArrayLike, space_group: str = " P 1", extra: Mapping[str, Any] | None = None
    ) -> Crystal:
        """Build a crystal from A = U B, (3, 3) 1/Angstrom."""
        a, b, c = np.linalg.inv(np.asarray(A, dtype=float))
        return cls((vector(a), vector(b), vector(c)), space_group, (), extra or {})

    @property
    def A(self) -> NDArray[np.float64]:
        """A = U B, (3, 3) 1/Angstrom; columns are a*, b*, c*."""
        return self._worked_out[0].copy()

    @property
    def _worked_out(self) -> list[NDArray[np.float64]]:
        """A and B: of very many crystals each is asked several times."""
        if not self._known:
            axes = np.array(self.real_space)
            self._known.extend((np.linalg.inv(axes), np.linalg.inv(np.linalg.cholesky(axes @ axes.T))))
        return self._known

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """The unit cell: a, b, c in Angstrom, alpha, beta, gamma in *degrees*, as the field writes it."""
        a, b, c, alpha, beta, gamma = cell_of_axes(self.real_space).tolist()
        return a, b, c, alpha, beta, gamma

    @property
    def volume(self) -> float:
        """Volume of the cell, cubic Angstrom (negative for a left-handed setting)."""
        return float(np.linalg.det(np.array(self.real_space)))

    @property
    def B(self) -> NDArray[np.float64]:
        """Orthogonalisation of the reciprocal cell, (3, 3) 1/Angstrom, lower triangular.

        In the PDB convention a lies along x, so that the real-space orthogonalisation O is upper
        triangular with G = O^T O, and B = O^-T.
        """
        return self._worked_out[1].copy()

    @property
    def U(self) -> NDArray[np.float64]:
        """Orientation, (3, 3) rotation."""
        return np.asarray(self.A @ np.linalg.inv(self.B))
