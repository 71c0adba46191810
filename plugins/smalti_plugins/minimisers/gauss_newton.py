"""Gauss-Newton: solve the normal equations, step, repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.roles import NormalSource
from smalti.solution import Ended, NormalEquations, Solution, Step
from smalti_plugins.minimisers.stopping import judge_rmsd, linearised, scaled, solve

SMALTI_API = API


@dataclass(frozen=True)
class GaussNewton:
    """Full steps to the minimum of the linearised problem, halved while they lead upwards."""

    name: ClassVar[str] = "gauss_newton"

    max_steps: int = option(20, "Most steps.", ge=1)
    rmsd_tolerance: float = option(
        1e-6,
        "End when no RMSD changes by more than this fraction and the minimum is within 0.003 ESDs.",
        ge=0,
    )
    step_tolerance: float = option(1e-3, "End when steps are this small against the ESDs.", gt=0)
    rmsd_target: tuple[float, ...] = option(
        (), "End when the RMSDs in x, y and phi are within these; none never ends.", unit="mm, mm, deg"
    )
    halvings: int = option(10, "How often a step may be halved.", ge=0)

    def minimise(self, source: NormalSource, start: NDArray[np.float64]) -> Solution:
        """Minimise from ``start`` (n,)."""
        now = source.normal_equations(np.asarray(start, dtype=float))
        steps = [Step(0, now.n_reflections, now.rmsd, now.objective)]
        ended = Ended.MAX_STEPS if source.n_parameters else Ended.NOTHING_TO_REFINE
        for number in range(1, self.max_steps + 1 if source.n_parameters else 1):
            step = -solve(now.matrix, now.gradient)
            size = scaled(now.matrix, step)
            if size < self.step_tolerance:
                ended = Ended.STEP_TOO_SMALL
                break
            new, factor = self._descend(source, now, step)
            if new is None:
                ended = Ended.OBJECTIVE_INCREASED
                break
            before, now = now, new
            steps.append(Step(number, now.n_reflections, now.rmsd, now.objective, factor * size))
            reason = judge_rmsd(before.rmsd, now.rmsd, size, self.rmsd_tolerance, self.rmsd_target)
            if reason is not None:
                ended = reason
                break
        return Solution(now.parameters, now.objective, tuple(steps), ended)

    def _descend(
        self, source: NormalSource, now: NormalEquations, step: NDArray[np.float64]
    ) -> tuple[NormalEquations | None, float]:
        """Linearise at the end of the step, or of a part of it from which the objective is no higher."""
        for factor in 0.5 ** np.arange(self.halvings + 1):
            new = linearised(source, now.parameters + factor * step)
            # Near the minimum rounding alone may make the objective grow.
            if new is not None and new.objective <= now.objective * (1.0 + 1e-12):
                return new, float(factor)
        return None, 0.0


@hookimpl
def smalti_minimisers() -> Sequence[type[GaussNewton]]:
    """Bring Gauss-Newton."""
    return [GaussNewton]
