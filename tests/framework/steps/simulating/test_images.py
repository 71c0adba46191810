"""Simulated images: statistics, positions, determinism, and that readers take them as they are meant."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.errors import DataError, UsageError
from smalti.steps.simulating import Simulated, SimulateOptions, simulate
from smalti.steps.simulating.backgrounds import make_scene
from smalti.steps.simulating.instrument import nominal, true
from smalti.storage import read_experiments, read_reflections
from smalti_plugins.formats.pilatus import PilatusCbf

OPTIONS = SimulateOptions(
    layout="PILATUS 300K",
    distance=150.0,
    beam_centre=(200.0, 330.5),
    unit_cell=(38.0, 38.0, 55.0, 90.0, 90.0, 90.0),
    n_images=8,
    width=0.5,
    start=30.0,
    mosaicity=0.2,
    counts=3000.0,
    background=0.7,
    spot_sigma=0.9,
    dead_pixels=20,
    hot_pixels=3,
    outliers=0.0,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(OPTIONS, tmp_path_factory.mktemp("images"), jobs=2)


@pytest.fixture(scope="module")
def stack(made: Simulated) -> NDArray[np.int32]:
    """All frames as smalti's own reader gives them, (8, 619, 487)."""
    series = PilatusCbf(check_md5=True).open(made.images)
    return np.stack([series.read(k) for k in range(len(series))])


def hashes(made: Simulated) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in made.images]


def test_same_seed_same_bytes_for_any_number_of_jobs(made: Simulated, tmp_path: Path) -> None:
    assert hashes(simulate(OPTIONS, tmp_path / "one", jobs=1)) == hashes(made)
    assert hashes(simulate(OPTIONS, tmp_path / "many", jobs=7)) == hashes(made)
    other = simulate(replace(OPTIONS, seed=2), tmp_path / "other")
    assert not set(hashes(other)) & set(hashes(made))


def test_gaps_dead_and_hot_pixels_are_where_the_truth_says(made: Simulated, stack: NDArray[np.int32]) -> None:
    truth = json.loads(made.truth_files[2].read_text())
    dead, hot = np.array(truth["dead_pixels"]), np.array(truth["hot_pixels"])
    assert len(dead) == 20 and len(hot) == 3
    assert (stack[:, dead[:, 1], dead[:, 0]] == -2).all() and (stack == -2).sum() == 8 * 20
    assert (stack[:, hot[:, 1], hot[:, 0]] > 4000).all()
    for panel in range(2):
        assert (stack[:, 195 + 212 * panel : 212 + 212 * panel] == -1).all()
    assert (stack == -1).sum() == 8 * 2 * 17 * 487


def test_the_background_is_poisson_of_the_mean_asked_for(tmp_path: Path) -> None:
    quiet = replace(OPTIONS, counts=1e-9, hot_pixels=0, dead_pixels=0)
    made = simulate(quiet, tmp_path)
    series = PilatusCbf().open(made.images)
    frames = np.stack([series.read(k) for k in range(8)]).astype(float)
    mean = make_scene(true(quiet), replace(quiet, beam_stop=0.0)).mean
    real = mean >= 0.0
    assert mean[real].mean() == pytest.approx(0.7, rel=1e-5)
    seen = make_scene(true(quiet), quiet)
    expected = seen.mean[real].astype(float)
    pull = (frames[:, real] - expected) / np.sqrt(expected)
    assert abs(pull.mean()) < 4.5 / np.sqrt(pull.size)
    # The 4th moment of a Poisson pull is 3 + 1 / mean.
    spread = np.sqrt((2.0 + (1.0 / expected).mean()) / pull.size)
    assert pull.var() == pytest.approx(1.0, abs=4.5 * spread)


def test_the_beam_stop_keeps_the_photons_away(made: Simulated, stack: NDArray[np.int32]) -> None:
    slow, fast = np.indices(stack.shape[1:])
    behind = np.hypot(fast + 0.5 - 200.0, slow + 0.5 - 330.5) * 0.172 < OPTIONS.beam_stop
    around = (np.hypot(fast + 0.5 - 200.0, slow + 0.5 - 330.5) * 0.172 < 2 * OPTIONS.beam_stop) & ~behind
    around &= fast < 200
    assert stack[:, behind].mean() < 0.1 * stack[:, around].mean()


def test_spots_are_where_the_truth_predicts_them(made: Simulated, stack: NDArray[np.int32]) -> None:
    """Centroids of bright, lonely spots against the true table: no bias, and the noise of counting."""
    table = made.reflections
    px, counts = table["xyzcal.px"], table["intensity.sum.value"]
    windows = np.array([panel.window for panel in made.truth.detector.panels])
    x, y = (px[:, :2] + windows[table["panel"].astype(int)]).T
    off = []
    for k in np.flatnonzero((counts > 2000) & (px[:, 2] > 2.0) & (px[:, 2] < 6.0)):
        near = (np.hypot(x - x[k], y - y[k]) < 12) & (np.abs(px[:, 2] - px[k, 2]) < 5)
        i, j = int(y[k]), int(x[k])
        box = stack[:, i - 4 : i + 5, j - 4 : j + 5].sum(axis=0).astype(float)
        if near.sum() > 1 or box.shape != (9, 9) or stack[0, i - 4 : i + 5, j - 4 : j + 5].min() < 0:
            continue
        box -= np.median(np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]]))
        rows, columns = np.indices(box.shape)
        centroid = (columns * box).sum() / box.sum() + j - 3.5, (rows * box).sum() / box.sum() + i - 3.5
        off.append((centroid[0] - x[k], centroid[1] - y[k], box.sum() / counts[k]))
    found = np.array(off)
    assert len(found) > 30
    sigma = found[:, :2].std(axis=0)
    assert (sigma < 0.12).all()
    assert (np.abs(found[:, :2].mean(axis=0)) < 4.5 * sigma / np.sqrt(len(found))).all()
    assert np.median(found[:, 2]) == pytest.approx(1.0, abs=0.05)


def test_the_reader_gives_back_the_nominal_models(made: Simulated) -> None:
    header = PilatusCbf().open(made.images).header(3)
    stated = nominal(OPTIONS)
    for theirs, ours in zip(header.detector.panels, stated.detector.panels, strict=True):
        for name in (
            "name",
            "image_size",
            "window",
            "thickness",
            "material",
            "mu",
            "parallax",
            "trusted_range",
        ):
            assert getattr(theirs, name) == getattr(ours, name), name
    np.testing.assert_allclose(header.detector.stacked(), stated.detector.stacked(), atol=1e-9)
    assert header.beam.wavelength == stated.beam.wavelength
    assert np.degrees([header.start, header.width]) == pytest.approx([31.5, 0.5])


def test_errors_of_the_header_are_in_the_header_only() -> None:
    wrong = replace(OPTIONS, header_beam_error=(2.5, -1.25), header_distance_error=0.8)
    right, stated = nominal(OPTIONS).detector, nominal(wrong).detector
    shift = (stated.stacked() - right.stacked())[:, :, 2]
    np.testing.assert_allclose(shift, np.tile([-2.5 * 0.172, -1.25 * 0.172, -0.8], (3, 1)), atol=1e-9)
    assert true(wrong) == true(OPTIONS)


def test_the_truth_is_saved_and_read_back(made: Simulated) -> None:
    (truth,) = read_experiments(made.truth_files[0])
    np.testing.assert_allclose(truth.detector.stacked(), made.truth.detector.stacked(), atol=1e-12)
    assert truth.crystal is not None and made.truth.crystal is not None
    np.testing.assert_allclose(truth.crystal.A, made.truth.crystal.A, atol=1e-14)
    table = read_reflections(made.truth_files[1])
    np.testing.assert_array_equal(table["miller_index"], made.reflections["miller_index"])
    np.testing.assert_array_equal(table["xyzcal.px"], made.reflections["xyzcal.px"])
    assert truth.imageset is not None and truth.imageset.path(8) == str(made.images[-1])


def test_spurious_spots_are_drawn_and_told(tmp_path: Path) -> None:
    options = replace(OPTIONS, counts=2000.0, outliers=1.0, n_images=2)
    made = simulate(options, tmp_path)
    told = json.loads(made.truth_files[2].read_text())["spurious_spots"]
    assert len(told) == made.reflections.n_rows
    bright = max(told, key=lambda spot: float(spot["counts"]))
    frame = PilatusCbf().open(made.images).read(bright["image"] - 1)
    window = made.truth.detector.panels[bright["panel"]].window
    x, y = int(bright["px"][0]) + window[0], int(bright["px"][1]) + window[1]
    patch = frame[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
    assert patch.sum() > 0.4 * bright["counts"]


def test_text_and_summary_name_the_files(made: Simulated) -> None:
    assert "8 images" in made.text() and "truth.expt" in made.text()
    summary = json.loads(json.dumps(made.summary()))
    assert summary["images"] == 8 and summary["reflections"] == made.reflections.n_rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "PILATUS 7M"}, "Unknown detector layout 'PILATUS 7M'"),
        ({"layout": "EIGER 4M"}, "cannot be written"),
        ({"shift": (0.1, -0.1, 0.1)}, "Negative shift 0.1,-0.1,0.1"),
        ({"turn": (0.1, float("nan"), 0.1)}, "Not a number"),
        ({"prefix": "../away"}, "cannot start the names"),
        ({"prefix": "image_##"}, "cannot start the names"),
        ({"beam_centre": (1e7, 1e7)}, "No reflection is predicted"),
    ],
)
def test_impossible_images_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        simulate(replace(OPTIONS, **change), tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="Cannot make the folder"):
        simulate(OPTIONS, tmp_path / "file" / "images")


@pytest.mark.dials
def test_dials_import_takes_the_images_for_what_they_are(made: Simulated, dials: str, tmp_path: Path) -> None:
    imported = tmp_path / "imported.expt"
    subprocess.run(
        [f"{dials}/dials.import", *map(str, made.images), f"output.experiments={imported}"],
        check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    (theirs,) = read_experiments(imported)
    stated = nominal(OPTIONS)
    whole = theirs.detector.panels[0]
    assert whole.image_size == (487, 619)
    d = theirs.detector.stacked()[0]
    for panel, frame in zip(stated.detector.panels, stated.detector.stacked(), strict=True):
        corner = d @ [panel.window[0] * 0.172, panel.window[1] * 0.172, 1.0]
        np.testing.assert_allclose(frame[:, 2], corner, atol=1e-9)
        assert (whole.thickness, whole.material) == (panel.thickness, panel.material)
        assert panel.mu == pytest.approx(whole.mu, rel=2e-3)
    assert theirs.beam.wavelength == stated.beam.wavelength
    assert theirs.scan is not None and stated.scan is not None
    assert theirs.scan.oscillation == pytest.approx(stated.scan.oscillation)
    assert theirs.scan.image_range == stated.scan.image_range
