"""Stills: each with a crystal of its own, and what is said of those that show none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.geometry.lattice import multiple
from smalti.models import Experiments, ImageSet
from smalti.steps.indexing import IndexOptions, index_stills
from smalti.steps.indexing.scale import distance_of
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.still_files import simulate_stills
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Flag, Reflections
from smalti_plugins.indexers.known_cell import KnownCell
from smalti_plugins.indexers.wedge_fft import WedgeFFT

from .made_up import COMPONENTS, sweep

CELL = (40.0, 52.0, 63.0, 90.0, 90.0, 90.0)
BLIND = WedgeFFT(grid=160)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Five stills of 250 spots, of which the fourth has only ten and the fifth none of a lattice."""
    folder = tmp_path_factory.mktemp("stills")
    options = SimulateOptions(
        output="strong", stills=5, layout="PILATUS 2M", distance=150.0, unit_cell=CELL, space_group="P 1",
        mosaicity=0.1, spots_per_still=250, shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0), seed=3, outliers=0.1,
    )  # fmt: skip
    simulate_stills(options, folder)
    experiments = read_experiments(folder / "strong.expt")
    spots = read_reflections(folder / "strong.refl")
    truth = read_experiments(folder / "truth.expt")
    rng = np.random.default_rng(5)
    keep = np.ones(spots.n_rows, dtype=bool)
    keep[np.flatnonzero(spots["imageset_id"] == 3)[10:]] = False
    place = np.array(spots["xyzobs.px.value"])
    last = spots["imageset_id"] == 4
    place[last, :2] = rng.uniform(5.0, 190.0, (int(last.sum()), 2))
    return experiments, spots.with_columns({"xyzobs.px.value": place}).where(keep), truth


def run(made, indexers=(BLIND,), **options):
    return index_stills(made[0], made[1], indexers, *COMPONENTS, IndexOptions(**options))


@pytest.fixture(scope="module")
def blind(made):
    return run(made, max_cell=90.0)


def test_each_still_gets_its_own_orientation(made, blind):
    assert len(blind.experiments) == 3
    for item, true in zip(blind.experiments, made[2], strict=False):
        assert multiple(np.array(item.crystal.real_space), np.array(true.crystal.real_space), 0.03) == 1
        assert sorted(item.crystal.cell[:3]) == pytest.approx(sorted(CELL[:3]), rel=5e-3)


def test_those_that_fail_are_counted_with_the_reason(blind):
    told = json.loads(json.dumps(blind.summary()))
    assert (told["stills"], told["indexed_stills"], told["crystals"]) == (5, 3, 3)
    assert told["reasons"]["too few spots"] == 1
    assert sum(told["reasons"].values()) == 2
    assert "3 of 5 stills indexed" in blind.text()
    assert "not indexed because" in blind.text()
    assert max(map(len, blind.text().splitlines())) <= 100


def test_the_table_says_what_is_known_of_the_spots_of_stills_that_have_a_crystal(blind):
    table = blind.reflections
    good = table["id"] >= 0
    assert set(table["imageset_id"].tolist()) == {0, 1, 2}
    assert np.array_equal(table["id"][good], table["imageset_id"][good])
    assert np.array_equal(good, table.flagged(Flag.INDEXED))
    assert 0.8 < good.mean() < 0.99
    away = (table["xyzcal.px"] - table["xyzobs.px.value"])[good, :2]
    assert np.median(np.abs(away)) < 0.3


def test_a_known_cell_is_found_and_names_the_axes(made):
    result = run(made, (KnownCell(),), unit_cell=CELL, space_group="P222")
    assert len(result.experiments) == 3
    for item in result.experiments:
        assert item.crystal.cell == pytest.approx(CELL, rel=5e-3)
        assert item.crystal.space_group.strip() == "P 2 2"


def test_a_known_cell_tells_the_distance_where_that_is_asked_for(made):
    """The header's detector 2 % too far away; the known cell brings it back and stays what it was."""
    far = []
    for item in made[0]:
        normal = np.cross(*item.detector.stacked()[0, :, :2].T)
        step = 3.0 * normal * np.sign(normal @ item.detector.stacked()[0, :, 2])
        far.append(item.detector.moved({(): (np.eye(3), step)}) if not far else far[0])
    items = [replace(item, detector=far[0]) for item in made[0]]
    experiments = replace(made[0], items=tuple(items))
    told = run((experiments, made[1]), unit_cell=CELL, space_group="P222", max_cell=90.0, cycles=0)
    assert any("longer than those given" in warning for warning in told.warnings)
    result = run(
        (experiments, made[1]), unit_cell=CELL, space_group="P222", max_cell=90.0, distance_from_cell=True
    )
    for item in result.experiments:
        assert item.crystal.cell == pytest.approx(CELL, rel=1e-6)
        assert distance_of(item) == pytest.approx(150.0, abs=0.3)


def test_indexers_are_asked_in_turn_for_each_still(made):
    class Blind:
        name = "blind"

        def candidates(self, cloud, max_cell, known_cell=None):
            return []

    result = run(made, (Blind(), BLIND), max_cell=90.0, cycles=0)
    assert [row.indexer for row in result.rows][:3] == ["wedge_fft"] * 3
    assert result.cycles == ()


def test_two_crystals_in_one_still(made):
    experiments, spots, _ = made
    first, second = (spots.where(spots["imageset_id"] == k) for k in (0, 1))
    zero = np.zeros(first.n_rows + second.n_rows, dtype=np.int32)
    names = ("panel", "xyzobs.px.value", "xyzobs.px.variance", "intensity.sum.value")
    both = Reflections({name: np.concatenate([first[name], second[name]]) for name in names})
    both = both.with_columns({"id": zero - 1, "imageset_id": zero})
    one = Experiments(experiments.items[:1])
    result = run((one, both), max_cell=90.0, max_lattices=2)
    assert len(result.experiments) == 2
    assert len(result.rows[0].indexed) == 2
    assert len({item.identifier for item in result.experiments}) == 2


def test_sweeps_and_stills_are_indexed_apart(made, rng):
    experiments, spots, _ = sweep(rng, n=50)
    mixed = Experiments((*experiments.items, replace(made[0][0], imageset=ImageSet("x_##.cbf"))))
    with pytest.raises(UsageError, match="together"):
        run((mixed, spots))


def test_where_none_is_indexed_the_reasons_are_counted(made):
    experiments, spots, _ = made
    rows = np.flatnonzero(spots["imageset_id"] >= 3)
    bad = spots.take(rows).with_columns({"imageset_id": spots["imageset_id"][rows] - np.int32(3)})
    two = Experiments(experiments.items[3:])
    with pytest.raises(DataError, match="None of 2 stills") as caught:
        run((two, bad), max_cell=90.0)
    assert "too few spots" in caught.value.why
    assert caught.value.fix
