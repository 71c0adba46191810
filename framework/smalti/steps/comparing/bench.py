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
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Minimiser, NormalSource, OutlierRejector
from smalti.solution import Ended, NormalEquations, Solution, Step
from smalti.steps.comparing.result import SHORT, Compared, Run, lowest_of
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.remembering import Remembering
from smalti.tables import Reflections

__all__ = ["compare", "run_all"]

Array = NDArray[np.float64]
log = logging.getLogger(__name__)


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
    start from the same place on the same weights. Where crystals vary over their scans (``scan_varying``)
    it is the problem with all their samples.

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
    return replace(options or RefineOptions(), rounds=1, halves="off")


@dataclass
class _Meeting:
    """Stands in for a minimiser to meet the problem of a refinement; stays where it starts."""

    name: ClassVar[str] = "meeting"
    met: list[tuple[int, NormalSource, Array]] = field(default_factory=list)

    def minimise(self, source: NormalSource, start: Array) -> Solution:
        """Keep the problem."""
        now = source.normal_equations(start)
        # What remembers would spare a pass to whoever comes first.
        plain = source.source if isinstance(source, Remembering) else source
        self.met.append((now.n_reflections, plain, np.array(start, dtype=float)))
        step = Step(0, now.n_reflections, now.rmsd, now.objective)
        return Solution(now.parameters, now.objective, (step,), Ended.MAX_STEPS)

    def problem(self) -> tuple[NormalSource, Array]:
        """Give the problem with the most reflections, and of these with the most parameters.

        A refinement may solve parts of it besides, and before it the same without crystals that vary.
        """
        _, source, start = max(self.met, key=lambda item: (item[0], item[1].n_parameters))
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


def _distances(runs: Sequence[Run], source: NormalSource) -> Array:
    """Distances between the minima in the metric of the lowest, (K, K)."""
    result, lowest = np.full((len(runs), len(runs)), np.nan), lowest_of(runs)
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
    lowest, told = lowest_of(runs), []
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
