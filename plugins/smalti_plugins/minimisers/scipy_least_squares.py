"""scipy.optimize.least_squares on a problem of n + 1 residuals that has the same steps as the full one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.roles import NormalSource
from smalti.solution import Ended, NormalEquations, Solution, Step
from smalti_plugins.minimisers.stopping import judge_rmsd, scaled, solve, unit_scale

SMALTI_API = API

Array = NDArray[np.float64]

LEAST = 1e-14
"""SciPy's own tolerances: it goes on until it is told to stop, or until rounding hides the way."""
FAR = 1e6
"""What is impossible is so many times as bad as the start."""


@dataclass(frozen=True)
class ScipyLeastSquares:
    """Any method of ``scipy.optimize.least_squares``: a second opinion from code that is not ours.

    Its methods see of residuals r and their derivatives J only |r|, J^T r and J^T J. With J^T J = R^T R and
    c = R^-T J^T r, the n + 1 residuals (c, sqrt(|r|^2 - |c|^2)) with derivatives (R, 0) have the same: they
    lead to the same steps, without the rows of half a million residuals.
    """

    name: ClassVar[str] = "scipy_least_squares"

    method: Literal["trf", "dogbox", "lm"] = option(
        "trf", "Method of scipy.optimize.least_squares: trf, dogbox or lm (MINPACK)."
    )
    max_steps: int = option(100, "Most evaluations, refused steps included.", ge=1)
    rmsd_tolerance: float = option(
        1e-6,
        "End when no RMSD changes by more than this fraction and the minimum is within 0.003 ESDs.",
        ge=0,
    )
    step_tolerance: float = option(1e-3, "End when the minimum is this near, in ESDs.", gt=0)
    rmsd_target: tuple[float, ...] = option(
        (), "End when the RMSDs in x, y and phi are within these; none never ends.", unit="mm, mm, deg"
    )

    def minimise(self, source: NormalSource, start: Array) -> Solution:
        """Minimise from ``start`` (n,)."""
        # Imported here because discovery imports every plugin, and scipy.optimize takes longer than the rest.
        from scipy.optimize import least_squares

        path = _Path(self, source, source.normal_equations(np.asarray(start, dtype=float)))
        if not source.n_parameters:
            return path.solution(Ended.NOTHING_TO_REFINE)
        try:
            found = least_squares(
                path.residuals,
                np.array(start, dtype=float),
                jac=path.jacobian,
                method=self.method,
                x_scale="jac",
                ftol=LEAST,
                xtol=LEAST,
                gtol=LEAST,
                max_nfev=self.max_steps,
            )
        except _Reached as end:
            return path.solution(end.reason)
        path.end_at(found.x)
        if found.status == 0:
            return path.solution(Ended.MAX_STEPS)
        return path.solution(Ended.GRADIENT_TOO_SMALL if found.status == 1 else Ended.STEP_TOO_SMALL)


class _Reached(Exception):  # noqa: N818 (an end, not an error)
    """Leaves the solver where one of our own criteria is met."""

    def __init__(self, reason: Ended) -> None:
        self.reason = reason


@dataclass
class _Path:
    """The way of a solver over a source; it asks for derivatives where it has gone, and only there."""

    options: ScipyLeastSquares
    source: NormalSource
    first: NormalEquations
    accepted: list[NormalEquations] = field(default_factory=list)
    latest: NormalEquations | None = None

    def residuals(self, p: Array) -> Array:
        """The n + 1 residuals at p (n,)."""
        now = self._at(p)
        if not np.isfinite(now.objective):
            return np.append(np.zeros(len(p)), FAR * np.sqrt(2.0 * self.first.objective) + FAR)
        return _reduced(now)[0]

    def jacobian(self, p: Array) -> Array:
        """Their derivatives (n + 1, n) at a point p (n,) that was accepted."""
        now = self._at(p)
        left = scaled(now.matrix, solve(now.matrix, now.gradient))
        before = self.accepted[-1] if self.accepted else None
        self.accepted.append(now)
        if left < self.options.step_tolerance:
            raise _Reached(Ended.STEP_TOO_SMALL)
        if before is not None:
            tolerance, target = self.options.rmsd_tolerance, self.options.rmsd_target
            reason = judge_rmsd(before.rmsd, now.rmsd, left, tolerance, target)
            if reason is not None:
                raise _Reached(reason)
        return np.vstack([_reduced(now)[1], np.zeros(len(p))])

    def end_at(self, p: Array) -> None:
        """Take note of where the solver ended: it may not have asked for derivatives there."""
        if not self.accepted or not np.array_equal(self.accepted[-1].parameters, p):
            self.accepted.append(self._at(p))

    def solution(self, ended: Ended) -> Solution:
        """Give what was found, by the points that were accepted."""
        points = self.accepted or [self.first]
        steps = [Step(0, points[0].n_reflections, points[0].rmsd, points[0].objective)]
        for number, (a, b) in enumerate(zip(points[:-1], points[1:], strict=True), start=1):
            size = scaled(a.matrix, b.parameters - a.parameters)
            steps.append(Step(number, b.n_reflections, b.rmsd, b.objective, size))
        return Solution(points[-1].parameters, points[-1].objective, tuple(steps), ended)

    def _at(self, p: Array) -> NormalEquations:
        for known in (self.latest, self.first):
            if known is not None and np.array_equal(known.parameters, p):
                return known
        self.latest = self.source.normal_equations(p.copy())
        return self.latest


def _reduced(now: NormalEquations) -> tuple[Array, Array]:
    """Give n + 1 residuals and R (n, n) with R^T R the normal matrix."""
    scale = unit_scale(now.matrix)
    unit = now.matrix * np.outer(scale, scale)
    try:
        root = np.asarray(linalg.cholesky(unit))
        along = np.asarray(linalg.solve_triangular(root, scale * now.gradient, trans="T"))
    except linalg.LinAlgError:  # directions that neither data nor priors see
        values, vectors = linalg.eigh(unit)
        seen = np.where(values > 1e-12 * max(float(values[-1]), 1.0), values, 0.0)
        root = np.sqrt(seen)[:, None] * vectors.T
        inverse = np.where(seen > 0.0, 1.0 / np.sqrt(np.where(seen > 0.0, seen, 1.0)), 0.0)
        along = inverse * (vectors.T @ (scale * now.gradient))
    rest = max(2.0 * now.objective - float(along @ along), 0.0)
    return np.append(along, np.sqrt(rest)), root / scale


@hookimpl
def smalti_minimisers() -> Sequence[type[ScipyLeastSquares]]:
    """Bring scipy's least squares."""
    return [ScipyLeastSquares]
