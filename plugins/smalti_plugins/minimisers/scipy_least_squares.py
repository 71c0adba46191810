"""scipy.optimize.least_squares on the full residuals and their sparse Jacobian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.roles import NormalSource
from smalti.solution import Ended, Solution, Step

SMALTI_API = API

_SPARSE: dict[str, Any] = {
    "tr_solver": "lsmr",
    "tr_options": {"atol": 1e-12, "btol": 1e-12, "maxiter": 5000},
}


@dataclass(frozen=True)
class ScipyLeastSquares:
    """Any method of ``scipy.optimize.least_squares``: slow, but a second opinion.

    The methods trf and dogbox keep the Jacobian sparse and solve for each step by LSMR, to tolerances
    that suit scaled problems of a bad condition: with scipy's own (1e-6) they stop far from the minimum.
    """

    name: ClassVar[str] = "scipy_least_squares"

    method: Literal["trf", "dogbox", "lm"] = option(
        "trf",
        "Method of scipy.optimize.least_squares: trf, dogbox, or lm for small problems only (its Jacobian "
        "is dense: three numbers for every reflection and parameter).",
    )
    max_steps: int = option(100, "Most evaluations of the residuals.", ge=1)
    tolerance: float = option(1e-12, "Relative change of objective and of parameters to end at.", gt=0)

    def minimise(self, source: NormalSource, start: NDArray[np.float64]) -> Solution:
        """Minimise from ``start`` (n,)."""
        # Imported here because discovery imports every plugin, and scipy.optimize takes longer than the rest.
        from scipy.optimize import least_squares

        first = source.normal_equations(np.asarray(start, dtype=float))
        if not source.n_parameters:
            return Solution(first.parameters, first.objective, (), Ended.NOTHING_TO_REFINE)
        visited = [np.asarray(start, dtype=float)]

        def jacobian(p: NDArray[np.float64]) -> Any:
            visited.append(p.copy())
            rows = source.jacobian(p)
            return rows.toarray() if self.method == "lm" else rows

        found = least_squares(
            source.residuals,
            start,
            jac=jacobian,
            method=self.method,
            x_scale="jac",
            **({} if self.method == "lm" else _SPARSE),
            ftol=self.tolerance,
            xtol=self.tolerance,
            gtol=1e-15,
            max_nfev=self.max_steps,
        )
        steps = []
        for number, p in enumerate([visited[0], *visited[2:], found.x]):
            at = source.normal_equations(p)
            steps.append(Step(number, at.n_reflections, at.rmsd, at.objective))
        ended = {0: Ended.MAX_STEPS, 1: Ended.GRADIENT_TOO_SMALL, 3: Ended.STEP_TOO_SMALL}
        reason = ended.get(found.status, Ended.RMSD_CONVERGED)
        return Solution(found.x, float(found.cost), tuple(steps), reason, details={"message": found.message})


@hookimpl
def smalti_minimisers() -> Sequence[type[ScipyLeastSquares]]:
    """Bring scipy's least squares."""
    return [ScipyLeastSquares]
