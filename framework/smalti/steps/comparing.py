"""Run several minimisers on one and the same refinement problem: the bench of who develops methods."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.options import option
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Minimiser, NormalSource, OutlierRejector
from smalti.solution import Ended, NormalEquations, Solution, Step
from smalti.steps.refining import RefineOptions, refine
from smalti.tables import Reflections
from smalti.text import plural, table

__all__ = ["CompareOptions", "Compared", "Run", "compare", "run_all"]

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

SHORT = 0.1
"""Minima further apart than this many ESDs are not the same for any purpose."""


@dataclass(frozen=True)
class CompareOptions:
    """Who takes part."""

    minimisers: tuple[str, ...] = option(
        (), "Minimisers to run, by name; none given runs all that are installed."
    )


@dataclass(frozen=True)
class Run:
    """What one minimiser did.

    Attributes
    ----------
    name : str
    seconds : float
    calls : Mapping
        How often it asked for what: ``normal_equations``, ``objective``, ``residuals``, ``jacobian``.
    solution : Solution or None
        None where it failed.
    problem : str
        What went wrong; empty when nothing did.
    """

    name: str
    seconds: float
    calls: dict[str, int]
    solution: Solution | None
    problem: str = ""


@dataclass(frozen=True)
class Compared:
    """Several minimisers on one problem.

    Attributes
    ----------
    runs : tuple of Run
    n_parameters, n_reflections : int
    distances : (K, K)
        Between the minima, in ESDs: sqrt(d^T N d), N the normal matrix at the lowest. No parameter of the
        two differs by more of its own ESDs. nan where a minimiser failed.
    warnings : tuple of str
    """

    runs: tuple[Run, ...]
    n_parameters: int
    n_reflections: int
    distances: Array
    warnings: tuple[str, ...] = field(default=())

    @property
    def lowest(self) -> int | None:
        """Number of the run with the lowest objective."""
        return _lowest(self.runs)

    def summary(self) -> dict[str, Any]:
        """Give the rows as one JSON object."""
        return {
            "n_parameters": self.n_parameters,
            "n_reflections": self.n_reflections,
            "lowest": None if self.lowest is None else self.runs[self.lowest].name,
            "minimisers": [self._row(number) for number in range(len(self.runs))],
            "distances_esd": [[_number(value) for value in row] for row in self.distances],
        }

    def _row(self, number: int) -> dict[str, Any]:
        run, lowest = self.runs[number], self.lowest
        row: dict[str, Any] = {"minimiser": run.name, "seconds": run.seconds, "calls": dict(run.calls)}
        if run.solution is None or lowest is None:
            return {**row, "problem": run.problem}
        last = run.solution.steps[-1]
        return {
            **row,
            "steps": last.number,
            "objective": run.solution.objective,
            "distance_esd": _number(self.distances[number, lowest]),
            "rmsd_x_mm": last.rmsd[0],
            "rmsd_y_mm": last.rmsd[1],
            "rmsd_phi_deg": float(np.degrees(last.rmsd[2])),
            "ended": run.solution.ended.value,
            "converged": run.solution.ended.converged,
        }

    def text(self) -> str:
        """Set the table, the lowest minimum marked."""
        lowest = self.lowest
        floor = self._row(lowest)["objective"] if lowest is not None else 0.0
        rows = []
        for number, run in enumerate(self.runs):
            row, passes = self._row(number), sum(run.calls.values())
            if "problem" in row:
                rows.append([run.name, "", passes, f"{run.seconds:.2f}", "", "", row["problem"]])
                continue
            above = f"{row['objective'] - floor:.1e}"
            apart = f"{row['distance_esd']:.1e}"
            rows.append([run.name, row["steps"], passes, f"{run.seconds:.2f}", above, apart, row["ended"]])
        task = f"{plural(self.n_parameters, 'parameter')} against {plural(self.n_reflections, 'reflection')}"
        heads = [
            "Minimiser",
            "Steps",
            "Passes",
            "Time\n(s)",
            "Objective\nabove lowest",
            "Distance\n(ESD)",
            "End",
        ]
        title = f"{task}; the lowest objective is {floor:.6g}:"
        return "\n\n".join([table(heads, rows, title=title), self._agreement()])

    def _agreement(self) -> str:
        if self.lowest is None:
            return "No minimiser came to an end."
        spread = float(np.nanmax(self.distances))
        where = f"The minima are within {spread:.1e} ESDs of one another."
        return where if spread < SHORT else f"{where} Not all of them are the minimum."


def compare(
    experiments: Experiments,
    reflections: Reflections,
    parameterisation: DetectorParameterisation,
    minimisers: Sequence[Minimiser],
    rejector: OutlierRejector,
    options: RefineOptions | None = None,
    progress: Progress = silent,
) -> Compared:
    """Let each minimiser solve the problem that a refinement meets first.

    Reflections are chosen, weighed and judged once, on the models as they come; all minimisers then
    start from the same place on the same weights.

    Raises
    ------
    DataError
        The data cannot be refined.
    """
    met = _Meeting()
    refine(experiments, reflections, parameterisation, met, rejector, _first_round(options))
    source, start = met.problem()
    return run_all(source, start, minimisers, progress)


def run_all(
    source: NormalSource, start: Array, minimisers: Sequence[Minimiser], progress: Progress = silent
) -> Compared:
    """Run minimisers one after the other from one start (n,) on one problem."""
    first = source.normal_equations(start)  # nobody's time: what is read for the first time is slow
    runs = []
    for number, minimiser in enumerate(minimisers):
        progress("comparing", number, len(minimisers))
        runs.append(_run(minimiser, source, start))
    progress("comparing", len(minimisers), len(minimisers))
    found, distances = tuple(runs), _distances(runs, source)
    return Compared(found, source.n_parameters, first.n_reflections, distances, _doubts(found, distances))


def _first_round(options: RefineOptions | None) -> RefineOptions:
    return replace(options or RefineOptions(), rounds=1)


@dataclass
class _Meeting:
    """Stands in for a minimiser to meet the problem of a refinement; stays where it starts."""

    name: ClassVar[str] = "meeting"
    met: list[tuple[int, NormalSource, Array]] = field(default_factory=list)

    def minimise(self, source: NormalSource, start: Array) -> Solution:
        """Keep the problem."""
        now = source.normal_equations(start)
        self.met.append((now.n_reflections, source, np.array(start, dtype=float)))
        step = Step(0, now.n_reflections, now.rmsd, now.objective)
        return Solution(now.parameters, now.objective, (step,), Ended.MAX_STEPS)

    def problem(self) -> tuple[NormalSource, Array]:
        """Give the problem with the most reflections: a refinement may solve parts of it besides."""
        _, source, start = max(self.met, key=lambda item: item[0])
        return source, start


@dataclass(frozen=True)
class _Counted:
    """A source that counts what it is asked."""

    source: NormalSource
    calls: Counter[str]

    @property
    def n_parameters(self) -> int:
        return self.source.n_parameters

    def objective(self, p: Array) -> float:
        self.calls["objective"] += 1
        return self.source.objective(p)

    def normal_equations(self, p: Array) -> NormalEquations:
        self.calls["normal_equations"] += 1
        return self.source.normal_equations(p)

    def residuals(self, p: Array) -> Array:
        self.calls["residuals"] += 1
        return self.source.residuals(p)

    def jacobian(self, p: Array) -> Any:
        self.calls["jacobian"] += 1
        return self.source.jacobian(p)


def _run(minimiser: Minimiser, source: NormalSource, start: Array) -> Run:
    calls: Counter[str] = Counter()
    started = time.perf_counter()
    try:
        solution = minimiser.minimise(_Counted(source, calls), start.copy())
    except Exception as error:
        # A minimiser under development may fail in any way; the others must have their turn.
        log.exception("minimiser %s failed", minimiser.name)
        problem = f"{type(error).__name__}: {error}"
        return Run(minimiser.name, time.perf_counter() - started, dict(calls), None, problem)
    return Run(minimiser.name, time.perf_counter() - started, dict(calls), solution)


def _lowest(runs: Sequence[Run]) -> int | None:
    values = {k: run.solution.objective for k, run in enumerate(runs) if run.solution is not None}
    return min(values, key=lambda k: values[k]) if values else None


def _distances(runs: Sequence[Run], source: NormalSource) -> Array:
    """Distances between the minima in the metric of the lowest, (K, K)."""
    result, lowest = np.full((len(runs), len(runs)), np.nan), _lowest(runs)
    found = {k: run.solution for k, run in enumerate(runs) if run.solution is not None}
    if lowest is None:
        return result
    metric = source.normal_equations(found[lowest].parameters).matrix
    for i, one in found.items():
        for j, other in found.items():
            apart = one.parameters - other.parameters
            # Rounding may take the square of a distance in a direction nobody sees below zero.
            result[i, j] = np.sqrt(max(float(apart @ metric @ apart), 0.0))
    return result


def _doubts(runs: Sequence[Run], distances: Array) -> tuple[str, ...]:
    """Say who failed, and who ended elsewhere."""
    lowest, told = _lowest(runs), []
    for number, run in enumerate(runs):
        if run.solution is None:
            told.append(f"{run.name} failed: {run.problem}.")
        elif lowest is not None and distances[number, lowest] > SHORT:
            reason = run.solution.ended.value
            told.append(
                f"{run.name} ended {distances[number, lowest]:.2g} ESDs from the minimum of "
                f"{runs[lowest].name} ({reason})."
            )
    return tuple(told)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
