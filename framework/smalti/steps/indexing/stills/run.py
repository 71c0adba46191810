"""The step for stills: a crystal for each, all refined together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError, UsageError
from smalti.geometry.lattice import primitive
from smalti.geometry.reciprocal import B_from_cell
from smalti.models import Crystal, Experiment, Experiments
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Indexer, Minimiser, OutlierRejector
from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.indexing.cycles import Cycle, Refinery, indexed_table
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots, map_spots, with_pixels
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.scale import cell_scale, rescaled, scale_warning
from smalti.steps.indexing.stills.each import Found, StillSpots, find_in_still
from smalti.steps.indexing.stills.joint import assign_stills, refined_stills
from smalti.steps.indexing.stills.result import IndexedStills, StillRow
from smalti.steps.indexing.sweeps import distinct_sweeps
from smalti.steps.predicting import predict_indexed
from smalti.tables import Flag, Reflections

__all__ = ["index_stills"]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def index_stills(
    experiments: Experiments,
    reflections: Reflections,
    indexers: Sequence[Indexer],
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: IndexOptions | None = None,
    progress: Progress = silent,
) -> IndexedStills:
    """Index stills, each with a crystal of its own; those that show none are counted with the reason.

    Parameters
    ----------
    experiments : Experiments
        Stills only.
    reflections : Reflections
        Spots with ``xyzobs.px.value`` (or else ``xyzobs.mm.value``) and ``panel``.
    indexers : sequence of Indexer
        For each still the first that explains most of its spots is taken.
    parameterisation, minimiser, rejector
        What refines the models: the crystals, and where the detector is across the beam.

    Raises
    ------
    UsageError
        Sweeps are among them, or space group and cell cannot be understood.
    DataError
        No still was indexed; says how many failed for which reason.
    """
    options = replace(options or IndexOptions(), search_beam=False)
    if not all(item.is_still for item in experiments):
        raise UsageError(
            "Stills and sweeps were given together.",
            "A still has an orientation of its own, a sweep is indexed as a whole.",
            "Index them apart and combine the results: smalti combine.",
        )
    known = KnownLattice.parse(options.space_group, options.unit_cell)
    stills, number = distinct_sweeps(experiments, reflections)
    spots = with_pixels(stills, reflections, number)
    mapped = map_spots(stills, spots, number)
    usable = _usable(mapped, options)
    found = []
    for k, still in enumerate(stills):
        progress("indexing stills", k, len(stills))
        part = _cut(still, spots, mapped, np.flatnonzero(number == k), usable)
        found.append(find_in_still(part, indexers, known, options))
    if not any(item.crystals for item in found):
        raise _none(found, known)
    items, scale = _scaled(_crystals(stills, found), known, options)
    of_still = np.repeat(np.arange(len(stills)), [len(item.crystals) for item in found])
    progress("refining", 0, 1)
    refinery = Refinery(parameterisation, minimiser, rejector)
    refined = refined_stills(items, of_still, stills, spots, usable, number, refinery, options)
    items, cycles, warnings = refined
    warnings = (*scale_warning(scale, options.distance_from_cell), *warnings)
    return _gathered(
        replace(experiments, items=tuple(items)), of_still, stills, spots, usable, number,
        found, cycles, warnings, known, options,
    )  # fmt: skip


def _crystals(stills: Sequence[Experiment], found: Sequence[Found]) -> list[Experiment]:
    """An experiment for each crystal that was found."""
    return [
        replace(stills[k], crystal=crystal, identifier=_name(stills[k], m))
        for k, item in enumerate(found)
        for m, crystal in enumerate(item.crystals)
    ]


def _scaled(
    items: list[Experiment], known: KnownLattice, options: IndexOptions
) -> tuple[list[Experiment], float]:
    """Take the known cell's word for the distance, where that is asked for.

    The detector goes where half of the cells found are longer than the known one, and all crystals get that.

    Returns
    -------
    items : list of Experiment
    scale : float
        Median of the axes found over those of the known cell.
    """
    bases = [primitive(np.array(crystal_of(item).real_space), known.centring) for item in items]
    scale = float(np.median([cell_scale(basis, known) for basis in bases]))
    if not options.distance_from_cell or known.cell is None:
        return items, scale
    B = B_from_cell(known.cell)
    crystals = [Crystal.from_A(crystal_of(item).U @ B, known.hall) for item in items]
    moved = rescaled(items, scale)
    return [replace(item, crystal=own) for item, own in zip(moved, crystals, strict=True)], scale


def _usable(mapped: MappedSpots, options: IndexOptions) -> NDArray[np.bool_]:
    """Which spots (N,) indexing looks at: measured, and within the resolution asked for."""
    length = np.linalg.norm(mapped.rlp, axis=1)
    good = np.isfinite(length) & (length > 0.0) & np.all(mapped.variance[:, :2] > 0.0, axis=1)
    if options.d_min > 0.0:
        good &= length <= 1.0 / options.d_min
    return np.asarray(good)


def _cut(
    still: Experiment, spots: Reflections, mapped: MappedSpots, rows: Index, usable: NDArray[np.bool_]
) -> StillSpots:
    """The spots of one still by themselves."""
    names = [name for name in ("xyzobs.px.value", "xyzobs.px.variance", "panel") if name in spots]
    part = MappedSpots(
        np.zeros(rows.size, dtype=np.intp), mapped.mm[rows], mapped.variance[rows], mapped.s1[rows],
        mapped.rlp[rows],
    )  # fmt: skip
    table = Reflections({name: spots[name][rows] for name in names})
    return StillSpots(still, table, part, np.flatnonzero(usable[rows]))


def _name(still: Experiment, lattice: int) -> str:
    return f"{still.identifier}-lattice-{lattice + 1}" if lattice and still.identifier else still.identifier


def _none(found: Sequence[Found], known: KnownLattice) -> DataError:
    """The error that says that no still was indexed."""
    reasons = Counter(item.problem for item in found).most_common()
    told = "; ".join(f"{count}: {reason}" for reason, count in reasons)
    cure = "" if known.cell else "Give the cell and use --indexer known_cell, which needs fewer spots. "
    return DataError(
        f"None of {len(found)} stills was indexed.",
        f"Of so many stills: {told}.",
        cure + "Check distance, wavelength and beam centre, which stills do not tell, or try --auto.",
    )


def _gathered(
    experiments: Experiments,
    of_still: Index,
    stills: Sequence[Experiment],
    spots: Reflections,
    usable: NDArray[np.bool_],
    number: Index,
    found: Sequence[Found],
    cycles: tuple[Cycle, ...],
    warnings: tuple[str, ...],
    known: KnownLattice,
    options: IndexOptions,
) -> IndexedStills:
    """Assign all spots with the final models, and leave the stills out that have no crystal."""
    now = list(stills)
    for item, still in zip(experiments, of_still.tolist(), strict=True):
        now[still] = replace(item, crystal=None)
    mapped = map_spots(now, spots, number)
    assignment, which = assign_stills(experiments.items, of_still, mapped, options.tolerance)
    assignment = assignment.without(~usable)
    which = np.where(assignment.indexed, which, -1)
    table = indexed_table(spots, mapped, assignment, np.zeros(len(which), dtype=bool))
    kept = np.unique(of_still)
    place = np.full(len(stills), -1, dtype=np.int32)
    place[kept] = np.arange(kept.size)
    columns = {"id": which.astype(np.int32), "imageset_id": place[number]}
    if cycles:
        before = cycles[-1].refined.reflections["flags"]
        used = np.uint64(int(Flag.USED_IN_REFINEMENT | Flag.CENTROID_OUTLIER)) & before
        columns["flags"] = np.where(assignment.indexed, table["flags"] | used, table["flags"])
    identifiers = {k: item.identifier for k, item in enumerate(experiments) if item.identifier}
    table = table.with_columns(columns, identifiers=identifiers).where(place[number] >= 0)
    rows = _rows(found, of_still, number, which, [item.crystal for item in experiments.items])
    return IndexedStills(
        experiments, predict_indexed(experiments, table), warnings, rows, cycles, known.name, tuple(found)
    )


def _rows(
    found: Sequence[Found], of_still: Index, number: Index, which: Index, crystals: Sequence[object]
) -> tuple[StillRow, ...]:
    """What became of each still."""
    total = np.bincount(number, minlength=len(found))
    counts = np.bincount(which[which >= 0], minlength=len(crystals))
    rows = []
    for k, item in enumerate(found):
        mine = np.flatnonzero(of_still == k)
        rows.append(
            StillRow(k, int(total[k]), tuple(counts[mine].tolist()), tuple(mine.tolist()), item.indexer,
                     item.problem)
        )  # fmt: skip
    return tuple(rows)
