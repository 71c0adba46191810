"""Two crystals in one beam."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Crystal, Experiments
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.indexing.sharing import angle_between
from smalti.tables import Reflections
from smalti.testing import synthetic

from .made_up import COMPONENTS, FAST, SMALL_CELL, pushed, strong


def crystals(second=(1.9, 0.3, 0.8), cell=SMALL_CELL):
    return synthetic.crystal(cell, " P 1"), synthetic.crystal(cell, " P 1", second)


def together(rng, pair, counts, *, images=200, push=(0.0, 0.0), sweeps=1):
    """Strong spots of several crystals in the same sweep; also which crystal each is of."""
    tables, of = [], []
    for k in range(sweeps):
        for number, (crystal, n) in enumerate(zip(pair, counts, strict=True)):
            truth = synthetic.experiment(
                synthetic.detector("PILATUS 2M", 250.0), crystal, n_images=images, width=np.radians(0.3)
            )
            experiments, table = synthetic.observations(truth, truth, rng, d_min=2.5, n=n)
            spots = strong(table)
            here = np.full(spots.n_rows, k, dtype=np.int32)
            tables.append(spots.with_columns({"id": here, "imageset_id": here}))
            of.append(np.full(spots.n_rows, number))
    item = replace(experiments[0], crystal=None)
    # a scan object of its own makes a sweep of its own
    items = tuple(replace(item, scan=replace(item.scan)) for _ in range(sweeps))
    bare = Experiments(items)
    return pushed(bare, push) if any(push) else bare, Reflections.concatenate(tables), np.concatenate(of)


def run(experiments, spots, **options):
    return index(experiments, spots, FAST, *COMPONENTS, IndexOptions(**options))


@pytest.fixture(scope="module")
def two():
    rng = np.random.default_rng(8)
    experiments, spots, of = together(rng, crystals(), (900, 900), push=(7.0, -5.0))
    return run(experiments, spots, max_lattices=4), of


def test_two_lattices_of_equal_strength_are_both_found(two):
    result, of = two
    assert len(result.experiments) == 2
    ids = result.reflections["id"]
    assert (ids >= 0).mean() > 0.99
    # each lattice has the spots of one crystal, but for the few that fit both
    first = int(np.bincount(ids[(of == 0) & (ids >= 0)]).argmax())
    assert np.mean(ids[ids >= 0] == np.where(of == 0, first, 1 - first)[ids >= 0]) > 0.97
    for item in result.experiments:
        assert sorted(item.crystal.cell[:3]) == pytest.approx(sorted(SMALL_CELL[:3]), rel=1e-3)


def test_both_share_everything_but_the_crystal(two):
    first, second = two[0].experiments
    assert first.detector is second.detector
    assert first.beam is second.beam
    assert first.scan is second.scan
    assert first.crystal is not second.crystal
    assert first.identifier != second.identifier
    assert dict(two[0].reflections.identifiers) == {0: first.identifier, 1: second.identifier}


def test_indices_are_those_of_the_crystal_that_has_the_spot(two):
    result, _ = two
    table = result.reflections
    for k, item in enumerate(result.experiments):
        rows = table["id"] == k
        fractional = table["rlp"][rows] @ np.array(item.crystal.real_space).T
        assert np.linalg.norm(fractional - table["miller_index"][rows], axis=1).max() <= 0.3
        away = table["xyzcal.px"][rows] - table["xyzobs.px.value"][rows]
        assert np.median(np.abs(away), axis=0).max() < 0.2


def test_the_search_says_why_it_ended(two):
    result, _ = two
    assert "too few for another lattice" in result.further.ended
    summary = json.loads(json.dumps(result.summary()))
    assert [row["experiments"] for row in summary["lattices"]] == [[0], [1]]
    assert sum(row["indexed"] for row in summary["lattices"]) == sum(summary["indexed"])
    assert len(summary["search_for_more"]["candidates"]) == 1
    assert "Lattices:" in result.text()
    assert max(map(len, result.text().splitlines())) <= 100


def test_a_weak_second_lattice_in_two_sweeps(rng):
    experiments, spots, _ = together(rng, crystals(), (600, 150), images=120, sweeps=2)
    result = run(experiments, spots, max_lattices=2)
    assert len(result.experiments) == 4
    assert result.experiments[2].crystal is result.experiments[3].crystal
    assert set(result.reflections["id"].tolist()) >= {0, 1, 2, 3}
    assert [item.scan is result.experiments[k].scan for k, item in enumerate(result.experiments[2:])] == [
        True
    ] * 2
    assert "no more than 2 were asked for" in result.further.ended


def test_one_lattice_stays_one(rng):
    experiments, spots, _ = together(rng, crystals()[:1], (600,))
    result = run(experiments, spots, max_lattices=3)
    assert len(result.experiments) == 1
    assert "too few" in result.further.ended


def test_junk_is_no_second_lattice(rng):
    experiments, spots, _ = together(rng, crystals()[:1], (600,))
    junk = spots.take(np.arange(300))
    junk = junk.with_columns({"xyzobs.px.value": rng.uniform(0, 1, size=(300, 3)) * (1475.0, 1679.0, 200.0)})
    single = junk.with_columns({"panel": np.zeros(300, dtype=np.uint64)})
    inside = single["xyzobs.px.value"][:, :2] * (487 / 1475, 195 / 1679)
    single = single.with_columns(
        {"xyzobs.px.value": np.column_stack([inside, single["xyzobs.px.value"][:, 2]])}
    )
    result = run(experiments, Reflections.concatenate([spots, single]), max_lattices=2)
    assert len(result.experiments) == 1
    assert result.further.ended


@pytest.mark.parametrize("degrees", [0.5, 2.0, 8.0])
def test_the_angle_between_lattices_knows_no_names_of_axes(degrees):
    first, _ = crystals()
    R = rotation([0.3, 0.5, 0.8], np.radians(degrees))
    renamed = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]) @ np.array(first.real_space) @ R.T
    other = Crystal.from_A(np.linalg.inv(renamed))
    assert angle_between(first, other) == pytest.approx(degrees, abs=1e-6)


def test_lattices_far_apart_have_no_small_angle():
    assert angle_between(*crystals()) is None
