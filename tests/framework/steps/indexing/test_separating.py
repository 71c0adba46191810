"""Several sweeps of one crystal: one crystal, or one each where a goniometer is not exact."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.geometry.lattice import niggli
from smalti.geometry.rotation import rotation
from smalti.models import Crystal, Experiments, Goniometer
from smalti.models.frames import matrix
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.indexing.crystals import (
    as_seen_with_first,
    largest_turn,
    reduced,
    rotation_onto,
    single,
    turns,
)
from smalti.steps.indexing.separating import Comparison
from smalti.tables import Reflections
from smalti.testing import synthetic

sys.path.insert(0, str(Path(__file__).parent))
from made_up import COMPONENTS, FAST, sweep

STATED = rotation([0.2, 0.9, 0.4], 1.2)
AXIS = np.array([0.3, -0.5, 0.8])


def two_sweeps(rng, error, n=(800, 800)):
    """Two sweeps of one crystal; in the second the goniometer stands ``error`` deg beside what it says.

    Seen by the stated goniometer, the crystal of the second sweep is turned by F_stated^T F_true.
    """
    first, spots_1, truth = sweep(rng, n=n[0], images=100)
    stands = rotation(AXIS / np.linalg.norm(AXIS), np.radians(error)) @ STATED
    second, spots_2, _ = sweep(rng, n=n[1], images=100, goniometer=Goniometer(fixed_rotation=matrix(stands)))
    says = replace(
        second[0], detector=first[0].detector, goniometer=Goniometer(fixed_rotation=matrix(STATED))
    )
    numbered = spots_2.with_columns(
        {name: np.ones(spots_2.n_rows, dtype=np.int32) for name in ("id", "imageset_id")}
    )
    other = Crystal.from_A(STATED.T @ stands @ truth.A)
    return Experiments((first[0], says)), Reflections.concatenate([spots_1, numbered]), (truth, other)


def run(experiments, spots, **options):
    return index(experiments, spots, FAST, *COMPONENTS, IndexOptions(**options))


def astray(found, truth):
    """Largest distance (A) of the true axes from the nearest lattice points found."""
    axes, lattice = np.array(truth.real_space), np.array(found.real_space)
    return np.linalg.norm(axes - np.rint(axes @ np.linalg.inv(lattice)) @ lattice, axis=1).max()


@pytest.fixture(scope="module")
def inexact():
    experiments, spots, truth = two_sweeps(np.random.default_rng(8), 0.3)
    return run(experiments, spots), run(experiments, spots, crystals="shared"), truth


def test_a_goniometer_error_is_found_and_both_orientations_with_it(inexact):
    result, _, truth = inexact
    assert not single(result.experiments.items)
    assert turns(result.experiments.items) == pytest.approx((0.0, 0.3), abs=0.01)
    for item, crystal in zip(result.experiments, truth, strict=True):
        assert astray(item.crystal, crystal) < 0.03
        assert item.crystal.cell == pytest.approx(crystal.cell, rel=1e-3)


def test_own_crystals_index_and_fit_what_a_shared_one_does_not(inexact):
    result, shared, _ = inexact
    assert result.comparison.better
    assert sum(result.indexed) > 0.97 * sum(result.total)
    rows = [each.cycles[-1].refined.results["experiments"] for each in (shared, result)]
    assert rows[1][1]["rmsd_z_images"] < 0.6 * rows[0][1]["rmsd_z_images"]


def test_indices_are_those_of_each_sweeps_own_crystal_in_the_same_axes(inexact):
    result, _, truth = inexact
    table = result.reflections
    for number, item in enumerate(result.experiments):
        rows = table["id"] == number
        back = table["rlp"][rows] @ np.linalg.inv(item.crystal.A).T
        assert np.linalg.norm(back - table["miller_index"][rows], axis=1).max() <= 0.3
        assert np.median(np.linalg.norm(back - table["miller_index"][rows], axis=1)) < 0.05
    axes = [np.array(crystal.real_space) for crystal in truth]
    found = [np.array(item.crystal.real_space) for item in result.experiments]
    changes = [np.rint(f @ np.linalg.inv(a)) for f, a in zip(found, axes, strict=True)]
    assert np.array_equal(*changes)


def test_it_is_told_to_people_and_programs(inexact):
    result, shared, _ = inexact
    (warning,) = [warning for warning in result.warnings if "goniometer" in warning]
    degrees = float(re.search(r"up to ([0-9.]+) deg", warning)[1])
    assert degrees == pytest.approx(0.3, abs=0.015)
    assert "Each sweep has a crystal of its own" in result.text()
    told = json.loads(json.dumps(result.summary()))["crystals"]
    assert not told["shared"]
    assert told["largest_turn_deg"] == pytest.approx(0.3, abs=0.01)
    assert told["comparison"]["shared"][1] > 1.2 * told["comparison"]["own"][1]
    assert [row["sweep"] for row in told["sweeps"]] == [0, 1]
    assert "of its own" not in shared.text()
    assert shared.summary()["crystals"]["shared"]


@pytest.mark.parametrize("n", [(800, 800), (800, 40), (60, 60)])
def test_an_exact_goniometer_keeps_one_crystal(n, rng):
    experiments, spots, _ = two_sweeps(rng, 0.0, n)
    result = run(experiments, spots, max_cell=75.0)
    assert single(result.experiments.items)
    assert result.comparison is not None
    assert not result.comparison.better
    assert result.warnings == ()


def test_a_sweep_of_few_spots_turns_but_keeps_the_cell(rng):
    experiments, spots, _ = two_sweeps(rng, 0.6, (800, 15))
    result = run(experiments, spots)
    first, second = (item.crystal for item in result.experiments)
    assert turns(result.experiments.items)[1] == pytest.approx(0.6, abs=0.05)
    assert second.cell == pytest.approx(first.cell, rel=1e-9)


def test_a_sweep_of_hardly_any_spots_has_no_crystal_of_its_own(rng):
    experiments, spots, _ = two_sweeps(rng, 0.6, (800, 7))
    result = run(experiments, spots, crystals="own", cycles=1)
    assert single(result.experiments.items)
    assert any("indexed spots" in warning and "share one crystal" in warning for warning in result.warnings)


def test_own_crystals_on_request(rng):
    experiments, spots, _ = two_sweeps(rng, 0.0, (400, 400))
    result = run(experiments, spots, crystals="own", cycles=1)
    assert not single(result.experiments.items)
    assert largest_turn(result.experiments.items) < 0.02


def test_a_gain_has_to_be_significant_and_clear_in_some_sweep():
    assert Comparison(shared=(2600.0, 2400.0), own=(1500.0, 1500.0), parameters=9, n=3000).better
    assert Comparison(shared=(3050.0, 200.0), own=(3000.0, 50.0), parameters=9, n=3050).better
    assert not Comparison(shared=(16500.0, 16500.0), own=(15000.0, 15000.0), parameters=9, n=30000).better
    assert not Comparison(shared=(65.0, 65.0), own=(50.0, 50.0), parameters=9, n=100).better


def crystals_of(*axes):
    base = synthetic.experiment(synthetic.detector("PILATUS 2M", 250.0), Crystal.from_A(np.eye(3)))
    return [replace(base, crystal=Crystal.from_A(np.linalg.inv(each))) for each in axes]


def test_points_are_moved_with_their_indices(rng):
    axes = np.diag([40.0, 50.0, 60.0])
    items = crystals_of(axes, axes @ rotation([0, 1, 0], 0.01))
    h, number = rng.integers(-9, 9, size=(20, 3)), np.repeat([0, 1], 10)
    points = np.einsum("nij,nj->ni", np.array([item.crystal.A for item in items])[number], h)
    moved = as_seen_with_first(items, points, number)
    assert moved @ np.linalg.inv(items[0].crystal.A).T == pytest.approx(h)


def test_a_rotation_is_found_among_strays(rng):
    before = rng.normal(size=(15, 3))
    R = rotation([0.6, 0.0, 0.8], 0.02)
    after = before @ R.T + rng.normal(scale=1e-4, size=(15, 3))
    after[:4] += rng.normal(scale=0.1, size=(4, 3))
    assert rotation_onto(before, after) == pytest.approx(R, abs=3e-4)


def test_niggli_axes_are_the_same_for_all_and_shared_stays_shared():
    axes = np.diag([48.6, 48.4, 63.5])
    own = reduced(crystals_of(axes, axes @ rotation([1, 0, 0], 0.02)))
    assert own[0].crystal.cell[:3] == pytest.approx((48.4, 48.6, 63.5))
    assert turns(own)[1] == pytest.approx(np.degrees(0.02))
    assert np.linalg.det(np.array(own[0].crystal.real_space)) > 0
    assert niggli(np.array(own[0].crystal.real_space))[0] == pytest.approx(
        np.array(own[0].crystal.real_space)
    )
    (item,) = crystals_of(axes)
    assert single(reduced([item, replace(item)]))
