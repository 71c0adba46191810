"""Levenberg-Marquardt with Marquardt's scaling: damping that grows where the model is bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.roles import NormalSource
from smalti.solution import Ended, Solution, Step
from smalti_plugins.minimisers.stopping import judge_rmsd, linearised, scaled, solve

SMALTI_API = API


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Damped Gauss-Newton; the damping is relative to each parameter's own curvature.

    The damping follows the gain ratio of actual to expected decrease [Madsen, Nielsen & Tingleff 2004,
    Methods for Non-Linear Least Squares Problems, section 3.2].
    """

    name: ClassVar[str] = "levenberg_marquardt"

    max_steps: int = option(100, "Most steps, refused ones included.", ge=1)
    rmsd_tolerance: float = option(
        1e-6,
        "End when no RMSD changes by more than this fraction and the minimum is within 0.003 ESDs.",
        ge=0,
    )
    step_tolerance: float = option(1e-3, "End when steps are this small against the ESDs.", gt=0)
    rmsd_target: tuple[float, ...] = option(
        (), "End when the RMSDs in x, y and phi are within these; none never ends.", unit="mm, mm, deg"
    )
    damping: float = option(1e-6, "Damping at the start, relative to the diagonal.", gt=0)

    def minimise(self, source: NormalSource, start: NDArray[np.float64]) -> Solution:
        """Minimise from ``start`` (n,)."""
        now = source.normal_equations(np.asarray(start, dtype=float))
        steps = [Step(0, now.n_reflections, now.rmsd, now.objective)]
        ended = Ended.MAX_STEPS if source.n_parameters else Ended.NOTHING_TO_REFINE
        damping, growth = self.damping, 2.0
        for _ in range(self.max_steps if source.n_parameters else 0):
            # How far the minimum is, damping aside: a step that damping makes short is no end.
            left = scaled(now.matrix, solve(now.matrix, now.gradient))
            if left < self.step_tolerance:
                ended = Ended.STEP_TOO_SMALL
                break
            step = -solve(now.matrix, now.gradient, damping)
            # Nearly every step is a good one: it is linearised at once, and costs one pass and not two.
            new = linearised(source, now.parameters + step)
            if new is None or new.objective > now.objective:
                damping, growth = damping * growth, 2.0 * growth
                if damping > 1e12:
                    ended = Ended.DAMPING_LIMIT
                    break
                continue
            expected = -(now.gradient @ step + 0.5 * step @ now.matrix @ step)
            gain = (now.objective - new.objective) / expected if expected > 0.0 else 1.0
            before, now = now, new
            size = scaled(before.matrix, step)
            steps.append(Step(len(steps), now.n_reflections, now.rmsd, now.objective, size, damping))
            reason = judge_rmsd(before.rmsd, now.rmsd, left, self.rmsd_tolerance, self.rmsd_target)
            if reason is not None:
                ended = reason
                break
            damping, growth = damping * max(1.0 / 3.0, 1.0 - float(2.0 * gain - 1.0) ** 3), 2.0
        return Solution(now.parameters, now.objective, tuple(steps), ended)


@hookimpl
def smalti_minimisers() -> Sequence[type[LevenbergMarquardt]]:
    """Bring Levenberg-Marquardt."""
    return [LevenbergMarquardt]
