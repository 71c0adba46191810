"""The elements of a detector in an imgCIF header: where the pixels of each array are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smalti.models import Vector, vector
from smalti_plugins.formats._axes import HeaderAxis, chain_of, number, place, rows, told

if TYPE_CHECKING:
    from gemmi import cif

__all__ = ["Element", "read_elements"]


_SQUARE = 1e-4  # cosine of the angle between fast and slow; headers give vectors to four decimals and more


@dataclass(frozen=True, slots=True)
class Element:
    """The pixels of one array and the axes that carry them.

    Attributes
    ----------
    array : str
        The ``array_id``.
    fast, slow, origin : Vector
        Frame of the pixels in the laboratory (mm).
    size : (fast, slow) px
    pixel_size : (fast, slow) mm
    carriers : tuple of HeaderAxis
        The axes that carry the pixels, outermost last.
    """

    array: str
    fast: Vector
    slow: Vector
    origin: Vector
    size: tuple[int, int]
    pixel_size: tuple[float, float]
    carriers: tuple[HeaderAxis, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """The axis along which an index of an array runs: setting of the first pixel (mm), mm a pixel."""

    axis: str
    first: float
    pitch: float


def read_elements(block: cif.Block, axes: Mapping[str, HeaderAxis]) -> list[Element]:
    """Place every array of a header, in the order in which they are described.

    Raises
    ------
    KeyError, ValueError
        A loop or an axis is missing or incomplete; the argument says which.
    """
    steps = {
        row["axis_set_id"]: _Step(
            row["axis_id"], number(row.get("displacement")), number(row.get("displacement_increment"))
        )
        for row in rows(block, "array_structure_list_axis", "axis_set_id", "axis_id")
    }
    arrays: dict[str, dict[int, tuple[_Step, int]]] = {}
    for row in rows(block, "array_structure_list", "array_id", "precedence", "axis_set_id"):
        if row["axis_set_id"] not in steps:
            raise KeyError(f"the axis set {row['axis_set_id']} of {row['array_id']}")
        step, dimension = steps[row["axis_set_id"]], int(number(row.get("dimension")))
        arrays.setdefault(row["array_id"], {})[int(row["precedence"])] = step, dimension
    sizes = _pixel_sizes(block)
    return [_element(name, indices, axes, sizes) for name, indices in arrays.items()]


def _element(
    name: str,
    indices: Mapping[int, tuple[_Step, int]],
    axes: Mapping[str, HeaderAxis],
    sizes: Mapping[tuple[str, int], float],
) -> Element:
    if set(indices) != {1, 2}:
        raise ValueError(f"The array {name} has {len(indices)} dimensions where two are needed")
    chains = {k: chain_of(axes, step.axis) for k, (step, _) in indices.items()}
    if not all(chains.values()):
        raise KeyError(f"the axis of an index of {name}")
    own = [chain[0].name for chain in chains.values()]
    # The axis that depends on the other one carries the offsets of both.
    last = next((name for name in own if not any(axes[other].depends_on == name for other in own)), own[0])
    carriers = [axis for axis in chain_of(axes, last) if axis.name not in own]
    if any([axis for axis in chain if axis.name not in own] != carriers for chain in chains.values()):
        raise ValueError(f"The pixels of {name} run along axes, {' and '.join(own)}, that part")
    R, t = place(carriers)
    directions: list[Vector] = []
    corner = np.zeros(3)
    for k in (1, 2):
        step, axis = indices[k][0], chains[k][0]
        if axis.turning:
            raise ValueError(f"The pixels of {name} run along {axis.name}, which is a rotation")
        if not any(axis.vector):
            raise ValueError(f"The axis {axis.name} has no direction")
        # The sign of the increment tells the direction, as CBFlib takes it; the word "increasing" is
        # not heard. The setting of the first pixel replaces that of the frame, where it is told.
        sign = -1.0 if step.pitch < 0.0 else 1.0
        directions.append(vector(sign * R @ np.array(axis.vector)))
        corner += np.array(axis.offset) + (step.first or axis.setting) * np.array(axis.vector)
    if abs(np.dot(directions[0], directions[1])) > _SQUARE:
        raise ValueError(f"The axes {' and '.join(own)} of {name} are not at right angles")
    pitch = [abs(indices[k][0].pitch) or sizes.get((name, k), 0.0) for k in (1, 2)]
    return Element(
        name,
        directions[0],
        directions[1],
        vector(R @ corner + t),
        (indices[1][1], indices[2][1]),
        (pitch[0], pitch[1]),
        tuple(carriers),
    )


def _pixel_sizes(block: cif.Block) -> dict[tuple[str, int], float]:
    """Pixel sizes (mm) of each array along each index, from a category that gives them in metres."""
    if not told(block, "array_element_size"):
        return {}
    return {
        (row["array_id"], int(row["index"])): 1000.0 * number(row.get("size"))
        for row in rows(block, "array_element_size", "array_id", "index")
    }
