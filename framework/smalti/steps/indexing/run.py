"""The step itself: from spots to an indexed crystal."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.lattice_symmetry import bravais_lattices
from smalti.models import Crystal, Experiment, Experiments
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Indexer, Minimiser, OutlierRejector
from smalti.steps.indexing.assigning import fit_growing
from smalti.steps.indexing.centre import moved_detectors
from smalti.steps.indexing.crystals import reduced
from smalti.steps.indexing.cycles import Cycle, Refinery, Task, macrocycles
from smalti.steps.indexing.doubts import doubts
from smalti.steps.indexing.finishing import finished, raise_if_strewn, usable_rows
from smalti.steps.indexing.holding import with_header_distance
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots, map_spots, rotation_models, with_pixels
from smalti.steps.indexing.more_lattices import further_lattices, settled
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.result import Indexed
from smalti.steps.indexing.scale import cell_scale, rescaled, scale_warning
from smalti.steps.indexing.search import find_lattice
from smalti.steps.indexing.separating import Comparison, own_crystals
from smalti.steps.indexing.sweeps import distinct_sweeps
from smalti.steps.indexing.trials import Trial
from smalti.tables import Reflections

__all__ = ["index"]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def index(
    experiments: Experiments,
    reflections: Reflections,
    indexer: Indexer,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: IndexOptions | None = None,
    progress: Progress = silent,
) -> Indexed:
    """Index the spots of one crystal, in one sweep or several.

    Parameters
    ----------
    experiments : Experiments
        The sweeps as imported. All show the same crystal, each with its own goniometer and beam; what the
        goniometers do not tell exactly is found where the spots show it (``options.crystals``).
    reflections : Reflections
        Spots with ``xyzobs.px.value`` (or else ``xyzobs.mm.value``) and ``panel``.
    indexer
        Proposes lattices.
    parameterisation, minimiser, rejector
        What refines the models, the same as in refinement.

    Raises
    ------
    UsageError
        Space group or cell cannot be understood, or do not fit one another.
    DataError
        Stills (see :func:`index_stills`), too few spots, or no lattice; says what was seen and what to try.
    """
    options = options or IndexOptions()
    known = KnownLattice.parse(options.space_group, options.unit_cell)
    sweeps, number = distinct_sweeps(experiments, reflections)
    for item in sweeps:
        rotation_models(item)
    spots = with_pixels(sweeps, reflections, number)
    mapped = map_spots(sweeps, spots, number)
    usable = usable_rows(mapped, options)
    trials, max_cell = find_lattice(sweeps, spots, mapped, usable, indexer, known, options, progress)
    best = trials[0]
    sweeps, scale = _started(sweeps, spots, number, usable, best, known, options)
    mapped = map_spots(sweeps, spots, number)
    task = Task(spots, usable, Refinery(parameterisation, minimiser, rejector), options)
    sweeps, cycles, warnings, comparison = _refined(sweeps, mapped, task, progress)
    raise_if_strewn(sweeps, number, task, cycles)
    if known.space_group is None and known.cell is None:
        sweeps = reduced(sweeps)
    task = replace(task, hold_distance=bool(cycles and cycles[-1].note))
    further = further_lattices(sweeps, number, task, indexer, known, progress)
    cycles = (*cycles, *further.cycles)
    end = finished(experiments, further.lattices, number, task, known, cycles)
    part = sum(end.indexed) / max(usable.size, 1)
    reasons = doubts(part, trials, cycles, end.larger, len(further.lattices))
    warnings = (*warnings, *scale_warning(scale, options.distance_from_cell), *reasons)
    bravais = bravais_lattices(end.basis, options.lattice_tolerance)
    return Indexed(
        end.experiments, end.reflections, warnings, trials, best.shifts, bravais, cycles, end.indexed,
        end.total, max_cell, known.name, further, end.alternatives, comparison, rescued=end.rescued,
    )  # fmt: skip


def _refined(
    started: list[Experiment], mapped: MappedSpots, task: Task, progress: Progress
) -> tuple[list[Experiment], tuple[Cycle, ...], tuple[str, ...], Comparison | None]:
    """Refine in macrocycles, with a crystal for each sweep where the spots ask for it.

    Returns
    -------
    sweeps : list of Experiment
    cycles : tuple of Cycle
    warnings : tuple of str
    comparison : Comparison or None
        Of own crystals with a shared one.
    """
    sweeps, cycles, warnings = macrocycles(started, mapped, task, progress)
    apart, comparison, more = own_crystals(cycles, mapped.sweep, task)
    cycles = (*cycles, *apart)
    held = with_header_distance(started, cycles, task)
    if held is not None:
        cycles = (*cycles, held)
    if held is not None or apart:
        sweeps = list(cycles[-1].refined.experiments)
    return sweeps, cycles, (*warnings, *more), comparison


def _started(
    sweeps: list[Experiment],
    spots: Reflections,
    number: Index,
    usable: Index,
    best: Trial,
    known: KnownLattice,
    options: IndexOptions,
) -> tuple[list[Experiment], float]:
    """Put detectors where the best candidate has them, and the crystal into every sweep.

    Returns
    -------
    sweeps : list of Experiment
    scale : float
        Of the axes found over those of the known cell.
    """
    if best.shifts:
        sweeps = moved_detectors(sweeps, best.shifts)
    A, scale = best.A, cell_scale(best.basis, known)
    if options.distance_from_cell:
        sweeps, A = rescaled(sweeps, scale), A * scale
    points = map_spots(sweeps, spots, number).rlp[usable]
    crystal = _settled(fit_growing(A, points), known, options)
    return [replace(item, crystal=crystal) for item in sweeps], scale


def _settled(A: Array, known: KnownLattice, options: IndexOptions) -> Crystal:
    """Set a primitive lattice in the axes of what is known, and give it the symmetry of its space group."""
    crystal = settled(A, known, (options.lattice_tolerance, options.cell_tolerance))
    if crystal is None:
        raise DataError(
            f"The lattice found does not fit {known.name} and the cell given.",
            "It did before it was fitted to all spots, so that it is probably not the right one.",
            "Leave out space group and cell to see what is there.",
        )
    return crystal
