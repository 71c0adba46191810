"""More lattices: what the spots that are left over show, refined together with what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.lattice import niggli
from smalti.geometry.lattice_symmetry import symmetrised
from smalti.models import Crystal, Experiment
from smalti.progress import Progress
from smalti.roles import Indexer
from smalti.steps.indexing.assigning import fit_growing
from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.indexing.cycles import (
    LEAST_TO_REFINE,
    Cycle,
    Task,
    indexed_table,
    refine_or_why,
)
from smalti.steps.indexing.freeing import refine_options
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import map_spots
from smalti.steps.indexing.search import find_lattice
from smalti.steps.indexing.sharing import angle_between, share_out
from smalti.steps.indexing.trials import Trial

__all__ = ["Further", "further_lattices", "settled"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Sweeps = list[Experiment]

LEAST_REST = 50
"""Spots left over below which no further lattice is looked for."""

REST_PART = 0.1
"""The same as a part of all."""

LEAST_ANGLE = 3.0
"""Degrees by which a further lattice has to be turned; less is a split crystal or an inexact model."""

ROUNDS = 3
"""Refinements after each lattice that is added: spots change sides as the models improve."""


@dataclass(frozen=True)
class Further:
    """What the search for further lattices came to.

    Attributes
    ----------
    lattices : tuple of list of Experiment
        For each lattice its sweeps; the first is that found before.
    cycles : tuple of Cycle
        Joint refinements; empty where nothing was found.
    trials : tuple of tuple of Trial
        Every candidate of each further search.
    ended : str
        Why no more were looked for, or found.
    """

    lattices: tuple[Sweeps, ...]
    cycles: tuple[Cycle, ...] = ()
    trials: tuple[tuple[Trial, ...], ...] = ()
    ended: str = ""


def further_lattices(
    first: Sweeps, sweep: Index, task: Task, indexer: Indexer, known: KnownLattice, progress: Progress
) -> Further:
    """Look for lattices among the spots that have none, until there are enough of them or no spots left.

    The geometry is refined by then, so that the beam is not looked for again. A lattice that is found has to
    be turned from those before by more than a few degrees; it is refined together with them against all
    spots, each of which belongs to the lattice it fits best.

    Parameters
    ----------
    first : list of Experiment
        The sweeps with the first crystal.
    sweep : (N,)
        Sweep of each spot.
    """
    result = Further((first,))
    while len(result.lattices) < task.options.max_lattices:
        rest = _left_over(result.lattices, sweep, task)
        if rest.size < max(LEAST_REST, REST_PART * task.usable.size):
            return replace(result, ended=f"{rest.size} spots are left over, too few for another lattice")
        found = _searched(result, rest, sweep, task, indexer, known, progress)
        if isinstance(found, str):
            return replace(result, ended=found)
        crystal, trials = found
        result = replace(result, trials=(*result.trials, trials))
        added = [replace(item, crystal=crystal) for item in result.lattices[0]]
        joined = _refined((*result.lattices, added), sweep, task, len(result.cycles))
        if isinstance(joined, str):
            return replace(result, ended=joined)
        result = replace(result, lattices=joined[0], cycles=(*result.cycles, *joined[1]))
    return replace(result, ended=f"no more than {task.options.max_lattices} were asked for")


def settled(A: Array, known: KnownLattice, tolerances: tuple[float, float]) -> Crystal | None:
    """Set a primitive lattice in the axes of what is known, with its symmetry; None where it does not fit."""
    basis = np.asarray(np.linalg.inv(A))
    if known.space_group is None and known.cell is None:
        return Crystal.from_A(np.linalg.inv(niggli(basis)[0]), known.hall)
    setting = known.fitting(basis, *tolerances)
    if setting is None:
        return None
    return Crystal.from_A(np.linalg.inv(symmetrised(setting.change @ basis, known.system)), known.hall)


def _left_over(lattices: Sequence[Sweeps], sweep: Index, task: Task) -> Index:
    mapped = map_spots(lattices[0], task.spots, sweep)
    found, _, _ = share_out(lattices, mapped, task.options.tolerance)
    return task.usable[~found.indexed[task.usable]]


def _searched(
    result: Further,
    rest: Index,
    sweep: Index,
    task: Task,
    indexer: Indexer,
    known: KnownLattice,
    progress: Progress,
) -> tuple[Crystal, tuple[Trial, ...]] | str:
    """The crystal that the spots left over show; the reason, in words, where there is none."""
    bare = [replace(item, crystal=None) for item in result.lattices[0]]
    mapped = map_spots(bare, task.spots, sweep)
    options = replace(task.options, search_beam=False)
    try:
        trials, _ = find_lattice(
            bare, task.spots, mapped, rest, indexer, known, options, progress, thorough=False
        )
    except DataError as error:
        return f"the {rest.size:,} spots left over show none: {error.what} {error.why}"
    if trials[0].by_chance:
        return f"about the best lattice of the {rest.size:,} spots left over, these are strewn by chance"
    crystal = settled(
        fit_growing(trials[0].A, mapped.rlp[rest]), known, (options.lattice_tolerance, options.cell_tolerance)
    )
    if crystal is None:
        return "the lattice of the spots left over does not fit what is known of the cell"
    for number, sweeps in enumerate(result.lattices, start=1):
        angle = angle_between(crystal_of(sweeps[0]), crystal)
        if angle is not None and angle < LEAST_ANGLE:
            return (
                f"the {rest.size:,} spots left over show lattice {number} again, turned by {angle:.1f} deg: "
                "perhaps a split crystal"
            )
    return crystal, trials


def _refined(
    lattices: tuple[Sweeps, ...], sweep: Index, task: Task, before: int
) -> tuple[tuple[Sweeps, ...], list[Cycle]] | str:
    """Refine all lattices together, assigning the spots anew each time."""
    cycles: list[Cycle] = []
    width = len(lattices[0])
    for number in range(ROUNDS if task.options.cycles else 0):
        mapped = map_spots(lattices[0], task.spots, sweep)
        found, entering, which = share_out(lattices, mapped, task.options.tolerance)
        outside = np.ones(task.spots.n_rows, dtype=bool)
        outside[task.usable] = False
        found = found.without(outside)
        counts = np.bincount(which[found.indexed], minlength=len(lattices))
        if counts.min() < LEAST_TO_REFINE:
            return f"a further lattice kept only {counts.min()} spots"
        table = indexed_table(task.spots, mapped, found, entering, which * width)
        items = [item for sweeps in lattices for item in sweeps]
        count = int(found.indexed.sum())
        last = number == ROUNDS - 1
        options = refine_options(count, last, task.options, hold_distance=task.hold_distance)
        table = table.without(*task.spots.opaque)
        refined = refine_or_why(items, table, task.refinery, options, light=not last)
        if isinstance(refined, str):
            return f"refinement with a further lattice failed: {refined}"
        done = list(refined.experiments)
        lattices = tuple(done[k : k + width] for k in range(0, len(done), width))
        d_min = 1.0 / float(np.linalg.norm(mapped.rlp[task.usable], axis=1).max())
        cycles.append(Cycle(before + number + 1, d_min, count, refined))
    return lattices, cycles
