"""Powell's dogleg: Gauss-Newton where it can be trusted, steepest descent where it cannot."""

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
from smalti_plugins.minimisers.stopping import judge_rmsd, scaled, solve, unit_scale

SMALTI_API = API

Array = NDArray[np.float64]

LEAST_RADIUS = 1e-10
"""A trust region of so few ESDs has shrunk to nothing."""


@dataclass(frozen=True)
class Dogleg:
    """Steps within a trust region, along the path from steepest descent to Gauss-Newton.

    Powell's dogleg [Powell 1970, in Numerical Methods for Nonlinear Algebraic Equations, pp. 87-114;
    Madsen, Nielsen & Tingleff 2004, Methods for Non-Linear Least Squares Problems, section 3.3]. The
    region is a ball where each parameter is in units of its own curvature, so that neither its size
    nor the direction of descent depends on whether an angle is in mrad or in degrees. A refused step
    costs a shorter one on the same path, but no new linear system.
    """

    name: ClassVar[str] = "dogleg"

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
    radius: float = option(
        0.0, "Radius of the first trust region, in ESDs; 0 trusts the first Gauss-Newton step.", ge=0
    )

    def minimise(self, source: NormalSource, start: Array) -> Solution:
        """Minimise from ``start`` (n,)."""
        now = source.normal_equations(np.asarray(start, dtype=float))
        steps = [Step(0, now.n_reflections, now.rmsd, now.objective)]
        ended = Ended.MAX_STEPS if source.n_parameters else Ended.NOTHING_TO_REFINE
        path, radius = _Path.at(now), self.radius
        for _ in range(self.max_steps if source.n_parameters else 0):
            if path.left < self.step_tolerance:
                ended = Ended.STEP_TOO_SMALL
                break
            radius = radius or float(np.linalg.norm(path.newton))
            move = path.within(radius)
            length, step = float(np.linalg.norm(move)), path.unit * move
            value = source.objective(now.parameters + step)
            gain = _gain(now, step, value)
            radius = _next_radius(radius, length, gain)
            # Near the minimum rounding alone may make the objective grow.
            if not value <= now.objective * (1.0 + 1e-12):
                if radius < LEAST_RADIUS:
                    ended = Ended.OBJECTIVE_INCREASED
                    break
                continue
            left, before, now = path.left, now, source.normal_equations(now.parameters + step)
            size = scaled(before.matrix, step)
            steps.append(Step(len(steps), now.n_reflections, now.rmsd, now.objective, size))
            reason = judge_rmsd(before.rmsd, now.rmsd, left, self.rmsd_tolerance, self.rmsd_target)
            if reason is not None:
                ended = reason
                break
            path = _Path.at(now)
        return Solution(now.parameters, now.objective, tuple(steps), ended)


@dataclass(frozen=True, slots=True)
class _Path:
    """The way from a point to the minimum of its linearised problem, in scaled parameters.

    Attributes
    ----------
    unit : (n,)
        Parameters per scaled parameter.
    cauchy : (n,)
        Scaled step to the lowest point along steepest descent.
    newton : (n,)
        Scaled Gauss-Newton step.
    left : float
        How far the minimum is, in ESDs.
    """

    unit: Array
    cauchy: Array
    newton: Array
    left: float

    @classmethod
    def at(cls, now: NormalEquations) -> _Path:
        """Work it out at a point."""
        unit = unit_scale(now.matrix)
        slope = unit * now.gradient
        curvature = float((unit * slope) @ now.matrix @ (unit * slope))
        cauchy = -slope * (float(slope @ slope) / curvature if curvature > 0.0 else 0.0)
        step = -solve(now.matrix, now.gradient)
        return cls(unit, cauchy, step / unit, scaled(now.matrix, step))

    def within(self, radius: float) -> Array:
        """Give the scaled step (n,) to where the path leaves the trust region, or to its end."""
        if np.linalg.norm(self.newton) <= radius:
            return self.newton
        reach = float(np.linalg.norm(self.cauchy))
        if reach >= radius:
            return self.cauchy * (radius / reach)
        along = self.newton - self.cauchy
        a, b, c = along @ along, self.cauchy @ along, reach**2 - radius**2
        # The positive root of a t^2 + 2 b t + c, in the form that does not cancel (c < 0).
        root = np.sqrt(b * b - a * c)
        t = -c / (b + root) if b > 0.0 else (root - b) / a
        return np.asarray(self.cauchy + t * along)


def _gain(now: NormalEquations, step: Array, value: float) -> float:
    """Decrease of the objective over what the linearised problem promised; negative for an increase."""
    promised = -float(now.gradient @ step + 0.5 * step @ now.matrix @ step)
    if not np.isfinite(value):
        return -np.inf
    return (now.objective - value) / promised if promised > 0.0 else 1.0


def _next_radius(radius: float, length: float, gain: float) -> float:
    """Shrink the region about a step that disappointed, grow it beyond one that did not."""
    if gain < 0.25:
        return 0.5 * length if gain > 0.0 else 0.25 * length
    return max(radius, 3.0 * length) if gain > 0.75 else radius


@hookimpl
def smalti_minimisers() -> Sequence[type[Dogleg]]:
    """Bring the dogleg."""
    return [Dogleg]
