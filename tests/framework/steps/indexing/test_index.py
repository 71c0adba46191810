"""The whole step on made-up sweeps with known truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.geometry.lattice import cell_of, multiple, niggli
from smalti.geometry.rotation import rotation
from smalti.models import Experiments, Goniometer
from smalti.models.frames import matrix
from smalti.steps.indexing import IndexOptions, index
from smalti.tables import Flag, Reflections
from smalti_plugins.indexers.known_cell import KnownCell

from .made_up import COMPONENTS, FAST, SMALL_CELL, sweep


def run(experiments, spots, indexer=FAST, **options):
    return index(experiments, spots, indexer, *COMPONENTS, IndexOptions(**options))


def same_crystal(found, truth, tolerance=0.02):
    """Whether the primitive lattices agree, orientation and all."""
    return multiple(np.array(found.real_space), np.array(truth.real_space), tolerance) == 1


@pytest.fixture(scope="module")
def indexed():
    rng = np.random.default_rng(4)
    experiments, spots, truth = sweep(rng, push=(9.0, -6.0), spurious=0.15)
    return run(experiments, spots), spots, truth


def test_cell_and_orientation_come_out_without_a_hint(indexed):
    result, _, truth = indexed
    assert same_crystal(result.crystal, truth)
    assert sorted(result.crystal.cell[:3]) == pytest.approx(sorted(SMALL_CELL[:3]), rel=1e-3)


def test_the_beam_is_found_before_any_index_is_given(indexed):
    result, _, _ = indexed
    assert result.shifts[0].pixels == pytest.approx((-9.0, 6.0), abs=0.5)
    assert result.shifts[0].alternatives == 1


def test_the_table_says_what_is_known_of_every_spot(indexed):
    result, spots, _ = indexed
    table = result.reflections
    assert table.n_rows == spots.n_rows
    good = table["id"] >= 0
    assert 0.83 < good.mean() < 0.95
    assert np.array_equal(good, table.flagged(Flag.INDEXED))
    assert np.array_equal(good, np.any(table["miller_index"] != 0, axis=1))
    assert not table["miller_index"][~good].any()
    predicted = table["xyzcal.px"][good] - table["xyzobs.px.value"][good]
    assert np.sqrt(np.median(predicted**2, axis=0)).max() < 0.3
    back = table["rlp"][good] @ np.linalg.inv(result.crystal.A).T
    assert np.linalg.norm(back - table["miller_index"][good], axis=1).max() <= 0.3
    assert np.linalg.norm(table["s1"], axis=1) == pytest.approx(1 / result.experiments[0].beam.wavelength)


def test_summary_is_json_and_text_is_for_people(indexed):
    result, _, _ = indexed
    summary = json.loads(json.dumps(result.summary()))
    assert summary["candidates"][0]["refused"] == ""
    assert summary["beam_shifts"][0]["esd_leaves_out"] == "misplaced panels"
    assert summary["cell"] == pytest.approx(result.crystal.cell)
    text = result.text()
    for part in ("Candidate lattices", "Macrocycle 1", "Unit cell:", "% indexed", "across the beam"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    assert "Warning:" not in text


def test_it_is_deterministic(rng):
    experiments, spots, _ = sweep(rng, n=600)
    first, second = run(experiments, spots, cycles=1), run(experiments, spots, cycles=1)
    assert np.array_equal(first.crystal.A, second.crystal.A)
    assert np.array_equal(first.reflections["miller_index"], second.reflections["miller_index"])


def test_a_known_space_group_and_cell_set_the_axes(rng):
    cell = (44.0, 44.0, 61.0, 90.0, 90.0, 90.0)
    experiments, spots, truth = sweep(rng, cell, rule=lambda h: h.sum(axis=1) % 2 == 0)
    told = (44.7, 44.7, 61.9, 90.0, 90.0, 90.0)
    result = run(experiments, spots, space_group="I4", unit_cell=told)
    assert result.crystal.cell == pytest.approx(cell, rel=2e-3)
    assert result.crystal.cell[0] == pytest.approx(result.crystal.cell[1], abs=1e-9)
    assert result.crystal.space_group.strip() == "I 4"
    h = result.reflections["miller_index"]
    assert not np.any(h.sum(axis=1) % 2)
    assert multiple(np.array(result.crystal.real_space), np.array(truth.real_space), 0.02) == 1


def test_centring_is_seen_when_nothing_is_told(rng):
    cell = (44.0, 44.0, 61.0, 90.0, 90.0, 90.0)
    experiments, spots, _ = sweep(rng, cell, rule=lambda h: h.sum(axis=1) % 2 == 0)
    result = run(experiments, spots)
    assert result.crystal.volume == pytest.approx(44.0 * 44.0 * 61.0 / 2, rel=5e-3)
    found = {item.bravais: item for item in result.bravais}
    assert found["tI"].distortion < 0.2
    assert found["tI"].cell[:3] == pytest.approx(cell[:3], rel=5e-3)


def test_two_sweeps_of_one_crystal_share_it(rng):
    first, spots_1, truth = sweep(rng, n=800, images=100)
    turned = Goniometer(fixed_rotation=matrix(rotation([0.2, 0.9, 0.4], 1.2)))
    second, spots_2, _ = sweep(rng, n=800, images=100, goniometer=turned)
    both = Experiments((*first.items, *second.items))
    numbered = spots_2.with_columns(
        {name: np.ones(spots_2.n_rows, dtype=np.int32) for name in ("id", "imageset_id")}
    )
    result = run(both, Reflections.concatenate([spots_1, numbered]))
    assert result.experiments[0].crystal is result.experiments[1].crystal
    assert same_crystal(result.crystal, truth)
    assert min(np.array(result.indexed) / result.total) > 0.97
    assert set(result.reflections["id"][result.reflections["id"] >= 0]) == {0, 1}


def test_a_shared_detector_stays_shared(rng):
    first, spots, _ = sweep(rng, n=600, images=100, push=(4.0, 3.0))
    turned = replace(first[0], goniometer=Goniometer(fixed_rotation=matrix(rotation([1, 0, 0], 0.0))))
    both = Experiments((first[0], replace(turned, scan=replace(first[0].scan))))
    numbered = spots.with_columns(
        {name: np.ones(spots.n_rows, dtype=np.int32) for name in ("id", "imageset_id")}
    )
    result = run(both, Reflections.concatenate([spots, numbered]))
    assert result.experiments[0].detector is result.experiments[1].detector
    assert len(result.shifts) == 1


def test_few_spots_refine_the_crystal_and_leave_the_detector(rng):
    experiments, spots, truth = sweep(rng, n=35, images=60)
    before = experiments[0].detector.stacked()
    told = cell_of(niggli(np.array(truth.real_space))[0])
    result = run(experiments, spots, KnownCell(), unit_cell=told, search_beam=False)
    assert same_crystal(result.crystal, truth, 0.03)
    assert result.experiments[0].detector.stacked() == pytest.approx(before)


@pytest.mark.parametrize(("q", "taken"), [(0.2, True), (0.1, True), (0.02, False)])
def test_a_supercell_is_taken_or_offered_by_the_fraction_that_needs_it(q, taken, rng):
    def weak(h):
        odd = np.flatnonzero(h[:, 1] % 2)
        even = h[:, 1] % 2 == 0
        keep = even.copy()
        keep[rng.choice(odd, round(even.sum() * q / (1 - q)), replace=False)] = True
        return keep

    experiments, spots, truth = sweep(rng, rule=weak, spurious=0.1)
    result = run(experiments, spots)
    factor = 1 if taken else 2
    assert abs(truth.volume / result.crystal.volume) == pytest.approx(factor, rel=0.01)
    larger = result.trials[0].larger
    assert [item.factor for item in larger] == ([2] if taken else [])
    if taken:
        assert larger[0].odd == pytest.approx(q, abs=0.012)
        assert any("pseudo-translation" in warning for warning in result.warnings)
    assert any("one 2 times as large" in warning for warning in result.warnings) != taken


def test_no_supercell_is_offered_where_there_is_none(indexed):
    result, _, _ = indexed
    assert result.trials[0].larger == ()
    assert result.warnings == ()


def test_a_reversed_rotation_is_recognised(rng):
    experiments, spots, _ = sweep(rng, n=1500)
    wrong = Goniometer(rotation_axis=(-1.0, 0.0, 0.0))
    turned = replace(experiments, items=tuple(replace(item, goniometer=wrong) for item in experiments))
    with pytest.raises(DataError, match="turned the other way"):
        run(turned, spots, max_cell=75.0)


def test_a_beam_beyond_the_search_is_seen_and_found_when_asked_for(rng):
    """Wedges narrow enough for 40 px show nothing; the message says how far to look, and that finds it."""
    experiments, spots, crystal = sweep(rng, n=1200, push=(45.0, -60.0))
    with pytest.raises(DataError, match="further off than was searched") as caught:
        run(experiments, spots, max_cell=75.0)
    assert "moved by -45." in caught.value.why and "index.search_range=120" in caught.value.fix
    found = run(experiments, spots, max_cell=75.0, search_range=120.0)
    assert same_crystal(found.crystal, crystal)
    assert found.shifts[0].pixels == pytest.approx((-45.0, 60.0), abs=0.3)


def test_noise_is_refused_with_what_was_seen(rng):
    experiments, spots, _ = sweep(rng, n=400)
    place = rng.uniform(0, 1, size=(spots.n_rows, 3)) * (480.0, 190.0, 300.0)
    with pytest.raises(DataError) as caught:
        run(experiments, spots.with_columns({"xyzobs.px.value": place}), max_cell=75.0)
    assert "lattice" in caught.value.what
    assert caught.value.why and caught.value.fix


def test_too_few_spots_are_refused(rng):
    experiments, spots, _ = sweep(rng, n=9)
    with pytest.raises(DataError, match="9 spots are too few"):
        run(experiments, spots)


def test_a_cell_that_is_not_there_is_refused(rng):
    experiments, spots, _ = sweep(rng, n=800)
    with pytest.raises(DataError, match="given lattice"):
        run(experiments, spots, unit_cell=(70.0, 71.0, 72.0, 90.0, 90.0, 90.0), max_cell=75.0)


def test_a_still_is_refused(rng):
    experiments, spots, _ = sweep(rng, n=100)
    still = replace(experiments, items=tuple(replace(item, scan=None) for item in experiments))
    with pytest.raises(DataError, match="still"):
        run(still, spots)


def test_impossible_wishes_are_the_callers_mistake(rng):
    experiments, spots, _ = sweep(rng, n=100)
    for options in (
        {"space_group": "P 41 21"},
        {"space_group": "P4", "unit_cell": (58.0, 60.0, 150.0, 90.0, 90.0, 90.0)},
        {"unit_cell": (58.0, 58.0, 150.0)},
        {"unit_cell": (58.0, 58.0, 150.0, 150.0, 150.0, 150.0)},
    ):
        with pytest.raises(UsageError):
            run(experiments, spots, **options)
