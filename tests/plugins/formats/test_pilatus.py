"""Reading miniCBF: models from header words, pixels, damage."""

from __future__ import annotations

import bz2
import gzip
from concurrent.futures import ThreadPoolExecutor
from math import radians
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.geometry.attenuation import attenuation_coefficient
from smalti.models import NO_COUNT, Detector
from smalti.roles import Reader
from smalti.solution import FrameHeader, Match
from smalti_plugins.formats._instruments import INSTRUMENTS, instrument_of
from smalti_plugins.formats.pilatus import PilatusCbf

from .minicbf_files import frame, image_bytes, write_image


def header_of(path: Path, reader: PilatusCbf | None = None) -> FrameHeader:
    return (reader or PilatusCbf()).open([path]).header(0)


def test_it_is_a_reader_that_claims_only_its_format() -> None:
    reader = PilatusCbf()
    assert isinstance(reader, Reader)
    assert reader.match(Path("a.cbf"), image_bytes()[:4096]) == Match.FORMAT
    sls = image_bytes()[:4096].replace(b"PILATUS_1.2", b"SLS_1.0")
    assert reader.match(Path("a.cbf"), sls) == Match.FORMAT
    for other in (b"", b"###CBF: VERSION 1.5\r\ndata_x\r\n_array.id 1", b"{\nHEADER_BYTES=512;", b"\x89HDF"):
        assert reader.match(Path("a.cbf"), other) == Match.NO


def test_header_words_become_models(tmp_path: Path) -> None:
    header = header_of(write_image(tmp_path / "a_0001.cbf"))
    assert header.beam.wavelength == 0.9795
    assert (header.start, header.width) == (radians(10.0), pytest.approx(radians(0.1)))
    assert (header.exposure, header.size) == (0.1, (487, 407))
    assert header.epoch == pytest.approx(1457168505.613)
    assert header.notes == ()
    assert header.goniometer is not None and header.goniometer.rotation_axis == (1.0, 0.0, 0.0)
    detector = header.detector
    assert [panel.window for panel in detector.panels] == [(0, 0), (0, 212)]
    assert [panel.image_size for panel in detector.panels] == [(487, 195)] * 2
    root = detector.root
    assert root.origin == pytest.approx((-240.5 * 0.172, 200.25 * 0.172, -200.0))
    assert (root.fast, root.slow) == ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    panel = detector.panels[1]
    assert panel.origin == pytest.approx((0.0, 212 * 0.172, 0.0))
    assert panel.trusted_range == (NO_COUNT, 388705.0)
    assert (panel.material, panel.thickness, panel.parallax) == ("Si", pytest.approx(0.32), True)
    assert panel.mu == attenuation_coefficient("Si", 0.9795) > 3.0


def test_counts_and_mask(tmp_path: Path) -> None:
    series = PilatusCbf(check_md5=True).open([write_image(tmp_path / "a_0001.cbf")])
    counts = series.read(0)
    assert counts.dtype == np.int32 and counts.flags.c_contiguous
    np.testing.assert_array_equal(counts, frame())
    mask = series.mask()
    assert not mask[195:212].any() and not mask[100, 100]
    assert mask.sum() == 390 * 487 - 1


def test_compressed_files_give_the_same(tmp_path: Path) -> None:
    data = image_bytes()
    (tmp_path / "a_0001.cbf.gz").write_bytes(gzip.compress(data))
    (tmp_path / "a_0001.cbf.bz2").write_bytes(bz2.compress(data))
    series = PilatusCbf().open([tmp_path / "a_0001.cbf.gz", tmp_path / "a_0001.cbf.bz2"])
    assert series.header(0) == series.header(1) == header_of(write_image(tmp_path / "a_0001.cbf"))
    np.testing.assert_array_equal(series.read(0), series.read(1))


def test_threads_read_alike(tmp_path: Path) -> None:
    series = PilatusCbf().open([write_image(tmp_path / "a_0001.cbf")])
    with ThreadPoolExecutor(4) as pool:
        totals = set(pool.map(lambda _: int(series.read(0).sum()), range(16)))
    assert totals == {int(frame().sum())}


def test_frames_of_one_sweep_share_the_detector(tmp_path: Path) -> None:
    paths = [
        write_image(tmp_path / f"a_{k}.cbf", {"Start_angle": f"{10 + 0.1 * k:.4f} deg."}) for k in range(2)
    ]
    series = PilatusCbf().open(paths)
    assert series.header(0).detector is series.header(1).detector
    assert series.header(1).start == radians(10.1)


@pytest.mark.parametrize(
    ("written", "epoch"),
    [
        ("2007/Oct/22 15:32:16.289", 1193067136.289),
        ("2016-03-05T09:01:45.613", 1457168505.613),
        ("2019-02-14T14:25:57", 1550154357.0),
        ("2019-02-31T14:25:57", 0.0),
        ("2019/Foo/02 14:25:57", 0.0),
    ],
)
def test_time_stamps_of_three_dialects(written: str, epoch: float, tmp_path: Path) -> None:
    assert header_of(write_image(tmp_path / "a.cbf", {"date": written})).epoch == pytest.approx(epoch)


def test_a_backward_scan_turns_about_the_reversed_axis(tmp_path: Path) -> None:
    header = header_of(write_image(tmp_path / "a.cbf", {"Angle_increment": "-0.5000 deg."}))
    assert header.goniometer is not None and header.goniometer.rotation_axis == (-1.0, 0.0, 0.0)
    assert (header.start, header.width) == (radians(-10.0), pytest.approx(radians(0.5)))


def test_the_arm_turns_the_detector_and_says_what_it_assumes(tmp_path: Path) -> None:
    header = header_of(write_image(tmp_path / "a.cbf", {"Detector_2theta": "30.0000 deg."}))
    normal = np.cross(*header.detector.stacked()[0].T[:2])
    np.testing.assert_allclose(normal, [0.0, np.sin(radians(30)), -np.cos(radians(30))], atol=1e-12)
    assert any("2-theta" in note for note in header.notes)


def test_kappa_without_known_axes_is_said(tmp_path: Path) -> None:
    notes = header_of(write_image(tmp_path / "a.cbf", {"Kappa": "20.0000 deg."})).notes
    assert any("kappa 20" in note for note in notes)


def test_instruments_are_told_by_serial_number_date_and_place(tmp_path: Path) -> None:
    i24 = {"Detector:": "PILATUS3 6M, S/N 60-0119"}
    late = header_of(write_image(tmp_path / "a.cbf", {**i24, "date": "2019-09-11T13:20:28.989"}))
    early = header_of(write_image(tmp_path / "b.cbf", {**i24, "date": "2014-09-11T13:20:28.989"}))
    assert late.goniometer is not None and late.goniometer.rotation_axis == (0.0, 1.0, 0.0)
    assert early.goniometer is not None and early.goniometer.rotation_axis == (1.0, 0.0, 0.0)
    off = header_of(tmp_path / "a.cbf", PilatusCbf(instruments=False))
    assert off.goniometer is not None and off.goniometer.rotation_axis == (1.0, 0.0, 0.0)
    assert instrument_of("60-0100", "PILATUS 6M, S/N 60-0100 Diamond", "") is not None
    assert instrument_of("60-0100", "PILATUS 6M, S/N 60-0100", "") is None
    assert all(item.source and item.place for item in INSTRUMENTS)


def test_kappa_of_a_known_instrument(tmp_path: Path) -> None:
    words: dict[str, str | None] = {
        "Detector:": "PILATUS3 6M, S/N 60-0126", "Kappa": "20.0000 deg.", "Phi": "30.0000 deg.",
    }  # fmt: skip
    header = header_of(write_image(tmp_path / "a.cbf", words))
    assert header.goniometer is not None and header.goniometer.names == ("GON_PHI", "GON_KAPPA", "GON_OMEGA")
    # What dxtbx 3.12 makes of these angles for this serial number.
    expected = [[0.99, 0.1407, 0.01], [-0.0862, 0.6592, -0.747], [-0.1117, 0.7387, 0.6647]]
    np.testing.assert_allclose(header.goniometer.F, expected, atol=1e-4)
    assert header.notes == ()


def test_other_sensors_and_no_parallax(tmp_path: Path) -> None:
    words: dict[str, str | None] = {"Silicon": None, "CdTe": "sensor, thickness 0.001000 m"}
    panel = header_of(write_image(tmp_path / "a.cbf", words)).detector.panels[0]
    assert (panel.material, panel.thickness, panel.parallax) == ("CdTe", 1.0, True)
    bare = header_of(write_image(tmp_path / "b.cbf", {"Silicon": None}))
    assert not bare.detector.panels[0].parallax and any("sensor" in note for note in bare.notes)
    odd = header_of(write_image(tmp_path / "c.cbf", {"Silicon": "sensor, thickness 1e-e m"}))
    assert odd.detector.panels[0].material == ""
    off = header_of(tmp_path / "a.cbf", PilatusCbf(parallax=False)).detector.panels[0]
    assert off.mu > 0 and not off.parallax


def test_an_unknown_layout_is_one_panel(tmp_path: Path) -> None:
    detector = header_of(write_image(tmp_path / "a.cbf", {"Pixel_size": "100e-6 m x 100e-6 m"})).detector
    assert len(detector) == 1 and detector.panels[0].image_size == (487, 407)


def test_the_barrel_has_its_modules_on_a_cylinder(tmp_path: Path) -> None:
    words: dict[str, str | None] = {
        "Detector:": "PILATUS 12M, S/N 120-0100", "Detector_distance": "0.00000 m",
        "Beam_xy": "(1075.00, 2594.00) pixels",
    }  # fmt: skip
    detector: Detector = header_of(write_image(tmp_path / "a.cbf", words)).detector
    assert len(detector) == 120 and detector.depth == 2
    d = detector.stacked()
    heights = np.einsum("pi,pi->p", np.cross(d[:, :, 0], d[:, :, 1]), d[:, :, 2])
    np.testing.assert_allclose(np.abs(heights), 250.0, atol=1e-9)


# Each way a file may be damaged, and what the message must say.
DAMAGE = {
    "empty": (lambda data: b"", "is empty"),
    "no image": (lambda data: b"hello, world" * 100, "not a CBF"),
    "cut in its header": (lambda data: data[:700], "before the pixels begin"),
    "cut in its pixels": (
        lambda data: data[:60000],
        r"At byte 60000 of the file .* pixel \d+ of 198209|ends after 60000 bytes; its pixels reach to byte",
    ),
    "without size": (lambda data: data.replace(b"X-Binary-Size-Fastest", b"X-Other"), "how large"),
    "absurd size": (lambda data: data.replace(b"Dimension: 487", b"Dimension: 487000000"), "claims"),
    "another compression": (lambda data: data.replace(b"x-CBF_BYTE_OFFSET", b"x-CBF_PACKED"), "x-CBF_PACKED"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damage_is_told_with_file_and_place(kind: str, suffix: str, tmp_path: Path) -> None:
    harm, words = DAMAGE[kind]
    data = harm(image_bytes())
    path = tmp_path / f"a_0001.cbf{suffix}"
    path.write_bytes(gzip.compress(data) if suffix else data)
    series = PilatusCbf().open([path])
    with pytest.raises(InputError, match=words) as caught:
        series.header(0)
        series.read(0)
    assert path.name in caught.value.what and caught.value.fix


def test_a_changed_byte_is_seen_by_the_check_sum(tmp_path: Path) -> None:
    data = bytearray(image_bytes())
    data[-6000] ^= 1
    path = tmp_path / "a.cbf"
    path.write_bytes(bytes(data))
    assert PilatusCbf().open([path]).read(0).shape == (407, 487)
    with pytest.raises(InputError, match="check sum"):
        PilatusCbf(check_md5=True).open([path]).read(0)
    with pytest.raises(InputError, match="check sum"):
        PilatusCbf().open([path]).mask()


def test_a_word_that_is_missing_or_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Pixel_size"):
        header_of(write_image(tmp_path / "a.cbf", {"Pixel_size": None}))
    with pytest.raises(InputError, match="Beam_xy"):
        header_of(write_image(tmp_path / "b.cbf", {"Beam_xy": "(nan, what) pixels"}))
    # What can be told by an option is left to the importing step.
    assert header_of(write_image(tmp_path / "c.cbf", {"Wavelength": None})).beam.wavelength == 0.0
