"""How much closer the residuals are to zero because models were fitted to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import CRYSTAL, differentiate, predict
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations

__all__ = ["crystal_leverages", "leverages"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_MOST = 0.9

_AT_ONCE = 50_000
"""Reflections whose derivatives are held at a time."""


def leverages(
    layout: Layout, determined: Array, weights: Array, panel: Index, own: tuple[Array, Index] | None = None
) -> Array:
    """Share out the parameters that the data determine over the residuals that determine them, (N, 3).

    The expected square of a residual after a fit is its variance times 1 less its leverage, and leverages
    add up to the number of parameters (Cook & Weisberg 1982, Residuals and Influence in Regression, 2.1).
    Those of single panels go to x and y of the reflections of these panels, which are few on some; those
    of crystal, beam and the whole detector to all residuals alike. What is known of crystals of stills is
    known exactly: :func:`crystal_leverages`.

    Parameters
    ----------
    layout : Layout
    determined : (n,)
        For each free parameter how far the data determine it, 0 to 1: 1 less the share of the prior.
    weights : (N,)
        Of the reflections in the fit.
    panel : (N,)
        Panel of each, counted over all detectors.
    own : (N, 3) and (k,), optional
        Leverages by some parameters, and which these are.
    """
    used = weights > 0.0
    count = np.bincount(panel[used], minlength=layout.n_panels).astype(float)
    by_panel = np.zeros(layout.n_panels)
    out, done = (np.zeros((len(panel), 3)), np.zeros(0, dtype=np.intp)) if own is None else own
    shared = determined.copy()
    shared[done] = 0.0
    first = np.full(layout.n_full, -1)
    first[layout.free] = np.arange(layout.n)
    for number, offset in layout.panel_offset.items():
        block = layout.detector_block(number)
        for place, parameter in enumerate(block.parameters, start=layout.offsets[number]):
            k = first[place]
            if k >= 0 and 0 < len(parameter.panels) < len(block.detector):
                panels = offset + np.array(parameter.panels)
                by_panel[panels] += shared[k] / max(2.0 * count[panels].sum(), 1.0)
                shared[k] = 0.0
    out = out + shared.sum() / max(3.0 * count.sum(), 1.0)
    out[:, :2] += by_panel[panel][:, None]
    return np.asarray(np.minimum(out, _MOST))


def crystal_leverages(layout: Layout, data: Observations, weights: Array, p: Array) -> tuple[Array, Index]:
    """Give the leverages by the parameters that crystals of stills have for themselves.

    Of the some dozens of spots of a still, three parameters of orientation and some of the cell take a good
    part away, and from DeltaPsi more than from x and y: w J (J^T W J + K)^-1 J^T, crystal by crystal.

    Parameters
    ----------
    weights : (N, 3)
        1/variance of what is in the fit, 0 for the rest.
    p : (n,)

    Returns
    -------
    leverage : (N, 3)
    parameters : (k,)
        Which of the free parameters these are.
    """
    out, used = np.zeros((data.n, 3)), [np.zeros(0, dtype=np.intp)]
    state, full = layout.state(p), layout.full(p)
    single = np.flatnonzero(np.bincount(layout.composer.crystal, minlength=len(layout.blocks)) == 1)
    shared = np.bincount(layout.column[layout.column >= 0], minlength=layout.n) > 1
    bounds = np.searchsorted(data.spots.experiment, np.arange(len(layout.uses) + 1))
    for like in layout.composer.likes:
        column = layout.column[like.full]
        free = (column >= 0) & ~np.append(shared, True)[column]  # there may be no free parameter at all
        precision = np.where(free, np.append(layout.prior.precision, 0.0)[column], 0.0)
        slopes = like.derivatives(full).reshape(*like.full.shape, 9) * free[:, :, None]
        place = np.full(len(layout.blocks), -1)
        place[like.numbers] = np.arange(len(like.numbers))
        mine = (
            layout.stills & np.isin(layout.composer.crystal, single) & (place[layout.composer.crystal] >= 0)
        )
        for experiments in _batches(np.flatnonzero(mine), bounds):
            rows = np.concatenate([np.arange(bounds[e], bounds[e + 1]) for e in experiments])
            counts = bounds[experiments + 1] - bounds[experiments]
            k = place[layout.composer.crystal[experiments]]
            spots = data.spots.take(rows)
            with np.errstate(invalid="ignore"):
                by_A = differentiate(state, spots, *predict(state, spots))[:, :, CRYSTAL]
            J = np.where(weights[rows][:, :, None] > 0.0, by_A, 0.0) @ np.repeat(
                slopes[k].transpose(0, 2, 1), counts, axis=0
            )
            out[rows] = _leverage(J, weights[rows], counts, precision[k])
            used.append(column[k][free[k]])
    return out, np.concatenate(used)


def _batches(experiments: Index, bounds: NDArray[np.intp]) -> list[Index]:
    """Divide experiments that have reflections into groups of some 50,000."""
    experiments = experiments[bounds[experiments + 1] > bounds[experiments]]
    if experiments.size == 0:
        return []
    group = np.cumsum(bounds[experiments + 1] - bounds[experiments]) // _AT_ONCE
    return np.split(experiments, np.flatnonzero(np.diff(group)) + 1)


def _leverage(J: Array, weights: Array, counts: Index, precision: Array) -> Array:
    """Of residuals with derivatives J (M, 3, c) and weights (M, 3) of K crystals, one after the other."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    normal = np.add.reduceat(np.einsum("mka,mk,mkb->mab", J, weights, J), starts)
    diagonal = np.einsum("kaa->ka", normal)
    diagonal += precision
    scale = np.where(diagonal > 0.0, 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)), 0.0)
    both = scale[:, :, None] * scale[:, None, :]
    inverse = np.repeat(np.linalg.pinv(normal * both, hermitian=True) * both, counts, axis=0)
    return np.asarray(weights * np.einsum("mka,mab,mkb->mk", J, inverse, J))
