"""Widths of priors that the data tell."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from smalti.solution import NormalEquations, Prior
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.solving.learning import BELIEF, _Restricted, learn, settled
from smalti.steps.refining.telling.prior_rows import prior_table
from smalti.storage import read_experiments, read_reflections
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.tukey import Tukey

TRUTH = {"shift": 0.04, "turn": 0.5}
STATED = {"shift": 0.1, "turn": 0.3}
SIZES = {"shift": 50, "turn": 25}


def mixed(seed, n_rows=400, noise=1.0):
    """A linear model of three common parameters and two groups: design (m, n), observations, names."""
    rng = np.random.default_rng(seed)
    names = ("",) * 3 + tuple(name for name, size in SIZES.items() for _ in range(size))
    scale = np.array([1.0] * 3 + [5.0 / TRUTH[name] for name in names[3:]])  # five noises a width
    design = rng.normal(size=(n_rows, len(names))) * scale * (rng.random((n_rows, len(names))) < 0.1)
    q = np.array([0.7, -0.4, 0.2, *(TRUTH[name] * rng.normal() for name in names[3:])])
    return design, design @ q + noise * rng.normal(size=n_rows), names


def stated_prior(names):
    widths = np.array([STATED.get(name, 100.0) for name in names])
    return Prior(np.zeros(len(names)), widths**-2.0, names, learn=True)


def at_the_minimum(design, observed, held):
    matrix = design.T @ design + np.diag(held.precision)
    p = np.linalg.solve(matrix, design.T @ observed)
    gradient = design.T @ (design @ p - observed) + held.precision * p
    return NormalEquations(p, 0.0, gradient, matrix, (0.0, 0.0, 0.0), len(observed))


def learnt_from(seed, **options):
    design, observed, names = mixed(seed, **options)
    stated = stated_prior(names)
    return learn(at_the_minimum(design, observed, stated), stated, stated)


def test_true_widths_are_found_within_their_uncertainty():
    pulls = []
    for seed in range(40):
        learnt = learnt_from(seed)
        assert learnt.names == ("shift", "turn")
        for name, factor, esd in zip(learnt.names, learnt.factor, learnt.esd, strict=True):
            pulls.append(np.log(STATED[name] * factor / TRUTH[name]) / esd)
    assert abs(np.mean(pulls)) < 0.3
    assert 0.85 < np.std(pulls) < 1.15
    # Fifty draws tell a width to 10 %, and less well where noise adds to them.
    assert 0.098 < learnt.esd[0] < 0.15


def test_the_maximum_is_that_of_the_marginal_likelihood():
    """An oracle that knows no normal equations: observations with the covariance Z D Z^T + 1."""
    design, observed, names = mixed(3, n_rows=150)
    columns = {name: design[:, [k for k, n in enumerate(names) if n == name]] for name in (*STATED, "")}

    def minus_log(t):
        V = np.eye(len(observed)) + 1e4 * columns[""] @ columns[""].T
        for (name, width), factor in zip(STATED.items(), np.exp(t), strict=True):
            V += (width * factor) ** 2 * columns[name] @ columns[name].T
        _, logdet = np.linalg.slogdet(V)
        off = t + BELIEF**2
        return 0.5 * (logdet + observed @ np.linalg.solve(V, observed) + off @ off / BELIEF**2)

    best = optimize.minimize(minus_log, np.zeros(2), tol=1e-8).x
    learnt = learnt_from(3, n_rows=150)
    np.testing.assert_allclose(np.log(learnt.factor) - learnt.esd**2, best, atol=2e-3)


def test_the_gradient_is_that_of_the_value(rng):
    design, observed, names = mixed(1, n_rows=200)
    group = np.array([-1 if name == "" else list(STATED).index(name) for name in names])
    problem = _Restricted(design.T @ design, design.T @ observed, np.full(len(names), 1e-4), group, 2)
    t = rng.normal(size=2)
    for k, step in enumerate(1e-5 * np.eye(2)):
        numeric = (problem.at(t + step)[0] - problem.at(t - step)[0]) / 2e-5
        assert problem.at(t)[1][k] == pytest.approx(numeric, rel=1e-5)


def test_it_does_not_matter_which_prior_was_held():
    design, observed, names = mixed(2)
    stated = stated_prior(names)
    other = replace(stated, precision=stated.precision * 7.0)
    one, two = (learn(at_the_minimum(design, observed, held), held, stated) for held in (stated, other))
    np.testing.assert_allclose(one.factor, two.factor, rtol=1e-6)


def test_what_the_data_do_not_see_keeps_its_width():
    learnt = learnt_from(0, noise=1.0, n_rows=4)
    assert np.abs(np.log(learnt.factor)).max() < 0.8
    assert (learnt.esd > 0.3).all()  # a factor of 1.35 at best
    design, observed, names = mixed(0)
    stated = stated_prior(names)
    nothing = learn(at_the_minimum(0.0 * design, observed, stated), stated, stated)
    np.testing.assert_allclose(nothing.factor, 1.0)
    np.testing.assert_allclose(nothing.esd, BELIEF)


def test_parts_that_do_not_move_get_a_width_that_is_small_and_not_zero():
    design, _, names = mixed(0)
    stated = stated_prior(names)
    observed = np.random.default_rng(0).normal(size=len(design))
    learnt = learn(at_the_minimum(design, observed, stated), stated, stated)
    assert (learnt.factor < 0.15).all() and (learnt.factor > 0.001).all()


def test_without_groups_nothing_is_learnt():
    design, observed, names = mixed(0)
    plain = replace(stated_prior(names), groups=())
    learnt = learn(at_the_minimum(design, observed, plain), plain, plain)
    assert learnt.prior is plain and learnt.names == ()


def test_what_nothing_holds_does_not_stop_it():
    design, observed, names = mixed(0)
    stated = stated_prior(names)
    open_end = replace(stated, precision=np.where(np.array(names) == "", 0.0, stated.precision))
    equations = at_the_minimum(design, observed, stated)
    matrix = equations.matrix - np.diag(stated.precision - open_end.precision)
    matrix[0], matrix[:, 0] = 0.0, 0.0
    learnt = learn(replace(equations, matrix=matrix), open_end, open_end)
    np.testing.assert_array_equal(learnt.prior.precision, open_end.precision)


def test_settled_sees_a_change():
    learnt = learnt_from(5)
    assert settled(learnt.prior, learnt.prior)
    assert not settled(stated_prior(mixed(5)[2]), learnt.prior)


def refined_modules(n, priors):
    rng = np.random.default_rng(8)
    detector = synthetic.detector("PILATUS 2M", 250.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    moved = synthetic.displaced(detector, rng, (0.02, 0.02, 0.0), (0.0, 0.0, 2e-3))
    truth = replace(nominal, detector=moved)
    experiments, table = synthetic.observations(truth, nominal, rng, n=n)
    component = Hierarchical(level=1, freedoms="in_plane", priors=priors)
    return refine(
        experiments, table, component, GaussNewton(), NoOutliers(), RefineOptions(halves="off", n_threads=1)
    )


def test_a_refinement_finds_how_far_modules_are_off():
    refined = refined_modules(4000, "learnt")
    rows = {row["group"]: row for row in refined.results["priors"]}
    assert set(rows) == {"detector 1, level 1, in plane", "detector 1, level 1, turn"}
    for kind, truth, count in (("in plane", 0.02, 48), ("turn", 2.0, 24)):
        row = rows[f"detector 1, level 1, {kind}"]
        assert row["n"] == count
        assert abs(np.log(row["width"] / truth)) < 3.0 * row["esd_of_log_width"]
        assert row["esd_of_log_width"] < 0.3
    assert rows["detector 1, level 1, in plane"]["tolerance"] == pytest.approx(0.1)
    assert "Priors:" in refined.text() and "(x/ 1." in refined.text()


def test_stated_widths_are_shown_as_they_are():
    rows = refined_modules(1000, True).results["priors"]
    assert [row["unit"] for row in rows] == ["mm", "mrad"]
    assert all(row["width"] == row["tolerance"] and row["esd_of_log_width"] is None for row in rows)
    assert all(0.0 < row["prior_share"] < 1.0 for row in rows)
    assert prior_table([]) == ""


@pytest.mark.data
def test_rows_of_a_real_barrel_stand_out_along_their_normals(data):
    """Twenty-four rows of the PILATUS 12M of I23: their radii differ by more than their places on the arc."""
    folder = data / "tables" / "i23_24_panels"
    refined = refine(
        read_experiments(folder / "data.expt"),
        read_reflections(folder / "data.refl"),
        Hierarchical(level=1, priors="learnt"),
        GaussNewton(),
        Tukey(),
        RefineOptions(halves="off", n_threads=1),
    )
    rows = {row["group"].split(", ")[-1]: row for row in refined.results["priors"]}
    assert 0.02 < rows["in plane"]["width"] < 0.06
    assert 0.07 < rows["along the normal"]["width"] < 0.17
    assert rows["along the normal"]["esd_of_log_width"] < 0.25
