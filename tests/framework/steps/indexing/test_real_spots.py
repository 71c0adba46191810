"""Indexing of real spots: the cells that others found, without a hint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.indexing.mapping import with_pixels
from smalti.steps.indexing.sweeps import distinct_sweeps
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Reflections
from smalti_plugins.indexers.known_cell import KnownCell
from smalti_plugins.indexers.wedge_fft import WedgeFFT
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant

from .made_up import COMPONENTS, pushed, strong

pytestmark = pytest.mark.data


def load(data, name):
    """Spots of a table as a finder would leave them, and the experiment without its crystal."""
    folder = data / "tables" / name
    experiments = read_experiments(folder / "data.expt")
    table = read_reflections(folder / "data.refl")
    table = with_pixels(list(experiments), table, np.zeros(table.n_rows, dtype=np.intp))
    if "intensity.sum.value" not in table:
        table = table.with_columns({"intensity.sum.value": np.ones(table.n_rows)})
    bare = replace(experiments, items=tuple(replace(item, crystal=None) for item in experiments))
    if "xyzobs.mm.variance" in table:
        # what was only predicted
        table = table.where(np.all(table["xyzobs.mm.variance"] > 0.0, axis=1))
    spots = strong(table)
    # as a finder gives it: spots at edges are told by it
    return bare, spots.with_columns({"bbox": table["bbox"]}) if "bbox" in table else spots


def load_part(data, name, number):
    """The same of one sweep of many."""
    folder = data / "tables" / name
    items, sweep = distinct_sweeps(
        read_experiments(folder / "data.expt"), table := read_reflections(folder / "data.refl")
    )
    rows = np.flatnonzero(sweep == number)
    names = ("panel", "xyzobs.px.value", "xyzobs.px.variance", "intensity.sum.value")
    zero = np.zeros(rows.size, dtype=np.int32)
    spots = Reflections({key: table[key][rows] for key in names} | {"id": zero, "imageset_id": zero})
    return Experiments((items[number],)), spots


def run(experiments, spots, indexer=None, **options):
    return index(experiments, spots, indexer or WedgeFFT(), *COMPONENTS, IndexOptions(**options))


def rmsd(result, sweep=0):
    row = result.cycles[-1].refined.results["experiments"][sweep]
    return row["rmsd_x_px"], row["rmsd_y_px"], row["rmsd_z_images"]


@pytest.mark.parametrize("push", [(0, 0), (30, -20)])
def test_weak_thaumatin_wherever_the_header_puts_the_beam(data, push):
    experiments, spots = load(data, "i04_weak")
    result = run(pushed(experiments, push) if any(push) else experiments, spots)
    assert sorted(result.crystal.cell[:3]) == pytest.approx([57.78, 57.80, 150.0], rel=3e-3)
    assert sum(result.indexed) == sum(result.total)
    # the experiment as it was refined by others is right to a few tenths of a pixel
    assert result.shifts[0].pixels == pytest.approx([-push[0], -push[1]], abs=0.3)
    assert rmsd(result)[0] < 0.25
    assert rmsd(result)[1] < 0.25


FOUND_BY_OTHERS = {
    "centroid_indexed": ((39.69, 42.21, 42.21), 569),
    "l_cysteine_20": ((5.42, 8.13, 12.02), 2583),
    "lpe4_spots": ((37.94, 77.97, 78.33), 1168),
    "i23_24_panels": ((51.09, 51.38, 84.53), 9999),
    "four_sweeps_spots_1": ((6.294, 6.296, 6.292), 272),
    "four_sweeps_spots_2": ((6.290, 6.284, 6.281), 298),
    "four_sweeps_spots_3": ((6.286, 6.281, 6.279), 280),
    "four_sweeps_spots_4": ((6.292, 6.287, 6.290), 405),
}
"""Axes in Angstrom, the README's where it has them, and how many spots DIALS 3.12 indexes of these tables."""


@pytest.mark.parametrize("name", FOUND_BY_OTHERS)
def test_the_cell_that_others_found_without_a_hint_and_no_fewer_spots(data, name):
    axes, least = FOUND_BY_OTHERS[name]
    as_commanded = (*COMPONENTS[:2], MinimumCovarianceDeterminant())
    result = index(*load(data, name), WedgeFFT(), *as_commanded)
    assert sorted(result.crystal.cell[:3]) == pytest.approx(sorted(axes), rel=5e-3)
    assert sum(result.indexed) >= least
    assert not any("need one" in warning for warning in result.warnings)


def four_sweeps(data):
    parts = [load(data, f"four_sweeps_spots_{k}") for k in (1, 2, 3, 4)]
    experiments = Experiments(tuple(item for part, _ in parts for item in part))
    tables = [
        spots.with_columns({name: np.full(spots.n_rows, k, np.int32) for name in ("id", "imageset_id")})
        for k, (_, spots) in enumerate(parts)
    ]
    return experiments, Reflections.concatenate(tables)


def distances(experiments):
    """Distance of each sweep's detector from the crystal along its normal, mm."""
    frames = [item.detector.stacked()[0] for item in experiments]
    return [abs(np.cross(frame[:, 0], frame[:, 1]) @ frame[:, 2]) for frame in frames]


@pytest.fixture(scope="module")
def shared(data):
    return run(*four_sweeps(data), space_group="I4", crystals="shared")


def test_four_sweeps_that_share_a_crystal_give_the_cell_others_found_so(shared):
    assert shared.crystal.cell == pytest.approx((7.31, 7.31, 6.82, 90, 90, 90), rel=0.01)
    assert min(np.array(shared.indexed) / shared.total) > 0.94
    assert len({id(item.crystal) for item in shared.experiments}) == 1


def test_four_sweeps_with_own_crystals_agree_with_one_another_and_with_the_header(data, shared):
    """A shared crystal pulls all detectors 1 mm nearer, to hide that the goniometer is 0.6 deg off."""
    experiments, spots = four_sweeps(data)
    result = run(experiments, spots, space_group="I4")
    cells = np.array([item.crystal.cell for item in result.experiments])
    assert len({id(item.crystal) for item in result.experiments}) == 4
    assert np.ptp(cells, axis=0).max() < 0.015
    header = distances(experiments)
    assert distances(result.experiments) == pytest.approx(header, abs=0.3)
    assert min(np.abs(np.subtract(distances(shared.experiments), header))) > 0.8
    rows = [np.array([rmsd(each, sweep) for sweep in range(4)]) for each in (shared, result)]
    assert (rows[1] < rows[0]).all()
    assert rows[1][:, 0].max() < 0.42
    assert rows[1][:, 2].max() < 0.22
    assert min(np.array(result.indexed) / result.total) > 0.94


def test_a_sweep_alone_shows_its_symmetry(data):
    found = {item.bravais: item for item in run(*load(data, "four_sweeps_spots_1")).bravais}
    # the reference is of all four with one crystal, which makes cell and distance smaller: 2 %
    assert found["tI"].cell[:3] == pytest.approx((7.31, 7.31, 6.82), rel=0.02)


def test_nine_images_with_their_space_group(data):
    result = run(*load(data, "centroid_indexed"), space_group="P42")
    assert result.crystal.cell[:3] == pytest.approx((42.21, 42.21, 39.69), rel=5e-3)


def test_a_narrow_wedge_of_one_crystal_among_many(data):
    """One degree, from a table of 103 crystals of a cubic cell, whose primitive axes are 90.83 Angstrom."""
    experiments, spots = load_part(data, "narrow_wedges", 8)
    result = run(experiments, spots)
    assert sorted(result.crystal.cell[:3]) == pytest.approx([90.83] * 3, rel=5e-3)
    assert result.indexed[0] > 0.9 * result.total[0]


def test_fifty_spots_and_the_cell(data):
    experiments, spots = load(data, "i04_weak")
    few = spots.take(np.linspace(0, spots.n_rows - 1, 50).astype(np.intp))
    result = run(
        experiments, few, KnownCell(), space_group="P4", unit_cell=(58.4, 58.4, 151.0, 90.0, 90.0, 90.0)
    )
    assert result.crystal.cell[:3] == pytest.approx((57.78, 57.78, 150.0), rel=0.01)
    assert result.indexed[0] >= 49
