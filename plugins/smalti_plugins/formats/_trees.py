"""From panels that hang on chains of axes to the tree of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector, Group, Panel, vector

__all__ = ["Axis", "Hung", "hang"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """One axis that carries panels, at its setting.

    Attributes
    ----------
    key : str
        Tells axes apart: panels with the same key hang on the same axis.
    name : str
        For people.
    rotation : (3, 3)
        Columns: the axis's frame in the laboratory.
    origin : (3,) mm
        Its origin in the laboratory.
    """

    key: str
    name: str
    rotation: Array
    origin: Array


@dataclass(frozen=True)
class Hung:
    """A panel, placed in the laboratory, and the axes that carry it, laboratory side first."""

    panel: Panel
    axes: tuple[Axis, ...]


def hang(items: Sequence[Hung], name: str = "Detector") -> Detector:
    """Make the tree: a group wherever panels part.

    Axes that carry the same panels, one on the other, are one group in the frame of the innermost; an
    axis of a single panel is no group. The root is at the laboratory's origin where panels share no axis.

    Parameters
    ----------
    items : sequence of Hung
        In the order of the panels.
    name : str
        Of the root.
    """
    panels: list[Panel] = [item.panel for item in items]
    rotation, origin, depth = np.eye(3), np.zeros(3), _common(items, 0)
    if depth and len(items) > 1:
        axis = items[0].axes[depth - 1]
        rotation, origin = axis.rotation, axis.origin
    children = _children(list(enumerate(items)), depth, (rotation, origin), panels)
    root = Group(name, vector(rotation[:, 0]), vector(rotation[:, 1]), vector(origin), children)
    return Detector(tuple(panels), root)


def _common(items: Sequence[Hung], depth: int) -> int:
    """How many axes all items share."""
    while all(len(item.axes) > depth for item in items):
        if len({item.axes[depth].key for item in items}) > 1:
            break
        depth += 1
    return depth


def _children(
    items: list[tuple[int, Hung]], depth: int, parent: tuple[Array, Array], panels: list[Panel]
) -> tuple[Group | int, ...]:
    """Divide items by their next axis; panels get their frames relative to the group they end up in."""
    branches: dict[str, list[tuple[int, Hung]]] = {}
    for number, item in items:
        key = item.axes[depth].key if len(item.axes) > depth else f"\0{number}"
        branches.setdefault(key, []).append((number, item))
    out: list[Group | int] = []
    for branch in branches.values():
        if len(branch) == 1:
            number, item = branch[0]
            panels[number] = _relative(item.panel, parent)
            out.append(number)
            continue
        deeper = _common([item for _, item in branch], depth)
        axis = branch[0][1].axes[deeper - 1]
        own = (axis.rotation, axis.origin)
        fast, slow, origin = _seen_from(parent, axis.rotation[:, 0], axis.rotation[:, 1], axis.origin)
        below = _children(branch, deeper, own, panels)
        out.append(Group(axis.name, vector(fast), vector(slow), vector(origin), below))
    return tuple(out)


def _relative(panel: Panel, parent: tuple[Array, Array]) -> Panel:
    found = _seen_from(parent, *(np.array(item) for item in (panel.fast, panel.slow, panel.origin)))
    fast, slow, origin = (vector(item) for item in found)
    return replace(panel, fast=fast, slow=slow, origin=origin)


def _seen_from(
    parent: tuple[Array, Array], fast: Array, slow: Array, origin: Array
) -> tuple[Array, Array, Array]:
    rotation, start = parent
    return rotation.T @ fast, rotation.T @ slow, rotation.T @ (origin - start)
