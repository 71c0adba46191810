"""The end of indexing: every spot asked once more with the final models, and what these say of the cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import primitive
from smalti.models import Experiment, Experiments
from smalti.steps.indexing.alternatives import Alternative, alternative_cells
from smalti.steps.indexing.crystals import as_seen_with_first, crystal_of
from smalti.steps.indexing.cycles import Cycle, Task, assign_all, indexed_table
from smalti.steps.indexing.diagnosing import strewn_about
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots, map_spots
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.rescuing import rescued_by_position
from smalti.steps.indexing.sharing import share_out
from smalti.steps.indexing.sharpness import sharpness_of
from smalti.steps.indexing.superlattice import Superlattice
from smalti.steps.predicting import predict_indexed
from smalti.tables import Flag, Reflections

__all__ = ["Finished", "finished", "raise_if_strewn", "usable_rows"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NEARLY_ALL = 0.8
"""Part of the spots that no lattice explains in which one axis is wrong: by chance 0.6 are near its points,
and a few more after it was fitted to them."""


@dataclass(frozen=True)
class Finished:
    """What is written, and what the final models say of the cell.

    Attributes
    ----------
    experiments : Experiments
        One per sweep; those of further lattices follow.
    reflections : Reflections
        All spots; those not indexed have ``id`` -1.
    basis : (3, 3) Angstrom
        Primitive, of the first lattice; rows a, b, c.
    indexed, total : (S,) int
        Indexed spots and all spots of each sweep.
    alternatives : tuple of Alternative
    larger : tuple of Superlattice
        Larger cells that significantly many spots need.
    rescued : int
        Spots that had no index in the last macrocycle and got one from the models that it refined.
    """

    experiments: Experiments
    reflections: Reflections
    basis: Array
    indexed: tuple[int, ...]
    total: tuple[int, ...]
    alternatives: tuple[Alternative, ...]
    larger: tuple[Superlattice, ...]
    rescued: int


def finished(
    experiments: Experiments,
    lattices: Sequence[list[Experiment]],
    number: Index,
    task: Task,
    known: KnownLattice,
    cycles: Sequence[Cycle],
) -> Finished:
    """Assign all spots with the final models, predict them, and measure cells of other volumes.

    Parameters
    ----------
    experiments : Experiments
        As they were given.
    lattices : sequence of list of Experiment
        For each lattice its sweeps.
    number : (N,) intp
        Sweep of each spot.
    """
    flags = cycles[-1].refined.reflections["flags"] if cycles else None
    final, table, which = _assigned(experiments, lattices, task.spots, number, flags, task.options)
    allowed = np.isin(np.arange(task.spots.n_rows), task.usable)
    sweeps = lattices[0]
    table, _ = rescued_by_position(final, table, allowed, len(sweeps))
    basis = primitive(np.array(crystal_of(sweeps[0]).real_space), known.centring)
    rows = task.usable[which[task.usable] == 0]
    points = as_seen_with_first(sweeps, table["rlp"], number)[rows]
    alternatives, larger = alternative_cells(basis, points, task.options.odd_fraction)
    return Finished(
        final, table, basis, *_counts(number, table), alternatives, larger, _rescued(cycles, table)
    )


def raise_if_strewn(sweeps: Sequence[Experiment], number: Index, task: Task, cycles: Sequence[Cycle]) -> None:
    """Refuse a lattice about whose points spots lie, now that all is refined, as if an axis were wrong.

    A lattice that explains nearly all spots stays however far they scatter: it may be the right one in a
    geometry that is not.

    Raises
    ------
    DataError
        Says how the spots lie and what to try.
    """
    rows = task.usable[:: max(1, task.usable.size // 20_000)]
    few = Reflections({name: task.spots[name][rows] for name in ("xyzobs.px.value", "panel")})
    mapped = map_spots(sweeps, few, number[rows])
    found, _ = assign_all(sweeps, mapped, task.options.tolerance)
    indexed, sharp = float(found.indexed.mean()), sharpness_of(found.misfit)
    if indexed < NEARLY_ALL and sharp.by_chance(task.options.least_sharpness):
        results = cycles[-1].refined.results["experiments"] if cycles else ()
        raise strewn_about(crystal_of(sweeps[0]).cell, indexed, sharp.part, results)


def usable_rows(mapped: MappedSpots, options: IndexOptions) -> Index:
    """Rows of the spots that indexing looks at: measured, and within the resolution asked for.

    Tables of integrated reflections hold rows that were only predicted; their variance is not positive.
    """
    length = np.linalg.norm(mapped.rlp, axis=1)
    good = np.isfinite(length) & (length > 0.0) & np.all(mapped.variance > 0.0, axis=1)
    if options.d_min > 0.0:
        good &= length <= 1.0 / options.d_min
    return np.flatnonzero(good)


def _assigned(
    experiments: Experiments,
    lattices: Sequence[list[Experiment]],
    spots: Reflections,
    number: Index,
    flags: NDArray[np.uint64] | None,
    options: IndexOptions,
) -> tuple[Experiments, Reflections, Index]:
    """Assign all spots with the final models, and predict them; tell the lattice of each too."""
    mapped = map_spots(lattices[0], spots, number)
    found, entering, which = share_out(lattices, mapped, options.tolerance)
    beyond = np.ones(spots.n_rows, dtype=bool)
    beyond[usable_rows(mapped, options)] = False
    found = found.without(beyond)
    final = replace(experiments, items=tuple(_named(lattices)))
    table = indexed_table(spots, mapped, found, entering, which * len(lattices[0]))
    if flags is not None:
        kept = np.uint64(int(Flag.USED_IN_REFINEMENT | Flag.CENTROID_OUTLIER)) & flags
        table = table.with_columns({"flags": np.where(found.indexed, table["flags"] | kept, table["flags"])})
    identifiers = {k: item.identifier for k, item in enumerate(final) if item.identifier}
    return final, predict_indexed(final, table.with_columns(identifiers=identifiers)), which


def _named(lattices: Sequence[list[Experiment]]) -> list[Experiment]:
    """All experiments in a row; those of further lattices have identifiers of their own."""
    return [
        replace(item, identifier=f"{item.identifier}-lattice-{k + 1}") if k and item.identifier else item
        for k, sweeps in enumerate(lattices)
        for item in sweeps
    ]


def _counts(number: Index, table: Reflections) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indexed spots and all spots of each sweep."""
    total = np.bincount(number, minlength=1)
    indexed = np.bincount(number[table["id"] >= 0], minlength=len(total))
    return tuple(indexed.tolist()), tuple(total.tolist())


def _rescued(cycles: Sequence[Cycle], table: Reflections) -> int:
    """Spots that had no index in the last macrocycle and got one from the models that it refined."""
    if not cycles:
        return 0
    before = cycles[-1].refined.reflections["id"]
    return int(((table["id"] >= 0) & (before < 0)).sum())
