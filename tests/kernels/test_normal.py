"""The one-pass kernel against its NumPy twin."""

import numpy as np
import pytest

from smalti.geometry.derivatives import RotationState, Spots, differentiate, predict
from smalti.geometry.rotation import rotation
from smalti_ext import normal, threads

N = 700


@pytest.fixture
def problem(rng):
    """Reflections of two sweeps and a still on three panels, some of which cannot be predicted."""
    A = np.array([rotation([1.0, 2.0, 3.0], 0.3 + k) @ np.diag([0.02, 0.025, 0.03]) for k in range(3)])
    d = np.array(
        [
            rotation([0.3, 1.0, 0.2], 0.1 * k) @ np.array([[1.0, 0, x], [0, -1.0, 40.0], [0, 0, -150.0]])
            for k, x in enumerate((-120.0, -40.0, 40.0))
        ]
    )
    state = RotationState(
        A,
        np.array([np.eye(3), rotation([0.0, 1.0, 1.0], 0.2), np.eye(3)]),
        np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [1.0, 0.0, 0.0]]),
        np.array([[0.0, 0.01, -1.0], [0.02, 0.0, -1.01], [-0.01, 0.02, -0.99]]),
        d,
        np.array([False, False, True]),
    )
    cell = np.sort(rng.integers(0, 9, N))
    h = rng.integers(-15, 16, (N, 3)).astype(float)
    h[:20] *= 10.0  # beyond the Ewald sphere
    spots = Spots(h, rng.random(N) < 0.5, rng.uniform(0.0, 9.0, N), cell // 3, cell % 3)
    xyz, s1 = predict(state, spots)
    observed = np.where(np.isnan(xyz), 0.0, xyz + rng.normal(size=(N, 3)) * (0.1, 0.1, 1e-3))
    observed[:, 2] = np.where(spots.experiment == 2, 0.0, spots.angle)
    weights = rng.uniform(0.5, 2.0, (N, 3)) * (100.0, 100.0, 1e5)
    weights[rng.random(N) < 0.1] = 0.0
    chunks = np.concatenate([[0], np.flatnonzero(np.diff(cell)) + 1, [N]]).astype(np.int64)
    return state, spots, observed, weights, chunks


def models_of(state):
    inverse = np.linalg.inv(state.d)
    return normal.Models(state.FA, state.S, state.axis, state.s0, inverse, state.stills)


def run(problem, n_threads=1):
    state, spots, observed, weights, chunks = problem
    models = models_of(state)
    first = chunks[:-1]
    experiment, panel = (x[first].astype(np.int64) for x in (spots.experiment, spots.panel))
    sums = normal.accumulate(
        spots.h, spots.entering, observed, weights, chunks, experiment, panel, models, n_threads
    )
    xyz = normal.predict(spots.h, spots.entering, spots.angle, chunks, experiment, panel, models, n_threads)
    return sums, xyz


def test_predictions_equal_the_twin(problem):
    state, spots, *_ = problem
    expected, _ = predict(state, spots)
    _, xyz = run(problem)
    assert 20 <= np.isnan(xyz[:, 0]).sum() < N - 100
    np.testing.assert_allclose(xyz, expected, rtol=1e-11, atol=1e-11)


def test_normal_equations_equal_the_twin(problem):
    state, spots, observed, weights, chunks = problem
    xyz, s1 = predict(state, spots)
    with np.errstate(invalid="ignore"):
        rows = differentiate(state, spots, xyz, s1)
    sums, _ = run(problem)
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


def test_the_number_of_threads_does_not_change_a_bit(problem, monkeypatch):
    monkeypatch.setattr(threads, "_ROWS", 1)  # as if there were many more rows
    one, xyz_one = run(problem, 1)
    for n_threads in (2, 5):
        more, xyz = run(problem, n_threads)
        for a, b in zip(one, more, strict=True):
            assert (a == b).all()
        np.testing.assert_array_equal(xyz, xyz_one)


def test_the_setting_rotation_is_left_out_on_request(problem):
    state, spots, observed, weights, chunks = problem
    models = models_of(state)
    first = chunks[:-1]
    experiment, panel = (x[first].astype(np.int64) for x in (spots.experiment, spots.panel))
    data = (spots.h, spots.entering, observed, weights, chunks, experiment, panel, models)
    whole, part = normal.accumulate(*data), normal.accumulate(*data, setting=False)
    assert np.abs(whole.matrix[:, 21:]).max() > 0.0
    for a, b in zip(whole, part, strict=True):
        if a.shape[1:2] == (24,):
            a = a.copy()
            a[:, 21:] = 0.0
            if a.ndim == 3:
                a[:, :, 21:] = 0.0
        np.testing.assert_array_equal(a, b)


def test_wrong_types_shapes_and_numbers_are_errors(problem):
    state, spots, observed, weights, chunks = problem
    models = models_of(state)
    cells = np.zeros(len(chunks) - 1, dtype=np.int64)
    good = [spots.h, spots.entering, observed, weights, chunks, cells, cells, models]
    normal.accumulate(*good)
    for place, bad in (
        (0, spots.h.astype(np.float32)),
        (0, np.asfortranarray(spots.h)),
        (1, spots.entering.astype(np.uint8)),
        (2, observed[:-1]),
        (4, chunks.astype(np.int32)),
        (7, models._replace(s0=models.s0[:, :2])),
    ):
        with pytest.raises(TypeError, match="must be C-contiguous"):
            normal.accumulate(*good[:place], bad, *good[place + 1 :])
    for place, bad in ((4, chunks[::-1].copy()), (5, cells + 3), (6, cells + 3), (6, cells - 1)):
        with pytest.raises(ValueError, match="must"):
            normal.accumulate(*good[:place], bad, *good[place + 1 :])
