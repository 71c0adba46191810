"""Simulated stills: which reflections they show, where, and how the files hang together."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import fabio
import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.geometry.panels import PanelArrays, to_px
from smalti.geometry.prediction import miller_indices_within
from smalti.geometry.stills import still_beams
from smalti.steps.simulating import SimulateOptions, simulate, simulate_stills
from smalti.steps.simulating.instrument import true
from smalti.steps.simulating.random_crystals import random_rotations, spread_cells
from smalti.steps.simulating.stills import near_the_sphere, shown
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Flag
from smalti.testing.synthetic import crystal

LYSOZYME = (79.0, 79.0, 38.0, 90.0, 90.0, 90.0)
OPTIONS = SimulateOptions(
    output="indexed",
    stills=30,
    files_of=12,
    layout="CS-PAD",
    distance=120.0,
    wavelength=1.3,
    unit_cell=LYSOZYME,
    space_group="P 43 21 2",
    mosaicity=0.08,
    spots_per_still=100,
    outliers=0.0,
)
S0 = np.array([0.1, -0.2, -0.7])


def _crystals(number: int, spread: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(4)
    return random_rotations(rng, number) @ spread_cells(rng, crystal(LYSOZYME), number, spread)


@pytest.mark.parametrize("angle", [1e-3, 2e-2])
def test_no_reflection_near_the_sphere_is_missed(angle: float) -> None:
    A = _crystals(5, 0.01)
    number, h = near_the_sphere(A, S0, 3.0, angle)
    for k, lattice in enumerate(A):
        everything = miller_indices_within(lattice, 3.0)
        _, delta_psi = still_beams(everything @ lattice.T, S0)
        wanted = {tuple(row) for row in everything[np.abs(delta_psi) < angle]}
        found = [tuple(row) for row in h[number == k]]
        assert len(found) == len(set(found))
        assert wanted <= set(found)
        assert len(found) < 0.2 * len(everything)


def test_delta_psi_of_what_is_shown_is_normal() -> None:
    mosaicity, bandwidth = 2e-3, 4e-3
    found = shown(_crystals(60), S0, 2.5, mosaicity, bandwidth, np.random.default_rng(1))
    pull = found.delta_psi / found.sigma
    n = len(pull)
    assert n > 5000
    assert abs(pull.mean()) < 4.0 / np.sqrt(n)
    assert pull.std() == pytest.approx(1.0, abs=4.0 / np.sqrt(2.0 * n))
    # tan(theta) by the angle between the beams.
    cosine = found.s1 @ S0 / (S0 @ S0)
    tangent = np.sqrt((1.0 - cosine) / (1.0 + cosine))
    np.testing.assert_allclose(found.sigma, np.hypot(mosaicity, bandwidth * tangent), rtol=5e-3)


def test_spots_scatter_about_the_exact_positions(tmp_path: Path) -> None:
    made = simulate_stills(replace(OPTIONS, cell_spread=0.002), tmp_path)
    assert made.stills == 30 and len(made.tables) == 6
    pulls = []
    for number in range(3):
        given = read_experiments(tmp_path / f"indexed_{number:05d}.expt")
        truth = read_experiments(tmp_path / f"truth_{number:05d}.expt")
        table = read_reflections(tmp_path / f"indexed_{number:05d}.refl")
        assert len(given) == len(truth) == (12, 12, 6)[number]
        assert all(item.is_still for item in given) and len(given.unique("detector")) == 1
        assert table.identifiers == {k: item.identifier for k, item in enumerate(given)}
        assert np.bincount(table["id"]).max() <= 100
        A = np.array([item.crystal.A for item in truth])
        s1, _ = still_beams(np.einsum("nij,nj->ni", A[table["id"]], table["miller_index"]), truth[0].beam.s0)
        arrays, panel = PanelArrays.of(truth[0].detector), table["panel"].astype(int)
        uvw = np.einsum("nij,nj->ni", arrays.D[panel], s1)
        px = to_px(uvw[:, :2] / uvw[:, 2:], panel, arrays)
        pulls.append((table["xyzobs.px.value"][:, :2] - px) / np.sqrt(table["xyzobs.px.variance"][:, :2]))
    pull = np.concatenate(pulls)
    assert len(pull) == made.reflections > 1500
    assert np.abs(pull.mean(axis=0)).max() < 4.0 / np.sqrt(len(pull))
    np.testing.assert_allclose(pull.std(axis=0), 1.0, atol=4.0 / np.sqrt(2 * len(pull)))


def test_crystals_are_given_with_errors_and_one_cell(tmp_path: Path) -> None:
    simulate_stills(replace(OPTIONS, stills=200, files_of=200, cell_spread=0.003), tmp_path)
    given = read_experiments(tmp_path / "indexed.expt")
    truth = read_experiments(tmp_path / "truth.expt")
    cells = np.array([item.crystal.cell for item in truth])
    np.testing.assert_allclose([item.crystal.cell for item in given], np.tile(LYSOZYME, (200, 1)), atol=1e-4)
    np.testing.assert_allclose(cells[:, 0], cells[:, 1], rtol=1e-9)
    np.testing.assert_allclose(cells[:, 3:], 90.0, atol=1e-6)
    assert cells[:, 0].std() / 79.0 == pytest.approx(0.003, rel=0.25)
    angle = [
        np.arccos(np.clip((np.trace(a.crystal.U.T @ b.crystal.U) - 1.0) / 2.0, -1.0, 1.0))
        for a, b in zip(given, truth, strict=True)
    ]
    expected = np.radians(OPTIONS.orientation_error) * np.sqrt(3.0)
    assert np.sqrt(np.mean(np.square(angle))) == pytest.approx(expected, rel=0.15)


def test_a_fraction_is_mislabelled_or_out_of_place(tmp_path: Path) -> None:
    clean = replace(OPTIONS, stills=40, files_of=40, spots_per_still=0)
    simulate_stills(clean, tmp_path / "clean")
    simulate_stills(replace(clean, mislabelled=0.3, outliers=0.2), tmp_path / "bad")
    good, bad = (read_reflections(tmp_path / name / "indexed.refl") for name in ("clean", "bad"))
    # The first crystals are drawn before the streams of random numbers part.
    truth = read_experiments(tmp_path / "bad" / "truth.expt")
    A = np.array([item.crystal.A for item in truth])

    def near(table: object) -> float:
        q = np.einsum("nij,nj->ni", A[table["id"]], table["miller_index"])  # type: ignore[index]
        return float(np.mean(np.abs(still_beams(q, truth[0].beam.s0)[1]) < np.radians(0.4)))

    assert near(good) == 1.0
    assert near(bad) < 0.9
    assert (good["miller_index"] != 0).any(axis=1).all()


def test_strong_spots_have_no_crystal(tmp_path: Path) -> None:
    simulate_stills(replace(OPTIONS, output="strong", files_of=30), tmp_path)
    table = read_reflections(tmp_path / "strong.refl")
    experiments = read_experiments(tmp_path / "strong.expt")
    assert (table["id"] == -1).all() and (table["miller_index"] == 0).all()
    assert table.flagged(Flag.STRONG).all() and not table.flagged(Flag.INDEXED).any()
    assert all(item.crystal is None for item in experiments)
    assert set(table["imageset_id"].tolist()) <= set(range(30))


def test_the_same_detector_stands_at_another_distance() -> None:
    near = true(replace(OPTIONS, detector_seed=9)).detector
    far = true(replace(OPTIONS, detector_seed=9, seed=3, distance=200.0)).detector
    d = near.stacked() - far.stacked()
    np.testing.assert_allclose(d[:, :, :2], 0.0, atol=1e-12)
    np.testing.assert_allclose(d[:, :, 2], np.tile([0.0, 0.0, 80.0], (64, 1)), atol=1e-9)


def test_the_cspad_is_a_tree_without_overlaps() -> None:
    detector = true(replace(OPTIONS, shift=(0, 0, 0), turn=(0, 0, 0))).detector
    assert [len(detector.nodes(level)) for level in range(4)] == [1, 4, 32, 64]
    d = detector.stacked()
    size = np.array([panel.size_mm for panel in detector.panels])
    far = d[:, :, 2] + d[:, :, 0] * size[:, :1] + d[:, :, 1] * size[:, 1:]
    low = np.minimum(d[:, :2, 2], far[:, :2])
    high = np.maximum(d[:, :2, 2], far[:, :2])
    apart = (low[:, None] >= high[None]) | (high[:, None] <= low[None])
    assert (apart.any(axis=2) | np.eye(64, dtype=bool)).all()
    assert not ((low < 0.0) & (high > 0.0)).all(axis=1).any()  # the beam passes


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(tmp_path: Path) -> None:
    for name, jobs in (("a", 1), ("b", 3)):
        simulate_stills(OPTIONS, tmp_path / name, jobs=jobs)
    for path in sorted((tmp_path / "a").glob("*.refl")):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    told = json.loads((tmp_path / "a" / "truth.json").read_text())
    assert told["options"]["layout"] == "CS-PAD"


def test_what_cannot_be_simulated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Sweeps of a CS-PAD"):
        simulate(replace(OPTIONS, stills=0), tmp_path)
    with pytest.raises(UsageError, match="Stills"):
        simulate(OPTIONS, tmp_path)
    with pytest.raises(UsageError, match="Images of a CS-PAD"):
        simulate_stills(replace(OPTIONS, output="images"), tmp_path)


def test_images_of_stills_show_what_the_truth_says(tmp_path: Path) -> None:
    options = replace(
        OPTIONS, output="images", layout="PILATUS 300K", stills=3, counts=1500.0, background=0.2, outliers=0.0
    )
    made = simulate_stills(options, tmp_path)
    assert [path.name for path in made.images] == [f"simulated_0000{k}.cbf" for k in (1, 2, 3)]
    truth = read_reflections(tmp_path / "truth.refl")
    experiments = read_experiments(tmp_path / "truth.expt")
    assert len(experiments) == 3 and truth.n_rows == made.reflections
    detector = experiments[0].detector
    window = np.array([panel.window for panel in detector.panels])
    for k, path in enumerate(made.images):
        frame = fabio.open(path).data
        mine = truth.where((truth["id"] == k) & (truth["intensity.sum.value"] > 1000.0))
        place = np.floor(mine["xyzcal.px"][:, :2]).astype(int) + window[mine["panel"].astype(int)]
        others = frame[frame >= 0]
        assert mine.n_rows > 20
        assert np.median(frame[place[:, 1], place[:, 0]]) > 50 > 10 > np.median(others)
        assert "Angle_increment 0.0000 deg." in path.read_bytes()[:2000].decode("ascii", "ignore")


@pytest.mark.dials
def test_dials_imports_the_images_as_stills(tmp_path: Path, dials: object) -> None:
    made = simulate_stills(replace(OPTIONS, output="images", layout="PILATUS 100K", stills=2), tmp_path)
    files = [path.name for path in made.images]
    done = subprocess.run(["dials.import", *files], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    assert "num images: 2" in said and "still: 1 sweep: 0" in said


@pytest.mark.dials
def test_dials_reads_the_files(tmp_path: Path, dials: object) -> None:
    simulate_stills(replace(OPTIONS, stills=3), tmp_path)
    done = subprocess.run(
        ["dials.show", "indexed.expt", "indexed.refl"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "Experiment 2:" in done.stdout and "name: Q3S7A1" in done.stdout
