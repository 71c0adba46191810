"""Full CBF headers: the axes of goniometer and detector as an imgCIF dictionary lays them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import radians
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.geometry.rotation import rotation
from smalti.models import Goniometer, Vector, vector

if TYPE_CHECKING:
    from gemmi import cif

__all__ = ["FullHeader", "has_axes", "parse_fullcbf"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
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


@dataclass(frozen=True, slots=True)
class FullHeader:
    """Where a full header puts detector and goniometer.

    Attributes
    ----------
    fast, slow, origin : Vector
        Frame of the pixels in the laboratory (mm).
    goniometer : Goniometer or None
    start, width : float
        Of the scan axis, radians.
    """

    fast: Vector
    slow: Vector
    origin: Vector
    goniometer: Goniometer | None
    start: float
    width: float


def has_axes(text: str) -> bool:
    """Tell whether a header describes its axes."""
    return "_axis.vector[1]" in text and "_array_structure_list" in text


def parse_fullcbf(text: str, path: Path) -> FullHeader:
    """Parse the axes of a full CBF header.

    imgCIF's laboratory frame is ours: x along the principal goniometer axis, z towards the source
    [International Tables G, 3.7].

    Raises
    ------
    InputError
        A loop or an axis is missing or incomplete; names the file and the place.
    """
    # gemmi is imported here because discovery imports every plugin, also for commands without images.
    from gemmi import cif

    try:
        block = cif.read_string(text.rsplit("_array_data.data", 1)[0]).sole_block()
        axes = _axes(block)
        fast, slow, origin = _pixels(block, axes)
        goniometer, start, width = _goniometer(axes)
    except KeyError as error:
        raise _incomplete(path, f"It lacks {error.args[0]}.") from None
    except (ValueError, RuntimeError) as error:
        raise _incomplete(path, f"{error}.") from None
    return FullHeader(fast, slow, origin, goniometer, start, width)


def _incomplete(path: Path, why: str) -> InputError:
    return InputError(
        f"The CIF part of the header of {path} cannot be understood.",
        why,
        "If its comment lines are right, leave the axes out: --set pilatus_cbf.full_header=false",
    )


def _rows(block: cif.Block, category: str) -> Iterator[Mapping[str, str]]:
    """Give the rows of a category, item name (without the category) to value."""
    from gemmi import cif

    table = block.find_mmcif_category(f"_{category}.")
    if len(table) == 0:
        raise KeyError(f"the category _{category}")
    names = [tag.removeprefix(f"_{category}.") for tag in table.tags]
    for row in table:
        yield {name: cif.as_string(value) for name, value in zip(names, row, strict=True)}


def _axes(block: cif.Block) -> dict[str, Axis]:
    settings: dict[str, tuple[float, float]] = {}
    for row in _rows(block, "diffrn_scan_axis"):
        angle, shift = _number(row.get("angle_start")), _number(row.get("displacement_start"))
        settings[row["axis_id"]] = (angle or shift, _number(row.get("angle_increment")))
    for row in _rows(block, "diffrn_scan_frame_axis"):
        angle, shift = _number(row.get("angle")), _number(row.get("displacement"))
        settings[row["axis_id"]] = (angle or shift, settings.get(row["axis_id"], (0.0, 0.0))[1])
    axes = {}
    for row in _rows(block, "axis"):
        setting, increment = settings.get(row["id"], (0.0, 0.0))
        direction = np.array([_number(row.get(f"vector[{k}]")) for k in (1, 2, 3)])
        length = float(np.linalg.norm(direction))
        axes[row["id"]] = Axis(
            row["id"],
            row["type"] == "rotation",
            row["equipment"],
            row["depends_on"],
            vector(direction / length if length else direction),
            vector([_number(row.get(f"offset[{k}]")) for k in (1, 2, 3)]),
            setting,
            increment,
        )
    return axes


def _number(value: str | None) -> float:
    """Read a CIF number; unknown and inapplicable count as zero."""
    return float(value) if value and value not in {".", "?"} else 0.0


def _chain(axes: Mapping[str, Axis], name: str) -> list[Axis]:
    """Give an axis and those that carry it, outermost last."""
    chain: list[Axis] = []
    while name and name not in {".", "?"}:
        axis = axes[name] if name in axes else None
        if axis is None:
            raise KeyError(f"the axis {name}")
        if axis in chain:
            raise ValueError(f"The axis {name} depends on itself")
        chain.append(axis)
        name = axis.depends_on
    return chain


def _place(chain: list[Axis]) -> tuple[Array, Array]:
    """Rotation (3, 3) and position (3,) mm at the end of a chain of axes."""
    R, t = np.eye(3), np.zeros(3)
    for axis in chain:
        direction = np.array(axis.vector)
        if axis.turning:
            turn = rotation(direction, radians(axis.setting))
            R, t = turn @ R, turn @ t + np.array(axis.offset)
        else:
            t = t + np.array(axis.offset) + direction * axis.setting
    return R, t


def _pixels(block: cif.Block, axes: Mapping[str, Axis]) -> tuple[Vector, Vector, Vector]:
    """Fast, slow and origin of the pixels in the laboratory."""
    step = {
        row["axis_set_id"]: (row["axis_id"], _number(row.get("displacement_increment")))
        for row in _rows(block, "array_structure_list_axis")
    }
    directions: dict[int, tuple[Vector, str]] = {}
    for row in _rows(block, "array_structure_list"):
        name, increment = step[row["axis_set_id"]]
        chain = _chain(axes, name)
        R, _ = _place(chain[1:])
        sign = -1.0 if increment < 0.0 else 1.0
        directions[int(row["precedence"])] = (vector(sign * R @ np.array(chain[0].vector)), name)
    if set(directions) != {1, 2}:
        raise ValueError(f"The image has {len(directions)} dimensions where two are needed")
    # The axis that depends on the other one carries the offsets of both.
    names = [name for _, name in directions.values()]
    last = next(name for name in names if not any(axes[other].depends_on == name for other in names))
    _, origin = _place(_chain(axes, last))
    return directions[1][0], directions[2][0], vector(origin)


def _goniometer(axes: Mapping[str, Axis]) -> tuple[Goniometer | None, float, float]:
    """Goniometer with the crystal's side first, and start and width of its scan axis (radians)."""
    own = {name: axis for name, axis in axes.items() if axis.equipment == "goniometer" and axis.turning}
    if not own:
        return None, 0.0, 0.0
    carried = {axis.depends_on for axis in own.values()}
    ends = [name for name in own if name not in carried]
    if len(ends) != 1:
        raise ValueError(f"The goniometer axes {', '.join(own)} do not form one chain")
    chain = [axis for axis in _chain(axes, ends[0]) if axis.turning]
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
