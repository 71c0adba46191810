"""Candidates of an indexer, each tried with the same spots by the same rules."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import multiple
from smalti.models import Experiment
from smalti.roles import Indexer
from smalti.solution import Candidate, PointCloud
from smalti.steps.answers import candidates_of
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.trials import Trial, ranked, try_candidate, untried
from smalti.tables import Reflections

__all__ = ["ENOUGH", "Attempt", "convincing", "searched"]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

ENOUGH = 0.6
"""A lattice that explains this fraction of the spots ends the search."""


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
        if trial.explains(ENOUGH) and not trial.reductions:
            good.append(basis)
    return trials


def convincing(trials: Sequence[Trial], least: float = ENOUGH) -> bool:
    """Whether the best of ranked trials explains as large a part of the spots, and not by chance."""
    return bool(trials) and trials[0].explains(least)


def searched(
    indexer: Indexer,
    cloud: PointCloud,
    reaches: Iterable[float],
    attempt: Attempt,
    trials: tuple[Trial, ...] = (),
) -> tuple[tuple[Trial, ...], float]:
    """Ask an indexer with one reach (Angstrom) after the other until a lattice convinces.

    Returns
    -------
    trials : tuple of Trial
        All, best first; those made before among them.
    max_cell : float
        The last reach.
    """
    max_cell = 0.0
    for max_cell in reaches:
        trials = ranked((*trials, *_tried(indexer, cloud, max_cell, attempt)))
        if convincing(trials):
            break
    return trials, max_cell
