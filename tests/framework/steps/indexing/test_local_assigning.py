"""Indices from chains of neighbours."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from smalti.geometry.reciprocal import B_from_cell
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.indexing.assigning import assign
from smalti.steps.indexing.local_assigning import local_indices

from .made_up import COMPONENTS, FAST, sweep

A = B_from_cell((30.0, 40.0, 50.0, 90.0, 100.0, 90.0))


def lattice(reach=9):
    h = np.array([h for h in product(range(-reach, reach + 1), repeat=3) if any(h)])
    points = h @ A.T
    near = np.linalg.norm(points, axis=1) < 0.22
    return h[near], points[near]


def bent(points, stretch=0.06):
    """Points moved outwards by more and more; differences of neighbours grow by ``stretch`` at the rim."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return points * (1.0 + stretch / 3.0 * (length / length.max()) ** 2)


def test_on_a_perfect_lattice_both_ways_agree():
    h, points = lattice()
    local, joined = local_indices(A, points, np.zeros(len(points), dtype=np.intp))
    assert joined.all()
    assert np.array_equal(local, h)


def test_a_lattice_that_is_bent_is_followed_to_its_rim():
    A = B_from_cell((100.0, 120.0, 50.0, 90.0, 100.0, 90.0))
    span = np.arange(-30, 31)
    h = np.array([item for item in product(span, span, range(-2, 3)) if any(item)])
    points = h @ A.T
    crooked = bent(points)
    misfit = np.linalg.norm(crooked @ np.linalg.inv(A).T - h, axis=1)
    assert misfit.max() > 0.5, "further than the nearest lattice point can bear"
    zero = np.zeros(len(points), dtype=np.intp)
    nearest = assign(A, crooked, 0.3)
    local = assign(A, crooked, 0.3, neighbours=zero)
    assert np.mean(nearest.indexed & np.all(nearest.h == h, axis=1)) < 0.9
    assert np.mean(local.indexed & np.all(local.h == h, axis=1)) == 1.0


def test_spurious_points_stay_out(rng):
    h, points = lattice()
    junk = rng.uniform(-0.2, 0.2, size=(len(points) // 2, 3))
    both = np.concatenate([points, junk])
    found = assign(A, both, 0.3, neighbours=np.zeros(len(both), dtype=np.intp))
    true = slice(0, len(points))
    assert np.array_equal(found.h[true], h)
    plain = assign(A, both, 0.3)
    assert found.indexed[len(points) :].mean() < plain.indexed[len(points) :].mean() + 0.05


def test_groups_do_not_touch_and_few_points_do_no_harm():
    h, points = lattice()
    turned = points + 0.5 * A[:, 0]
    both = np.concatenate([points, turned])
    local, _ = local_indices(A, both, np.repeat([0, 1], len(points)))
    assert np.array_equal(local[: len(points)], h)
    # the second group is off by half an index as a whole: one of the two offsets for all of it
    shift = local[len(points) :] - h
    assert len(np.unique(shift, axis=0)) == 1
    for n in (0, 1, 3):
        few, joined = local_indices(A, points[:n], np.zeros(n, dtype=np.intp))
        assert np.array_equal(few, h[:n])
        assert not joined.any()


def test_the_whole_step_works_with_it(rng):
    experiments, spots, truth = sweep(rng, n=1200, images=200)
    options = IndexOptions(assignment="local", cycles=2)
    result = index(experiments, spots, FAST, *COMPONENTS, options)
    assert sum(result.indexed) / sum(result.total) > 0.99
    assert sorted(result.crystal.cell[:3]) == pytest.approx(sorted(truth.cell[:3]), rel=1e-3)
