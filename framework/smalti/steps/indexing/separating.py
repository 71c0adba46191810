"""Whether the sweeps have one crystal, or one each: goniometers do not turn exactly as they say."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment
from smalti.steps.indexing.crystals import largest_turn, separated, turns
from smalti.steps.indexing.cycles import Cycle, Task, macrocycle, refine_or_why
from smalti.steps.indexing.freeing import refine_options
from smalti.steps.indexing.mapping import map_spots
from smalti.steps.refining.refine import Fitted
from smalti.steps.refining.telling.result import Refined
from smalti.tables import Reflections

__all__ = ["Comparison", "compare", "own_crystals"]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LEAST_FOR_CELL = 20
"""Indexed spots of a sweep below which its crystal turns, but keeps the cell of all."""

LEAST_FOR_ORIENTATION = 10
"""Indexed spots of a sweep below which nothing is known of its crystal."""

CUT = 3.0
"""Standard deviations beyond which a residual counts the same whatever its size."""

CLEAR_GAIN = 1.2
"""Chi-squared with the shared crystal over that with own ones; less is not worth a crystal."""

CYCLES_APART = 2
"""Macrocycles with own crystals: one to find indices again, one to end with."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better own crystals explain the spots than a shared one.

    Attributes
    ----------
    shared, own : tuple of float
        Bounded chi-squared of the same spots, for each sweep.
    parameters : int
        How many parameters own crystals add.
    n : int
        Residuals compared: three for each spot.
    """

    shared: tuple[float, ...]
    own: tuple[float, ...]
    parameters: int
    n: int

    @property
    def better(self) -> bool:
        """Whether chi-squared falls by more than the Bayesian information criterion asks, and by much.

        The criterion asks ln n for each parameter. With thousands of spots every imperfection of the models
        is significant and own crystals mend a little of each; they are left alone unless at least one sweep
        gains clearly.
        """
        asked = self.parameters * float(np.log(max(self.n, 1)))
        clear = any(a > CLEAR_GAIN * b for a, b in zip(self.shared, self.own, strict=True))
        return clear and sum(self.shared) - sum(self.own) > asked


def own_crystals(
    cycles: Sequence[Cycle], sweep: Index, task: Task
) -> tuple[tuple[Cycle, ...], Comparison | None, tuple[str, ...]]:
    """Refine with a crystal for each sweep, and go on with them where the data or the user say so.

    Own crystals start from the shared one, turned to the spots of their sweep, and are refined against the
    same table in the same way as in the last macrocycle: the comparison is one of models, not of spots.
    Where they are taken, indices are assigned again, now that each sweep has its orientation.

    Parameters
    ----------
    cycles : sequence of Cycle
        With the shared crystal.
    sweep : (N,) intp
        Sweep of each spot.
    task : Task

    Returns
    -------
    cycles : tuple of Cycle
        Those to add; none where the shared crystal stays.
    comparison : Comparison or None
        None where own crystals were not tried.
    warnings : tuple of str
    """
    insist = task.options.crystals == "own"
    if task.options.crystals == "shared" or np.unique(sweep).size < 2:
        return (), None, ()
    trial = _trial(cycles, sweep, task)
    if isinstance(trial, str):
        kept = f"All sweeps share one crystal, although own ones were asked for: {trial}"
        return (), None, (kept,) if insist else ()
    shared, own = cycles[-1].refined, trial.refined
    assert isinstance(shared, Refined) and isinstance(own, Refined), "the last cycle is told in full"
    comparison = compare(shared, own)
    log.info("chi-squared of each sweep: shared %s, own %s", comparison.shared, comparison.own)
    if not (insist or comparison.better):
        return (), comparison, ()
    more, warnings = _followed(trial, sweep, task)
    return more, comparison, (_turned(more[-1].refined.experiments.items), *warnings)


def _trial(cycles: Sequence[Cycle], sweep: Index, task: Task) -> Cycle | str:
    """Repeat the last refinement with own crystals; the reason, in words, where that is impossible."""
    if not cycles:
        return "nothing was refined."
    last = cycles[-1]
    least = _least(last.refined)
    if least < LEAST_FOR_ORIENTATION:
        return f"a sweep has only {least} indexed spots."
    options = refine_options(last.indexed, True, task.options, hold_cell=least < LEAST_FOR_CELL)
    items, table = last.refined.experiments.items, last.refined.reflections
    # Turned beforehand: from the shared crystal, outlier rejection would take a whole sweep for outliers.
    rows = np.flatnonzero(table["id"] >= 0)
    points = map_spots(items, task.spots, sweep).rlp[rows]
    own = separated(items, points, table["miller_index"][rows], sweep[rows])
    refined = refine_or_why(own, table, task.refinery, options)
    return refined if isinstance(refined, str) else replace(last, number=last.number + 1, refined=refined)


def _followed(trial: Cycle, sweep: Index, task: Task) -> tuple[tuple[Cycle, ...], tuple[str, ...]]:
    """The trial, and the macrocycles with own crystals that follow it."""
    cycles = [trial]
    hold_cell = _least(trial.refined) < LEAST_FOR_CELL
    for number in range(trial.number + 1, trial.number + 1 + CYCLES_APART):
        items = cycles[-1].refined.experiments.items
        mapped = map_spots(items, task.spots, sweep)
        d_min = 1.0 / float(np.linalg.norm(mapped.rlp[task.usable], axis=1).max())
        cycle = macrocycle(number, d_min, items, mapped, task.usable, task, last=True, hold_cell=hold_cell)
        if isinstance(cycle, str):
            return tuple(cycles), (cycle,)
        cycles.append(cycle)
    return tuple(cycles), ()


def compare(shared: Refined, own: Refined) -> Comparison:
    """Weigh two refinements of the same table against each other.

    Both are judged by one yardstick: for each of x, y and phi the scatter with own crystals (1.4826 times the
    median absolute residual), made larger by the degrees of freedom that the parameters took. Squares of
    residuals are bounded, so that spots that fit neither do not decide.
    """
    before, after = _residuals(shared.reflections), _residuals(own.reflections)
    both = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    n, parameters = 3 * int(both.sum()), int(own.results["n_parameters"])
    sweeps = len(own.experiments)
    # A cell that is held was free before: what is added is no less than the orientations.
    added = max(parameters - int(shared.results["n_parameters"]), 3 * (sweeps - 1))
    if n <= parameters:
        return Comparison((0.0,) * sweeps, (0.0,) * sweeps, added, n)
    sigma = 1.4826 * np.median(np.abs(after[both]), axis=0) * np.sqrt(n / (n - parameters))
    sigma = np.maximum(sigma, np.finfo(float).tiny)
    ids = own.reflections["id"]
    members = [both & (ids == number) for number in range(sweeps)]
    return Comparison(_bounded(before / sigma, members), _bounded(after / sigma, members), added, n)


def _residuals(reflections: Reflections) -> Array:
    """Predicted minus observed positions, (N, 3) mm mm rad; NaN for spots without an index."""
    difference = reflections["xyzcal.mm"] - reflections["xyzobs.mm.value"]
    return np.where(reflections["id"][:, None] >= 0, difference, np.nan)


def _bounded(ratios: Array, members: Sequence[NDArray[np.bool_]]) -> tuple[float, ...]:
    return tuple(float(np.minimum(ratios[rows] ** 2, CUT**2).sum()) for rows in members)


def _least(refined: Refined | Fitted) -> int:
    """Indexed spots of the sweep that has fewest."""
    ids = refined.reflections["id"]
    return int(np.bincount(ids[ids >= 0], minlength=len(refined.experiments)).min())


def _turned(experiments: Sequence[Experiment]) -> str:
    """Say what own crystals mean."""
    each = ", ".join(f"{turn:.2f}" for turn in turns(experiments)[1:])
    return (
        f"The orientations of the sweeps differ by up to {largest_turn(experiments):.2f} deg ({each} from "
        "the first): the goniometer is less exact than the spots. Each sweep has a crystal of its own "
        "(index.crystals=shared keeps one)."
    )
