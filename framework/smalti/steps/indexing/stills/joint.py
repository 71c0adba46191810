"""All stills together: their indices, and the refinement of what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment
from smalti.steps.indexing.assigning import Assignment, assign
from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.indexing.cycles import LEAST_TO_REFINE, Cycle, Refinery, indexed_table, refine_or_why
from smalti.steps.indexing.mapping import MappedSpots, map_spots
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.refining.options import RefineOptions
from smalti.tables import Reflections

__all__ = ["assign_stills", "refined_stills"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

CYCLES = 3
"""Macrocycles at most: stills show their whole resolution from the start."""


def assign_stills(
    crystals: Sequence[Experiment], of_still: Index, mapped: MappedSpots, tolerance: float
) -> tuple[Assignment, Index]:
    """Assign every spot to the crystal of its still that it fits best, each lattice point once per crystal.

    Parameters
    ----------
    crystals : sequence of Experiment
        One for each crystal found.
    of_still : (K,) intp
        Number of the still of each.
    mapped : MappedSpots
        N spots; ``sweep`` is the number of the still.

    Returns
    -------
    assignment : Assignment
    which : (N,) intp
        Number of the crystal; -1 where there is none.
    """
    n = len(mapped.rlp)
    h, misfit = np.zeros((n, 3), dtype=np.int32), np.full(n, np.inf)
    which = np.full(n, -1, dtype=np.intp)
    order = np.argsort(mapped.sweep, kind="stable")
    limits = np.searchsorted(mapped.sweep[order], np.arange(int(mapped.sweep.max(initial=0)) + 2))
    for number, (item, still) in enumerate(zip(crystals, of_still.tolist(), strict=True)):
        rows = order[limits[still] : limits[still + 1]]
        none = np.zeros(rows.size)
        found = assign(crystal_of(item).A, mapped.rlp[rows], tolerance, none, none.astype(np.intp))
        better = found.indexed & (found.misfit < misfit[rows])
        h[rows[better]], misfit[rows[better]] = found.h[better], found.misfit[better]
        which[rows[better]] = number
    return Assignment(h, misfit, which >= 0), which


def refined_stills(
    items: Sequence[Experiment],
    of_still: Index,
    stills: Sequence[Experiment],
    spots: Reflections,
    usable: NDArray[np.bool_],
    sweep: Index,
    refinery: Refinery,
    options: IndexOptions,
) -> tuple[list[Experiment], tuple[Cycle, ...], tuple[str, ...]]:
    """Refine all crystals together, and where there are spots enough the detector as one block with them.

    Returns
    -------
    items : list of Experiment
    cycles : tuple of Cycle
    warnings : tuple of str
    """
    cycles: list[Cycle] = []
    done = list(items)
    for number in range(1, min(options.cycles, CYCLES) + 1):
        table, count, length = _table(done, of_still, stills, spots, usable, sweep, options.tolerance)
        if count < LEAST_TO_REFINE:
            return done, tuple(cycles), (f"{count} indexed spots are too few to refine.",)
        refined = refine_or_why(done, table, refinery, _refine_options(count, options), light=True)
        if isinstance(refined, str):
            return done, tuple(cycles), (f"Macrocycle {number} was not taken over: {refined}",)
        done = list(refined.experiments)
        cycles.append(Cycle(number, 1.0 / length, count, refined))
    return done, tuple(cycles), ()


def _table(
    items: Sequence[Experiment],
    of_still: Index,
    stills: Sequence[Experiment],
    spots: Reflections,
    usable: NDArray[np.bool_],
    sweep: Index,
    tolerance: float,
) -> tuple[Reflections, int, float]:
    """Spots with their indices by the models, how many have one, and the longest |r|, 1/Angstrom."""
    now = list(stills)
    for item, still in zip(items, of_still.tolist(), strict=True):
        now[still] = replace(item, crystal=None)
    mapped = map_spots(now, spots, sweep)
    found, which = assign_stills(items, of_still, mapped, tolerance)
    found = found.without(~usable)
    table = indexed_table(spots, mapped, found, np.zeros(len(which), dtype=bool))
    ids = np.where(found.indexed, which, -1).astype(np.int32)
    length = float(np.linalg.norm(mapped.rlp[found.indexed], axis=1).max(initial=1e-3))
    identifiers = {k: item.identifier for k, item in enumerate(items) if item.identifier}
    table = table.with_columns({"id": ids}, identifiers=identifiers).without(*spots.opaque)
    return table, int(found.indexed.sum()), length


def _refine_options(count: int, options: IndexOptions) -> RefineOptions:
    """Free the crystals, and where there are spots enough the detector as one block.

    Its distance is told by where spots are between the crystals' orientations, even if no cell is known;
    better by cells that are held at the known one, where that is asked for.
    """
    return RefineOptions(
        fix_beam=("all",),
        fix_crystal=("cell",) if options.distance_from_cell and options.unit_cell else (),
        fix_detector=("all",) if count < options.min_to_refine_detector else (),
        free_fraction=0.0,
        halves="off",
        rounds=2,
    )
