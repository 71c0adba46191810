"""The parts of indexing one by one."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.geometry.reciprocal import B_from_cell
from smalti.models import Experiments
from smalti.solution import Candidate, PointCloud
from smalti.steps.indexing.assigning import assign, fit_growing
from smalti.steps.indexing.cycles import assign_all, resolution_steps
from smalti.steps.indexing.known import KnownLattice, parse_space_group
from smalti.steps.indexing.mapping import map_spots, with_pixels
from smalti.steps.indexing.max_cell import estimate_max_cell
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.sweeps import distinct_sweeps
from smalti.steps.indexing.trials import primitive_lattice, try_candidate
from smalti.steps.predicting import predict_sweep
from smalti.testing import synthetic

from .made_up import SMALL_CELL, sweep

A = B_from_cell((30.0, 40.0, 50.0, 90.0, 100.0, 90.0))


def test_mapping_inverts_prediction():
    truth = synthetic.experiment(synthetic.detector(), synthetic.crystal(), n_images=100)
    table = predict_sweep(truth, 4.0)
    spots = table.with_columns({"xyzobs.px.value": table["xyzcal.px"]})
    zero = np.zeros(table.n_rows, dtype=np.intp)
    mapped = map_spots([truth], spots, zero)
    # parallax is undone to a few nm only, as in DIALS
    assert mapped.rlp == pytest.approx(table["miller_index"] @ truth.crystal.A.T, abs=1e-7)
    found, entering = assign_all([truth], mapped, 0.3)
    assert np.array_equal(found.h[found.indexed], table["miller_index"][found.indexed])
    assert np.array_equal(entering, table["entering"])


def test_pixels_come_back_from_millimetres():
    truth = synthetic.experiment(synthetic.detector(), synthetic.crystal(), n_images=50)
    table = predict_sweep(truth, 5.0)
    spots = table.with_columns({"xyzobs.mm.value": table["xyzcal.mm"]})
    again = with_pixels([truth], spots, np.zeros(table.n_rows, dtype=np.intp))
    assert again["xyzobs.px.value"] == pytest.approx(table["xyzcal.px"], abs=1e-6)


def test_a_spot_cut_in_two_gives_its_index_to_the_better_half():
    points = np.array([[2, 0, 0], [2.1, 0, 0], [2, 0, 0.05], [3.45, 0, 0]]) @ A.T
    angles = np.array([0.1, 0.11, 2.5, 0.2])
    found = assign(A, points, 0.3, angles, np.zeros(4, dtype=np.intp))
    assert found.indexed.tolist() == [True, False, True, False]
    assert found.h.tolist() == [[2, 0, 0], [0, 0, 0], [2, 0, 0], [0, 0, 0]]


def test_the_origin_has_no_index():
    assert not assign(A, np.full((1, 3), 1e-5), 0.3).indexed.any()


def test_a_fit_grows_from_low_to_high_resolution(rng):
    h = rng.integers(-12, 13, size=(3000, 3))
    points = h @ A.T + rng.normal(scale=2e-4, size=(3000, 3))
    wrong = A * 1.04
    assert assign(wrong, points, 0.25).indexed.mean() < 0.75
    assert fit_growing(wrong, points) == pytest.approx(A, abs=2e-5)


def test_max_cell_is_about_the_longest_axis_and_never_tiny(rng):
    experiments, spots, _ = sweep(rng, (40.0, 50.0, 110.0, 90.0, 90.0, 90.0), n=20_000)
    zero = np.zeros(spots.n_rows, dtype=np.intp)
    mapped = map_spots(list(experiments), spots, zero)
    cloud = mapped.cloud(list(experiments), np.arange(spots.n_rows))
    assert 110.0 < estimate_max_cell(cloud, np.radians(12.0)) < 330.0
    few = PointCloud(np.eye(3), np.zeros(3), np.zeros(3, dtype=np.intp), np.array([1.0, 0, 0]))
    assert estimate_max_cell(few, 0.2) >= 25.0


@pytest.mark.parametrize("double", [(2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1), (3, 1, 1), (1, 3, 2)])
def test_a_multiple_of_the_cell_is_always_reduced(double, rng):
    experiments, spots, truth = sweep(rng, n=1200)
    mapped = map_spots(list(experiments), spots, np.zeros(spots.n_rows, dtype=np.intp))
    wrong = Candidate(np.linalg.inv(np.diag(double) @ np.array(truth.real_space)), 1.0)
    trial = try_candidate(wrong, list(experiments), spots, mapped, KnownLattice(), IndexOptions())
    assert trial.volume == pytest.approx(abs(truth.volume), rel=0.01)
    assert np.prod([item.factor for item in trial.reductions]) == np.prod(double)
    assert all(item.odd < 0.02 for item in trial.reductions)
    assert trial.least_odd > 0.4


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reduction_stops_before_the_cell_is_too_small_for_a_crystal(seed):
    """Tiny cells explain any spots, so that halving them would never end."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-0.05, 0.05, size=(60, 3))
    start = B_from_cell((9.0, 10.0, 11.0, 90.0, 95.0, 100.0))
    smaller, reductions, _ = primitive_lattice(start, noise, IndexOptions(odd_fraction=0.45))
    assert len(reductions) < 6
    assert np.linalg.norm(np.linalg.inv(smaller), axis=1).min() > 1.0


def test_an_origin_between_rows_is_refused(rng):
    experiments, spots, truth = sweep(rng, n=1200)
    mapped = map_spots(list(experiments), spots, np.zeros(spots.n_rows, dtype=np.intp))
    # every spot on odd indices of the doubled cell: the lattice shifted by half a row
    real = np.array(truth.real_space)
    half = 0.5 * np.linalg.inv(real)[:, 0]
    from dataclasses import replace

    shifted = replace(mapped, rlp=mapped.rlp + half)
    wrong = Candidate(np.linalg.inv(np.diag([2, 1, 1]) @ real), 1.0)
    options = IndexOptions(search_beam=False)
    trial = try_candidate(wrong, list(experiments), spots, shifted, KnownLattice(), options)
    assert "beam is off" in trial.refused


def test_steps_of_resolution_grow_and_end_with_everything(rng):
    length = np.sort(rng.uniform(0.05, 0.5, 5000))
    steps = resolution_steps(length, 5)
    assert len(steps) == 5
    assert np.all(np.diff(steps) > 0)
    assert steps[-1] == length[-1]
    assert np.sum(length <= steps[0]) >= 300
    assert len(resolution_steps(length[:100], 5)) == 2
    assert len(resolution_steps(length, 0)) == 0


def test_space_groups_by_any_name():
    for name in ("P 4", "p4", "P4", "75"):
        assert parse_space_group(name).number == 75
    assert parse_space_group("P21").xhm() == "P 1 21 1"
    assert parse_space_group("R3").xhm() == "R 3:H"
    with pytest.raises(UsageError) as caught:
        parse_space_group("P212112")
    assert "P21212" in caught.value.fix
    for odd in ("P 1 1 21", "R 3:R"):
        with pytest.raises(UsageError) as caught:
            parse_space_group(odd)
        assert "Give" in caught.value.fix


def test_a_centred_cell_is_known_by_its_primitive_one():
    known = KnownLattice.parse("I 4", (7.31, 7.31, 6.82, 90, 90, 90))
    volume = 7.31 * 7.31 * 6.82
    cell = known.primitive_cell()
    assert np.linalg.det(np.linalg.inv(B_from_cell(cell))) == pytest.approx(volume / 2)


def test_experiments_that_differ_in_crystal_only_are_one_sweep(rng):
    experiments, spots, truth = sweep(rng, SMALL_CELL, n=50)
    from dataclasses import replace

    two = Experiments((replace(experiments[0], crystal=truth), experiments[0]))
    numbers = np.where(np.arange(50) % 2, 1, -1).astype(np.int32)
    sweeps, number = distinct_sweeps(two, spots.with_columns({"id": numbers}))
    assert len(sweeps) == 1
    assert sweeps[0].crystal is None
    assert not number.any()
    with pytest.raises(DataError, match="belong to no sweep"):
        distinct_sweeps(experiments, spots.with_columns({"id": numbers * 7, "imageset_id": numbers * 7}))
