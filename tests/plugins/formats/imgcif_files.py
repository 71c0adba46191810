"""Small imgCIF files of a detector of quadrants, sensors and ASICs, each an array of its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti_ext.byte_offset import encode

SIZE = (6, 5)  # fast, slow px
PIXEL = 0.11  # mm
DISTANCE = 150.0
NAMES = tuple(f"Q{q}S{s}A{a}" for q in (0, 1) for s in (0, 1) for a in (0, 1))
TURN = 25.0  # deg, of every second sensor

_AXIS = """loop_
_axis.id
_axis.type
_axis.equipment
_axis.depends_on
_axis.vector[1]
_axis.vector[2]
_axis.vector[3]
_axis.offset[1]
_axis.offset[2]
_axis.offset[3]
 SOURCE general source . 0 0 1 . . .
 ARM_Z translation detector . 0 0 1 . . .
 ARM_R rotation detector ARM_Z 0 0 1 0 0 0
"""

_TEMPLATE = """###CBF: VERSION 1.5

data_test

_diffrn.id DS1
_diffrn_detector.diffrn_id DS1
_diffrn_detector.id FRONT
_diffrn_detector.type 'CS PAD'
_diffrn_radiation_wavelength.id W1
_diffrn_radiation_wavelength.wavelength 1.25
_diffrn_radiation_wavelength.wt 1.0
_diffrn_scan_frame.frame_id FRAME1
_diffrn_scan_frame.integration_time 0.5
_diffrn_scan_frame.date 2013-11-06T04:03Z04.531

loop_
_diffrn_data_frame.id
_diffrn_data_frame.detector_element_id
_diffrn_data_frame.array_id
_diffrn_data_frame.binary_id
{frames}
{axes}
loop_
_diffrn_scan_frame_axis.axis_id
_diffrn_scan_frame_axis.frame_id
_diffrn_scan_frame_axis.angle
_diffrn_scan_frame_axis.displacement
 ARM_Z FRAME1 0 -{distance}
 ARM_R FRAME1 90 0
{scan}
loop_
_array_structure_list.array_id
_array_structure_list.index
_array_structure_list.dimension
_array_structure_list.precedence
_array_structure_list.direction
_array_structure_list.axis_set_id
{arrays}
loop_
_array_structure_list_axis.axis_set_id
_array_structure_list_axis.axis_id
_array_structure_list_axis.displacement
_array_structure_list_axis.displacement_increment
{steps}
loop_
_array_intensities.array_id
_array_intensities.binary_id
_array_intensities.linearity
_array_intensities.gain
_array_intensities.gain_esd
_array_intensities.overload
_array_intensities.undefined_value
{levels}
loop_
_array_data.array_id
_array_data.binary_id
_array_data.data
"""


def header(names: Sequence[str] = NAMES) -> str:
    """The categories before the pixels."""
    axes, scan, arrays, steps, frames, levels = _AXIS, "", "", "", "", ""
    for q in sorted({name[1] for name in names}):
        axes += f" FS_Q{q} rotation detector ARM_R 0 0 1 {-40 + 80 * int(q)} 10 0.5\n"
        scan += f" FS_Q{q} FRAME1 0 0\n"
    for sensor in sorted({name[:4] for name in names}):
        s = int(sensor[3])
        axes += f" FS_{sensor} rotation detector FS_{sensor[:2]} 0 0 1 5 {20 * s} 0.25\n"
        scan += f" FS_{sensor} FRAME1 {TURN * s} 0\n"
    for k, name in enumerate(names):
        axes += f" FS_{name} rotation detector FS_{name[:4]} 0 0 1 {-1.0 + 2 * int(name[5])} 0 0\n"
        axes += f" {name}_S translation detector FS_{name} 0 -1 0 -0.33 0.275 0\n"
        axes += f" {name}_F translation detector {name}_S 1 0 0 0 0 0\n"
        arrays += f" ARRAY_{name} 1 {SIZE[0]} 1 increasing {name}_F\n"
        arrays += f" ARRAY_{name} 2 {SIZE[1]} 2 increasing {name}_S\n"
        steps += f" {name}_F {name}_F 0.0 {PIXEL}\n {name}_S {name}_S 0.0 {PIXEL}\n"
        frames += f" FRAME1 ELE_{name} ARRAY_{name} {k + 1}\n"
        levels += f" ARRAY_{name} {k + 1} linear {2.5 if k == 0 else 1.0} 0.1 16383 0.0\n"
    return _TEMPLATE.format(
        frames=frames, axes=axes, distance=DISTANCE, scan=scan, arrays=arrays, steps=steps, levels=levels
    )


def counts(number: int) -> NDArray[np.int32]:
    """Counts of one array, (slow, fast): its number in each, and different in each pixel."""
    return (1000 * number + np.arange(SIZE[0] * SIZE[1], dtype=np.int32)).reshape(SIZE[1], SIZE[0])


def section(number: int, payload: bytes, conversion: str, kind: str) -> bytes:
    """One binary section."""
    lines = [
        f" ARRAY {number}",
        ";",
        "--CIF-BINARY-FORMAT-SECTION--",
        "Content-Type: application/octet-stream;",
        *([f'     conversions="{conversion}"'] if conversion else []),
        "Content-Transfer-Encoding: BINARY",
        f"X-Binary-Size: {len(payload)}",
        f"X-Binary-ID: {number}",
        f'X-Binary-Element-Type: "{kind}"',
        "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
        f"Content-MD5: {base64.b64encode(hashlib.md5(payload).digest()).decode()}",
        f"X-Binary-Size-Fastest-Dimension: {SIZE[0]}",
        f"X-Binary-Size-Second-Dimension: {SIZE[1]}",
        "",
        "",
    ]
    end = b"\r\n--CIF-BINARY-FORMAT-SECTION----\r\n;\r\n"
    return "\r\n".join(lines).encode() + b"\x0c\x1a\x04\xd5" + payload + end


def compressed(number: int) -> bytes:
    """A section of integers in byte-offset compression."""
    return section(number, encode(counts(number)), "x-CBF_BYTE_OFFSET", "signed 32-bit integer")


def write_imgcif(
    path: Path,
    names: Sequence[str] = NAMES,
    order: Sequence[int] | None = None,
    make: Callable[[int], bytes] = compressed,
    changes: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write a file; ``order`` is that of its sections, by number from 1."""
    text = header(names)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    data = text.replace("\n", "\r\n").encode()
    for number in order or range(1, len(names) + 1):
        data += make(number)
    path.write_bytes(data)
    return path
