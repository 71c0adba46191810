"""The axes of an imgCIF header: loops of the CIF text, settings in one frame, chains of dependence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, radians
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation
from smalti.models import Goniometer, Vector, vector

if TYPE_CHECKING:
    from gemmi import cif

__all__ = [
    "HeaderAxis",
    "chain_of",
    "goniometer_of",
    "header_block",
    "number",
    "place",
    "read_axes",
    "rows",
    "told",
]

Array = NDArray[np.float64]

_NOTHING = frozenset({"", ".", "?"})  # inapplicable and unknown

_PIXELS = re.compile(r"(?:\bloop_\s+)?_array_data\.(?:array_id|binary_id|data)\b")
"""Where the categories of a header end: what follows holds pixels, and is no CIF once they are cut off."""


@dataclass(frozen=True, slots=True)
class HeaderAxis:
    """One axis of the ``_axis`` loop with its setting in this frame.

    Attributes
    ----------
    turning : bool
        A rotation (else a translation).
    vector, offset : Vector
        Unit direction and offset (mm) in the frame of the axis that this one depends on.
    setting : float
        Degrees or mm.
    increment : float
        Degrees over this frame.
    """

    name: str
    turning: bool
    equipment: str
    depends_on: str
    vector: Vector
    offset: Vector
    setting: float
    increment: float


def header_block(text: str) -> cif.Block:
    """Parse the header of a CBF file, up to where its pixels begin.

    Raises
    ------
    ValueError, RuntimeError
        It is no CIF, or of several data blocks.
    """
    # gemmi is imported here because discovery imports every plugin, also for commands without images.
    from gemmi import cif

    return cif.read_string(_PIXELS.split(text, 1)[0]).sole_block()


def told(block: cif.Block, category: str) -> bool:
    """Whether a category is there."""
    return len(block.find_mmcif_category(f"_{category}.")) > 0


def rows(block: cif.Block, category: str, *needed: str) -> Iterator[Mapping[str, str]]:
    """Give the rows of a category, item name (without the category) to value.

    Raises
    ------
    KeyError
        The category is not there, or lacks one of the items ``needed``; the argument is what is missing.
    """
    from gemmi import cif

    table = block.find_mmcif_category(f"_{category}.")
    if len(table) == 0:
        raise KeyError(f"the category _{category}")
    names = [tag.removeprefix(f"_{category}.") for tag in table.tags]
    for name in needed:
        if name not in names:
            raise KeyError(f"_{category}.{name}")
    for row in table:
        yield {name: cif.as_string(value) for name, value in zip(names, row, strict=True)}


def number(value: str | None) -> float:
    """Read a CIF number, without its standard uncertainty; unknown and inapplicable count as zero."""
    if value is None or value in _NOTHING:
        return 0.0
    found = float(value.split("(")[0])
    if not isfinite(found):
        raise ValueError(f"'{value}' is no number of a geometry")
    return found


def read_axes(block: cif.Block, frame: str = "") -> dict[str, HeaderAxis]:
    """Read all axes, set as they were in one frame.

    Settings are those of ``_diffrn_scan_frame_axis``, else the start of ``_diffrn_scan_axis``, else zero.

    Parameters
    ----------
    block : cif.Block
    frame : str
        The ``frame_id`` meant; "" where the header is of one frame.

    Raises
    ------
    KeyError, ValueError
        A loop is missing or incomplete, a number is none.
    """
    settings = _settings(block, frame)
    axes = {}
    for row in rows(block, "axis", "id", "type", "depends_on", "vector[1]", "vector[2]", "vector[3]"):
        name = row["id"]
        angle, shift, increment = settings.get(name, (0.0, 0.0, 0.0))
        turning = row["type"] == "rotation"
        setting = angle if turning else shift
        direction = np.array([number(row[f"vector[{k}]"]) for k in (1, 2, 3)])
        length = float(np.linalg.norm(direction))
        if name in axes:
            raise ValueError(f"The axis {name} is described twice")
        if not length and setting:
            raise ValueError(f"The axis {name} has a setting but no direction")
        axes[name] = HeaderAxis(
            name,
            turning,
            row.get("equipment", ""),
            row["depends_on"],
            vector(direction / length if length else direction),
            vector([number(row.get(f"offset[{k}]")) for k in (1, 2, 3)]),
            setting,
            increment,
        )
    return axes


def _settings(block: cif.Block, frame: str) -> dict[str, tuple[float, float, float]]:
    """Angle, displacement and increment of the angle of each axis; those of the frame override the scan's."""
    settings: dict[str, tuple[float, float, float]] = {}
    found = False
    for category, angle, shift in (
        ("diffrn_scan_axis", "angle_start", "displacement_start"),
        ("diffrn_scan_frame_axis", "angle", "displacement"),
    ):
        if not told(block, category):
            continue
        found = True
        for row in rows(block, category, "axis_id"):
            if frame and row.get("frame_id", frame) != frame:
                continue
            step = row.get("angle_increment")
            before = settings.get(row["axis_id"], (0.0, 0.0, 0.0))[2]
            settings[row["axis_id"]] = (
                number(row.get(angle)),
                number(row.get(shift)),
                before if step is None else number(step),
            )
    if not found:
        raise KeyError("the category _diffrn_scan_frame_axis")
    return settings


def chain_of(axes: Mapping[str, HeaderAxis], name: str) -> list[HeaderAxis]:
    """Give an axis and those that carry it, outermost last.

    Raises
    ------
    KeyError, ValueError
        An axis is missing, or depends on itself.
    """
    chain: list[HeaderAxis] = []
    while name not in _NOTHING:
        if name not in axes:
            carried = f", on which {chain[-1].name} depends" if chain else ""
            raise KeyError(f"the axis {name}{carried}")
        if axes[name] in chain:
            raise ValueError(f"The axis {name} depends on itself")
        chain.append(axes[name])
        name = axes[name].depends_on
    return chain


def place(chain: list[HeaderAxis]) -> tuple[Array, Array]:
    """Rotation (3, 3) and position (3,) mm at the end of a chain of axes."""
    R, t = np.eye(3), np.zeros(3)
    for axis in chain:
        direction = np.array(axis.vector)
        if axis.turning and any(axis.vector):  # one without a direction has no setting either
            turn = rotation(direction, radians(axis.setting))
            R, t = turn @ R, turn @ t + np.array(axis.offset)
        else:
            t = t + np.array(axis.offset) + direction * axis.setting
    return R, t


def goniometer_of(axes: Mapping[str, HeaderAxis]) -> tuple[Goniometer | None, float, float]:
    """Goniometer with the crystal's side first, and start and width of its scan axis (radians)."""
    own = {name: axis for name, axis in axes.items() if axis.equipment == "goniometer" and axis.turning}
    if not own:
        return None, 0.0, 0.0
    carried = {axis.depends_on for axis in own.values()}
    ends = [name for name in own if name not in carried]
    if len(ends) != 1:
        raise ValueError(f"The goniometer axes {', '.join(own)} do not form one chain")
    chain = [axis for axis in chain_of(axes, ends[0]) if axis.turning]
    if not all(any(axis.vector) for axis in chain):
        raise ValueError(f"An axis of the goniometer has no direction: {', '.join(a.name for a in chain)}")
    scan = next((k for k, axis in enumerate(chain) if axis.increment), len(chain) - 1)
    # A sweep backwards is a sweep forwards about the reversed axis: widths stay positive.
    back = chain[scan].increment < 0.0
    vectors = [axis.vector for axis in chain]
    angles = [radians(axis.setting) for axis in chain]
    if back:
        vectors[scan] = vector(0.0 - np.array(vectors[scan]))  # no minus zero
        angles[scan] = -angles[scan]
    names = tuple(axis.name for axis in chain)
    goniometer = (
        Goniometer.multi_axis(tuple(vectors), tuple(angles), names, scan)
        if len(chain) > 1
        else Goniometer(vectors[0])
    )
    return goniometer, angles[scan], radians(abs(chain[scan].increment))
