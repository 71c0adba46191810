"""Macrocycles: assign, refine, map again, at growing resolution."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Crystal, Experiment, Experiments
from smalti.progress import Progress
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.steps.indexing.assigning import Assignment, assign
from smalti.steps.indexing.crystals import as_seen_with_first, crystal_of
from smalti.steps.indexing.freeing import refine_options, resolution_steps
from smalti.steps.indexing.mapping import MappedSpots, map_spots, rotation_models
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.refine import Fitted, fit_only, refine
from smalti.steps.refining.telling.result import Refined
from smalti.tables import Flag, Reflections

__all__ = [
    "Cycle",
    "Refinery",
    "Task",
    "assign_all",
    "indexed_table",
    "macrocycle",
    "macrocycles",
    "refine_or_why",
]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Index = NDArray[np.intp]

HARDLY_ANY = 0.01
"""Part of the spots whose index may change in a macrocycle that changed nothing worth a further one."""

LEAST_TO_REFINE = 20
"""Indexed spots below which the lattice stays as fitted in reciprocal space."""


@dataclass(frozen=True)
class Refinery:
    """The components that refine, as the user chose them."""

    parameterisation: DetectorParameterisation
    minimiser: Minimiser
    rejector: OutlierRejector


@dataclass(frozen=True)
class Task:
    """What stays the same through all macrocycles.

    Attributes
    ----------
    spots : Reflections
        N rows, with pixel positions.
    usable : (M,) intp
        Rows that may be indexed.
    refinery : Refinery
    options : IndexOptions
    hold_distance : bool
        Whether distance and tilts of the detector stay: a narrow sweep does not tell them from the cell.
    """

    spots: Reflections
    usable: Index
    refinery: Refinery
    options: IndexOptions
    hold_distance: bool = False


@dataclass(frozen=True)
class Cycle:
    """One macrocycle.

    Attributes
    ----------
    number : int
        From 1.
    d_min : float
        Angstrom.
    indexed : int
        Spots that had an index when it began.
    refined : Refined or Fitted
        Of the last cycle with its uncertainties.
    note : str
        What sets it apart from the others; "" for most.
    """

    number: int
    d_min: float
    indexed: int
    refined: Refined | Fitted
    note: str = ""


def assign_all(
    experiments: Sequence[Experiment], mapped: MappedSpots, tolerance: float, *, local: bool = False
) -> tuple[Assignment, NDArray[np.bool_]]:
    """Assign indices to all spots, each lattice point once per sweep, side of the Ewald sphere and turn.

    Parameters
    ----------
    experiments : sequence of Experiment
        With their crystals: one for all, or one of its own for each, in the same axes.
    local : bool
        Whether indices follow from chains of neighbours, and not from the nearest lattice point.

    Returns
    -------
    assignment : Assignment
    entering : (N,) bool
    """
    entering = np.zeros(len(mapped.rlp), dtype=bool)
    for number, experiment in enumerate(experiments):
        goniometer, _ = rotation_models(experiment)
        # |s0 + r|^2 changes at the rate 2 s1.(e x r) = -2 s1.(e x s0): the spot enters where that is negative
        across = np.cross(goniometer.laboratory_axis, experiment.beam.s0)
        rows = mapped.sweep == number
        entering[rows] = mapped.s1[rows] @ across > 0.0
    groups = 2 * mapped.sweep + entering
    points = as_seen_with_first(experiments, mapped.rlp, mapped.sweep)
    A, neighbours = crystal_of(experiments[0]).A, mapped.sweep if local else None
    return assign(A, points, tolerance, mapped.mm[:, 2], groups, neighbours), entering


def indexed_table(
    spots: Reflections,
    mapped: MappedSpots,
    found: Assignment,
    entering: NDArray[np.bool_],
    first: Index | int = 0,
) -> Reflections:
    """Give the table of spots with everything that indexing knows of them.

    ``first`` is the number of the experiment that stands for the first sweep, for each spot (N,): 0, or that
    of its lattice where there are several.
    """
    flags = spots["flags"] if "flags" in spots else np.full(spots.n_rows, int(Flag.STRONG), dtype=np.uint64)
    stale = Flag.PREDICTED | Flag.INDEXED | Flag.USED_IN_REFINEMENT | Flag.CENTROID_OUTLIER
    flags = flags & ~np.uint64(int(stale))
    return spots.with_columns(
        {
            "id": np.where(found.indexed, first + mapped.sweep, -1).astype(np.int32),
            "imageset_id": mapped.sweep.astype(np.int32),
            "miller_index": found.h,
            "flags": np.where(found.indexed, flags | np.uint64(int(Flag.INDEXED)), flags),
            "entering": entering,
            "xyzobs.mm.value": mapped.mm,
            "xyzobs.mm.variance": mapped.variance,
            "s1": mapped.s1,
            "rlp": mapped.rlp,
        }
    )


def macrocycles(
    experiments: Sequence[Experiment], mapped: MappedSpots, task: Task, progress: Progress
) -> tuple[list[Experiment], tuple[Cycle, ...], tuple[str, ...]]:
    """Refine in macrocycles of growing resolution.

    The models of the first cycle need only be good enough for spots of low resolution; each cycle makes
    them good enough for the next. Where a cycle changed the index of hardly any spot, at any resolution, the
    last one follows at once. A cycle that cannot be refined, or that loses the lattice, ends the series with
    the models before it.

    Returns
    -------
    experiments
        Refined.
    cycles : tuple of Cycle
    warnings : tuple of str
    """
    items, cycles = list(experiments), list[Cycle]()
    length = np.linalg.norm(mapped.rlp[task.usable], axis=1)
    limits = resolution_steps(length, task.options.cycles).tolist()
    before: Assignment | None = None
    while limits:
        progress("refining", len(cycles), len(cycles) + len(limits))
        found = assign_all(items, mapped, task.options.tolerance, local=task.options.assignment == "local")
        if before is not None and _unchanged(before, found[0], task.usable):
            limits = limits[-1:]
        before, limit = found[0], limits.pop(0)
        rows = task.usable[length <= limit]
        cycle = macrocycle(
            len(cycles) + 1, 1.0 / limit, items, mapped, rows, task, last=not limits, assigned=found
        )
        if isinstance(cycle, str):
            return items, tuple(cycles), (cycle,)
        items = list(cycle.refined.experiments)
        mapped = map_spots(items, task.spots, mapped.sweep)
        cycles.append(cycle)
    return items, tuple(cycles), ()


def _unchanged(before: Assignment, after: Assignment, rows: Index) -> bool:
    """Tell whether hardly any of the spots ``rows`` got, lost or changed an index."""
    same = np.all(before.h[rows] == after.h[rows], axis=1)
    either = before.indexed[rows] | after.indexed[rows]
    return int((~same).sum()) <= HARDLY_ANY * int(either.sum())


def macrocycle(
    number: int,
    d_min: float,
    items: Sequence[Experiment],
    mapped: MappedSpots,
    rows: Index,
    task: Task,
    *,
    last: bool,
    hold_cell: bool = False,
    assigned: tuple[Assignment, NDArray[np.bool_]] | None = None,
) -> Cycle | str:
    """Refine with the indices of some rows (M,), assigned here or before; the reason where that fails."""
    local = task.options.assignment == "local"
    found, entering = assigned or assign_all(items, mapped, task.options.tolerance, local=local)
    outside = np.ones(task.spots.n_rows, dtype=bool)
    outside[rows] = False
    found = found.without(outside)
    count = int(found.indexed.sum())
    if count < LEAST_TO_REFINE:
        return f"{count} indexed spots are too few to refine; the lattice is as fitted to the spots."
    table = indexed_table(task.spots, mapped, found, entering).without(*task.spots.opaque)
    options = refine_options(count, last, task.options, hold_cell=hold_cell)
    refined = refine_or_why(items, table, task.refinery, options, light=not last)
    if isinstance(refined, str):
        return f"Macrocycle {number} was not taken over: {refined}"
    log.info("macrocycle %d: %d indexed to %.2f Angstrom", number, count, d_min)
    return Cycle(number, d_min, count, refined)


def refine_or_why(
    items: Sequence[Experiment],
    table: Reflections,
    refinery: Refinery,
    options: RefineOptions,
    *,
    light: bool = False,
) -> Refined | Fitted | str:
    """Refine once; the reason, in words, where that fails or loses the lattice.

    ``light`` leaves out uncertainties, which nobody reads on the way to other models.
    """
    components = (refinery.parameterisation, refinery.minimiser, refinery.rejector)
    try:
        refined = (fit_only if light else refine)(Experiments(tuple(items)), table, *components, options)
    except DataError as error:
        return f"{error.what} {error.why}".strip()
    pairs = zip(items, refined.experiments, strict=True)
    lost = [trouble for before, after in pairs if (trouble := _lost(crystal_of(before), after.crystal))]
    return lost[0] if lost else refined


def _lost(before: Crystal, after: Crystal | None) -> str:
    """Say what is wrong with a crystal after refinement; "" if nothing."""
    if after is None or not np.all(np.isfinite(after.A)):
        return "The crystal became meaningless."
    ratio = abs(after.volume / before.volume)
    if not 0.67 < ratio < 1.5:
        return f"The volume of the cell changed by a factor {ratio:.2f}."
    return ""
