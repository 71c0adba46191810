"""Sweeps of crystals that vary, and stills beside them: predictions, or normal equations by samples.

Every image has its own F A. The local coordinates of a chunk are the 9 elements of the panel's frame, s0
(3), a rotation vector of the setting rotation (3), and the c parameters of the crystal at each of the three
samples that its images lie between: 15 + 3 c, sample by sample.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _varying
from smalti_ext.checking import check, check_cells
from smalti_ext.normal import Sums
from smalti_ext.threads import worthwhile

__all__ = ["N_FIXED", "N_NEAREST", "VaryingModels", "accumulate", "predict"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

N_FIXED = 15
N_NEAREST = 3
_MOST_PARAMETERS = 9


class VaryingModels(NamedTuple):
    """Models as arrays.

    Attributes
    ----------
    FA : (I, 3, 3) 1/Angstrom
        Of every image, those of all experiments one after the other.
    slopes : (I, c, 3, 3)
        Derivatives of each F A by the c parameters of its crystal; zeros for those it does not have.
    blend : (I, 3)
        How much of each of three samples makes the parameters of an image.
    S : (E, 3, 3)
    axis, s0 : (E, 3)
    D : (P, 3, 3)
        Inverse of the panels' d matrices.
    still : (E,) bool
        Which experiments are stills.
    """

    FA: Array
    slopes: Array
    blend: Array
    S: Array
    axis: Array
    s0: Array
    D: Array
    still: NDArray[np.bool_]


def accumulate(
    h: Array,
    entering: NDArray[np.bool_],
    observed: Array,
    weights: Array,
    image: Index,
    chunks: Index,
    experiment: Index,
    panel: Index,
    models: VaryingModels,
    n_threads: int = 1,
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
    image : (N,) int64
        Row of F A that each was observed on.
    chunks : (C + 1,) int64
        Where chunks begin and the last ends, ascending. The images of a chunk lie between the same samples.
    experiment, panel : (C,) int64
        Of every reflection of a chunk.
    models : VaryingModels
    n_threads : int
        The sums are the same to the last bit for any number.
    """
    n, c = len(h), len(chunks) - 1
    _check_data(h, entering, image, chunks, experiment, panel, models)
    check("observed", observed, (n, 3))
    check("weights", weights, (n, 3))
    size = N_FIXED + N_NEAREST * models.slopes.shape[1]
    matrix, gradient, sums = np.zeros((c, size, size)), np.zeros((c, size)), np.zeros((c, 6))
    _varying.accumulate(
        h, entering.view(np.uint8), observed, weights, image, chunks, experiment, panel, *models[:-1],
        models.still.view(np.uint8), matrix, gradient, sums, worthwhile(n_threads, n, c),
    )  # fmt: skip
    return Sums(matrix, gradient, sums[:, 0], sums[:, 1:4], sums[:, 4], sums[:, 5])


def predict(
    h: Array,
    entering: NDArray[np.bool_],
    angle: Array,
    image: Index,
    chunks: Index,
    experiment: Index,
    panel: Index,
    models: VaryingModels,
    n_threads: int = 1,
) -> Array:
    """Predict X, Y (mm) and phi (rad, turn nearest to ``angle``) or DeltaPsi, (N, 3); nan where impossible.

    Parameters as in :func:`accumulate`; angle (N,) rad. Slopes and blend of the models are not used.
    """
    _check_data(h, entering, image, chunks, experiment, panel, models)
    check("angle", angle, (len(h),))
    xyz = np.empty((len(h), 3))
    threads = worthwhile(n_threads, len(h), len(chunks) - 1)
    _varying.predict(
        h, entering.view(np.uint8), angle, image, chunks, experiment, panel,
        models.FA, models.S, models.axis, models.s0, models.D, models.still.view(np.uint8), xyz, threads,
    )  # fmt: skip
    return xyz


def _check_data(
    h: Array,
    entering: NDArray[np.bool_],
    image: Index,
    chunks: Index,
    experiment: Index,
    panel: Index,
    models: VaryingModels,
) -> None:
    n = len(h)
    check("h", h, (n, 3))
    check("entering", entering, (n,), np.bool_)
    check("image", image, (n,), np.int64)
    i, e, p = len(models.FA), len(models.S), len(models.D)
    parameters = models.slopes.shape[1] if models.slopes.ndim == 4 else 0
    if not 1 <= parameters <= _MOST_PARAMETERS:
        raise ValueError(f"a crystal has 1 to {_MOST_PARAMETERS} parameters")
    for name, shape in (
        ("FA", (i, 3, 3)),
        ("slopes", (i, parameters, 3, 3)),
        ("blend", (i, N_NEAREST)),
        ("S", (e, 3, 3)),
        ("axis", (e, 3)),
        ("s0", (e, 3)),
        ("D", (p, 3, 3)),
    ):
        check(name, getattr(models, name), shape)
    check("still", models.still, (e,), np.bool_)
    check_cells(n, chunks, experiment, panel, (e, p))
    if n and (image.min() < 0 or image.max() >= i):
        raise ValueError(f"image must be from 0 to {i - 1}")
