"""Full CBF headers: axes of detector and goniometer."""

from __future__ import annotations

from math import radians
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.geometry.rotation import rotation
from smalti_plugins.formats.pilatus import PilatusCbf

from .minicbf_files import header_text, write_image

LOOPS = """
;
_diffrn.id X
loop_
_diffrn_scan_axis.scan_id
_diffrn_scan_axis.axis_id
_diffrn_scan_axis.angle_start
_diffrn_scan_axis.angle_increment
_diffrn_scan_axis.displacement_start
SCAN1 OMEGA {omega} {step} 0.0
SCAN1 KAPPA 40.0 0.0 0.0
SCAN1 PHI 15.0 0.0 0.0
SCAN1 ARM 25.0 0.0 0.0
SCAN1 DET_Z 0.0 0.0 150.0
loop_
_diffrn_scan_frame_axis.frame_id
_diffrn_scan_frame_axis.axis_id
_diffrn_scan_frame_axis.angle
_diffrn_scan_frame_axis.displacement
FRAME1 OMEGA {omega} 0.0
FRAME1 DET_Z 0.0 151.0
loop_
_axis.id
_axis.type
_axis.equipment
_axis.depends_on
_axis.vector[1] _axis.vector[2] _axis.vector[3]
_axis.offset[1] _axis.offset[2] _axis.offset[3]
OMEGA rotation goniometer . 1 0 0 . . .
KAPPA rotation goniometer OMEGA 0.6428 -0.7660 0 . . .
PHI rotation goniometer KAPPA 1 0 0 . . .
SOURCE general source . 0 0 1 . . .
ARM rotation detector . 1 0 0 . . .
DET_Z translation detector {carrier} 0 0 -1 0 0 0
ELEMENT_X translation detector DET_Z 1 0 0 -40.0 35.0 0
ELEMENT_Y translation detector ELEMENT_X 0 -1 0 0 0 0
loop_
_array_structure_list.array_id
_array_structure_list.index
_array_structure_list.dimension
_array_structure_list.precedence
_array_structure_list.direction
_array_structure_list.axis_set_id
ARRAY1 1 487 1 increasing ELEMENT_X
ARRAY1 2 407 2 increasing ELEMENT_Y
loop_
_array_structure_list_axis.axis_set_id
_array_structure_list_axis.axis_id
_array_structure_list_axis.displacement
_array_structure_list_axis.displacement_increment
ELEMENT_X ELEMENT_X 0.0 0.1720
ELEMENT_Y ELEMENT_Y 0.0 {pitch}
;"""


def write(path: Path, **changes: str) -> Path:
    """An image whose CIF categories follow the comment lines, outside their text field."""
    told = {"omega": "-30.0", "step": "0.5", "carrier": "ARM", "pitch": "0.1720", **changes}
    loops = LOOPS.format(**told).removesuffix("\n;")
    # The writer closes the text field after the header; the loops must come after that.
    data = write_image(path, text=header_text()).read_bytes()
    mark = b";\r\n\r\n_array_data.data"
    assert mark in data
    lines = loops.removeprefix("\n;").replace("\n", "\r\n").encode()
    path.write_bytes(data.replace(mark, b";" + lines + b"\r\n_array_data.data", 1))
    return path


def test_axes_place_detector_and_goniometer(tmp_path: Path) -> None:
    header = PilatusCbf().open([write(tmp_path / "a.cbf")]).header(0)
    arm = rotation((1, 0, 0), radians(25.0))
    root = header.detector.root
    np.testing.assert_allclose(root.origin, arm @ [-40.0, 35.0, -151.0], atol=1e-9)
    np.testing.assert_allclose([root.fast, root.slow], [arm @ [1, 0, 0], arm @ [0, -1, 0]], atol=1e-12)
    assert len(header.detector) == 2
    goniometer = header.goniometer
    assert goniometer is not None and goniometer.names == ("PHI", "KAPPA", "OMEGA")
    kappa = rotation((0.6428, -0.7660, 0.0), radians(40.0))
    np.testing.assert_allclose(goniometer.F, kappa @ rotation((1, 0, 0), radians(15.0)), atol=1e-12)
    assert goniometer.rotation_axis == (1.0, 0.0, 0.0)
    np.testing.assert_allclose([header.start, header.width], [radians(-30.0), radians(0.5)])
    assert header.exposure == 0.097
    assert header.notes == ()


def test_backwards_turns_the_axis(tmp_path: Path) -> None:
    header = PilatusCbf().open([write(tmp_path / "a.cbf", step="-0.5")]).header(0)
    assert header.goniometer is not None and header.goniometer.rotation_axis == (-1.0, 0.0, 0.0)
    np.testing.assert_allclose([header.start, header.width], [radians(30.0), radians(0.5)])


def test_a_negative_pitch_turns_the_direction(tmp_path: Path) -> None:
    root = PilatusCbf().open([write(tmp_path / "a.cbf", pitch="-0.1720")]).header(0).detector.root
    np.testing.assert_allclose(root.slow, rotation((1, 0, 0), radians(25.0)) @ [0, 1, 0], atol=1e-12)


def test_the_axes_can_be_left_out(tmp_path: Path) -> None:
    header = PilatusCbf(full_header=False).open([write(tmp_path / "a.cbf")]).header(0)
    assert header.detector.root.origin[2] == -200.0


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"DET_Z translation detector ARM", b"DET_Z translation detector NONE", "the axis NONE"),
        (b"ARM rotation detector .", b"ARM rotation detector ELEMENT_Y", "depends on itself"),
        (b"ARRAY1 2 407 2 increasing ELEMENT_Y", b"", "1 dimensions"),
        (b"PHI rotation goniometer KAPPA 1 0 0", b"PHI rotation goniometer KAPPA 1 0", ""),
        (b"PHI rotation goniometer KAPPA", b"PHI rotation goniometer OMEGA", "do not form one chain"),
        (b"-40.0 35.0 0", b"-40.0 here 0", "here"),
        (b"_array_structure_list_axis.", b"_another.", "_array_structure_list_axis"),
    ],
)
def test_a_broken_header_is_told(old: bytes, new: bytes, why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.cbf")
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(InputError) as caught:
        PilatusCbf().open([path]).header(0)
    assert "a.cbf" in caught.value.what
    assert why in caught.value.why
    assert "full_header=false" in caught.value.fix
