"""Several minimisers on one problem."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from smalti.solution import Ended, Solution, Step
from smalti.steps.comparing import compare, run_all
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti.testing.contracts.minimisers import curved, linear
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.dogleg import Dogleg
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.tukey import Tukey

START = np.array([40.0, 0.6, 5.0])


@dataclass(frozen=True)
class OneStep:
    """A minimiser in twenty lines, and a bad one: one damped step, then it is content."""

    name: ClassVar[str] = "one_step"

    def minimise(self, source, start):
        now = source.normal_equations(start)
        damped = now.matrix + np.diag(np.diag(now.matrix))
        p = start - np.linalg.solve(damped, now.gradient)
        end = source.normal_equations(p)
        steps = tuple(Step(k, n.n_reflections, n.rmsd, n.objective) for k, n in enumerate((now, end)))
        return Solution(p, end.objective, steps, Ended.RMSD_CONVERGED)


@dataclass(frozen=True)
class Broken:
    """Fails half way."""

    name: ClassVar[str] = "broken"

    def minimise(self, source, start):
        source.normal_equations(start)
        raise ZeroDivisionError("no way out")


def test_the_lowest_is_found_and_the_distance_to_it_is_right():
    source = linear()
    compared = run_all(source, np.zeros(3), [OneStep(), GaussNewton()])
    assert compared.lowest == 1
    best, other = (compared.runs[k].solution.parameters for k in (1, 0))
    N = source.normal_equations(best).matrix
    esd = np.sqrt(np.diag(np.linalg.inv(N)))
    assert compared.distances[0, 1] == pytest.approx(np.sqrt((other - best) @ N @ (other - best)))
    assert (np.abs(other - best) / esd).max() <= compared.distances[0, 1]
    assert compared.distances[0, 0] == 0.0
    # Half a problem: the objective of a straight one is quadratic, so the distance follows from it.
    above = compared.runs[0].solution.objective - compared.runs[1].solution.objective
    assert compared.distances[0, 1] == pytest.approx(np.sqrt(2.0 * above), rel=1e-6)
    assert "one_step ended" in compared.warnings[0]
    assert "Not all of them are the minimum" in compared.text()


def test_passes_are_counted_and_nobody_sees_the_moves_of_another():
    compared = run_all(curved(), START, [GaussNewton(), LevenbergMarquardt(), Dogleg(), GaussNewton()])
    one, *_, again = compared.runs
    assert one.calls == again.calls and one.calls["normal_equations"] == len(one.solution.steps)
    assert compared.runs[2].calls["objective"] >= len(compared.runs[2].solution.steps) - 1
    assert np.array_equal(one.solution.parameters, again.solution.parameters)
    assert compared.warnings == ()
    assert all(run.seconds > 0.0 for run in compared.runs)


def test_one_that_fails_does_not_stop_the_others():
    compared = run_all(curved(), START, [Broken(), GaussNewton(), Dogleg()])
    assert compared.warnings == ("broken failed: ZeroDivisionError: no way out.",)
    assert np.isnan(compared.distances[0]).all() and compared.distances[1, 2] < 0.1
    row = compared.summary()["minimisers"][0]
    assert row["problem"] == "ZeroDivisionError: no way out" and row["calls"] == {"normal_equations": 1}
    assert "no way out" in compared.text()
    json.dumps(compared.summary(), allow_nan=False)


def test_all_fail():
    compared = run_all(curved(), START, [Broken()])
    assert compared.lowest is None and compared.summary()["lowest"] is None
    assert "No minimiser came to an end" in compared.text()


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.2, 0.2, 0.1)))
    return synthetic.observations(truth, nominal, rng, d_min=3.0, n=400, outliers=0.05)


def test_the_problem_is_that_of_a_refinement(problem):
    minimisers = [GaussNewton(), Dogleg(), LevenbergMarquardt()]
    compared = compare(*problem, Hierarchical(level=1), minimisers, Tukey())
    refined = refine(*problem, Hierarchical(level=1), GaussNewton(), Tukey(), RefineOptions(rounds=1))
    assert compared.n_reflections == refined.results["n_used"] < 400
    assert compared.n_parameters == refined.results["n_parameters"]
    last = compared.runs[0].solution.steps[-1]
    assert last.objective == pytest.approx(refined.results["steps"][-1]["objective"], rel=1e-9)
    assert compared.warnings == () and np.nanmax(compared.distances) < 0.1
    assert "minima are within" in compared.text()
