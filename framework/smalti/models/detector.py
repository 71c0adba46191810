"""The detector: a tree of groups and panels, each in a frame relative to its parent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models.frames import Vector, vector

__all__ = ["NO_COUNT", "Detector", "Group", "Node", "Panel"]

NO_COUNT = -0.5
"""Lower trusted limit of counters: between the count 0 and the -1 of what is no pixel.

Being no whole number it means the same to programs that include the limits (smalti, later versions of
DIALS) and to those that leave them out (DIALS 3.12, to which [0, ...] makes every pixel without a
photon untrusted).
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One flat tile of pixels.

    ``fast``, ``slow`` and ``origin`` are relative to the parent group; the point of the panel at
    (x, y) mm is origin + x fast + y slow, and pixel (0, 0) has its outer corner at the origin.

    Attributes
    ----------
    fast, slow : Vector
        Unit vectors along increasing fast and slow pixel number.
    origin : Vector
        Outer corner of the first pixel, mm.
    image_size : tuple of int
        Pixels along fast and slow.
    pixel_size : tuple of float
        mm along fast and slow.
    window : tuple of int
        Fast and slow pixel of this panel's first pixel in the raw frame.
    trusted_range : tuple of float
        Smallest and largest trusted count, both trusted.
    thickness, mu : float
        Sensor thickness (mm) and linear attenuation coefficient (1/mm).
    material : str
        Sensor material ("Si", "CdTe", "GaAs", "").
    parallax : bool
        Whether pixel-to-millimetre conversion corrects for the depth of absorption.
    mask : tuple of (f0, s0, f1, s1)
        Untrusted rectangles in pixels of this panel, half-open.
    """

    name: str
    fast: Vector
    slow: Vector
    origin: Vector
    image_size: tuple[int, int]
    pixel_size: tuple[float, float]
    window: tuple[int, int] = (0, 0)
    trusted_range: tuple[float, float] = (0.0, 65535.0)
    type: str = "SENSOR_PAD"
    thickness: float = 0.0
    material: str = ""
    mu: float = 0.0
    parallax: bool = False
    gain: float = 1.0
    pedestal: float = 0.0
    identifier: str = ""
    mask: tuple[tuple[int, int, int, int], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the panel, mm."""
        return self.image_size[0] * self.pixel_size[0], self.image_size[1] * self.pixel_size[1]


@dataclass(frozen=True, slots=True)
class Group:
    """A rigid group of panels or of further groups, in a frame relative to its parent.

    ``children`` holds groups and, for panels, their index in :attr:`Detector.panels`.
    """

    name: str
    fast: Vector = (1.0, 0.0, 0.0)
    slow: Vector = (0.0, 1.0, 0.0)
    origin: Vector = (0.0, 0.0, 0.0)
    children: tuple[Group | int, ...] = ()
    type: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Node:
    """A group or panel as met on a walk through the tree.

    Attributes
    ----------
    path : tuple of int
        Positions among the children from the root down; () is the root.
    level : int
        Depth; the root is at 0.
    name : str
        Name of the group or panel.
    group : Group or None
        The group; None for a panel.
    panels : tuple of int
        Indices of all panels below (for a panel: itself).
    rotation : NDArray
        (3, 3), columns fast, slow, normal of the node's frame in the laboratory.
    origin : NDArray
        (3,) mm, laboratory.
    """

    path: tuple[int, ...]
    level: int
    name: str
    group: Group | None
    panels: tuple[int, ...]
    rotation: NDArray[np.float64]
    origin: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detector:
    """Panels in a fixed order and the tree that says how they hang together.

    The order of ``panels`` is the numbering of reflection tables; the tree's leaves refer to it.
    The frame of the root is relative to the laboratory.
    """

    panels: tuple[Panel, ...]
    root: Group
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    _frames: list[NDArray[np.float64]] = field(default_factory=list, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.panels)

    @classmethod
    def flat(cls, panels: tuple[Panel, ...], name: str = "Detector") -> Detector:
        """Build a detector whose panels hang directly from a root at the laboratory frame."""
        return cls(panels, Group(name, children=tuple(range(len(panels)))))

    def walk(self) -> Iterator[Node]:
        """Visit the root, then every group and panel below, parents before children."""
        yield from _walk(self, self.root, (), np.eye(3), np.zeros(3))

    def nodes(self, level: int) -> tuple[Node, ...]:
        """Give the nodes at one level; a panel above that level stands for itself.

        Level 0 is the root alone, level 1 its children, and so on; a branch that ends earlier is
        represented by its panel, so that together the nodes always hold every panel once.
        """
        return tuple(n for n in self.walk() if n.level == level or (n.group is None and n.level < level))

    @property
    def depth(self) -> int:
        """The deepest level: 1 for a root with panels."""
        return max(node.level for node in self.walk())

    def stacked(self) -> NDArray[np.float64]:
        """The d matrices of all panels in the laboratory, (P, 3, 3): columns fast, slow, origin (mm)."""
        if not self._frames:  # a tree is walked once, however many ask
            self._frames.append(self._stack())
        return self._frames[0].copy()

    def _stack(self) -> NDArray[np.float64]:
        d = np.empty((len(self.panels), 3, 3))
        for node in self.walk():
            if node.group is None:
                d[node.panels[0], :, :2] = node.rotation[:, :2]
                d[node.panels[0], :, 2] = node.origin
        return d

    def with_panel_frames(self, d: NDArray[np.float64]) -> Detector:
        """Place every panel at a laboratory frame, (P, 3, 3) as in :meth:`stacked`; groups stay.

        The frames of the groups do not move; those of the panels are written relative to them.
        """
        panels = list(self.panels)
        for node in self.walk():
            if node.group is not None:
                for child in node.group.children:
                    if isinstance(child, int):
                        local = node.rotation.T @ d[child]
                        origin = node.rotation.T @ (d[child, :, 2] - node.origin)
                        panels[child] = replace(
                            panels[child],
                            fast=vector(local[:, 0]),
                            slow=vector(local[:, 1]),
                            origin=vector(origin),
                        )
        return replace(self, panels=tuple(panels))

    def moved(
        self, motions: Mapping[tuple[int, ...], tuple[NDArray[np.float64], NDArray[np.float64]]]
    ) -> Detector:
        """Move nodes rigidly, each with everything below it.

        Parameters
        ----------
        motions : Mapping
            Path of a node to (R, t), (3, 3) and (3,) mm: a laboratory point x of that node goes to
            R x + t. Motions of parents and children compose: the child's is applied first, in the
            frame before the parent moved.
        """
        panels = list(self.panels)
        root = _move(self.root, (), np.eye(3), np.zeros(3), motions, panels)
        return replace(self, panels=tuple(panels), root=root)


def _axes(item: Group | Panel) -> NDArray[np.float64]:
    """Columns fast, slow, fast x slow; written out, as a tree is walked at every step of a refinement."""
    (a, b, c), (d, e, f) = item.fast, item.slow
    return np.array([[a, d, b * f - c * e], [b, e, c * d - a * f], [c, f, a * e - b * d]])


def _leaves(group: Group) -> tuple[int, ...]:
    found: list[int] = []
    for child in group.children:
        found.extend((child,) if isinstance(child, int) else _leaves(child))
    return tuple(found)


def _walk(
    detector: Detector,
    group: Group,
    path: tuple[int, ...],
    rotation: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> Iterator[Node]:
    here = rotation @ _axes(group)
    at = rotation @ np.array(group.origin) + origin
    yield Node(path, len(path), group.name, group, _leaves(group), here, at)
    for k, child in enumerate(group.children):
        if isinstance(child, int):
            panel = detector.panels[child]
            yield Node(
                (*path, k),
                len(path) + 1,
                panel.name,
                None,
                (child,),
                here @ _axes(panel),
                here @ np.array(panel.origin) + at,
            )
        else:
            yield from _walk(detector, child, (*path, k), here, at)


def _move(
    group: Group,
    path: tuple[int, ...],
    parent_rotation: NDArray[np.float64],
    parent_origin: NDArray[np.float64],
    motions: Mapping[tuple[int, ...], tuple[NDArray[np.float64], NDArray[np.float64]]],
    panels: list[Panel],
) -> Group:
    """Rebuild a group and everything below it; the parent's frame is given as it stood."""
    # A motion is turned into the frame of the parent as it stood and applied to the relative frame:
    # what does not move keeps its exact numbers, and what hangs below follows by itself.
    fast, slow, origin = _moved_frame(group, path, parent_rotation, parent_origin, motions)
    here = parent_rotation @ _axes(group)
    at = parent_rotation @ np.array(group.origin) + parent_origin
    children: list[Group | int] = []
    for k, child in enumerate(group.children):
        if isinstance(child, int):
            moved = _moved_frame(panels[child], (*path, k), here, at, motions)
            panels[child] = replace(panels[child], fast=moved[0], slow=moved[1], origin=moved[2])
            children.append(child)
        else:
            children.append(_move(child, (*path, k), here, at, motions, panels))
    return replace(group, fast=fast, slow=slow, origin=origin, children=tuple(children))


def _moved_frame(
    item: Group | Panel,
    path: tuple[int, ...],
    parent_rotation: NDArray[np.float64],
    parent_origin: NDArray[np.float64],
    motions: Mapping[tuple[int, ...], tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[Vector, Vector, Vector]:
    if path not in motions:
        return item.fast, item.slow, item.origin
    R, t = motions[path]
    turn = parent_rotation.T @ R @ parent_rotation
    shift = parent_rotation.T @ (R @ parent_origin + t - parent_origin)
    return vector(turn @ item.fast), vector(turn @ item.slow), vector(turn @ item.origin + shift)
