"""Images of many arrays on chains of axes."""

from __future__ import annotations

import gzip
from math import radians
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.geometry.rotation import rotation
from smalti.models import NO_COUNT
from smalti.solution import Match
from smalti.steps.finding import FindOptions, find_spots
from smalti.steps.importing import import_images
from smalti_plugins.formats.generic import FabioGeneric
from smalti_plugins.formats.imgcif import ImgCifReader
from smalti_plugins.formats.pilatus import PilatusCbf
from smalti_plugins.spots.dispersion import Dispersion

from .imgcif_files import DISTANCE, NAMES, PIXEL, SIZE, TURN, counts, section, write_imgcif
from .minicbf_files import write_image


def opened(path: Path, reader: ImgCifReader | None = None):  # type: ignore[no-untyped-def]
    return (reader or ImgCifReader()).open([path])


def test_it_claims_its_files_and_no_others(tmp_path: Path) -> None:
    own = write_imgcif(tmp_path / "a.cbf")
    mini = write_image(tmp_path / "b.cbf")
    head = own.read_bytes()[:8192]
    assert ImgCifReader().match(own, head) is Match.FORMAT
    assert PilatusCbf().match(own, head) is Match.NO
    assert FabioGeneric().match(own, head) is Match.CONTAINER
    assert ImgCifReader().match(mini, mini.read_bytes()[:8192]) is Match.NO


def test_the_tree_is_that_of_the_axes(tmp_path: Path) -> None:
    detector = opened(write_imgcif(tmp_path / "a.cbf")).header(0).detector
    names = [[node.name for node in detector.nodes(level)] for level in range(4)]
    assert names[0] == ["ARM_R"]
    assert names[1] == ["FS_Q0", "FS_Q1"]
    assert names[2] == ["FS_Q0S0", "FS_Q0S1", "FS_Q1S0", "FS_Q1S1"]
    assert names[3] == [f"ARRAY_{name}" for name in NAMES]
    assert detector.depth == 3
    root, quadrant = detector.root, detector.root.children[1]
    np.testing.assert_allclose(root.origin, (0.0, 0.0, -DISTANCE), atol=1e-12)
    np.testing.assert_allclose([root.fast, root.slow], [(0, 1, 0), (-1, 0, 0)], atol=1e-12)
    np.testing.assert_allclose(quadrant.origin, (40.0, 10.0, 0.5), atol=1e-12)
    np.testing.assert_allclose(quadrant.children[1].origin, (5.0, 20.0, 0.25), atol=1e-12)
    np.testing.assert_allclose(
        quadrant.children[1].fast, rotation((0, 0, 1), radians(TURN)) @ (1, 0, 0), atol=1e-12
    )
    np.testing.assert_allclose(detector.panels[1].origin, (1.0 - 0.33, 0.275, 0.0), atol=1e-12)
    np.testing.assert_allclose(detector.panels[1].slow, (0.0, -1.0, 0.0), atol=1e-12)


def test_panels_are_placed_as_the_chain_says(tmp_path: Path) -> None:
    """Written out from the outside in: arm, quadrant, sensor, ASIC, pixel."""
    header = opened(write_imgcif(tmp_path / "a.cbf")).header(0)
    arm, sensor = rotation((0, 0, 1), radians(90.0)), rotation((0, 0, 1), radians(TURN))
    d = header.detector.stacked()[NAMES.index("Q1S1A1")]
    local = np.array([1.0 - 0.33, 0.275, 0.0])
    expected = arm @ (np.array([40, 10, 0.5]) + np.array([5, 20, 0.25]) + sensor @ local) - [0, 0, DISTANCE]
    np.testing.assert_allclose(d[:, 2], expected, atol=1e-12)
    np.testing.assert_allclose(d[:, 0], arm @ sensor @ (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(d[:, 1], arm @ sensor @ (0, -1, 0), atol=1e-12)


def test_what_else_the_header_says(tmp_path: Path) -> None:
    header = opened(write_imgcif(tmp_path / "a.cbf")).header(0)
    assert header.beam.wavelength == 1.25 and header.beam.direction == (0.0, 0.0, 1.0)
    assert header.goniometer is None and header.width == 0.0
    assert header.exposure == 0.5
    assert header.epoch == pytest.approx(1383710584.531)
    first, second = header.detector.panels[:2]
    assert (first.gain, second.gain) == (2.5, 1.0)
    # What is undefined (0) is not trusted, whether or not a program includes the limit.
    assert first.trusted_range == (0.5, 16383.0)
    assert first.image_size == SIZE and first.pixel_size == (PIXEL, PIXEL)
    assert first.identifier == "CS PAD FRONT" and first.type == "SENSOR_UNKNOWN"


def test_every_array_is_in_the_window_of_its_panel(tmp_path: Path) -> None:
    """Also where the sections stand in another order than the header names them."""
    order = [3, 1, 8, 2, 7, 5, 4, 6]
    series = opened(write_imgcif(tmp_path / "a.cbf", order=order))
    header, frame = series.header(0), series.read(0)
    assert frame.shape == header.size[::-1] and frame.dtype == np.int32
    used = np.zeros(frame.shape, dtype=int)
    for number, panel in enumerate(header.detector.panels, start=1):
        (x, y), (width, height) = panel.window, panel.image_size
        part = np.s_[y : y + height, x : x + width]
        np.testing.assert_array_equal(frame[part], counts(number))
        used[part] += 1
    assert used.max() == 1
    assert (frame[used == 0] < header.detector.panels[0].trusted_range[0]).all()
    assert series.mask() is None


def test_columns_of_quadrants_with_rows_of_sensors(tmp_path: Path) -> None:
    detector = opened(write_imgcif(tmp_path / "a.cbf")).header(0).detector
    windows = dict(zip(NAMES, [panel.window for panel in detector.panels], strict=True))
    assert windows["Q0S0A0"] == (0, 0)
    assert windows["Q0S0A1"] == (SIZE[0] + 3, 0)
    assert windows["Q0S1A0"] == (0, SIZE[1] + 8)
    assert windows["Q1S0A0"] == (2 * SIZE[0] + 3 + 8, 0)


def test_the_frame_is_the_same_wherever_the_panels_are(tmp_path: Path) -> None:
    here = opened(write_imgcif(tmp_path / "a.cbf")).header(0)
    there = opened(write_imgcif(tmp_path / "b.cbf", changes=[("5 20 0.25", "7 21 0.1")])).header(0)
    assert here.detector != there.detector and here.size == there.size
    assert [p.window for p in here.detector.panels] == [p.window for p in there.detector.panels]


def test_fewer_panels_make_a_flatter_tree(tmp_path: Path) -> None:
    """An axis of a single panel is no group, and one panel alone is in the laboratory."""
    pair = opened(write_imgcif(tmp_path / "a.cbf", names=NAMES[2:4])).header(0).detector
    assert pair.root.name == "FS_Q0S1" and pair.root.children == (0, 1)
    whole = opened(write_imgcif(tmp_path / "b.cbf")).header(0).detector.stacked()
    np.testing.assert_allclose(pair.stacked(), whole[2:4], atol=1e-12)
    alone = opened(write_imgcif(tmp_path / "c.cbf", names=NAMES[3:4]))
    np.testing.assert_allclose(alone.header(0).detector.stacked(), whole[3:4], atol=1e-12)
    np.testing.assert_array_equal(alone.read(0), counts(1))


def test_the_setting_of_the_first_pixel(tmp_path: Path) -> None:
    """A displacement moves the first pixel along its axis; a negative increment turns the direction."""
    before = opened(write_imgcif(tmp_path / "a.cbf", names=NAMES[:1])).header(0).detector.stacked()[0]
    changed = [("Q0S0A0_F Q0S0A0_F 0.0 0.11", "Q0S0A0_F Q0S0A0_F 0.5 -0.11")]
    after = opened(write_imgcif(tmp_path / "b.cbf", names=NAMES[:1], changes=changed)).header(0)
    d = after.detector.stacked()[0]
    np.testing.assert_allclose(d[:, 0], -before[:, 0], atol=1e-12)
    np.testing.assert_allclose(d[:, 2], before[:, 2] + 0.5 * before[:, 0], atol=1e-12)
    assert after.detector.panels[0].pixel_size == (PIXEL, PIXEL)


def test_pixel_sizes_in_metres_and_start_of_the_scan(tmp_path: Path) -> None:
    sizes = "loop_\n_array_element_size.array_id\n_array_element_size.index\n_array_element_size.size\n"
    sizes += " ARRAY_Q0S0A0 1 0.00011\n ARRAY_Q0S0A0 2 0.00011\n\nloop_\n_array_data.array_id"
    scan = (
        "\nloop_\n_diffrn_scan_axis.axis_id\n_diffrn_scan_axis.displacement_start\n ARM_Z -150.0\n\nloop_\n"
    )
    changes = [
        ("Q0S0A0_F 0.0 0.11", "Q0S0A0_F 0.0 ."),
        ("loop_\n_array_data.array_id", sizes),
        (" ARM_Z FRAME1 0 -150.0\n", ""),
        ("\nloop_\n_axis.id", scan + "_axis.id"),
    ]
    changed = opened(write_imgcif(tmp_path / "a.cbf", names=NAMES[:1], changes=changes)).header(0)
    plain = opened(write_imgcif(tmp_path / "b.cbf", names=NAMES[:1])).header(0)
    assert changed.detector == plain.detector


def test_real_numbers_and_no_undefined_value(tmp_path: Path) -> None:
    values = np.array([[1.4, -3.0, 0.6, np.nan, np.inf, -1e12]] * SIZE[1])

    def plain(number: int) -> bytes:
        return section(number, values.astype("<f8").tobytes(), "", "signed 64-bit real IEEE")

    changes = [("16383 0.0", ". .")]
    path = write_imgcif(tmp_path / "a.cbf", names=NAMES[:1], make=plain, changes=changes)
    low, high = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    assert opened(path).read(0)[0].tolist() == [1, -3, 1, low, high, low]
    assert opened(path, ImgCifReader(scale=10.0)).read(0)[0].tolist() == [14, -30, 6, low, high, low]
    assert opened(path).header(0).detector.panels[0].trusted_range == (NO_COUNT, 65535.0)


def test_unsigned_numbers_beyond_32_bits_are_held(tmp_path: Path) -> None:
    values = np.full(SIZE[::-1], 4_000_000_000, dtype="<u4")

    def plain(number: int) -> bytes:
        return section(number, values.tobytes(), "x-CBF_NONE", "unsigned 32-bit integer")

    path = write_imgcif(tmp_path / "a.cbf", names=NAMES[:1], make=plain)
    assert (opened(path).read(0) == np.iinfo(np.int32).max).all()


HOSTILE = [
    ("_axis.vector[2]", "_axis.other", "_axis.vector[2]"),
    ("_axis.depends_on", "_axis.other", "_axis.depends_on"),
    ("FS_Q1 rotation detector ARM_R", "FS_Q1 rotation detector NONE", "the axis NONE, on which FS_Q1"),
    ("FS_Q1 rotation detector ARM_R", "FS_Q1 rotation detector Q1S0A0_F", "depends on itself"),
    (" FS_Q1S1 rotation detector", " FS_Q1S0 rotation detector", "twice"),
    ("5 20 0.25", "5 here 0.25", "here"),
    ("5 20 0.25", "5 inf 0.25", "no number of a geometry"),
    ("5 20 0.25", "5 20", ""),
    ("0 -1 0 -0.33", "1 0 0 -0.33", "not at right angles"),
    ("Q0S0A0_F translation", "Q0S0A0_F rotation", "which is a rotation"),
    (
        "Q0S0A0_F translation detector Q0S0A0_S 1 0 0",
        "Q0S0A0_F translation detector Q0S0A0_S 0 0 0",
        "no direc",
    ),
    ("ARM_R rotation detector ARM_Z 0 0 1", "ARM_R rotation detector ARM_Z 0 0 0", "no direction"),
    (" Q0S0A0_F Q0S0A0_F 0.0", " Q0S0A0_F . 0.0", "the axis of an index of ARRAY_Q0S0A0"),
    ("_diffrn_scan_frame_axis.", "_another.", "_diffrn_scan_frame_axis"),
    ("_array_structure_list_axis.", "_another.", "_array_structure_list_axis"),
    ("_array_structure_list.axis_set_id", "_array_structure_list.other", "axis_set_id"),
    (" Q0S0A0_F Q0S0A0_F 0.0 0.11\n", "", "the axis set Q0S0A0_F of ARRAY_Q0S0A0"),
    (" ARRAY_Q1S0A0 2 5 2 increasing Q1S0A0_S\n", "", "ARRAY_Q1S0A0 has 1 dimensions"),
    ("FRAME1 ELE_Q1S0A0 ARRAY_Q1S0A0", "FRAME1 ELE_Q1S0A0 ARRAY_NONE", "the array ARRAY_NONE"),
    ("FRAME1 ELE_Q1S0A0 ARRAY_Q1S0A0", "FRAME1 ELE_Q1S0A0 ARRAY_Q0S0A0", "share an array"),
    ("FRAME1 ELE_Q1S0A0 ", "FRAME2 ELE_Q1S0A0 ", "2 frames"),
    ("Q0S0A0_F 0.0 0.11", "Q0S0A0_F 0.0 0.0", "0.0, 0.11"),
    ("ARRAY_Q0S0A0 1 6 1", "ARRAY_Q0S0A0 1 -6 1", "-6"),
    ("wavelength 1.25", "wavelength -1.25", "wavelength"),
    ("\nloop_\n_axis.id", "\nloop_\n_axis.id 'open", ""),
]


@pytest.mark.parametrize(("old", "new", "why"), HOSTILE)
def test_a_hostile_header_is_told(old: str, new: str, why: str, tmp_path: Path) -> None:
    path = write_imgcif(tmp_path / "a.cbf", changes=[(old, new)])
    with pytest.raises(InputError) as caught:
        opened(path).header(0)
    assert "a.cbf" in caught.value.what
    assert why in caught.value.why
    assert caught.value.fix


def test_missing_and_wrong_sections_are_told(tmp_path: Path) -> None:
    for order, why in (
        (range(1, 8), "8 arrays; 7 of them"),
        ((1, 2, 3, 4, 5, 6, 7, 9), "8 arrays; 7 of them"),
    ):
        path = write_imgcif(tmp_path / "a.cbf", order=list(order))
        with pytest.raises(InputError, match="does not hold the pixels of all panels") as caught:
            opened(path).read(0)
        assert why in caught.value.why
    path = write_imgcif(tmp_path / "b.cbf", changes=[("ARRAY_Q1S0A0 1 6 1", "ARRAY_Q1S0A0 1 7 1")])
    with pytest.raises(InputError, match="not those that its header describes") as caught:
        opened(path).read(0)
    assert "ARRAY_Q1S0A0 is 7 x 5 px in the header, 6 x 5 px" in caught.value.why


@pytest.mark.parametrize("share", [0.02, 0.4, 0.8, 0.9, 0.95, 0.99])
def test_a_file_cut_short_is_told(share: float, tmp_path: Path) -> None:
    path = write_imgcif(tmp_path / "a.cbf")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError) as caught:
        opened(path).read(0)
    assert "a.cbf" in caught.value.what


def test_damaged_pixels_are_told(tmp_path: Path) -> None:
    path = write_imgcif(tmp_path / "a.cbf")
    data = bytearray(path.read_bytes())
    data[data.rfind(b"\x0c\x1a\x04\xd5") + 10] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="not those that were written"):
        opened(path).mask()
    opened(path).read(0)
    with pytest.raises(InputError, match="not those that were written"):
        opened(path, ImgCifReader(check_md5=True)).read(0)

    def packed(number: int) -> bytes:
        return section(number, b"\x00" * 40, "x-CBF_PACKED", "signed 32-bit integer")

    with pytest.raises(InputError, match="not understood") as caught:
        opened(write_imgcif(path, make=packed)).read(0)
    assert "x-CBF_PACKED" in caught.value.why and "cif2cbf" in caught.value.fix


def test_a_stack_is_refused(tmp_path: Path) -> None:
    path = write_imgcif(tmp_path / "a.cbf")
    mark = b"X-Binary-Size-Second-Dimension: 5\r\n"
    path.write_bytes(path.read_bytes().replace(mark, mark + b"X-Binary-Size-Third-Dimension: 4\r\n"))
    with pytest.raises(InputError, match="a stack of images"):
        opened(path).header(0)


def test_compressed_files(tmp_path: Path) -> None:
    path = write_imgcif(tmp_path / "a.cbf")
    packed = tmp_path / "b.cbf.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(opened(packed).read(0), opened(path).read(0))


@pytest.mark.data
def test_the_spots_of_a_cspad_are_those_of_dials(data: Path) -> None:
    """dials.find_spots 3.12 with algorithm=dispersion gain=10: 10,615 strong pixels, 162 spots."""
    (path,) = (data / "cspad_lysozyme").glob("*.cbf.gz")
    experiments = import_images([path], [ImgCifReader()]).experiments
    found = find_spots(experiments, [ImgCifReader()], Dispersion(gain=10.0), FindOptions())
    assert found.images[0].strong == (10615,)
    assert found.images[0].spots == (162,)
