"""The search for a lattice: candidates from the indexer, each tried, with a longer reach if none will do."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.lattice import multiple
from smalti.models import Experiment
from smalti.models.frames import vector
from smalti.progress import Progress
from smalti.roles import Indexer
from smalti.solution import Candidate, PointCloud
from smalti.steps.answers import candidates_of
from smalti.steps.indexing.diagnosing import nothing_found, turned_the_other_way
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots, map_spots, rotation_models
from smalti.steps.indexing.max_cell import estimate_max_cell
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.trials import Trial, ranked, sample, try_candidate, untried
from smalti.tables import Reflections

__all__ = ["find_lattice", "first_max_cell"]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LEAST_SPOTS = 15
"""With fewer, a lattice found by chance cannot be told from the crystal's."""

ENOUGH = 0.6
"""A lattice that explains this fraction of the spots ends the search."""

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
    check_sense: bool = True,
) -> tuple[tuple[Trial, ...], float]:
    """Find the lattice that explains the spots best.

    Parameters
    ----------
    rows : (M,) intp
        The spots to search with.
    check_sense : bool
        Whether to see, where nothing convinces, if a crystal turning the other way would.

    Returns
    -------
    trials : tuple of Trial
        Every lattice tried, best first; the first one is not refused.
    max_cell : float
        The reach that found it, Angstrom.

    Raises
    ------
    DataError
        Too few spots, or nothing found; says what was seen and what to try.
    """
    if rows.size < LEAST_SPOTS:
        raise DataError(
            f"{rows.size} spots are too few to find a lattice.",
            f"At least {LEAST_SPOTS} are needed"
            + (f" (d_min is {options.d_min:g} Angstrom)." if options.d_min else "."),
            "Find spots with a lower threshold or --min-spot-size, or use more images.",
        )
    cloud = mapped.cloud(experiments, rows)
    few = rows[sample(mapped.rlp[rows])]
    part = Reflections({name: spots[name][few] for name in ("xyzobs.px.value", "panel")})
    trial = Attempt(experiments, part, map_spots(experiments, part, mapped.sweep[few]), known, options)
    reach = first_max_cell(cloud, known, options)
    reaches = [reach] if options.max_cell > 0 or known.cell else _reaches(reach)
    trials: tuple[Trial, ...] = ()
    for number, max_cell in enumerate(reaches):
        progress("searching for lattices", number, len(reaches))
        trials = ranked((*trials, *_tried(indexer, cloud, max_cell, trial)))
        if trials and not trials[0].refused and trials[0].indexed >= ENOUGH:
            break
    doubtful = check_sense and (not trials or trials[0].refused or trials[0].indexed < ENOUGH / 2)
    turned = _reversed(experiments, part, mapped.sweep[few], trial, indexer, max_cell) if doubtful else None
    if turned:
        raise turned_the_other_way(turned)
    if not trials or trials[0].refused:
        length = np.linalg.norm(mapped.rlp[rows], axis=1)
        degrees = _widest(experiments)
        raise nothing_found(trials, length, degrees, max_cell, indexer.name, known, options)
    return trials, max_cell


def _reaches(first: float, longest: float = 400.0) -> list[float]:
    """Longest axes to look for, one after the other: among sparse spots the first is too short."""
    reaches = [first, 2.0 * first]
    while reaches[-1] < longest:
        reaches.append(2.0 * reaches[-1])
    return reaches


@dataclass(frozen=True)
class Attempt:
    """Everything with which candidates are tried."""

    experiments: Sequence[Experiment]
    spots: Reflections
    mapped: MappedSpots
    known: KnownLattice
    options: IndexOptions

    def __call__(self, candidate: Candidate) -> Trial:
        """Try one candidate; one that allows of no fit is refused."""
        try:
            return try_candidate(
                candidate, self.experiments, self.spots, self.mapped, self.known, self.options
            )
        except np.linalg.LinAlgError:
            return untried(candidate, "the spots that it indexes determine no lattice")


def _tried(indexer: Indexer, cloud: PointCloud, max_cell: float, attempt: Attempt) -> list[Trial]:
    """Try the candidates of an indexer, but for mere multiples of a lattice that already does."""
    candidates = candidates_of(indexer, cloud, max_cell, attempt.known.primitive_cell())
    log.info("%s proposes %d lattices up to %.1f Angstrom", indexer.name, len(candidates), max_cell)
    trials: list[Trial] = []
    good: list[Array] = []
    for candidate in candidates:
        basis = np.asarray(np.linalg.inv(candidate.A))
        factor = next((f for f in (multiple(basis, other) for other in good) if f > 1), 0)
        if factor:
            trials.append(untried(candidate, f"not needed: x {factor}"))
            continue
        trial = attempt(candidate)
        trials.append(trial)
        if not trial.refused and trial.indexed >= ENOUGH and not trial.reductions:
            good.append(basis)
    return trials


def _reversed(
    experiments: Sequence[Experiment],
    part: Reflections,
    sweep: Index,
    attempt: Attempt,
    indexer: Indexer,
    max_cell: float,
) -> Trial | None:
    """What a crystal turning the other way would make of the spots; None if that does not help either."""
    turned = [
        replace(item, goniometer=replace(goniometer, rotation_axis=vector(-goniometer.axis)))
        for item, (goniometer, _) in ((item, rotation_models(item)) for item in experiments)
    ]
    mapped = map_spots(turned, part, sweep)
    cloud = mapped.cloud(turned, np.arange(part.n_rows))
    trials = ranked(_tried(indexer, cloud, max_cell, replace(attempt, experiments=turned, mapped=mapped)))
    return trials[0] if trials and not trials[0].refused and trials[0].indexed >= ENOUGH else None


def _widest(experiments: Sequence[Experiment]) -> float:
    """Rotation of the widest sweep, deg; without end for a still, of which nobody expects any."""
    if any(item.is_still for item in experiments):
        return np.inf
    ranges = [rotation_models(item)[1].angle_range for item in experiments]
    return float(np.degrees(max(abs(end - begin) for begin, end in ranges)))
