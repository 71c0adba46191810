"""What the reflections of many crystals tell of the parameters that they share.

For given shared parameters each crystal's own are brought to their best by Gauss-Newton steps [variable
projection: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413]; their normal equations are then
eliminated. Where this ends a little short of the best, the last step is taken account of to second
order. What comes out of several sets of crystals only has to be added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.arrows import Tally, held_arrow, pieces_of
from smalti.steps.refining.problem.eliminating import eliminate
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.source import RotationSource

__all__ = ["Reduction", "reduce_crystals", "settle"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

SETTLED = 1e-4
"""A crystal is settled when a step would take less than this off its objective: 0.014 of an ESD."""

_MOST_PASSES = 30
_ROUNDING = 1e-12
_LEAST_FACTOR = 1e-6


@dataclass(frozen=True)
class Reduction:
    """Normal equations of g shared parameters with crystals at their best.

    Priors and restraints of crystals' own parameters are in them, those of shared ones are not: they
    are added once, however many reductions there are.

    Attributes
    ----------
    p : (n,)
        All parameters: the shared ones as given, those of crystals as found.
    matrix, gradient : (g, g), (g,)
    objective : float
        1/2 sum w r^2 plus what priors of crystals' own parameters add; infinite where a prediction is
        impossible.
    crystal_objective : (K,)
        The same of each crystal.
    n_reflections : int
    panel_used : (P,)
        Reflections with weight on each panel.
    panel_squares : (P, 3) mm^2, mm^2, rad^2
        Sums of their squared residuals.
    """

    p: Array
    matrix: Array
    gradient: Array
    objective: float
    crystal_objective: Array
    n_reflections: int
    panel_used: Array
    panel_squares: Array

    @property
    def rmsd(self) -> tuple[float, float, float]:
        """RMS residuals, mm, mm, rad."""
        x, y, angle = np.sqrt(self.panel_squares.sum(axis=0) / max(self.n_reflections, 1))
        return float(x), float(y), float(angle)


@dataclass(frozen=True)
class _Own:
    """Where crystals stand: objectives, the steps to their best, and what these would gain."""

    objective: Array
    steps: Array
    gain: Array


def reduce_crystals(source: RotationSource, partition: Partition, p: Array) -> Reduction:
    """Reduce all reflections of a source to its shared parameters.

    Parameters
    ----------
    source : RotationSource
    partition : Partition
    p : (n,)
        The shared parameters are taken as they are; those of crystals are where their search begins.
    """
    everyone = np.arange(len(partition.own))
    begin = _own_pass(source, partition, p, everyone)
    own = partition.of_crystals(p)
    trial = partition.with_crystals(p, own + begin.steps)
    found, now = _whole_pass(source, partition, trial)
    worse = ~(now.objective <= begin.objective * (1.0 + _ROUNDING))
    doubted = np.flatnonzero(worse | (now.gain > SETTLED))
    if len(doubted):
        back = partition.of_crystals(trial)
        back[worse] = own[worse]
        settled = settle(source, partition, partition.with_crystals(p, back), doubted)
        found, _ = _whole_pass(source, partition, settled)
    return found


def settle(source: RotationSource, partition: Partition, p: Array, which: Index | None = None) -> Array:
    """Bring crystals to their best where the shared parameters stay.

    Steps that lead upwards are shortened. Crystals that come to no end keep the best that was found.

    Parameters
    ----------
    which : (k,) intp, optional
        Only these crystals, ascending.

    Returns
    -------
    (n,)
        Parameters at which each crystal is within :data:`SETTLED` of its minimum.
    """
    active = np.arange(len(partition.own)) if which is None else which
    best = partition.of_crystals(p)
    lowest = np.full(len(best), np.inf)
    steps, factor = np.zeros_like(best), np.ones(len(best))
    for _ in range(_MOST_PASSES):
        if not len(active):
            break
        trial = best + factor[:, None] * steps
        found = _own_pass(source, partition, partition.with_crystals(p, trial), active)
        down = found.objective <= lowest[active] * (1.0 + _ROUNDING)
        better = active[down]
        best[better], lowest[better] = trial[better], found.objective[down]
        steps[better], factor[better] = found.steps[down], 1.0
        factor[active[~down]] *= 0.25
        going = np.where(down, found.gain > SETTLED, factor[active] > _LEAST_FACTOR)
        going &= np.isfinite(lowest[active])  # what cannot be predicted at the start has nowhere to go
        active = active[going]
    return partition.with_crystals(p, best)


def _own_pass(source: RotationSource, partition: Partition, p: Array, which: Index) -> _Own:
    held, _, energy = held_arrow(source, partition, p)
    count, m = len(which), partition.own.shape[1]
    out = _Own(np.zeros(count), np.zeros((count, m)), np.zeros(count))
    for piece in pieces_of(source, partition, p, which, cross=False):
        at = np.searchsorted(which, piece.crystals)
        own = eliminate(piece.arrow.plus(held.of(piece.crystals)))
        out.objective[at] = _objective(piece.tally, energy[piece.crystals])
        out.steps[at], out.gain[at] = own.steps, own.gain
    return out


def _whole_pass(source: RotationSource, partition: Partition, p: Array) -> tuple[Reduction, _Own]:
    """Linearise and eliminate; crystals make the steps that are left to them."""
    held, _, energy = held_arrow(source, partition, p)
    g, (count, m) = len(partition.shared), partition.own.shape
    matrix, gradient = np.zeros((g, g)), np.zeros(g)
    used, squares = np.zeros(source.layout.n_panels), np.zeros((source.layout.n_panels, 3))
    now = _Own(np.zeros(count), np.zeros((count, m)), np.zeros(count))
    for piece in pieces_of(source, partition, p):
        left = eliminate(piece.arrow.plus(held.of(piece.crystals)))
        matrix += left.matrix
        gradient += left.slope
        used += piece.tally.panel_used
        squares += piece.tally.panel_squares
        now.objective[piece.crystals] = _objective(piece.tally, energy[piece.crystals])
        now.steps[piece.crystals], now.gain[piece.crystals] = left.steps, left.gain
    end = partition.with_crystals(p, partition.of_crystals(p) + now.steps)
    objective = now.objective - now.gain
    reduction = Reduction(
        end, matrix, gradient, float(objective.sum()), objective, int(used.sum()), used, squares
    )
    return reduction, now


def _objective(tally: Tally, energy: Array) -> Array:
    return np.where(tally.impossible > 0.0, np.inf, tally.objective + energy)
