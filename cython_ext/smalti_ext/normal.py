"""Rotation data and stills in one pass: predictions, or normal equations by panel and experiment.

The local coordinates are the 9 elements of the panel's frame (fast, slow, origin), s0 (3), F A (9, row by
row; A of stills) and a rotation vector of the setting rotation (3; nothing depends on it in stills). The
third coordinate of a prediction is the angle phi or, of stills, DeltaPsi, which is observed as 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _normal
from smalti_ext.checking import check, check_cells
from smalti_ext.threads import worthwhile

__all__ = ["N_LOCAL", "Models", "Sums", "accumulate", "predict"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

N_LOCAL = 24


class Models(NamedTuple):
    """Models as arrays: FA, S (E, 3, 3), axis, s0 (E, 3), D (P, 3, 3), inverse of the panels' d matrices.

    still (E,) bool tells which experiments are stills.
    """

    FA: Array
    S: Array
    axis: Array
    s0: Array
    D: Array
    still: NDArray[np.bool_]


class Sums(NamedTuple):
    """Partial sums, one for each chunk.

    Attributes
    ----------
    matrix : (C, 24, 24)
        Sum of w J^T J.
    gradient : (C, 24)
        Sum of w J^T r.
    objective : (C,)
        Sum of w r^2 / 2.
    squares : (C, 3)
        Sums of r^2 of the reflections that have weight.
    used, impossible : (C,)
        How many have weight and can be predicted, or cannot.
    """

    matrix: Array
    gradient: Array
    objective: Array
    squares: Array
    used: Array
    impossible: Array


def accumulate(
    h: Array,
    entering: NDArray[np.bool_],
    observed: Array,
    weights: Array,
    chunks: Index,
    experiment: Index,
    panel: Index,
    models: Models,
    n_threads: int = 1,
    *,
    setting: bool = True,
) -> Sums:
    """Accumulate the normal equations of residuals calc - obs in mm, mm, rad.

    Parameters
    ----------
    h : (N, 3) float64
        Miller indices.
    entering : (N,) bool
        Which crossing of the Ewald sphere.
    observed, weights : (N, 3) float64
        A reflection whose three weights are 0 is left out.
    chunks : (C + 1,) int64
        Where chunks begin and the last ends, ascending.
    experiment, panel : (C,) int64
        Of every reflection of a chunk.
    models : Models
    n_threads : int
        The sums are the same to the last bit for any number.
    setting : bool
        Whether the setting rotation is wanted; where it is not its rows and columns are 0.
    """
    n, c = len(h), len(chunks) - 1
    _check_data(h, entering, chunks, experiment, panel, models)
    check("observed", observed, (n, 3))
    check("weights", weights, (n, 3))
    matrix, gradient, sums = np.zeros((c, N_LOCAL, N_LOCAL)), np.zeros((c, N_LOCAL)), np.zeros((c, 6))
    _normal.accumulate(
        h, entering.view(np.uint8), observed, weights, chunks, experiment, panel, *models[:-1],
        models.still.view(np.uint8), matrix, gradient, sums, setting, worthwhile(n_threads, n, c),
    )  # fmt: skip
    return Sums(matrix, gradient, sums[:, 0], sums[:, 1:4], sums[:, 4], sums[:, 5])


def predict(
    h: Array,
    entering: NDArray[np.bool_],
    angle: Array,
    chunks: Index,
    experiment: Index,
    panel: Index,
    models: Models,
    n_threads: int = 1,
) -> Array:
    """Predict X, Y (mm) and phi (rad, turn nearest to ``angle``) or DeltaPsi, (N, 3); nan where impossible.

    Parameters as in :func:`accumulate`; angle (N,) rad.
    """
    _check_data(h, entering, chunks, experiment, panel, models)
    check("angle", angle, (len(h),))
    xyz = np.empty((len(h), 3))
    threads = worthwhile(n_threads, len(h), len(chunks) - 1)
    _normal.predict(
        h,
        entering.view(np.uint8),
        angle,
        chunks,
        experiment,
        panel,
        *models[:-1],
        models.still.view(np.uint8),
        xyz,
        threads,
    )
    return xyz


def _check_data(
    h: Array, entering: NDArray[np.bool_], chunks: Index, experiment: Index, panel: Index, models: Models
) -> None:
    n = len(h)
    check("h", h, (n, 3))
    check("entering", entering, (n,), np.bool_)
    e, p = len(models.FA), len(models.D)
    check("still", models.still, (e,), np.bool_)
    for name, shape in (
        ("FA", (e, 3, 3)),
        ("S", (e, 3, 3)),
        ("axis", (e, 3)),
        ("s0", (e, 3)),
        ("D", (p, 3, 3)),
    ):
        check(name, getattr(models, name), shape)
    check_cells(n, chunks, experiment, panel, (e, p))
