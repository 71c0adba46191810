"""What the parameters do to the local coordinates: sparse derivatives, all like crystals in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import BEAM, CRYSTAL, N_LOCAL, PANEL, SETTING
from smalti.steps.refining.problem.blocks import BeamBlock, SettingBlock
from smalti.steps.refining.problem.composing import Composer
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock

__all__ = ["N_SHARED", "Entries", "experiment_entries", "panel_entries"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

Entries = tuple[Array, NDArray[Any], NDArray[Any]]
"""Values, local coordinates, and places of the parameters in the full vector."""

N_SHARED = N_LOCAL - PANEL.stop
"""Local coordinates of an experiment: beam, crystal, setting."""


def panel_entries(composer: Composer, full: Array) -> Iterator[Entries]:
    """Give the derivatives of panel frames; local coordinates are counted over all detectors."""
    first = 0
    for number, block in enumerate(composer.blocks):
        if not isinstance(block, DetectorBlock):
            continue
        slopes = block.derivatives(composer.part(number, full))
        panel, place = np.nonzero(slopes.columns >= 0)
        values = slopes.values[panel, place].transpose(0, 2, 1).reshape(-1, PANEL.stop)
        rows = (first + panel)[:, None] * PANEL.stop + np.arange(PANEL.stop)
        places = np.repeat(composer.offsets[number] + slopes.columns[panel, place], PANEL.stop)
        yield values.ravel(), rows.ravel(), places
        first += len(block.detector)


def experiment_entries(composer: Composer, full: Array, free: NDArray[np.bool_]) -> Iterator[Entries]:
    """Give the derivatives of what is local to experiments, counted from the first of them.

    Parameters
    ----------
    full : (n_full,)
    free : (n_full,) bool
        Blocks of which nothing is free are passed over.
    """
    slot = np.full(len(composer.blocks), -1, dtype=np.intp)
    for likes in composer.likes:
        slot[likes.numbers] = np.arange(len(likes.numbers))
        users = np.flatnonzero(slot[composer.crystal] >= 0)
        k = slot[composer.crystal[users]]
        slot[likes.numbers] = -1
        slopes = composer.F[users, None] @ likes.derivatives(full)[k]
        yield _spread(slopes.reshape(*slopes.shape[:2], -1), users, CRYSTAL, likes.full[k])
    for number, block in enumerate(composer.blocks):
        own = composer.offsets[number] + np.arange(len(composer.part(number, full)))
        if isinstance(block, VaryingCrystalBlock):
            users, where = np.flatnonzero(composer.crystal == number), CRYSTAL
        elif isinstance(block, BeamBlock) and free[own].any():
            users, where = np.flatnonzero(composer.beam == number), BEAM
        elif isinstance(block, SettingBlock) and free[own].any():
            users, where = np.flatnonzero(composer.goniometer == number), SETTING
        else:
            continue
        slopes = composer.slopes(number, full)
        if where == CRYSTAL:
            slopes = composer.F[users, None] @ slopes.reshape(-1, 3, 3)
        each = slopes.reshape(-1, len(own), where.stop - where.start)
        each = np.broadcast_to(each, (len(users), *each.shape[1:]))
        yield _spread(each, users, where, np.tile(own, (len(users), 1)))


def _spread(slopes: Array, users: Index, where: slice, places: Index) -> Entries:
    """Put derivatives (U, k, c) of coordinates of U experiments by k parameters each in their places."""
    first = N_SHARED * users - PANEL.stop + where.start
    rows = first[:, None, None] + np.arange(where.stop - where.start)
    return (
        slopes.ravel(),
        np.broadcast_to(rows, slopes.shape).ravel(),
        np.broadcast_to(places[:, :, None], slopes.shape).ravel(),
    )
