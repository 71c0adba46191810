"""The kernel for crystals that vary over the scan against its NumPy twin."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.derivatives import (
    BEAM,
    CRYSTAL,
    PANEL,
    SETTING,
    RotationState,
    Spots,
    differentiate,
    predict,
)
from smalti.geometry.rotation import rotation
from smalti_ext import normal, varying

N, IMAGES, C = 900, 12, 5


@pytest.fixture(params=[False, True], ids=["two sweeps", "a sweep and a still"])
def problem(rng, request):
    """Random reflections of two experiments of six images each on three panels; some cannot be predicted."""
    A = np.array([rotation([1.0, 2.0, 3.0], 0.3 + k) @ np.diag([0.02, 0.025, 0.03]) for k in (0, 1)])
    FA = np.repeat(A, IMAGES // 2, axis=0) * (1.0 + 1e-3 * np.arange(IMAGES))[:, None, None]
    d = np.array(
        [
            rotation([0.3, 1.0, 0.2], 0.1 * k) @ np.array([[1.0, 0, x], [0, -1.0, 40.0], [0, 0, -150.0]])
            for k, x in enumerate((-120.0, -40.0, 40.0))
        ]
    )
    models = varying.VaryingModels(
        FA,
        rng.normal(size=(IMAGES, C, 3, 3)),
        rng.dirichlet([1.0, 2.0, 1.0], IMAGES),
        np.array([np.eye(3), rotation([0.0, 1.0, 1.0], 0.2)]),
        np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]]),
        np.array([[0.0, 0.01, -1.0], [0.02, 0.0, -1.01]]),
        np.linalg.inv(d),
        np.array([False, request.param]),
    )
    cell = np.sort(rng.integers(0, 6, N))
    experiment, panel = (cell // 3).astype(np.int64), (cell % 3).astype(np.int64)
    image = experiment * (IMAGES // 2) + rng.integers(0, IMAGES // 2, N)
    h = rng.integers(-15, 16, (N, 3)).astype(float)
    h[:20] *= 10.0  # beyond the Ewald sphere
    spots = Spots(h, rng.random(N) < 0.5, rng.uniform(0.0, 9.0, N), experiment, panel)
    xyz, s1 = predict(*twin(models, d, spots, image))
    observed = np.where(np.isnan(xyz), 0.0, xyz + rng.normal(size=(N, 3)) * (0.1, 0.1, 1e-3))
    observed[:, 2] = spots.angle
    weights = rng.uniform(0.5, 2.0, (N, 3)) * (100.0, 100.0, 1e5)
    weights[rng.random(N) < 0.1] = 0.0
    chunks = np.concatenate([[0], np.flatnonzero(np.diff(cell)) + 1, [N]]).astype(np.int64)
    return models, d, spots, image, observed, weights, chunks


def twin(models, d, spots, image):
    """Every image as an experiment of its own."""
    own = np.arange(IMAGES) // (IMAGES // 2)
    state = RotationState(models.FA, models.S[own], models.axis[own], models.s0[own], d, models.still[own])
    return state, replace(spots, experiment=image)


def run(problem, n_threads=1):
    models, _, spots, image, observed, weights, chunks = problem
    first = chunks[:-1]
    where = chunks, spots.experiment[first], spots.panel[first], models, n_threads
    sums = varying.accumulate(spots.h, spots.entering, observed, weights, image, *where)
    return sums, varying.predict(spots.h, spots.entering, spots.angle, image, *where)


def test_predictions_equal_the_twin(problem):
    models, d, spots, image, *_ = problem
    expected, _ = predict(*twin(models, d, spots, image))
    _, xyz = run(problem)
    assert 20 <= np.isnan(xyz[:, 0]).sum() < N - 100
    np.testing.assert_allclose(xyz, expected, rtol=1e-11, atol=1e-11)


def rows_of(problem):
    """Predictions, and their derivatives by the 15 + 3 c local coordinates (N, 3, 30)."""
    models, d, spots, image, *_ = problem
    state, each = twin(models, d, spots, image)
    xyz, s1 = predict(state, each)
    with np.errstate(invalid="ignore"):
        rows = differentiate(state, each, xyz, s1)
        by_parameter = np.einsum(
            "nkab,ncab->nkc", rows[:, :, CRYSTAL].reshape(N, 3, 3, 3), models.slopes[image]
        )
    samples = [models.blend[image, s][:, None, None] * by_parameter for s in range(3)]
    return xyz, np.concatenate([rows[:, :, PANEL], rows[:, :, BEAM], rows[:, :, SETTING], *samples], axis=2)


def test_normal_equations_equal_the_twin(problem):
    *_, observed, weights, chunks = problem
    xyz, rows = rows_of(problem)
    sums, _ = run(problem)
    assert sums.matrix.shape[1:] == (30, 30)
    for k, (a, b) in enumerate(zip(chunks[:-1], chunks[1:], strict=True)):
        part = np.arange(a, b)
        weighted = (weights[part] > 0.0).all(axis=1)
        possible = np.isfinite(xyz[part]).all(axis=1)
        used = part[weighted & possible]
        r, w, J = xyz[used] - observed[used], weights[used], rows[used]
        matrix = np.einsum("nki,nk,nkj->ij", J, w, J)
        scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
        assert (np.abs(sums.matrix[k] - matrix) <= 1e-11 * scale).all()
        gradient = np.einsum("nki,nk->i", J, w * r)
        size = np.einsum("nki,nk->i", np.abs(J), np.abs(w * r))
        assert (np.abs(sums.gradient[k] - gradient) <= 1e-11 * size).all()
        assert sums.objective[k] == pytest.approx(0.5 * np.sum(w * r**2))
        np.testing.assert_allclose(sums.squares[k], np.sum(r**2, axis=0))
        assert sums.used[k] == len(used)
        assert sums.impossible[k] == (weighted & ~possible).sum()
    assert sums.impossible.sum() > 0


def test_a_crystal_that_stays_is_that_of_the_static_kernel(problem):
    models, d, spots, image, observed, weights, chunks = problem
    steady = models._replace(
        FA=np.repeat(models.FA[[0, IMAGES // 2]], IMAGES // 2, axis=0),
        blend=np.tile([0.2, 0.5, 0.3], (IMAGES, 1)),
    )
    sums, xyz = run((steady, d, spots, image, observed, weights, chunks))
    first = chunks[:-1]
    FA = models.FA[[0, IMAGES // 2]]
    static = normal.Models(FA, models.S, models.axis, models.s0, models.D, models.still)
    where = chunks, spots.experiment[first], spots.panel[first], static
    expected = normal.accumulate(spots.h, spots.entering, observed, weights, *where)
    same = normal.predict(spots.h, spots.entering, spots.angle, *where)
    np.testing.assert_array_equal(xyz, same)
    shared = [*range(12), *range(21, 24)]
    for k in range(len(first)):
        block = expected.matrix[k][np.ix_(shared, shared)]
        scale = np.sqrt(np.outer(np.diag(block), np.diag(block)))
        assert (np.abs(sums.matrix[k][:15, :15] - block) <= 1e-11 * scale).all()
    np.testing.assert_allclose(sums.objective, expected.objective, rtol=1e-12)


def test_the_number_of_threads_does_not_change_a_bit(problem):
    one, xyz_one = run(problem, 1)
    for n_threads in (2, 5):
        more, xyz = run(problem, n_threads)
        for a, b in zip(one, more, strict=True):
            assert (a == b).all()
        np.testing.assert_array_equal(xyz, xyz_one)


def test_wrong_types_shapes_and_numbers_are_errors(problem):
    models, _, spots, image, observed, weights, chunks = problem
    cells = np.zeros(len(chunks) - 1, dtype=np.int64)
    good = [spots.h, spots.entering, observed, weights, image, chunks, cells, cells, models]
    varying.accumulate(*good)
    for place, bad in (
        (0, np.asfortranarray(spots.h)),
        (1, spots.entering.astype(np.uint8)),
        (2, observed[:-1]),
        (4, image.astype(np.int32)),
        (8, models._replace(blend=models.blend[:, :2])),
        (8, models._replace(slopes=models.slopes[:-1])),
    ):
        with pytest.raises(TypeError, match="must be C-contiguous"):
            varying.accumulate(*good[:place], bad, *good[place + 1 :])
    for place, bad in (
        (4, image + 1),
        (5, chunks[::-1].copy()),
        (6, cells + 2),
        (7, cells - 1),
    ):
        with pytest.raises(ValueError, match="must"):
            varying.accumulate(*good[:place], bad, *good[place + 1 :])
    many = models._replace(slopes=np.zeros((IMAGES, 10, 3, 3)))
    with pytest.raises(ValueError, match="1 to 9 parameters"):
        varying.accumulate(*good[:8], many)
