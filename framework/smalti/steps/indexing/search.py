"""The search for a lattice: candidates from the indexer, each tried, with a longer reach if none will do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment
from smalti.progress import Progress
from smalti.roles import Indexer
from smalti.solution import PointCloud
from smalti.steps.indexing.attempts import ENOUGH, Attempt, convincing, searched
from smalti.steps.indexing.diagnosing import (
    at_the_edge,
    beam_further_off,
    nothing_found,
    too_few,
    turned_the_other_way,
)
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots, map_spots, rotation_models
from smalti.steps.indexing.max_cell import estimate_max_cell
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.otherwise import further_off, reversed_axis, stretched
from smalti.steps.indexing.trials import Trial, sample
from smalti.tables import Reflections

__all__ = ["find_lattice", "first_max_cell"]

Index = NDArray[np.intp]

LEAST_SPOTS = 15
"""With fewer, a lattice found by chance cannot be told from the crystal's."""

CLEARLY = 0.7
"""Part of the RMSD to which a beam further off has to bring the spots to be believed."""

LONGEST = 400.0
"""Angstrom: longest axis to look for, at least, before a search is given up ..."""

SHORTEST = 50.0
"""... and the shortest that is worth a search of its own."""

NEIGHBOURHOOD = float(np.radians(12.0))
"""Width of the wedges in which neighbours are looked for."""


def first_max_cell(cloud: PointCloud, known: KnownLattice, options: IndexOptions) -> float:
    """The longest axis to look for: as told, from the known cell, or estimated, Angstrom."""
    if options.max_cell > 0:
        return options.max_cell
    cell = known.primitive_cell()
    if cell is not None:
        return 1.3 * max(cell[:3])
    return estimate_max_cell(cloud, NEIGHBOURHOOD)


def find_lattice(
    experiments: Sequence[Experiment],
    spots: Reflections,
    mapped: MappedSpots,
    rows: Index,
    indexer: Indexer,
    known: KnownLattice,
    options: IndexOptions,
    progress: Progress,
    *,
    thorough: bool = True,
) -> tuple[tuple[Trial, ...], float]:
    """Find the lattice that explains the spots best.

    Parameters
    ----------
    rows : (M,) intp
        The spots to search with.
    thorough : bool
        Whether to go on, where nothing convinces: with shorter axes, a crystal turning the other way, or
        a beam further off.

    Returns
    -------
    trials : tuple of Trial
        Every lattice tried, best first; the first one is not refused.
    max_cell : float
        The last reach, Angstrom.

    Raises
    ------
    DataError
        Too few spots, or nothing found; says what was seen and what to try.
    """
    if rows.size < LEAST_SPOTS:
        raise too_few(rows.size, LEAST_SPOTS, options)
    cloud = stretched(mapped.cloud(experiments, rows), options.search_range)
    few = rows[sample(mapped.rlp[rows])]
    part = Reflections({name: spots[name][few] for name in ("xyzobs.px.value", "panel")})
    attempt = Attempt(experiments, part, map_spots(experiments, part, mapped.sweep[few]), known, options)
    reaches = _reaches(cloud, known, options)
    trials, max_cell = searched(indexer, cloud, _told(reaches, progress), attempt)
    if thorough:
        nearer = _nearer(reaches[0]) if len(reaches) > 1 else []
        if nearer and not convincing(trials, options.min_indexed):
            trials, max_cell = searched(indexer, cloud, _told(nearer, progress), attempt, trials)
        _raise_if_otherwise(indexer, reaches[:2], attempt, trials)
    if not trials or trials[0].refused:
        length = np.linalg.norm(mapped.rlp[rows], axis=1)
        raise nothing_found(trials, length, _widest(experiments), max(reaches), known, options)
    return trials, max_cell


def _told(reaches: Sequence[float], progress: Progress) -> Iterator[float]:
    """Give one reach after the other, and tell that it is searched."""
    for number, reach in enumerate(reaches):
        progress("searching for lattices", number, len(reaches))
        yield reach


def _raise_if_otherwise(
    indexer: Indexer, reaches: Sequence[float], attempt: Attempt, trials: Sequence[Trial]
) -> None:
    """Say so where another experiment would explain the spots, or explain them far better."""
    best = trials[0] if trials and not trials[0].refused else None
    if not convincing(trials, ENOUGH / 2):
        if any(trial.misfit_to_known for trial in trials):
            return
        turned = reversed_axis(indexer, reaches, attempt)
        if turned:
            raise turned_the_other_way(turned)
    elif best is None or not at_the_edge(best, attempt.options):
        return
    further = further_off(indexer, reaches, attempt)
    if further and (best is None or further[0].rmsd < CLEARLY * best.rmsd):
        raise beam_further_off(*further)


def _reaches(cloud: PointCloud, known: KnownLattice, options: IndexOptions) -> list[float]:
    """Longest axes to look for, one after the other: among sparse spots the first is too short."""
    first = first_max_cell(cloud, known, options)
    if options.max_cell > 0 or known.cell:
        return [first]
    reaches = [first, 2.0 * first]
    while reaches[-1] < LONGEST:
        reaches.append(2.0 * reaches[-1])
    return reaches


def _nearer(first: float) -> list[float]:
    """Shorter reaches, where spots of two crystals, or cut in two, make the first one far too long."""
    halves = 0.5 ** np.arange(1, 12) * first
    return [float(reach) for reach in halves if reach > SHORTEST]


def _widest(experiments: Sequence[Experiment]) -> float:
    """Rotation of the widest sweep, deg; without end for a still, of which nobody expects any."""
    if any(item.is_still for item in experiments):
        return np.inf
    ranges = [rotation_models(item)[1].angle_range for item in experiments]
    return float(np.degrees(max(abs(end - begin) for begin, end in ranges)))
