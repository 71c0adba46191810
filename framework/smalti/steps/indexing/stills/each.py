"""One still after the other: which lattices its spots show, or why none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Crystal, Experiment
from smalti.progress import silent
from smalti.roles import Indexer
from smalti.steps.indexing.assigning import assign, fit_growing
from smalti.steps.indexing.attempts import ENOUGH
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots
from smalti.steps.indexing.more_lattices import LEAST_ANGLE, settled
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.search import find_lattice
from smalti.steps.indexing.sharing import angle_between
from smalti.steps.indexing.trials import Trial
from smalti.tables import Reflections

__all__ = ["LEAST_OF_STILL", "Found", "StillSpots", "find_in_still"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LEAST_OF_STILL = 15
"""Spots of one still below which no lattice is looked for."""

PART_LEFT = 0.2
"""Part of the spots of a still below which no further lattice is looked for among those left over."""


@dataclass(frozen=True)
class StillSpots:
    """The spots of one still.

    Attributes
    ----------
    experiment : Experiment
        Without a crystal.
    spots : Reflections
        N rows.
    mapped : MappedSpots
    usable : (M,) intp
        Rows that may be indexed.
    """

    experiment: Experiment
    spots: Reflections
    mapped: MappedSpots
    usable: Index


@dataclass(frozen=True)
class Found:
    """What became of one still.

    Attributes
    ----------
    crystals : tuple of Crystal
        Empty where nothing was found.
    indexer : str
        That found the first.
    trials : tuple of Trial
        Every candidate for the first lattice, best first.
    problem : str
        Why nothing was found; "" where something was.
    """

    crystals: tuple[Crystal, ...] = ()
    indexer: str = ""
    trials: tuple[Trial, ...] = ()
    problem: str = ""


def find_in_still(
    still: StillSpots, indexers: Sequence[Indexer], known: KnownLattice, options: IndexOptions
) -> Found:
    """Find the lattices of one still, with the first indexer that explains most of the spots.

    Parameters
    ----------
    indexers : sequence of Indexer
        In the order in which they are asked; where none explains most, the best is taken.
    options : IndexOptions
        Where the beam is cannot be told by one still: its search has to be off.
    """
    if still.usable.size < LEAST_OF_STILL:
        return Found(problem="too few spots")
    best = Found()
    for indexer in indexers:
        try:
            trials = _trials(still, still.usable, indexer, known, options)
        except DataError:
            continue
        if not best.trials or trials[0].indexed > best.trials[0].indexed:
            best = Found((), indexer.name, trials)
        if trials[0].indexed >= ENOUGH:
            break
    if not best.trials:
        told = known.cell or known.space_group
        return Found(
            problem="no lattice fits the spots and what is known" if told else "no lattice fits the spots"
        )
    crystal = _crystal(best.trials[0], still, still.usable, known, options)
    if crystal is None:
        return Found(trials=best.trials, problem="the lattice does not fit the space group and cell given")
    indexer = next(item for item in indexers if item.name == best.indexer)
    crystals = _with_further(crystal, still, indexer, known, options)
    return Found(crystals, best.indexer, best.trials)


def _with_further(
    first: Crystal, still: StillSpots, indexer: Indexer, known: KnownLattice, options: IndexOptions
) -> tuple[Crystal, ...]:
    """Look for further lattices among the spots that are left over."""
    crystals, rest = [first], still.usable
    while len(crystals) < options.max_lattices:
        rest = rest[~assign(crystals[-1].A, still.mapped.rlp[rest], options.tolerance).indexed]
        if rest.size < max(LEAST_OF_STILL, PART_LEFT * still.usable.size):
            break
        try:
            trials = _trials(still, rest, indexer, known, options)
        except DataError:
            break
        crystal = _crystal(trials[0], still, rest, known, options)
        if crystal is None or any(_same(crystal, other) for other in crystals):
            break
        crystals.append(crystal)
    return tuple(crystals)


def _same(one: Crystal, other: Crystal) -> bool:
    angle = angle_between(other, one)
    return angle is not None and angle < LEAST_ANGLE


def _trials(
    still: StillSpots, rows: Index, indexer: Indexer, known: KnownLattice, options: IndexOptions
) -> tuple[Trial, ...]:
    return find_lattice(
        [still.experiment],
        still.spots,
        still.mapped,
        rows,
        indexer,
        known,
        options,
        silent,
        thorough=False,
    )[0]


def _crystal(
    trial: Trial, still: StillSpots, rows: Index, known: KnownLattice, options: IndexOptions
) -> Crystal | None:
    A = fit_growing(trial.A, still.mapped.rlp[rows])
    return settled(A, known, (options.lattice_tolerance, options.cell_tolerance))
