"""A minimiser that stops short of the minimum is found out, whatever it says of its end."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from smalti.solution import Ended, NormalEquations
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.telling.ending import doubts_of_ending, notes_of_ending, short_of_minimum
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


@dataclass(frozen=True)
class Short:
    """Goes a part of the way to the minimum, and says that it got there."""

    name: ClassVar[str] = "short"
    part: float = 0.5

    def minimise(self, source, start):
        found = GaussNewton().minimise(source, start)
        return replace(found, parameters=start + self.part * (found.parameters - start))


def refined(problem, minimiser):
    _, experiments, table = problem
    options = RefineOptions(rounds=1)
    return refine(experiments, table, Hierarchical(level=1), minimiser, NoOutliers(), options)


def test_a_minimiser_that_stops_short_is_not_trusted(displaced_problem):
    found = refined(displaced_problem, Short())
    assert found.results["short_of_minimum"] > 10.0
    assert not found.trustworthy
    assert any("says that it is done, and the minimum is" in reason for reason in found.warnings)


def test_one_that_arrives_is_trusted(displaced_problem):
    assert refined(displaced_problem, GaussNewton()).results["short_of_minimum"] < 0.1
    assert refined(displaced_problem, Short(1.0)).results["short_of_minimum"] < 0.1


def test_the_distance_is_that_of_a_quadratic_form():
    matrix = np.array([[4.0, 1.0], [1.0, 9.0]])
    off = np.array([0.3, -0.2])
    equations = NormalEquations(np.zeros(2), 1.0, matrix @ off, matrix, (0.1, 0.1, 0.1), 10)
    assert short_of_minimum(equations) == pytest.approx(np.sqrt(off @ matrix @ off), rel=1e-12)
    nothing = NormalEquations(np.zeros(0), 1.0, np.zeros(0), np.zeros((0, 0)), (0.1, 0.1, 0.1), 10)
    assert short_of_minimum(nothing) == 0.0


def test_directions_that_nobody_sees_do_not_count():
    blind = NormalEquations(np.zeros(2), 1.0, np.array([0.2, 0.0]), np.diag([4.0, 0.0]), (0.1, 0.1, 0.1), 10)
    assert short_of_minimum(blind) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("ended", "left", "doubts", "notes"),
    [
        (Ended.STEP_TOO_SMALL, 0.9, 0, 0),
        (Ended.STEP_TOO_SMALL, 1.1, 1, 0),
        (Ended.MAX_STEPS, 0.0, 1, 0),
        (Ended.RMSD_TARGET, 5.0, 0, 1),
        (Ended.RMSD_TARGET, 0.5, 0, 0),
    ],
)
def test_what_is_said_of_an_end(ended, left, doubts, notes):
    results = {"short_of_minimum": left}
    assert len(doubts_of_ending(results, ended)) == doubts
    assert len(notes_of_ending(results, ended)) == notes
