"""Sums by crystal and by panel against their NumPy twins."""

import numpy as np
import pytest

from smalti_ext import arrow

CRYSTALS, EXPERIMENTS, PANELS, SHARED, OWN = 5, 7, 4, 11, 6
OF = np.array([0, 0, 1, 2, 3, 3, 4])  # crystal of each experiment
CHUNKS = 240


@pytest.fixture
def problem(rng):
    """Random sums of chunks, crystal by crystal; crystal 2 has none."""
    root = rng.normal(size=(CHUNKS, 24, 30))
    matrix, gradient = root @ root.transpose(0, 2, 1), rng.normal(size=(CHUNKS, 24))
    experiment = np.sort(rng.choice([0, 1, 2, 4, 5, 6], CHUNKS)).astype(np.int64)
    bounds = np.searchsorted(OF[experiment], np.arange(CRYSTALS + 1)).astype(np.int64)
    panel = rng.integers(0, PANELS, CHUNKS)
    own = rng.normal(size=(EXPERIMENTS, OWN, 15))
    own[OF == 1, 4:] = 0.0  # a crystal with fewer parameters
    slopes = arrow.Slopes(own, *_packed(rng, EXPERIMENTS, 3, 15), *_packed(rng, PANELS, 5, 9))
    return matrix, gradient, bounds, experiment, panel, slopes


def _packed(rng, bodies, most, size):
    columns = np.array([rng.choice(SHARED, most, replace=False) for _ in range(bodies)], dtype=np.int64)
    columns[rng.random(columns.shape) < 0.3] = -1
    return rng.normal(size=(bodies, most, size)), columns


def dense(values, columns, count):
    """Derivatives (bodies, coordinates, count) by all parameters."""
    out = np.zeros((len(values), values.shape[2], count))
    for body, places in enumerate(columns):
        for k, place in enumerate(places):
            if place >= 0:
                out[body, :, place] += values[body, k]
    return out


def whole(problem):
    """The twin: derivatives by all parameters together, the crystal's own last."""
    matrix, gradient, _, experiment, panel, slopes = problem
    by_panel = dense(slopes.panel, slopes.panel_columns, SHARED)
    by_experiment = dense(slopes.shared, slopes.shared_columns, SHARED)
    out = []
    for c in range(len(matrix)):
        tangent = np.zeros((24, SHARED + OWN))
        tangent[:9, :SHARED] = by_panel[panel[c]]
        tangent[9:, :SHARED] = by_experiment[experiment[c]]
        tangent[9:, SHARED:] = slopes.own[experiment[c]].T
        out.append((tangent.T @ matrix[c] @ tangent, tangent.T @ gradient[c]))
    return out


@pytest.mark.parametrize("threads", [1, 3])
def test_sums_by_crystal_equal_the_twin(problem, threads):
    _, _, bounds, _, _, slopes = problem
    found = arrow.by_crystal(*problem[:5], slopes, SHARED, threads)
    expected = whole(problem)
    for k in range(CRYSTALS):
        parts = expected[bounds[k] : bounds[k + 1]]
        square = sum((N for N, _ in parts), start=np.zeros((SHARED + OWN,) * 2))
        slope = sum((b for _, b in parts), start=np.zeros(SHARED + OWN))
        np.testing.assert_allclose(found.matrix[k], square[SHARED:, SHARED:], rtol=1e-10, atol=1e-9)
        np.testing.assert_allclose(found.cross[k], square[SHARED:, :SHARED], rtol=1e-10, atol=1e-9)
        np.testing.assert_allclose(found.gradient[k], slope[SHARED:], rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("threads", [1, 3])
def test_sums_by_panel_equal_the_twin(problem, threads):
    matrix, gradient, _, experiment, panel, slopes = problem
    found = arrow.by_panel(matrix, gradient, experiment, panel, slopes, SHARED, threads)
    by_experiment = dense(slopes.shared, slopes.shared_columns, SHARED)
    for p in range(PANELS):
        mine = np.flatnonzero(panel == p)
        np.testing.assert_allclose(found.matrix[p], matrix[mine, :9, :9].sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found.gradient[p], gradient[mine, :9].sum(axis=0), rtol=1e-10, atol=1e-12)
        cross = sum(matrix[c, :9, 9:] @ by_experiment[experiment[c]] for c in mine)
        np.testing.assert_allclose(found.cross[p], cross, rtol=1e-10, atol=1e-10)


def test_the_number_of_threads_changes_nothing(problem):
    one, many = (arrow.by_crystal(*problem, SHARED, n) for n in (1, 8))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_own_blocks_alone_are_the_same(problem):
    both = arrow.by_crystal(*problem, SHARED)
    alone = arrow.by_crystal(*problem, SHARED, cross=False)
    np.testing.assert_array_equal(alone.matrix, both.matrix)
    np.testing.assert_array_equal(alone.gradient, both.gradient)
    assert alone.cross.shape == (0, OWN, SHARED)


def test_nothing_is_shared_and_nobody_is_there(problem):
    matrix, gradient, bounds, experiment, panel, slopes = problem
    none = slopes._replace(
        shared=np.zeros((EXPERIMENTS, 0, 15)),
        shared_columns=np.zeros((EXPERIMENTS, 0), dtype=np.int64),
        panel=np.zeros((PANELS, 0, 9)),
        panel_columns=np.zeros((PANELS, 0), dtype=np.int64),
    )
    found = arrow.by_crystal(matrix, gradient, bounds, experiment, panel, none, 0)
    whole_one = arrow.by_crystal(*problem, SHARED)
    np.testing.assert_array_equal(found.matrix, whole_one.matrix)
    assert found.cross.shape == (CRYSTALS, OWN, 0)
    nobody = np.zeros(1, dtype=np.int64)
    empty = arrow.by_crystal(matrix[:0], gradient[:0], nobody, experiment[:0], panel[:0], slopes, SHARED)
    assert empty.matrix.shape == (0, OWN, OWN)


@pytest.mark.parametrize(
    ("place", "wrong", "error"),
    [
        (0, lambda x: x[:, :23], TypeError),
        (2, lambda x: x[::-1].copy(), ValueError),
        (3, lambda x: x + EXPERIMENTS, ValueError),
        (4, lambda x: x - PANELS, ValueError),
        (4, lambda x: x.astype(np.int32), TypeError),
    ],
)
def test_what_does_not_fit_is_refused(problem, place, wrong, error):
    given = list(problem)
    given[place] = wrong(given[place])
    with pytest.raises(error):
        arrow.by_crystal(*given, SHARED)


def test_columns_beyond_the_shared_parameters_are_refused(problem):
    with pytest.raises(ValueError, match="columns"):
        arrow.by_crystal(*problem, 3)
    with pytest.raises(ValueError, match="columns"):
        arrow.by_panel(*problem[:2], *problem[3:], 3)
