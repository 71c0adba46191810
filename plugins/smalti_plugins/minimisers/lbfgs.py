"""L-BFGS: descent by gradients alone, which remembers the curvature that it has met."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.roles import NormalSource
from smalti.solution import Ended, NormalEquations, Solution, Step
from smalti_plugins.minimisers.stopping import judge_rmsd, scaled, solve, unit_scale

SMALTI_API = API

Array = NDArray[np.float64]

DECREASE, FLATTENING = 1e-4, 0.5
"""Wolfe's conditions: the least part of the promised decrease, the most of the slope that may remain."""
TRIALS = 40
"""Points that one line search may try."""


@dataclass(frozen=True)
class LimitedMemoryBFGS:
    """Quasi-Newton steps from the last few gradients, with a line search.

    The two-loop recursion [Nocedal 1980, Math. Comp. 35, 773] in parameters that the diagonal of the
    first normal matrix brings to equal curvature: without that, mm and mrad alone would cost hundreds
    of steps. Only objective and gradient decide where it goes. The normal matrix, which comes with
    them, only tells how far the minimum still is, so that the end means the same as for every other
    minimiser; on a long narrow valley short steps would prove nothing.
    """

    name: ClassVar[str] = "lbfgs"

    max_steps: int = option(1000, "Most steps.", ge=1)
    rmsd_tolerance: float = option(
        1e-6,
        "End when no RMSD changes by more than this fraction and the minimum is within 0.003 ESDs.",
        ge=0,
    )
    step_tolerance: float = option(1e-3, "End when the minimum is this near, in ESDs.", gt=0)
    rmsd_target: tuple[float, ...] = option(
        (), "End when the RMSDs in x, y and phi are within these; none never ends.", unit="mm, mm, deg"
    )
    memory: int = option(100, "How many past steps it remembers.", ge=1)

    def minimise(self, source: NormalSource, start: Array) -> Solution:
        """Minimise from ``start`` (n,)."""
        now = source.normal_equations(np.asarray(start, dtype=float))
        steps = [Step(0, now.n_reflections, now.rmsd, now.objective)]
        ended = Ended.MAX_STEPS if source.n_parameters else Ended.NOTHING_TO_REFINE
        unit = unit_scale(now.matrix)
        memory: deque[tuple[Array, Array]] = deque(maxlen=self.memory)
        for number in range(1, self.max_steps + 1 if source.n_parameters else 1):
            left = scaled(now.matrix, solve(now.matrix, now.gradient))
            if left < self.step_tolerance:
                ended = Ended.STEP_TOO_SMALL
                break
            new = _search(source, now, unit * _direction(unit * now.gradient, memory))
            if new is None:
                ended = Ended.OBJECTIVE_INCREASED
                break
            before, now = now, new
            step = now.parameters - before.parameters
            _remember(memory, step / unit, unit * (now.gradient - before.gradient))
            size = scaled(before.matrix, step)
            steps.append(Step(number, now.n_reflections, now.rmsd, now.objective, size))
            reason = judge_rmsd(before.rmsd, now.rmsd, left, self.rmsd_tolerance, self.rmsd_target)
            if reason is not None:
                ended = reason
                break
        return Solution(now.parameters, now.objective, tuple(steps), ended)


def _remember(memory: deque[tuple[Array, Array]], step: Array, change: Array) -> None:
    """Keep a step (n,) and the change of gradient (n,) along it, unless rounding has spoilt the pair."""
    if step @ change > 1e-12 * np.linalg.norm(step) * np.linalg.norm(change):
        memory.append((step, change))


def _direction(gradient: Array, memory: Sequence[tuple[Array, Array]]) -> Array:
    """Give minus the inverse Hessian, as far as it is remembered, times a gradient (n,)."""
    q, parts = gradient.copy(), []
    for s, y in reversed(memory):
        parts.append(float(s @ q) / float(s @ y))
        q -= parts[-1] * y
    if memory:
        s, y = memory[-1]
        q *= float(s @ y) / float(y @ y)
    for (s, y), part in zip(memory, reversed(parts), strict=True):
        q += (part - float(y @ q) / float(s @ y)) * s
    return -q


def _search(source: NormalSource, now: NormalEquations, direction: Array) -> NormalEquations | None:
    """Find a point along a direction that is lower and flatter: Wolfe's weak conditions.

    Bracketing after Lewis & Overton (2013, Math. Program. 141, 135), with the lowest point of the
    parabola through what is known in place of bisection where the step was too long. None where
    nothing lower is found.
    """
    slope = float(now.gradient @ direction)
    low, high, t = 0.0, np.inf, 1.0
    best: NormalEquations | None = None
    for _ in range(TRIALS):
        new = source.normal_equations(now.parameters + t * direction)
        excess = new.objective - now.objective - t * slope
        # Near the minimum rounding alone may make the objective grow.
        if not new.objective <= now.objective + DECREASE * t * slope + 1e-12 * abs(now.objective):
            high = t
            lowest = -0.5 * slope * t * t / excess if np.isfinite(excess) else 0.0
            t = float(np.clip(lowest, low + 0.1 * (high - low), low + 0.5 * (high - low)))
            continue
        best = new
        if float(new.gradient @ direction) >= FLATTENING * slope:
            return new
        low = t
        t = 2.0 * low if np.isinf(high) else 0.5 * (low + high)
    return best


@hookimpl
def smalti_minimisers() -> Sequence[type[LimitedMemoryBFGS]]:
    """Bring L-BFGS."""
    return [LimitedMemoryBFGS]
