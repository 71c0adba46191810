"""The generic reader: header words of older formats, and what it must not claim."""

from __future__ import annotations

from math import radians
from pathlib import Path

import fabio
import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import NO_COUNT
from smalti.roles import Reader
from smalti.solution import FrameHeader, Match
from smalti_plugins.formats._dialects import DIALECTS, dialect_of
from smalti_plugins.formats.generic import FabioGeneric

WORDS = {
    "HEADER_BYTES": "512", "DIM": "2", "BYTE_ORDER": "little_endian", "TYPE": "unsigned_short",
    "PIXEL_SIZE": "0.08", "SIZE1": "40", "SIZE2": "30", "DISTANCE": "57.43", "WAVELENGTH": "0.908",
    "OSC_START": "5.0", "OSC_RANGE": "1.0", "BEAM_CENTER_X": "1.4", "BEAM_CENTER_Y": "1.6", "TIME": "2.0",
    "DATE": "Thu May 15 13:17:42 2008", "CCD_IMAGE_SATURATION": "60000", "DETECTOR_SN": "010",
}  # fmt: skip


def write_smv(path: Path, **changes: str | None) -> Path:
    words = {key: value for key, value in {**WORDS, **changes}.items() if value is not None}
    head = "{\n" + "".join(f"{key}={value};\n" for key, value in words.items()) + "}\n"
    counts = np.arange(1200, dtype="<u2").reshape(30, 40)
    path.write_bytes(head.ljust(512).encode() + counts.tobytes())
    return path


def header_of(path: Path, reader: FabioGeneric | None = None) -> FrameHeader:
    return (reader or FabioGeneric()).open([path]).header(0)


def test_it_is_a_reader_below_all_others() -> None:
    assert isinstance(FabioGeneric(), Reader)
    match = FabioGeneric().match
    assert match(Path("a.img"), b"{\nHEADER_BYTES=  512;\nDIM=2;") == Match.CONTAINER
    # Text in braces, which fabio's own table takes for EDF, and other things that lie beside images.
    for other in (
        b'{"__id__": "ExperimentList"}',
        b"{\n a b c }",
        b"# title",
        b"",
        b"%PDF-1.5",
        b"<html>",
        b"Note",
    ):
        assert match(Path("a"), other) == Match.NO
    assert dialect_of(b"No9857  1 625") == "Nonius"


def test_smv_words_become_models(tmp_path: Path) -> None:
    header = header_of(write_smv(tmp_path / "a_001.img"))
    panel = header.detector.panels[0]
    assert (panel.image_size, panel.pixel_size) == ((40, 30), (0.08, 0.08))
    # The beam centre in the order of MOSFLM: x runs down the slow axis.
    assert panel.origin == pytest.approx((-1.6, 1.4, -57.43))
    assert panel.trusted_range == (NO_COUNT, 60000.0)
    assert header.beam.wavelength == 0.908
    assert (header.start, header.width) == (radians(5.0), radians(1.0))
    assert (header.exposure, header.epoch) == (2.0, 1210857462.0)
    assert any("MOSFLM" in note for note in header.notes) and any("generic" in note for note in header.notes)


def test_counts(tmp_path: Path) -> None:
    counts = FabioGeneric().open([write_smv(tmp_path / "a_001.img")]).read(0)
    assert counts.dtype == np.int32
    np.testing.assert_array_equal(counts, np.arange(1200).reshape(30, 40))


def test_a_centre_that_cannot_be_mm_is_pixels(tmp_path: Path) -> None:
    path = write_smv(tmp_path / "a.img", BEAM_CENTER_X="21", BEAM_CENTER_Y="14")
    header = header_of(path)
    assert header.detector.panels[0].origin[:2] == pytest.approx((-21 * 0.08, 14 * 0.08))
    assert any("pixels" in note for note in header.notes)


def test_what_the_header_lacks_is_left_open_or_told(tmp_path: Path) -> None:
    bare = header_of(write_smv(tmp_path / "a.img", DISTANCE=None, WAVELENGTH=None, BEAM_CENTER_X=None))
    assert bare.beam.wavelength == 0.0 and bare.detector.panels[0].origin[2] == 0.0
    assert any("middle of the image" in note for note in bare.notes)
    path = write_smv(tmp_path / "b.img", PIXEL_SIZE=None)
    with pytest.raises(InputError, match=r"fabio_generic\.pixel_size"):
        header_of(path)
    told = header_of(path, FabioGeneric(pixel_size=0.1, two_theta=20.0))
    normal = np.cross(*told.detector.stacked()[0].T[:2])
    np.testing.assert_allclose(normal, [0.0, np.sin(radians(20)), -np.cos(radians(20))], atol=1e-12)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = write_smv(tmp_path / "a.img")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match=r"a\.img looks like SMV"):
        header_of(path)


def test_every_format_that_is_claimed_has_a_dialect() -> None:
    for head in (
        b"{\nHEADER_BYTES",
        b"-\x04\x00",
        b"II*\x00\x08",
        b"FORMAT :        86",
        b"OD SAPPHIRE",
        b"R-AXIS",
    ):
        assert dialect_of(head) in DIALECTS


def test_words_that_are_no_numbers_are_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = {"DETTYPE": "CCD-PXL", "CENTER": "north south"}
    image = b"FORMAT :", words, np.zeros((8, 8), dtype=np.uint16)
    monkeypatch.setattr("smalti_plugins.formats.generic.image_of", lambda path: image)
    with pytest.raises(InputError, match=r"a\.sfrm cannot be understood[\s\S]*Bruker[\s\S]*north"):
        FabioGeneric().open([tmp_path / "a.sfrm"]).header(0)


# From the headers themselves: distance (mm), wavelength, pixel (mm), start and width (deg).
SAMPLES = {
    "Cr8F8140k103.0026.gz": (89.0 + 16.0, 0.5166, 0.3125, -84.8, 0.2),
    "b191_1_9_1.img.gz": (49.82849, 0.71073, 0.119849, 6.0, 0.8),
    "example.mar2300.gz": (240.0, 1.08, 0.15, 0.0, 1.0),
    "i01f0001.kcd.gz": (40.0, 0.7093, 0.055, 0.0, 1.0),
    "adsc.img.bz2": (250.0, 1.0, 0.0816, 0.0, 1.0),
}


@pytest.mark.data
@pytest.mark.parametrize("name", SAMPLES)
def test_headers_of_many_formats(name: str, data: Path) -> None:
    header = header_of(data / "formats" / name)
    d, panel = header.detector.stacked()[0], header.detector.panels[0]
    distance = abs(float(np.cross(d[:, 0], d[:, 1]) @ d[:, 2]))
    found = (distance, header.beam.wavelength, panel.pixel_size[0], *np.degrees([header.start, header.width]))
    assert found == pytest.approx(SAMPLES[name], rel=1e-5, abs=1e-6)


@pytest.mark.data
def test_marccd_leaves_open_what_its_header_leaves_open(data: Path) -> None:
    header = header_of(data / "formats" / "corkcont2_H_0089.mccd.bz2")
    panel = header.detector.panels[0]
    assert header.beam.wavelength == pytest.approx(1.03318)
    assert panel.pixel_size == pytest.approx((0.079092, 0.079092))
    assert panel.origin == pytest.approx((-1043.089 * 0.079092, 1043.089 * 0.079092, 0.0))


@pytest.mark.parametrize("kind", ["edf", "tif"])
def test_images_that_fabio_writes_are_read(tmp_path: Path, kind: str) -> None:
    counts = np.arange(35, dtype=np.int32).reshape(5, 7)
    image = {"edf": fabio.edfimage.EdfImage, "tif": fabio.tifimage.TifImage}[kind](data=counts)
    image.write(str(tmp_path / f"a_1.{kind}"))
    reader = FabioGeneric(pixel_size=0.1)
    path = tmp_path / f"a_1.{kind}"
    assert reader.match(path, path.read_bytes()[:4096]) is Match.CONTAINER
    series = reader.open([path])
    np.testing.assert_array_equal(series.read(0), counts)
    assert series.header(0).size == (7, 5)
