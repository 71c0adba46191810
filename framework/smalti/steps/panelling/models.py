"""Divide the panels of a detector into modules, or join modules to flat panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.superposition import rigid_motion
from smalti.models import Detector, Group, Node, Panel, layout_of, modular, vector

__all__ = ["Division", "to_modules", "to_single"]

Array = NDArray[np.float64]

_EXACT = 1e-9  # mm; below this a module lies where its group says


@dataclass(frozen=True, slots=True)
class Division:
    """A detector of coarse panels and one of fine panels, each on one of the coarse ones.

    Attributes
    ----------
    coarse, fine : Detector
    parent : (F,) intp
        The coarse panel of each fine one.
    offset : (F, 2) px
        Where on it the first pixel of the fine panel is.
    deviation : float
        How far the corners of the fine panels lie from the coarse plane at most, mm.
    """

    coarse: Detector
    fine: Detector
    parent: NDArray[np.intp]
    offset: Array
    deviation: float = 0.0


def to_modules(detector: Detector) -> Division:
    """Divide every panel whose module layout is known into its modules.

    A detector of one panel becomes root and modules; in a larger tree a divided panel becomes a
    group of modules in its place.
    """
    whole = detector.panels[0]
    if detector.root.children == (0,) and len(detector) == 1 and _layout(whole) is not None:
        d = detector.stacked()[0]
        placed = replace(whole, fast=vector(d[:, 0]), slow=vector(d[:, 1]), origin=vector(d[:, 2]))
        fine = _divided(placed)
        parent, offset = np.zeros(len(fine), dtype=np.intp), _windows(fine.panels) - np.array(whole.window)
        return Division(detector, replace(fine, extra=detector.extra), parent, offset)
    panels: list[Panel] = []
    origins: list[tuple[int, int, int]] = []
    root = _split(detector, detector.root, panels, origins)
    where = np.array(origins, dtype=np.intp).reshape(-1, 3)
    fine = Detector(tuple(panels), root, detector.extra)
    return Division(detector, fine, where[:, 0], where[:, 1:].astype(float))


def to_single(detector: Detector) -> Division:
    """Join the modules of every lowest group to one flat panel, the best plane through them.

    A root with modules becomes one panel; a barrel of rows becomes one panel per row. Modules that
    lie where the group says keep their exact places; otherwise the plane is a least-squares fit
    and ``deviation`` tells what is lost.
    """
    if len(detector) == 1:
        return Division(detector, detector, np.zeros(1, dtype=np.intp), np.zeros((1, 2)))
    joiner = _Joiner(detector)
    root = joiner.join((), detector.root)
    if isinstance(root, int):
        root = Group(detector.root.name, children=(root,))
    coarse = Detector(tuple(joiner.panels), root, detector.extra)
    placed = coarse.with_panel_frames(np.array(joiner.frames))
    return Division(placed, detector, joiner.parent, joiner.offset, joiner.deviation)


class _Joiner:
    """Walks a tree from the root down and gathers the panels that its lowest groups become."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.nodes = {node.path: node for node in detector.walk()}
        self.before = detector.stacked()
        self.panels: list[Panel] = []
        self.frames: list[Array] = []
        self.parent = np.zeros(len(detector), dtype=np.intp)
        self.offset = np.zeros((len(detector), 2))
        self.deviation = 0.0

    def join(self, path: tuple[int, ...], group: Group) -> Group | int:
        """Give a group anew, or the number of the panel that it became."""
        leaves = [child for child in group.children if isinstance(child, int)]
        tiles = [self.detector.panels[leaf] for leaf in leaves]
        if len(tiles) == len(group.children) > 1 and _joinable(tiles):
            panel, offsets = _joined(tiles, group.name if path else "Panel")
            frame, deviation = _fit(self.nodes[path], tiles, offsets, self.before[leaves])
            self.deviation = max(self.deviation, deviation)
            return self._add(panel, frame, leaves, offsets)
        children: list[Group | int] = []
        for k, child in enumerate(group.children):
            if isinstance(child, Group):
                children.append(self.join((*path, k), child))
            else:
                tile, frame = self.detector.panels[child], self.before[child]
                children.append(self._add(tile, frame, [child], np.zeros((1, 2))))
        return replace(group, children=tuple(children))

    def _add(self, panel: Panel, frame: Array, leaves: list[int], offsets: Array) -> int:
        number = len(self.panels)
        self.panels.append(panel)
        self.frames.append(frame)
        self.parent[leaves], self.offset[leaves] = number, offsets
        return number


def _layout(panel: Panel) -> tuple[Sequence[tuple[int, int]], tuple[int, int]] | None:
    layout = layout_of(panel.image_size, panel.pixel_size[0])
    return (layout.windows(), layout.module) if layout is not None and layout.grid != (1, 1) else None


def _divided(panel: Panel) -> Detector:
    layout = _layout(panel)
    if layout is None:
        raise ValueError(f"no layout for {panel.image_size}")
    return modular(panel, *layout)


def _windows(panels: Sequence[Panel]) -> Array:
    return np.array([panel.window for panel in panels], dtype=float)


def _split(
    detector: Detector, group: Group, panels: list[Panel], origins: list[tuple[int, int, int]]
) -> Group:
    """Copy a group with its panels divided; ``origins`` tells (coarse panel, fast, slow) of each new one."""
    children: list[Group | int] = []
    for child in group.children:
        if isinstance(child, Group):
            children.append(_split(detector, child, panels, origins))
            continue
        panel, first = detector.panels[child], len(panels)
        if _layout(panel) is None:
            panels.append(panel)
            origins.append((child, 0, 0))
            children.append(first)
            continue
        part = _divided(panel)
        named = [replace(p, name=f"{panel.name}-{p.name}" if panel.name else p.name) for p in part.panels]
        panels.extend(named)
        origins.extend(
            (child, p.window[0] - panel.window[0], p.window[1] - panel.window[1]) for p in part.panels
        )
        new = tuple(range(first, len(panels)))
        children.append(replace(part.root, name=panel.name, children=new))
    return replace(group, children=tuple(children))


def _joinable(panels: Sequence[Panel]) -> bool:
    """Whether panels are tiles of one raw frame: equal pixels, no two windows over one another."""
    if len({panel.pixel_size for panel in panels}) > 1:
        return False
    low = _windows(panels)
    high = low + np.array([panel.image_size for panel in panels])
    apart = (high[:, None] <= low[None, :]) | (high[None, :] <= low[:, None])
    return bool((apart.any(axis=2) | np.eye(len(panels), dtype=bool)).all())


def _joined(panels: Sequence[Panel], name: str) -> tuple[Panel, Array]:
    """One panel (not placed yet) over the windows of several, and their offsets on it (n, 2) px."""
    low = _windows(panels)
    corner = low.min(axis=0)
    size = (low + np.array([panel.image_size for panel in panels])).max(axis=0) - corner
    offsets = low - corner
    width, height = int(size[0]), int(size[1])
    mask = [(a, 0, b, height) for a, b in _gaps(panels, offsets, 0)]
    mask += [(0, a, width, b) for a, b in _gaps(panels, offsets, 1)]
    for panel, (x, y) in zip(panels, offsets.astype(int).tolist(), strict=True):
        mask += [(f0 + x, s0 + y, f1 + x, s1 + y) for f0, s0, f1, s1 in panel.mask]
    joined = replace(
        panels[0],
        name=name,
        image_size=(width, height),
        window=(int(corner[0]), int(corner[1])),
        mask=tuple(mask),
        extra={},
    )
    return joined, offsets


def _gaps(panels: Sequence[Panel], offsets: Array, side: int) -> list[tuple[int, int]]:
    """Stretches along fast (0) or slow (1) that no panel covers."""
    spans = sorted(
        (int(offset[side]), int(offset[side]) + panel.image_size[side])
        for panel, offset in zip(panels, offsets, strict=True)
    )
    gaps, end = [], 0
    for begin, stop in spans:
        if begin > end:
            gaps.append((end, begin))
        end = max(end, stop)
    return gaps


def _fit(node: Node, panels: Sequence[Panel], offsets: Array, frames: Array) -> tuple[Array, float]:
    """The frame (3, 3: fast, slow, origin) that brings the flat panel onto the modules; largest miss, mm."""
    pixel = np.array(panels[0].pixel_size)
    flat, real = [], []
    for panel, offset, d in zip(panels, offsets, frames, strict=True):
        for corner in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            xy = np.array(corner) * panel.image_size * pixel
            flat.append([*(offset * pixel + xy), 0.0])
            real.append(d @ np.array([*xy, 1.0]))
    source, target = np.array(flat), np.array(real)
    R, t = node.rotation, node.origin
    miss = np.linalg.norm(source @ R.T + t - target, axis=1).max()
    if miss > _EXACT:
        R, t = rigid_motion(source, target)
        miss = np.linalg.norm(source @ R.T + t - target, axis=1).max()
    return np.column_stack([R[:, 0], R[:, 1], t]), float(miss)
