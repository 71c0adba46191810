"""Reduced chi-squared is 1 in every class of reflections, for any judge; panels are told apart."""

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.weighing.leverage import leverages
from smalti.steps.refining.weighing.panel_scatter import scatter_factors
from smalti.steps.refining.weighing.twin import expected
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.sauter_poon import SauterPoon
from smalti_plugins.outliers.tukey import Tukey
from smalti_plugins.outliers.tukey_bisquare import TukeyBisquare

from .made_noise import made, spoilt

ALONE = RefineOptions(halves="off")


def refined(problem, table=None, rejector=None, level=1, options=ALONE):
    table = problem.table if table is None else table
    return refine(
        problem.experiments,
        table,
        Hierarchical(level=level),
        GaussNewton(),
        rejector or SauterPoon(),
        options,
    )


def classes(found):
    """Number of reflections and mean reduced chi-squared of x, y and phi by class."""
    return {
        (row["by"], row["class"]): (
            row["n"],
            np.mean([row[f"reduced_chi2_{kind}"] for kind in ("x", "y", "phi")]),
        )
        for row in found.results["noise"]["classes"]
    }


@pytest.fixture(scope="module")
def problem():
    return made(3, 20_000, "PILATUS 1M", 160.0)


@pytest.mark.parametrize(
    "rejector", [SauterPoon(), Tukey(), MinimumCovarianceDeterminant(), TukeyBisquare()], ids=lambda r: r.name
)
def test_chi_squared_is_one_in_each_class(problem, rejector):
    rows = classes(refined(problem, rejector=rejector))
    assert {by for by, _ in rows} == {"all", "intensity", "panel", "zeta", "spot"}
    for (by, name), (n, chi_squared) in rows.items():
        chance = np.sqrt(2.0 / (3 * n))
        assert abs(chi_squared - 1.0) < 0.02 + 2.5 * chance, (by, name)


@pytest.mark.slow
@pytest.mark.parametrize("dirty", [False, True], ids=["clean", "spoilt"])
def test_chi_squared_is_one_within_two_per_cent(dirty):
    """100,000 reflections of 60 panels: what the noise was made of is found again."""
    problem = made(1, 100_000, "PILATUS 6M", 400.0, n_images=1029)
    table = spoilt(problem, 1)[0] if dirty else problem.table
    rows = classes(refined(problem, table))
    large = {key: value for key, (n, value) in rows.items() if n > 5000}
    assert len(large) >= 12
    assert max(abs(value - 1.0) for value in large.values()) < 0.02
    for n, value in rows.values():
        assert abs(value - 1.0) < 0.02 + 2.5 * np.sqrt(2.0 / (3 * n))


def test_panels_that_scatter_more_are_told(problem):
    rows = refined(problem).results["noise"]["panels"]
    found = np.array([row[f"factor_{k}"] for row in rows for k in ("x", "y", "phi")]).reshape(-1, 3)
    true = problem.panel_factor / problem.panel_factor.mean()
    ratio = found / true[:, None]
    assert np.abs(ratio / ratio.mean() - 1.0).max() < 0.15
    assert found.max() / found.min() > 1.7


def test_a_displaced_panel_is_not_one_that_scatters(rng):
    """At level 0 panels are out by 80 um, several times the noise: factors stay those of the scatter."""
    problem = made(4, 9000, "PILATUS 1M", 160.0, widest=1.0)
    rows = refined(problem, level=0).results["noise"]["panels"]
    factors = np.array([[row["factor_x"], row["factor_y"], row["factor_phi"]] for row in rows])
    assert np.abs(factors - 1.0).max() < 0.12


def test_factors_are_one_where_panels_are_alike_or_have_nothing(rng):
    panel = np.repeat(np.arange(6), [4000, 4000, 4000, 4000, 12, 0])
    squares = rng.normal(size=(len(panel), 3)) ** 2
    weights = np.ones(len(panel))
    for given in (weights, None):
        assert np.abs(scatter_factors(squares, given, panel, 6) - 1.0).max() < 0.1
    # Twelve spots that scatter twice as much hardly tell; 4,000 do.
    squares[panel == 4] *= 4.0
    squares[panel == 2] *= 4.0
    for given in (weights, None):
        found = scatter_factors(squares, given, panel, 6)
        assert found[2] / found[0] == pytest.approx(4.0, rel=0.15)
        assert (found[5] > 0.3).all() and (found[4] / found[0] < 5.0).all()
    assert (scatter_factors(squares, weights, np.zeros(len(panel), dtype=np.intp), 1) == 1.0).all()


@pytest.mark.parametrize("rejector", [NoOutliers(), Tukey(), MinimumCovarianceDeterminant(), TukeyBisquare()])
def test_what_a_judge_leaves_of_good_spots(rejector, rng):
    """The twin of 1,000 spots, a tenth of them gross, tells what a hundred times as many good ones do."""
    z = rng.normal(size=(1000, 3))
    z[:100] += 12.0
    groups = np.repeat(np.arange(5), 200)
    found = expected(rejector, z, rejector.weights(z, np.ones_like(z), groups), groups)
    many = rng.normal(size=(100_000, 3))
    w = rejector.weights(many, np.ones_like(many), np.repeat(np.arange(500), 200))
    assert found.lost == pytest.approx(np.mean(w == 0.0), abs=0.02)
    assert found.square == pytest.approx((w @ many**2) / w.sum(), abs=0.04)


def test_leverages_add_up_to_the_parameters(problem):
    layout = Layout.of(problem.experiments, Hierarchical(level=1), ALONE)
    determined = np.linspace(0.2, 1.0, layout.n)
    panel = np.sort(problem.table["panel"].astype(np.intp))
    found = leverages(layout, determined, np.ones(len(panel)), panel)
    assert found.sum() == pytest.approx(determined.sum(), rel=1e-9)
    assert found[:, 2].max() < found[:, 0].min()  # panels have nothing to do with angles
    few = leverages(layout, determined, np.ones(12), np.repeat([0, 1], [3, 9]))
    assert few.max() <= 0.9 and few[0, 0] > few[-1, 0]


def test_variances_of_the_table_get_one_factor(problem):
    found = refined(problem, options=RefineOptions(halves="off", noise="table"))
    rows = classes(found)
    assert rows[("all", "all")][1] == pytest.approx(1.0, abs=0.02)
    assert rows[("intensity", "weakest fifth")][1] > 1.3 > 0.8 > rows[("intensity", "strongest fifth")][1]
    assert found.results["noise"]["terms"] == {}
