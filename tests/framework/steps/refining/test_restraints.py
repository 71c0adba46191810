"""Restraints: rows beside the reflections, their derivatives and what they do."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.restraints import distance_of, restraints_of
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.source import RotationSource
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.outliers.none import NoOutliers

TRICLINIC = (40.0, 50.0, 60.0, 80.0, 95.0, 100.0)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.1, 0.1, 0.1)))
    return synthetic.observations(truth, nominal, rng, d_min=2.6, n=600)


def solve(experiments, table, minimiser=None, **options):
    minimiser = minimiser or GaussNewton()
    return refine(experiments, table, Hierarchical(), minimiser, NoOutliers(), RefineOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"cell_target": TRICLINIC, "cell_sigma": (0.1, 0.2, 0.3, 0.1, 0.2, 0.3)},
        {"similar_cells": 1e-3},
        {"distance": 140.0, "distance_sigma": 0.05},
    ],
)
def test_derivatives(options):
    detector = synthetic.detector("PILATUS 300K", 150.0)
    crystals = [synthetic.crystal(TRICLINIC, " P 1", (0.1 * k, 0.2, 0.3)) for k in (1, 2, 3)]
    experiments = Experiments(
        tuple(
            replace(synthetic.experiment(detector, crystal, n_images=10), identifier=str(k))
            for k, crystal in enumerate(crystals)
        )
    )
    chosen = RefineOptions(**options)
    layout = Layout.of(experiments, Hierarchical(level=1), chosen)
    p = np.random.default_rng(1).normal(size=layout.n)
    restraints = restraints_of(layout, chosen)
    assert restraints
    for restraint in restraints:
        values, slopes = restraint.rows(layout, p)
        slopes = slopes.toarray()
        assert slopes.shape == (len(values), layout.n) and len(values) > 0
        for k in range(layout.n):
            step = 1e-4 * np.eye(layout.n)[k]
            ahead, back = restraint.rows(layout, p + step)[0], restraint.rows(layout, p - step)[0]
            np.testing.assert_allclose(slopes[:, k], (ahead - back) / 2e-4, rtol=1e-5, atol=1e-5)


def test_the_source_holds_them_in_all_its_forms(problem):
    experiments, table = problem
    options = RefineOptions(distance_sigma=0.01, cell_target=synthetic.THAUMATIN, cell_sigma=(0.1,) * 6)
    layout = Layout.of(experiments, Hierarchical(level=1), options)
    data = select(table, layout, options).observations
    source = RotationSource(
        layout, data, 1.0 / data.variance, layout.prior, 1, restraints_of(layout, options)
    )
    p = 0.1 * np.random.default_rng(2).normal(size=layout.n)
    equations, residuals, jacobian = source.normal_equations(p), source.residuals(p), source.jacobian(p)
    assert equations.objective == pytest.approx(0.5 * residuals @ residuals, rel=1e-9)
    assert source.objective(p) == pytest.approx(equations.objective, rel=1e-12)
    gradient, matrix = jacobian.T @ residuals, (jacobian.T @ jacobian).toarray()
    np.testing.assert_allclose(equations.gradient, gradient, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    np.testing.assert_allclose(equations.matrix, matrix, rtol=1e-6, atol=1e-8 * np.abs(matrix).max())


def test_a_cell_is_drawn_to_its_target(problem):
    experiments, table = problem
    target = (58.0, 58.0, 151.0, 90.0, 90.0, 90.0)
    strict = solve(experiments, table, cell_target=target, cell_sigma=(1e-4,) * 6)
    np.testing.assert_allclose(strict.experiments[0].crystal.cell, target, atol=1e-3)
    # A sigma of 0 leaves a constant alone: c goes where the data want it.
    only_a = solve(experiments, table, cell_target=target, cell_sigma=(1e-4, 0, 0, 0, 0, 0))
    assert only_a.experiments[0].crystal.cell[0] == pytest.approx(58.0, abs=1e-3)
    assert abs(only_a.experiments[0].crystal.cell[2] - 151.0) > 0.3
    loose = solve(experiments, table, cell_target=target, cell_sigma=(10.0,) * 6)
    free = solve(experiments, table)
    np.testing.assert_allclose(loose.experiments[0].crystal.cell, free.experiments[0].crystal.cell, rtol=1e-4)


def test_constants_that_symmetry_makes_equal_count_once(problem):
    experiments, _ = problem
    options = RefineOptions(cell_target=synthetic.THAUMATIN, cell_sigma=(0.2, 0.1, 0.3, 1.0, 1.0, 1.0))
    layout = Layout.of(experiments, Hierarchical(), options)
    (restraint,) = restraints_of(layout, options)
    values, slopes = restraint.rows(layout, np.zeros(layout.n))
    assert len(values) == 2  # a or b, by the smaller sigma, and c; no angle is free
    free = RefineOptions(cell_target=synthetic.THAUMATIN, cell_sigma=(0.1, 0.1, 0.3, 1.0, 1.0, 1.0))
    (other,) = restraints_of(layout, free)
    again = other.rows(layout, np.zeros(layout.n))[1]
    np.testing.assert_allclose(again.toarray(), slopes.toarray(), atol=1e-12)


def test_a_distance_is_kept(problem):
    experiments, table = problem
    start, _ = distance_of(experiments[0].detector)
    free = distance_of(solve(experiments, table).experiments[0].detector)[0]
    held = distance_of(solve(experiments, table, distance_sigma=1e-4).experiments[0].detector)[0]
    moved = distance_of(
        solve(experiments, table, distance=150.5, distance_sigma=1e-4).experiments[0].detector
    )[0]
    assert abs(free - start) > 0.005
    assert held == pytest.approx(start, abs=1e-3)
    assert moved == pytest.approx(150.5, abs=1e-3)


def test_other_minimisers_see_restraints_too(problem):
    experiments, table = problem
    options = {"distance": 150.3, "distance_sigma": 0.02, "rounds": 1}
    a = solve(experiments, table, **options)
    b = solve(experiments, table, ScipyLeastSquares(), **options)
    for row, other in zip(a.results["parameters"], b.results["parameters"], strict=True):
        assert row["shift"] == pytest.approx(other["shift"], abs=0.02 * row["esd"]), row["name"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"distance": 150.0}, "needs refine.distance_sigma"),
        ({"cell_target": (1.0, 2.0)}, "go together"),
        ({"cell_target": TRICLINIC}, "go together"),
        ({"cell_target": TRICLINIC, "cell_sigma": (0.1, 0.1, -0.1, 0, 0, 0)}, "go together"),
    ],
)
def test_half_a_restraint_is_refused(problem, options, words):
    with pytest.raises(UsageError, match=words):
        solve(*problem, **options)
