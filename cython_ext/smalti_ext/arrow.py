"""Normal equations of many crystals out of sums by chunk (:mod:`smalti_ext.normal`).

Parameters are of two kinds: each crystal's own, and those that crystals share. The local coordinates of
a panel depend on shared ones only; the 15 of an experiment on its crystal's own and on shared ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _arrow
from smalti_ext.checking import check
from smalti_ext.normal import N_LOCAL
from smalti_ext.threads import worthwhile

__all__ = ["N_EXPERIMENT", "N_PANEL", "CrystalSums", "PanelSums", "Slopes", "by_crystal", "by_panel"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

N_PANEL = 9
N_EXPERIMENT = N_LOCAL - N_PANEL

_ROWS_PER_CHUNK = 20
"""A chunk is as much work as so many reflections are to the kernel that sums them."""


class Slopes(NamedTuple):
    """Derivatives of the local coordinates.

    Attributes
    ----------
    own : (E, m, 15)
        Of experiments by their crystal's own parameters; rows of zeros where it has fewer.
    shared, shared_columns : (E, a, 15), (E, a)
        Of experiments by shared parameters, and which these are; -1 for none.
    panel, panel_columns : (P, b, 9), (P, b)
        Of panels by shared parameters, and which these are; -1 for none.
    """

    own: Array
    shared: Array
    shared_columns: Index
    panel: Array
    panel_columns: Index


class CrystalSums(NamedTuple):
    """What reflections tell of K crystals.

    Attributes
    ----------
    matrix : (K, m, m)
        Sum of w J^T J by the crystal's own parameters.
    gradient : (K, m)
        Sum of w J^T r.
    cross : (K, m, g)
        Sum of w J^T J between own and shared parameters; (0, m, g) where it is not wanted.
    """

    matrix: Array
    gradient: Array
    cross: Array


class PanelSums(NamedTuple):
    """What reflections tell of the frames of P panels.

    Attributes
    ----------
    matrix : (P, 9, 9)
    gradient : (P, 9)
    cross : (P, 9, g)
        Between the frames and what experiments share.
    """

    matrix: Array
    gradient: Array
    cross: Array


def by_crystal(
    matrix: Array,
    gradient: Array,
    bounds: Index,
    experiment: Index,
    panel: Index,
    slopes: Slopes,
    n_shared: int,
    n_threads: int = 1,
    *,
    cross: bool = True,
) -> CrystalSums:
    """Add up what chunks tell of crystals.

    Parameters
    ----------
    matrix, gradient : (C, 24, 24), (C, 24)
        Sums by chunk.
    bounds : (K + 1,) int64
        Where the chunks of each crystal begin.
    experiment, panel : (C,) int64
    slopes : Slopes
    n_shared : int
        Number g of shared parameters.
    n_threads : int
        The sums are the same to the last bit for any number.
    cross : bool
        Whether products with shared parameters are wanted.
    """
    c, k, m = len(matrix), len(bounds) - 1, slopes.own.shape[1]
    _check(matrix, gradient, experiment, slopes, n_shared)
    check("panel", panel, (c,), np.int64)
    check("bounds", bounds, (k + 1,), np.int64)
    _check_bounds("bounds", bounds, c)
    _check_range("panel", panel, 0, len(slopes.panel))
    out = CrystalSums(
        np.zeros((k, m, m)), np.zeros((k, m)), np.zeros((k if cross else min(k, 1), m, n_shared))
    )
    threads = worthwhile(n_threads, _ROWS_PER_CHUNK * c, k)
    _arrow.by_crystal(matrix, gradient, bounds, experiment, panel, *slopes, cross, *out, threads)
    return out if cross else out._replace(cross=np.zeros((0, m, n_shared)))


def by_panel(
    matrix: Array,
    gradient: Array,
    experiment: Index,
    panel: Index,
    slopes: Slopes,
    n_shared: int,
    n_threads: int = 1,
) -> PanelSums:
    """Add up what chunks tell of panels; parameters as in :func:`by_crystal`."""
    c, p = len(matrix), len(slopes.panel)
    _check(matrix, gradient, experiment, slopes, n_shared)
    check("panel", panel, (c,), np.int64)
    _check_range("panel", panel, 0, p)
    order = np.argsort(panel, kind="stable")
    bounds = np.searchsorted(panel[order], np.arange(p + 1)).astype(np.int64)
    out = PanelSums(np.zeros((p, N_PANEL, N_PANEL)), np.zeros((p, N_PANEL)), np.zeros((p, N_PANEL, n_shared)))
    _arrow.by_panel(
        matrix, gradient, order.astype(np.int64), bounds, experiment, slopes.shared, slopes.shared_columns,
        *out, worthwhile(n_threads, _ROWS_PER_CHUNK * c, p),
    )  # fmt: skip
    return out


def _check(matrix: Array, gradient: Array, experiment: Index, slopes: Slopes, n_shared: int) -> None:
    c = len(matrix)
    check("matrix", matrix, (c, N_LOCAL, N_LOCAL))
    check("gradient", gradient, (c, N_LOCAL))
    check("experiment", experiment, (c,), np.int64)
    e, m = slopes.own.shape[:2]
    check("own", slopes.own, (e, m, N_EXPERIMENT))
    for name, size in (("shared", N_EXPERIMENT), ("panel", N_PANEL)):
        values, columns = getattr(slopes, name), getattr(slopes, f"{name}_columns")
        check(name, values, (*columns.shape, size))
        check(f"{name}_columns", columns, values.shape[:2], np.int64)
        _check_range(f"{name}_columns", columns, -1, n_shared)
    check("shared", slopes.shared, (e, slopes.shared.shape[1], N_EXPERIMENT))
    _check_range("experiment", experiment, 0, e)


def _check_bounds(name: str, bounds: Index, limit: int) -> None:
    if len(bounds) and (bounds[0] < 0 or bounds[-1] > limit or (np.diff(bounds) < 0).any()):
        raise ValueError(f"{name} must ascend within the chunks")


def _check_range(name: str, values: Index, least: int, limit: int) -> None:
    if values.size and (values.min() < least or values.max() >= limit):
        raise ValueError(f"{name} must be from {least} to {limit - 1}")
