"""NXmx files read back: every layout and compression, geometry, masks, and what is wrong with a file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import NO_COUNT
from smalti.solution import Match
from smalti.steps.importing import ImportOptions, import_images, open_series
from smalti.storage import read_experiments, write_experiments
from smalti_plugins.formats.nexus._filters import pipeline
from smalti_plugins.formats.nexus.reader import Nxmx

from .nxmx_files import experiment, frames, written


@pytest.mark.parametrize("layout", ["single", "external", "virtual"])
@pytest.mark.parametrize("compression", ["bslz4", "lz4", "none"])
@pytest.mark.parametrize("bits", [16, 32])
def test_frames_come_back_as_they_were(tmp_path: Path, layout: str, compression: str, bits: int) -> None:
    series = Nxmx().open([written(tmp_path, layout, compression=compression, bits=bits)])  # type: ignore[arg-type]
    assert len(series) == 5
    with ThreadPoolExecutor(3) as pool:
        read = list(pool.map(series.read, range(5)))
    for got, want in zip(read, frames(), strict=True):
        assert got.dtype == np.int32 and got.flags.c_contiguous
        np.testing.assert_array_equal(got, want)


def test_geometry_comes_back(tmp_path: Path) -> None:
    header = Nxmx().open([written(tmp_path)]).header(3)
    want = experiment()
    np.testing.assert_allclose(header.detector.stacked(), want.detector.stacked(), atol=1e-12)
    assert [node.name for node in header.detector.nodes(1)] == ["half0", "half1"]
    assert [node.panels for node in header.detector.nodes(1)] == [(0, 1), (2, 3)]
    assert header.goniometer is not None and want.goniometer is not None
    np.testing.assert_allclose(header.goniometer.F, want.goniometer.F, atol=1e-12)
    assert header.goniometer.names == ("CHI", "OMEGA") and header.goniometer.scan_axis == 1
    assert np.degrees(header.start) == pytest.approx(10.6) and np.degrees(header.width) == pytest.approx(0.2)
    assert header.beam.wavelength == 0.98 and header.size == (60, 44)
    panel = header.detector.panels[3]
    assert panel.window == (32, 24) and panel.image_size == (28, 20) and panel.pixel_size == (0.1, 0.1)
    assert panel.trusted_range == (NO_COUNT, 60000.0) and panel.material == "Si" and panel.parallax
    assert panel.mu == pytest.approx(3.96, rel=0.01)


def test_masks_are_put_together(tmp_path: Path) -> None:
    def masks(file: h5py.File) -> None:
        home = file["entry/instrument/detector"]
        bits = np.zeros((44, 60), dtype=np.uint32)
        bits[1, 1], bits[2, 2], bits[4, 4] = 1 << 4, 1 << 31, 1 << 17
        home["pixel_mask"] = bits
        more = np.zeros((44, 60), dtype=np.uint32)
        more[7, 7] = 1
        home["pixel_mask_2"] = more

    good = Nxmx().open([written(tmp_path, change=masks)]).mask()
    assert good is not None and not good[1, 1] and not good[2, 2] and not good[7, 7]
    assert good[4, 4], "bits 16 to 30 say nothing of whether a pixel measures"
    assert good.sum() == good.size - 3
    assert Nxmx(pixel_mask=False).open([tmp_path / "example_master.h5"]).mask() is None


def test_stacked_modules_lie_one_below_the_other(tmp_path: Path) -> None:
    stack = np.arange(3 * 2 * 5 * 4, dtype=np.uint16).reshape(3, 2, 5, 4)

    def stacked(file: h5py.File) -> None:
        del file["entry/data/data"]
        file["entry/data/data"] = stack
        home = file["entry/instrument/detector"]
        for name in ("module_002", "module_003"):
            del home[name]
        for k in range(2):
            del home[f"module_{k:03d}/data_origin"], home[f"module_{k:03d}/data_size"]
            home[f"module_{k:03d}/data_origin"] = [k, 0, 0]
            home[f"module_{k:03d}/data_size"] = [1, 5, 4]

    series = Nxmx().open([written(tmp_path, change=stacked)])
    header = series.header(0)
    assert header.size == (4, 10)
    assert [panel.window for panel in header.detector.panels] == [(0, 0), (0, 5)]
    np.testing.assert_array_equal(series.read(1), stack[1].reshape(10, 4))


def test_a_sweep_is_imported_and_opened_again(tmp_path: Path) -> None:
    path = written(tmp_path, "virtual")
    imported = import_images([path], [Nxmx()], ImportOptions())
    (item,) = imported.experiments
    assert imported.n_images == 5 and item.scan is not None and item.imageset is not None
    assert item.scan.image_range == (1, 5) and item.imageset.indices == (0, 1, 2, 3, 4)
    write_experiments(tmp_path / "imported.expt", imported.experiments)
    (again,) = read_experiments(tmp_path / "imported.expt")
    assert again.imageset is not None
    series = open_series(again.imageset, [Nxmx()], again.scan)
    assert len(series) == 5
    np.testing.assert_array_equal(series.read(4), frames()[4])


def test_part_of_a_scan_opens_its_own_images(tmp_path: Path) -> None:
    from dataclasses import replace

    (item,) = import_images([written(tmp_path)], [Nxmx()], ImportOptions()).experiments
    assert item.scan is not None and item.imageset is not None
    part = replace(item.scan, image_range=(3, 4), exposure_times=(), epochs=())
    series = open_series(item.imageset, [Nxmx()], part)
    assert len(series) == 2
    np.testing.assert_array_equal(series.read(0), frames()[2])
    assert series.header(1).start == pytest.approx(np.radians(10.6))


def test_stills_of_one_file_are_told_apart(tmp_path: Path) -> None:
    def still(file: h5py.File) -> None:
        del file["entry/sample/depends_on"]
        file["entry/sample/depends_on"] = "."

    path = written(tmp_path, change=still)
    experiments = import_images([path], [Nxmx()], ImportOptions()).experiments
    assert len(experiments) == 5 and len({item.identifier for item in experiments}) == 5
    for k, item in enumerate(experiments):
        assert item.is_still and item.imageset is not None
        series = open_series(item.imageset, [Nxmx()], item.scan)
        assert len(series) == 1
        np.testing.assert_array_equal(series.read(0), frames()[k])


def test_data_files_alone_are_no_master(tmp_path: Path) -> None:
    path = written(tmp_path, "external")
    data = tmp_path / "example_data_000001.h5"
    assert Nxmx().match(path, path.read_bytes()[:100]) is Match.FORMAT
    assert Nxmx().match(data, data.read_bytes()[:100]) is Match.NO
    assert import_images([tmp_path], [Nxmx()], ImportOptions()).n_images == 5


@pytest.mark.parametrize("layout", ["external", "virtual"])
def test_a_missing_data_file_is_named(tmp_path: Path, layout: str) -> None:
    path = written(tmp_path, layout)  # type: ignore[arg-type]
    (tmp_path / "example_data_000002.h5").unlink()
    series = Nxmx().open([path])
    assert "example_data_000002.h5 is not there" in series.header(0).notes[0]
    np.testing.assert_array_equal(series.read(0), frames()[0])
    if layout == "virtual":
        with pytest.raises(InputError, match="example_data_000002"):
            series.read(2)


def _without(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def _attribute(name: str, key: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name].attrs[key] = value

    return change


def _value(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


MODULE = "entry/instrument/detector/module_001"
AXES = "entry/instrument/detector/transformations"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("entry/data/data"), "names no images"),
        (_without(f"{MODULE}/fast_pixel_direction"), "no 'fast_pixel_direction'"),
        (_without(f"{MODULE}/data_size"), "'data_size' is missing"),
        (_value(f"{MODULE}/data_origin", [40, 40]), "outside of the images"),
        (_attribute(f"{MODULE}/module_offset", "vector", [0.0, 0.0, 0.0]), "no direction"),
        (_attribute(f"{MODULE}/module_offset", "units", "parsec"), "unit is 'parsec'"),
        (_attribute(f"{MODULE}/module_offset", "transformation_type", "magic"), "neither rotation nor"),
        (_attribute(f"{AXES}/detector_origin", "depends_on", "detector_rotation"), "in a circle"),
        (_attribute(f"{AXES}/detector_origin", "depends_on", "nowhere"), "'nowhere', which is not there"),
        (_value("entry/instrument/beam/incident_wavelength", -1.0), "no wavelength"),
        (_value("entry/instrument/beam/incident_wavelength", "red"), "no numbers"),
        (_value("entry/instrument/detector/pixel_mask", np.zeros((3, 3), int)), "mask has shape"),
        (_value("entry/sample/transformations/omega", [1.0, 2.0]), "transformation_type"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    path = written(tmp_path, change=change, mask=frames()[0] >= 0)
    with pytest.raises(InputError, match=words) as caught:
        Nxmx().open([path]).header(0)
    assert "example_master.h5" in str(caught.value) and "/entry" in str(caught.value)


@pytest.mark.parametrize("compression", ["bslz4", "lz4"])
def test_every_damage_to_a_compressed_chunk_is_seen_or_gives_other_counts(
    tmp_path: Path, compression: str
) -> None:
    """A filter is not told where its chunk ends: damaged sizes must be seen before it reads on."""
    with h5py.File(written(tmp_path, compression=compression)) as file:
        dataset = file["entry/data/data"]
        filters, (mask, raw) = pipeline(dataset), dataset.id.read_direct_chunk((0, 0, 0))
    assert filters is not None
    rng = np.random.default_rng(5)
    out = np.empty((44, 60), np.uint32)
    assert filters.undo(raw, mask, out) and not filters.undo(raw[:-1], mask, out)
    want = out.copy()
    assert not filters.undo(raw + b"\0", mask, out) and not filters.undo(b"", mask, out)
    for k in range(3000):
        damaged = bytearray(raw)
        for _ in range(1 + k % 3):
            damaged[k % 16 if k < 128 else int(rng.integers(len(raw)))] ^= 1 << int(rng.integers(8))
        sound = filters.undo(bytes(damaged), mask, out)
        # The first sixteen bytes are all sizes: that of a block may be larger than all there is.
        assert not sound or k >= 128 or np.array_equal(out, want)


def test_a_damaged_chunk_names_file_and_image(tmp_path: Path) -> None:
    path = written(tmp_path, compression="bslz4")
    with h5py.File(path) as file:
        at = file["entry/data/data"].id.get_chunk_info(2).byte_offset
    damaged = bytearray(path.read_bytes())
    damaged[at + 7] ^= 4
    path.write_bytes(bytes(damaged))
    with pytest.raises(InputError, match=r"Image 3 of .* in .*example_master\.h5 cannot be read"):
        Nxmx().open([path]).read(2)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for part in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(InputError, match=r"example_master\.h5"):
            Nxmx().open([path]).read(0)


@pytest.mark.data
def test_the_master_of_an_eiger_opens_without_its_data(data: Path) -> None:
    series = Nxmx().open([data / "formats" / "dectris_eiger_master.h5"])
    header = series.header(0)
    assert len(series) == 1 and header.size == (3110, 3269)
    assert len(header.detector) == 18 and header.beam.wavelength == pytest.approx(0.9801122)
    origin = header.detector.stacked()[0, :, 2]
    np.testing.assert_allclose(origin, (-120.55613, 118.98236, -134.255), atol=1e-4)
    assert np.degrees(header.width) == pytest.approx(0.5)
    assert "dectris_eiger_data_000001.h5" in header.notes[0]
    mask = series.mask()
    assert mask is not None and mask.shape == (3269, 3110) and mask.all(), "its pixel_mask is blank"
    with pytest.raises(InputError, match=r"dectris_eiger_data_000001\.h5 is not there"):
        series.read(0)


@pytest.mark.dials
@pytest.mark.parametrize("layout", ["single", "external", "virtual"])
def test_dials_places_the_modules_in_the_same_way(tmp_path: Path, dials: str, layout: str) -> None:
    path = written(tmp_path, layout)  # type: ignore[arg-type]
    command = [f"{dials}/dials.import", str(path), "output.experiments=theirs.expt"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (theirs,) = read_experiments(tmp_path / "theirs.expt")
    (ours,) = import_images([path], [Nxmx()], ImportOptions()).experiments
    np.testing.assert_allclose(ours.detector.stacked(), theirs.detector.stacked(), atol=1e-9)
    assert ours.goniometer is not None and theirs.goniometer is not None
    np.testing.assert_allclose(ours.goniometer.F, theirs.goniometer.F, atol=1e-9)
    np.testing.assert_allclose(ours.goniometer.laboratory_axis, theirs.goniometer.laboratory_axis, atol=1e-9)
    assert ours.scan is not None and theirs.scan is not None
    np.testing.assert_allclose(ours.scan.oscillation, theirs.scan.oscillation, atol=1e-9)
    assert ours.beam.wavelength == pytest.approx(theirs.beam.wavelength, abs=1e-9)
    text = json.loads((tmp_path / "theirs.expt").read_text())
    assert text["imageset"][0]["single_file_indices"] == [0, 1, 2, 3, 4]
    assert theirs.imageset is not None
    series = open_series(theirs.imageset, [Nxmx()], theirs.scan)
    np.testing.assert_array_equal(series.read(2), frames()[2])
