"""The same images through smalti and through DIALS: the same spots, to the last digit.

DIALS 3.12 has the old rule for masked neighbours, so ours is set to it where they matter.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import hdf5plugin
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from smalti.discovery import discover
from smalti.models import Experiments
from smalti.roles import Reader
from smalti.steps.finding import FindOptions, Found, find_spots
from smalti.steps.importing import ImportOptions, import_images, with_windows
from smalti.steps.simulating import SimulateOptions, simulate
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Reflections
from smalti_plugins.spots.dispersion import Dispersion
from smalti_plugins.spots.dispersion_extended import DispersionExtended

STRONG_PIXELS = (89, 132, 107, 124, 161, 188, 164, 164, 192, 206, 224, 213, 220, 224, 213)
"""Strong pixels that DIALS 3.12 counts on the fifteen images of the first l-cysteine sweep."""


def readers() -> Sequence[Reader]:
    return [component.cls() for component in discover().role("reader")]


def run(program: str, *arguments: object, folder: Path) -> str:
    done = subprocess.run(
        [program, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def dials_spots(
    folder: Path, images: Sequence[Path], importing: Sequence[str] = (), finding: Sequence[str] = ()
) -> Experiments:
    """Import and find spots with DIALS; leaves strong.refl and gives its experiments."""
    run("dials.import", *images, *importing, folder=folder)
    run("dials.find_spots", "imported.expt", "nproc=1", "output.shoeboxes=False", *finding, folder=folder)
    return read_experiments(folder / "imported.expt")


def rows_of_theirs(found: Found, theirs: Reflections, tolerance: float = 1e-9) -> NDArray[np.intp]:
    """For each spot of DIALS the row of ours at the same place of the same experiment and panel."""

    def place(table: Reflections) -> NDArray[np.float64]:
        return np.column_stack([table["xyzobs.px.value"], 100.0 * table["id"], 1e4 * table["panel"]])

    distance, row = cKDTree(place(found.reflections)).query(place(theirs))
    assert np.unique(row).size == theirs.n_rows
    assert distance.max() < tolerance
    return np.asarray(row)


def assert_same_spots(found: Found, theirs: Reflections) -> None:
    ours = found.reflections.take(rows_of_theirs(found, theirs))
    for name in ("id", "panel", "bbox", "n_signal", "flags"):
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    np.testing.assert_allclose(ours["xyzobs.px.variance"], theirs["xyzobs.px.variance"], rtol=1e-6)
    raw = ours["intensity.sum.value"] + ours["background.mean"] * ours["n_signal"]
    np.testing.assert_allclose(raw, theirs["intensity.sum.value"], rtol=1e-9)


@pytest.mark.data
@pytest.mark.dials
@pytest.mark.parametrize(
    ("finder", "n"), [(DispersionExtended(masked_neighbours="unflagged"), 15), (Dispersion(), 6)]
)
def test_a_sweep(
    data: Path, dials: str, tmp_path: Path, finder: DispersionExtended | Dispersion, n: int
) -> None:
    images = sorted((data / "l_cysteine").glob("l-cyst_01_*.cbf.gz"))[:n]
    experiments = dials_spots(tmp_path, images, (), (f"threshold.algorithm={finder.name}",))
    found = find_spots(experiments, readers(), finder, FindOptions(centroid="dials"))
    theirs = read_reflections(tmp_path / "strong.refl")
    assert found.reflections.n_rows == theirs.n_rows > 0
    assert_same_spots(found, theirs)
    if finder.name == "dispersion_extended":
        assert found.images[0].strong == STRONG_PIXELS


@pytest.mark.data
@pytest.mark.dials
def test_a_still_of_sixty_panels(data: Path, dials: str, tmp_path: Path) -> None:
    """DIALS takes each panel for an image of its own, beyond whose edge all counts as flagged.

    That is our default rule at gaps; only beside dead pixels inside a panel do we keep more.
    """
    image = sorted((data / "thaumatin_grid").glob("*"))[0]
    experiments = dials_spots(tmp_path, [image], ("format.multi_panel=True",))
    assert len(experiments[0].detector) == 60
    found = find_spots(experiments, readers(), DispersionExtended(), FindOptions(centroid="dials"))
    theirs = read_reflections(tmp_path / "strong.refl")
    assert_same_spots(found, theirs)
    assert 250 < theirs.n_rows <= found.reflections.n_rows <= theirs.n_rows + 3


@pytest.mark.data
def test_the_new_rule_keeps_spots_beside_gaps(data: Path) -> None:
    """The counts of an independent implementation of dials#2790, against (..., 161, 188, 164) before it."""
    images = sorted((data / "l_cysteine").glob("l-cyst_01_*.cbf.gz"))[:7]
    experiments = import_images(images, readers(), ImportOptions()).experiments
    new = find_spots(experiments, readers(), DispersionExtended(), FindOptions())
    assert new.images[0].strong == (89, 132, 107, 124, 169, 203, 182)


@pytest.mark.data
@pytest.mark.dials
@pytest.mark.slow
def test_dials_indexes_our_spots(data: Path, dials: str, tmp_path: Path) -> None:
    images = sorted((data / "l_cysteine").glob("l-cyst_01_*.cbf.gz"))
    run("dials.import", *images, folder=tmp_path)
    experiments = read_experiments(tmp_path / "imported.expt")
    found = find_spots(experiments, readers(), DispersionExtended(), FindOptions())
    write_experiments(tmp_path / "ours.expt", experiments)
    write_reflections(tmp_path / "ours.refl", found.reflections)
    run(
        "dials.index", "ours.expt", "ours.refl", "detector.fix=all", "beam.fix=all", folder=tmp_path
    )  # fmt: skip
    indexed = read_reflections(tmp_path / "indexed.refl")
    assert np.count_nonzero(indexed["id"] >= 0) > 0.75 * found.reflections.n_rows
    cell = read_experiments(tmp_path / "indexed.expt")[0].crystal
    assert cell is not None
    np.testing.assert_allclose(cell.cell[:3], (5.42, 8.13, 12.02), rtol=0.02)


@pytest.mark.dials
@pytest.mark.parametrize("panels", ["modules", "single"])
def test_dials_finds_the_same_spots_on_what_smalti_imported(dials: str, tmp_path: Path, panels: str) -> None:
    """With a trusted range from 0 DIALS 3.12 distrusts pixels without a photon, and found 1 % of them."""
    made = simulate(SimulateOptions(layout="PILATUS 300K", n_images=4, d_min=3.0), tmp_path / "images")
    experiments = import_images(made.images, readers(), ImportOptions(panels=panels)).experiments
    write_experiments(tmp_path / "imported.expt", experiments)
    run("dials.find_spots", "imported.expt", "nproc=1", "output.shoeboxes=False", folder=tmp_path)
    theirs = read_reflections(tmp_path / "strong.refl")
    finder = DispersionExtended(masked_neighbours="unflagged" if panels == "single" else "flagged")
    found = find_spots(experiments, readers(), finder, FindOptions())
    assert found.reflections.n_rows >= theirs.n_rows > 50
    assert found.reflections.n_rows <= theirs.n_rows + 3


@pytest.mark.dials
def test_nexus_files_of_ours_give_dials_the_same_spots(
    dials: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written and compressed by smalti, imported by DIALS, searched by both from the models of DIALS.

    DIALS searches each module by itself, as if nothing lay beyond it: spots at borders of modules that are
    no borders of the frame differ (decision 30), and all others are the same to the last digit.
    """
    monkeypatch.setenv("HDF5_PLUGIN_PATH", hdf5plugin.PLUGIN_PATH)
    options = SimulateOptions(
        layout="PILATUS 300K", n_images=4, distance=100.0, beam_stop=0.0, image_format="nxmx"
    )
    made = simulate(options, tmp_path / "images")
    experiments = with_windows(dials_spots(tmp_path, made.images[:1]), readers())
    found = find_spots(
        experiments,
        readers(),
        DispersionExtended(masked_neighbours="unflagged"),
        FindOptions(centroid="dials"),
    )
    height = experiments[0].detector.panels[0].image_size[1]

    def inner(table: Reflections) -> Reflections:
        box = table["bbox"]
        return table.where((box[:, 2] >= 8) & (box[:, 3] <= height - 8))

    ours, theirs = inner(found.reflections), inner(read_reflections(tmp_path / "strong.refl"))
    assert ours.n_rows == theirs.n_rows > 500
    order = [
        np.lexsort([*t["xyzobs.px.value"].round(9).T, t["bbox"][:, 0], t["panel"]]) for t in (ours, theirs)
    ]
    for name in ("panel", "bbox"):
        np.testing.assert_array_equal(ours[name][order[0]], theirs[name][order[1]])
    np.testing.assert_allclose(
        ours["xyzobs.px.value"][order[0]], theirs["xyzobs.px.value"][order[1]], atol=1e-9
    )
