"""Crystals eliminated from normal equations: what is left of them is about shared parameters only.

With blocks as in :mod:`smalti.steps.refining.problem.arrows`, the minimum over the crystals' own parameters
of the quadratic form is one of the shared parameters alone, with the Schur complement and right side

    S = N_ss - sum_k N_sk N_kk^-1 N_ks,     b = b_s - sum_k N_sk N_kk^-1 b_k

[bundle adjustment: Triggs, McLauchlan, Hartley & Fitzgibbon 2000, LNCS 1883, 298; alignment of detectors:
Blobel & Kleinwort 2002, arXiv:hep-ex/0208021].
With a root of each inverse, N_kk^-1 = R R^T, and Y = R^T N_ks the sum is one of Y^T Y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.arrows import Arrow

__all__ = ["Eliminated", "eliminate", "roots_of"]

Array = NDArray[np.float64]

_LEAST = 1e-12
"""Eigenvalues of a block, scaled to a unit diagonal, below which nothing determines a direction."""


@dataclass(frozen=True)
class Eliminated:
    """Normal equations of g shared parameters, once K crystals have found their best.

    Attributes
    ----------
    matrix : (g, g)
        S.
    slope : (g,)
        b.
    steps : (K, m)
        Gauss-Newton steps of the crystals where the shared parameters stay.
    gain : (K,)
        What these steps take off the objective, to second order.
    """

    matrix: Array
    slope: Array
    steps: Array
    gain: Array


def eliminate(arrow: Arrow) -> Eliminated:
    """Eliminate the crystals of an arrow; one without ``cross`` gives their steps only."""
    root = roots_of(arrow.own)
    pull = np.einsum("kji,kj->ki", root, arrow.own_slope)
    steps, gain = -np.einsum("kij,kj->ki", root, pull), 0.5 * np.sum(pull**2, axis=1)
    if not len(arrow.cross):
        return Eliminated(arrow.shared, arrow.slope, steps, gain)
    Y = (root.transpose(0, 2, 1) @ arrow.cross).reshape(-1, arrow.cross.shape[2])
    return Eliminated(arrow.shared - Y.T @ Y, arrow.slope - Y.T @ pull.ravel(), steps, gain)


def roots_of(own: Array, unknown: float = 0.0) -> Array:
    """Give R (K, m, m) with R R^T the inverses of symmetric blocks (K, m, m).

    Parameters
    ----------
    unknown : float
        What stands for one over the eigenvalue of directions that nothing determines, in blocks of unit
        diagonal: 0 where no step shall be made along them.
    """
    diagonal = np.einsum("kii->ki", own)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    unit = own * scale[:, :, None] * scale[:, None, :]
    k, i = np.nonzero(diagonal <= 0.0)
    unit[k, i, i] = 1.0 if unknown == 0.0 else 1.0 / unknown
    try:
        lower = np.linalg.cholesky(unit)
        singular = np.einsum("kii->ki", lower).min(axis=1, initial=1.0) < np.sqrt(_LEAST)
    except np.linalg.LinAlgError:
        singular = np.linalg.eigvalsh(unit)[:, 0] < _LEAST
        lower = np.tile(np.eye(own.shape[1]), (len(own), 1, 1))
        lower[~singular] = np.linalg.cholesky(unit[~singular])
    out = np.linalg.inv(lower).transpose(0, 2, 1) * scale[:, :, None]
    if singular.any():
        values, vectors = np.linalg.eigh(unit[singular])
        seen = values > _LEAST
        by_value = np.where(seen, 1.0 / np.where(seen, values, 1.0), unknown)
        out[singular] = scale[singular, :, None] * vectors * np.sqrt(by_value)[:, None, :]
    return np.asarray(out)
