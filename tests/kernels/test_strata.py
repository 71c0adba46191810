"""Quantiles of strata against NumPy's."""

import numpy as np
import pytest

from smalti_ext.strata import quantiles


@pytest.mark.parametrize("levels", [(0.5,), (0.25, 0.75), (0.0, 0.1, 0.5, 0.9, 1.0), (0.3, 0.3)])
def test_equals_numpy(rng, levels):
    sizes = np.r_[1, 2, 3, 1, rng.integers(1, 400, 60)]
    bounds = np.r_[0, np.cumsum(sizes)].astype(np.int64)
    values = rng.normal(size=(bounds[-1], 3))
    values[:, 1] = np.round(values[:, 1])  # ties
    values[:, 2] = 7.0
    found = quantiles(values, bounds, levels)
    for k, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        np.testing.assert_allclose(found[:, k], np.quantile(values[a:b], levels, axis=0), rtol=0, atol=1e-14)


def test_sorted_and_reversed_lists_end_soon(rng):
    values = np.sort(rng.normal(size=200_000))
    bounds = np.array([0, len(values)])
    for order in (values, values[::-1], np.zeros_like(values)):
        column = np.ascontiguousarray(order)[:, None]
        assert quantiles(column, bounds, (0.25, 0.75))[:, 0, 0] == pytest.approx(
            np.quantile(order, (0.25, 0.75)), abs=1e-12
        )


def test_nothing_gives_nothing():
    assert quantiles(np.empty((0, 3)), np.array([0]), (0.5,)).shape == (1, 0, 3)


@pytest.mark.parametrize(
    ("values", "bounds", "levels", "error"),
    [
        (np.zeros((4, 2), dtype=np.float32), [0, 4], (0.5,), TypeError),
        (np.zeros((4, 4))[:, ::2], [0, 4], (0.5,), TypeError),
        (np.zeros((4, 2)), [0, 3], (0.5,), ValueError),
        (np.zeros((4, 2)), [0, 2, 2, 4], (0.5,), ValueError),
        (np.full((4, 2), np.nan), [0, 4], (0.5,), ValueError),
        (np.zeros((4, 2)), [0, 4], (0.75, 0.25), ValueError),
        (np.zeros((4, 2)), [0, 4], (1.5,), ValueError),
        (np.zeros((4, 2)), [0, 4], (), ValueError),
    ],
)
def test_wrong_arguments_are_refused(values, bounds, levels, error):
    with pytest.raises(error):
        quantiles(values, np.array(bounds), levels)
