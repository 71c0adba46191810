"""Crystals eliminated give what all parameters together give: minimum, covariance and sums."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.refining.problem.arrows import held_arrow, pieces_of
from smalti.steps.refining.problem.covariance import Covariance
from smalti.steps.refining.problem.eliminating import eliminate, roots_of
from smalti.steps.refining.problem.partition import Partition, partition_of
from smalti.steps.refining.problem.reducing import reduce_crystals, settle
from smalti.steps.refining.problem.substituting import own_inverses
from smalti.steps.refining.solving.projecting import Projected, determined_by, minimise
from smalti_plugins.minimisers.dogleg import Dogleg
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.lbfgs import LimitedMemoryBFGS
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares

from .many_crystals import source_of

KINDS = {
    "wedges": {},
    "stills": {},
    "mixed": {},
    "several": {"refine_setting": True},
    "apart": {"refine_setting": True, "fix_beam": ("wavelength",)},
    "one cell": {"crystals": "one_cell"},
    "like cells": {"similar_cells": 0.003},
    "drawn": {
        "cell_target": (156.0, 157.0, 76.0, 90.0, 91.0, 90.0),
        "cell_sigma": (0.2, 0.2, 0.1, 0, 0.1, 0),
    },
}
EXACT = GaussNewton(step_tolerance=1e-9, rmsd_tolerance=0.0, max_steps=60)


@pytest.fixture(scope="module", params=KINDS)
def problem(request):
    """Source and partition of each kind."""
    name = request.param
    source = source_of(name if name in ("stills", "mixed", "several", "apart") else "wedges", **KINDS[name])
    return source, partition(source)


def partition(source, **options) -> Partition:
    coupling = [item.rows(source.layout, np.zeros(source.layout.n))[1] for item in source.restraints]
    return partition_of(source.layout, coupling, eliminate=True, **options)


def schur(matrix, slope, which):
    """Dense elimination of the parameters that are own."""
    own, shared = np.flatnonzero(which.owner >= 0), which.shared
    X = np.linalg.solve(matrix[np.ix_(own, own)], np.column_stack([matrix[np.ix_(own, shared)], slope[own]]))
    left = matrix[np.ix_(shared, own)] @ X
    return matrix[np.ix_(shared, shared)] - left[:, :-1], slope[shared] - left[:, -1]


def test_every_parameter_is_shared_or_of_one_crystal(problem):
    source, which = problem
    own = which.own[which.own >= 0]
    assert sorted([*which.shared, *own]) == list(range(source.layout.n)) and len(own) > 0
    for k, row in enumerate(which.own):
        assert (which.owner[row[row >= 0]] == k).all()
        np.testing.assert_array_equal(row[which.place[row[row >= 0]]], row[row >= 0])


def test_sums_by_crystal_are_those_of_the_joint_normal_equations(problem):
    source, which = problem
    p = 1e-2 * np.random.default_rng(1).normal(size=source.layout.n)
    there = np.isfinite(source.calc_minus_obs(p)).all(axis=1)  # some graze the Ewald sphere
    source = replace(source, weights=source.weights * there[:, None])
    joint = source.normal_equations(p)
    expected, right = schur(joint.matrix, joint.gradient, which)
    held, energy, own_energy = held_arrow(source, which, p)
    matrix, slope, objective = held.shared.copy(), held.slope.copy(), energy + own_energy.sum()
    for piece in pieces_of(source, which, p):
        left = eliminate(piece.arrow.plus(held.of(piece.crystals)))
        matrix += left.matrix
        slope += left.slope
        objective += piece.tally.objective.sum()
    scale = np.sqrt(np.diag(expected))
    assert (np.abs(matrix - expected) <= 1e-9 * np.outer(scale, scale)).all()
    size = np.sqrt(np.diag(joint.matrix))[which.shared]
    assert (np.abs(slope - right) / size <= 1e-9 * np.abs(right / size).max()).all()
    assert objective == pytest.approx(joint.objective, rel=1e-12)


def test_the_minimum_is_that_of_all_parameters_together(problem):
    source, which = problem
    start = np.zeros(source.layout.n)
    joint = minimise(source, Partition.joint(source.layout.n), EXACT, start)
    apart = minimise(source, which, EXACT, start)
    assert apart.equations.objective == pytest.approx(joint.equations.objective, rel=1e-12)
    esd = np.sqrt(np.diag(np.linalg.inv(joint.equations.matrix)))
    assert np.abs((apart.p - joint.p) / esd).max() < 1e-6
    assert apart.equations.rmsd == pytest.approx(joint.equations.rmsd, rel=1e-8)


def test_esds_by_back_substitution_are_those_of_the_dense_inverse(problem):
    source, which = problem
    found = minimise(source, which, EXACT, np.zeros(source.layout.n))
    dense = np.linalg.inv(source.normal_equations(found.p).matrix)
    inverse = np.linalg.inv(found.equations.matrix)
    blocks = Covariance(which, inverse, own_inverses(source, which, found.p, inverse))
    np.testing.assert_allclose(np.sqrt(blocks.variances), np.sqrt(np.diag(dense)), rtol=1e-8)
    for crystal, row in enumerate(which.own):
        row = row[row >= 0]
        expected, scale = dense[np.ix_(row, row)], np.sqrt(np.diag(dense)[row])
        slopes = np.random.default_rng(crystal).normal(size=(3, len(row))) / scale
        of = blocks.of(slopes, row)
        np.testing.assert_allclose(of, slopes @ expected @ slopes.T, rtol=1e-7, atol=1e-8)
    share = np.diag(dense) * source.prior.precision
    known = (dense * _restraints(source, found.p)).sum(axis=1)
    if not known.any():
        np.testing.assert_allclose(determined_by(source, which, found), 1.0 - share, atol=1e-8)


def _restraints(source, p):
    by_p = source.known(p)[1]
    return (by_p.T @ by_p).toarray()


@pytest.mark.parametrize("kind", ["wedges", "mixed", "apart"])
def test_gradients_of_the_projected_objective(kind):
    source = source_of(kind, **KINDS[kind])
    which = partition(source)
    projected = Projected(source, which, np.zeros(source.layout.n))
    p = 0.02 * np.random.default_rng(3).normal(size=len(which.shared))
    now = projected.normal_equations(p)
    unit = 1.0 / np.sqrt(np.diag(now.matrix))
    rng = np.random.default_rng(4)
    for _ in range(4):
        step = 0.3 * unit * rng.normal(size=len(unit))
        ahead, back = (Projected(source, which, projected.p).objective(p + s * step) for s in (1.0, -1.0))
        assert 0.5 * (ahead - back) == pytest.approx(now.gradient @ step, rel=1e-3, abs=1e-3)
        curvature = ahead + back - 2.0 * now.objective
        assert curvature == pytest.approx(step @ now.matrix @ step, rel=0.02)


@pytest.mark.parametrize("kind", ["wedges", "mixed"])
def test_derivatives_with_crystals_that_follow(kind):
    source = source_of(kind, count=4)
    which = partition(source)
    projected = Projected(source, which, np.zeros(source.layout.n))
    found = minimise(source, which, EXACT, np.zeros(source.layout.n))
    J = projected.jacobian(found.solution.parameters).toarray()
    expected = found.equations.matrix
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(J.T @ J - expected) < 1e-6 * scale).all()
    r = projected.residuals(found.solution.parameters)
    assert 0.5 * r @ r == pytest.approx(found.equations.objective, rel=1e-9)


@pytest.mark.parametrize(
    "minimiser",
    [Dogleg(), LevenbergMarquardt(), LimitedMemoryBFGS(), ScipyLeastSquares()],
    ids=lambda m: m.name,
)
def test_every_minimiser_works_with_crystals_eliminated(minimiser):
    source = source_of("mixed")
    which = partition(source)
    start = np.zeros(source.layout.n)
    best = minimise(source, which, EXACT, start)
    found = minimise(source, which, minimiser, start)
    assert found.solution.ended.converged
    assert found.equations.objective == pytest.approx(best.equations.objective, rel=1e-6)
    assert found.p.shape == start.shape


@pytest.mark.parametrize("kind", ["wedges", "mixed"])
def test_reductions_of_parts_add_up(kind):
    """Weights of 0 leave crystals out: what is left of two halves of them is what is left of all."""
    source = source_of(kind)
    which = partition(source, always_shared=("beam", "goniometer"))
    whole = reduce_crystals(source, which, np.zeros(source.layout.n))
    crystal = which.crystal[source.observations.spots.experiment]
    parts = []
    for chosen in (crystal < 2, crystal >= 2):
        part = replace(source, weights=source.weights * chosen[:, None])
        parts.append(reduce_crystals(part, which, whole.p))
    scale = np.sqrt(np.diag(whole.matrix))
    total = sum(part.matrix for part in parts)
    assert (np.abs(total - whole.matrix) <= 1e-7 * np.outer(scale, scale)).all()
    assert sum(part.objective for part in parts) == pytest.approx(whole.objective, rel=1e-9)
    assert sum(part.n_reflections for part in parts) == whole.n_reflections == source.observations.n
    np.testing.assert_allclose(sum(part.panel_squares for part in parts), whole.panel_squares, rtol=1e-4)
    np.testing.assert_array_equal(sum(part.panel_used for part in parts), whole.panel_used)


def test_crystals_do_not_depend_on_their_company_nor_on_threads():
    source = source_of("mixed", count=6)
    which = partition(source)
    alone = settle(source, which, np.zeros(source.layout.n), np.array([2]))
    together = settle(source, which, np.zeros(source.layout.n))
    mine = which.own[2]
    np.testing.assert_array_equal(alone[mine], together[mine])
    assert not alone[which.own[3]].any()
    one = reduce_crystals(source, which, np.zeros(source.layout.n))
    many = reduce_crystals(replace(source, n_threads=3), which, np.zeros(source.layout.n))
    np.testing.assert_array_equal(one.matrix, many.matrix)
    np.testing.assert_array_equal(one.p, many.p)


def test_a_crystal_with_too_few_reflections_stays_and_breaks_nothing():
    source = source_of("stills")
    which = partition(source)
    crystal = which.crystal[source.observations.spots.experiment]
    weights = source.weights.copy()
    weights[crystal == 1] = 0.0  # nothing at all
    few = np.flatnonzero(crystal == 3)[1:]
    weights[few] = 0.0  # one reflection
    poor = replace(source, weights=weights)
    found = minimise(poor, which, EXACT, np.zeros(source.layout.n))
    assert np.isfinite(found.p).all() and found.solution.ended.converged
    assert np.abs(found.p[which.own[1]]).max() < 1e-6
    inverse = np.linalg.inv(found.equations.matrix)
    own = own_inverses(poor, which, found.p, inverse)
    turns = np.einsum("kii->ki", own)[:, :3]
    assert (
        turns[1].min() > 1e6 and turns[0].max() < 1e3
    )  # nothing tells how a crystal without spots is turned
    without = minimise(
        replace(source, weights=np.where(crystal[:, None] == 1, 0.0, weights)), which, EXACT, found.p
    )
    np.testing.assert_allclose(found.equations.matrix, without.equations.matrix, rtol=1e-6, atol=1e-6)


def test_roots_are_those_of_inverses(rng):
    full = rng.normal(size=(5, 4, 4))
    full = full @ full.transpose(0, 2, 1) * np.array([1.0, 1e3, 1e6, 1.0, 1.0])[:, None, None]
    full[3, 2] = full[3, :, 2] = 0.0  # a parameter that a crystal does not have
    flat = rng.normal(size=(3, 4))
    full[4] = flat.T @ flat  # a direction that nothing determines
    root = roots_of(full)
    square = root @ root.transpose(0, 2, 1)
    for k in range(3):
        np.testing.assert_allclose(square[k] @ full[k], np.eye(4), atol=1e-8)
    keep = np.ix_([0, 1, 3], [0, 1, 3])
    np.testing.assert_allclose(square[3][keep], np.linalg.inv(full[3][keep]), rtol=1e-9)
    np.testing.assert_allclose(full[4] @ square[4] @ full[4], full[4], atol=1e-9)
    assert np.linalg.matrix_rank(square[4]) == 3
    assert np.linalg.eigvalsh(roots_of(full, 1e14)[4] @ roots_of(full, 1e14)[4].T)[-1] > 1e11
