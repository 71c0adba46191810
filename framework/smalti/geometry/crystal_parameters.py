"""The crystal as a function of its parameters: orientation Phi1-3 (mrad) and the free part of its cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.errors import DataError
from smalti.geometry.rotation import rotation, rotation_derivative
from smalti.units import MRAD

__all__ = [
    "METRIC_SCALE",
    "ORIENTATION_PARAMETERS",
    "CellBasis",
    "B_from_metric",
    "cell_basis",
    "cell_derivatives",
    "metric_derivatives",
    "orientation",
    "orientation_derivatives",
    "symbol",
]

Array = NDArray[np.float64]

METRIC_SCALE = 1e5
"""Elements of the reciprocal metric (1/Angstrom^2) are multiplied by this to make parameters."""

ORIENTATION_PARAMETERS = (("Phi1", "mrad"), ("Phi2", "mrad"), ("Phi3", "mrad"))

_PLACES = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""The six places of a symmetric matrix, in the order in which they are chosen as independent."""


def orientation(p: ArrayLike) -> Array:
    """Give the rotation [Phi3]z [Phi2]y [Phi1]x of three angles in mrad.

    Angles (3,) give (3, 3), and (3, N) give (N, 3, 3).
    """
    x, y, z = np.asarray(p, dtype=float) * MRAD
    ex, ey, ez = np.eye(3)
    return np.asarray(rotation(ez, z) @ rotation(ey, y) @ rotation(ex, x))


def orientation_derivatives(p: ArrayLike) -> Array:
    """Give the derivatives of :func:`orientation` with respect to the three angles.

    (3, 3, 3) 1/mrad, of many orientations (3, N, 3, 3).
    """
    x, y, z = np.asarray(p, dtype=float) * MRAD
    ex, ey, ez = np.eye(3)
    X, Y, Z = rotation(ex, x), rotation(ey, y), rotation(ez, z)
    dX, dY, dZ = rotation_derivative(ex, x), rotation_derivative(ey, y), rotation_derivative(ez, z)
    return np.stack([Z @ Y @ dX, Z @ dY @ X, dZ @ Y @ X]) * MRAD


@dataclass(frozen=True, slots=True)
class CellBasis:
    """The cells that a space group allows, as a linear space of reciprocal metrics.

    G* = sum_k g_k E_k / METRIC_SCALE, where g_k is one element of G* times METRIC_SCALE.

    Attributes
    ----------
    E : (k, 3, 3)
        Symmetric matrices that the point group leaves alone; E_k is 1 at its own element.
    places : tuple of (row, column)
        The element of G* that each parameter is.
    """

    E: Array
    places: tuple[tuple[int, int], ...]

    def parameters(self, metric: ArrayLike) -> Array:
        """Give the parameters (k,) of a metric (3, 3) 1/Angstrom^2, brought into the symmetry."""
        G = np.asarray(metric, dtype=float)
        flat = self.E.reshape(len(self.E), 9).T
        return np.asarray(np.linalg.lstsq(flat, G.reshape(9), rcond=None)[0] * METRIC_SCALE)

    def metric(self, g: ArrayLike) -> Array:
        """Give the metric (..., 3, 3) 1/Angstrom^2 of parameters (..., k)."""
        return np.asarray(np.tensordot(np.asarray(g, dtype=float), self.E, axes=1) / METRIC_SCALE)


@lru_cache
def cell_basis(hall: str) -> CellBasis:
    """Work out which elements of the reciprocal metric a space group leaves free.

    Miller indices turn as h' = h R, so that a metric the group allows keeps R G* R^T = G*.

    Parameters
    ----------
    hall : str
        Hall symbol.

    Returns
    -------
    CellBasis
        With 6 (triclinic), 4, 3, 2 or 1 (cubic) elements.
    """
    rows = np.zeros((6, 6))  # row j: what averaging over the group makes of the j-th unit matrix
    rotations = _rotations(hall)
    for j, (a, b) in enumerate(_PLACES):
        unit = np.zeros((3, 3))
        unit[a, b] = unit[b, a] = 1.0
        mean = np.mean(rotations @ unit @ rotations.transpose(0, 2, 1), axis=0)
        rows[j] = [mean[place] for place in _PLACES]
    echelon, pivots = _reduced_echelon(rows)
    E = np.zeros((len(pivots), 3, 3))
    for k, row in enumerate(echelon):
        for value, (a, b) in zip(row, _PLACES, strict=True):
            E[k, a, b] = E[k, b, a] = value
    E.flags.writeable = False
    return CellBasis(E, tuple(_PLACES[j] for j in pivots))


def _rotations(hall: str) -> Array:
    try:
        operators = gemmi.symops_from_hall(hall.strip())
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"The space group '{hall.strip()}' of the crystal is not understood.",
            f"It should be a Hall symbol; gemmi says: {error}.",
            "Set the space group again, by indexing with --space-group.",
        ) from None
    return np.array([op.rot for op in operators.sym_ops], dtype=float) / gemmi.Op.DEN


@lru_cache
def symbol(hall: str) -> str:
    """Give the Hermann-Mauguin symbol of a Hall symbol, or the Hall symbol itself where it has none."""
    found = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall.strip()))
    return found.hm if found is not None else hall.strip()


def _reduced_echelon(rows: Array) -> tuple[Array, list[int]]:
    """Reduced row echelon form without its zero rows, and the columns of its pivots."""
    work = rows.copy()
    pivots: list[int] = []
    for column in range(work.shape[1]):
        top = len(pivots)
        if top == len(work):
            break
        best = top + int(np.argmax(np.abs(work[top:, column])))
        if abs(work[best, column]) < 1e-9:
            continue
        work[[top, best]] = work[[best, top]]
        work[top] /= work[top, column]
        others = np.arange(len(work)) != top
        work[others] -= np.outer(work[others, column], work[top])
        pivots.append(column)
    return work[: len(pivots)], pivots


def B_from_metric(metric: ArrayLike) -> Array:
    """Give the orthogonalisation B (..., 3, 3) 1/Angstrom in the PDB convention, B^T B = G*.

    Raises
    ------
    numpy.linalg.LinAlgError
        The metric is not that of a lattice.
    """
    real = np.linalg.inv(np.asarray(metric, dtype=float))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(0.5 * (real + np.swapaxes(real, -1, -2)))))


def metric_derivatives(B: ArrayLike, changes: ArrayLike) -> Array:
    """Give the changes of B (..., k, 3, 3) that go with changes of the metric (k, 3, 3), to first order.

    With X = dB B^-1, lower triangular, X + X^T = B^-T dG* B^-1.
    """
    B = np.asarray(B, dtype=float)[..., None, :, :]
    inverse = np.linalg.inv(B)
    M = np.swapaxes(inverse, -1, -2) @ np.asarray(changes, dtype=float) @ inverse
    lower = np.tril(M, -1) + 0.5 * M * np.eye(3)
    return np.asarray(lower @ B)


def cell_derivatives(metric: ArrayLike, changes: ArrayLike) -> Array:
    """Give the changes of the cell (6, k) that go with changes (k, 3, 3) of its reciprocal metric.

    With G = G*^-1, dG = -G dG* G; rows a b c in Angstrom, alpha beta gamma in degrees.
    """
    G = np.linalg.inv(np.asarray(metric, dtype=float))
    dG = -G @ np.asarray(changes, dtype=float) @ G
    lengths = np.sqrt(np.diag(G))
    by_length = np.stack([dG[:, i, i] / (2.0 * lengths[i]) for i in range(3)])
    rows = list(by_length)
    for i, j in ((1, 2), (0, 2), (0, 1)):
        cosine = G[i, j] / (lengths[i] * lengths[j])
        relative = by_length[i] / lengths[i] + by_length[j] / lengths[j]
        change = dG[:, i, j] / (lengths[i] * lengths[j]) - cosine * relative
        rows.append(-np.degrees(change / np.sqrt(1.0 - cosine**2)))
    return np.stack(rows)
