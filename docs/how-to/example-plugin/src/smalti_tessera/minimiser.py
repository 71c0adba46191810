"""Gauss-Newton along the directions that the data determine; the others stay where they are."""

from dataclasses import dataclass

import numpy as np

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import Ended, Solution, Step

SMALTI_API = API


@dataclass(frozen=True)
class WellDetermined:
    name = "well-determined"
    least: float = option(1e-9, "Least eigenvalue that is followed, as a part of the largest.", gt=0, lt=1)
    max_steps: int = option(30, "Most steps.", ge=1)

    def minimise(self, source, start):
        now = source.normal_equations(start)
        steps, ended = [Step(0, now.n_reflections, now.rmsd, now.objective)], Ended.MAX_STEPS
        for number in range(1, self.max_steps + 1 if source.n_parameters else 0):
            scale = 1.0 / np.sqrt(np.maximum(np.diag(now.matrix), 1e-300))
            values, vectors = np.linalg.eigh(now.matrix * np.outer(scale, scale))
            seen = vectors[:, values > self.least * values[-1]] / np.sqrt(
                values[values > self.least * values[-1]]
            )
            step = -scale * (seen @ (seen.T @ (scale * now.gradient)))
            new = source.normal_equations(now.parameters + step)
            if new.objective > now.objective * (1 - 1e-9):  # no lower: this is the bottom
                ended = Ended.STEP_TOO_SMALL
                break
            now = new
            steps.append(Step(number, now.n_reflections, now.rmsd, now.objective))
        ended = ended if source.n_parameters else Ended.NOTHING_TO_REFINE
        return Solution(now.parameters, now.objective, tuple(steps), ended)


@hookimpl
def smalti_minimisers():
    return [WellDetermined]
