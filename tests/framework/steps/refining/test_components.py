"""Components of variance against a design whose truth is known, and how often chance looks like more."""

import numpy as np
import pytest

from smalti.steps.refining.telling.components import Groups, components
from smalti.steps.refining.telling.systematics import clearly


def drawn(rng, shared, n=6000, owners=6, parts=20):
    """Values (N, 2) of a unit of noise, and for each cell (in x) a common part of the size that is asked."""
    owner, part, other = (rng.integers(0, size, n) for size in (owners, parts, 15))
    values = rng.normal(size=(n, 2))
    values[:, 0] += shared * rng.normal(size=(owners, parts))[owner, part]
    values += 5.0 * rng.normal(size=(owners, 2))[owner]  # the mean of an owner is nothing to a cell
    values += rng.normal(size=(owners, 15, 2))[owner, other]  # what another way explains
    return values, Groups.of(owner, part), Groups.of(owner, other), owner


def estimate(rng, shared, n_groups=1, **sizes):
    values, way, other, owner = drawn(rng, shared, **sizes)
    group = owner if n_groups > 1 else np.zeros(len(owner), dtype=np.intp)
    return components(values, way, other, group, n_groups)


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
def test_both_components_are_estimated_without_bias(shared):
    found = [estimate(np.random.default_rng(seed), shared) for seed in range(20)]
    common, random = (
        np.mean([getattr(item, name)[0] for item in found], axis=0) for name in ("common", "random")
    )
    assert np.sqrt(common[0]) == pytest.approx(shared, abs=0.05, rel=0.1)
    assert np.sqrt(common[1]) < 0.06
    np.testing.assert_allclose(random, 1.0, atol=0.02)
    assert found[0].freedom[0] == 6 * 19 and found[0].cells[0] == 120


def test_groups_are_estimated_apart():
    found = estimate(np.random.default_rng(1), 0.5, n_groups=6)
    assert found.common.shape == (6, 2) and list(found.freedom) == [19] * 6
    assert np.all(found.ratio > 0.25) and np.all(found.ratio < 0.85)


def test_chance_is_hardly_ever_clear():
    """Fifty draws of six owners each: clear in none of them together, and in no owner alone."""
    for seed in range(50):
        rng = np.random.default_rng(100 + seed)
        whole = estimate(rng, 0.0)
        assert not clearly(whole.chi_squared[0], 2.0 * whole.freedom[0])
        each = estimate(rng, 0.0, n_groups=6)
        assert not any(clearly(*pair) for pair in zip(each.chi_squared, 2.0 * each.freedom, strict=True))


def test_small_cells_and_nothing_at_all_say_nothing():
    rng = np.random.default_rng(2)
    thin = estimate(rng, 1.0, n=300)  # fewer than eight members a cell
    assert thin.freedom[0] < 5
    none = np.zeros(0, dtype=np.intp)
    empty = components(np.zeros((0, 2)), Groups(none, none), Groups(none, none), none, 2)
    assert list(empty.freedom) == [0, 0] and list(empty.ratio) == [0.0, 0.0]


def test_values_that_do_not_scatter_say_nothing():
    owner, part = np.zeros(100, dtype=np.intp), np.arange(100) % 5
    found = components(np.zeros((100, 2)), Groups.of(owner, part), Groups.of(owner, part), owner, 1)
    assert found.freedom[0] == 0 and found.ratio[0] == 0.0
