"""One raw frame for a detector whose modules are written as arrays of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smalti.models import Detector, Group, Panel

__all__ = ["on_one_frame"]

# The pixels between two panels of a group: as many as the reach of the usual kernel of spot finders,
# and the true distance of the two ASICs of a CS-PAD sensor, which can so be joined to one flat panel.
_BESIDE = 3
# The pixels between groups: more than the reach of what is looked at around a spot.
_APART = 8

Windows = dict[int, tuple[int, int]]
Size = tuple[int, int]


def on_one_frame(detector: Detector) -> tuple[Detector, Size]:
    """Give every panel its window on one frame, and the size of that frame (fast, slow).

    The panels of a lowest group stand side by side, groups below one another, and where there are
    groups of groups those of the root side by side again: a CS-PAD gives columns of quadrants with
    rows of sensors, as its raw images are usually stored. The places depend on the tree and on the
    sizes of the panels alone, not on where these are: two headers of one detector give the same.
    """
    windows, size = _block(detector.root, detector.panels, 0)
    panels = tuple(replace(panel, window=windows[k]) for k, panel in enumerate(detector.panels))
    return replace(detector, panels=panels), size


def _block(group: Group, panels: Sequence[Panel], level: int) -> tuple[Windows, Size]:
    blocks: list[tuple[Windows, Size]] = []
    for child in group.children:
        if isinstance(child, Group):
            blocks.append(_block(child, panels, level + 1))
        else:
            blocks.append(({child: (0, 0)}, panels[child].image_size))
    groups = [child for child in group.children if isinstance(child, Group)]
    if not groups:
        return _lined_up(blocks, 0, _BESIDE)
    nested = any(isinstance(below, Group) for child in groups for below in child.children)
    return _lined_up(blocks, 0 if nested and level == 0 else 1, _APART)


def _lined_up(blocks: Sequence[tuple[Windows, Size]], side: int, gap: int) -> tuple[Windows, Size]:
    """Put blocks one after the other along fast (0) or slow (1)."""
    windows: Windows = {}
    at, across = 0, 0
    for inner, size in blocks:
        for panel, (x, y) in inner.items():
            windows[panel] = (x + at, y) if side == 0 else (x, y + at)
        at += size[side] + gap
        across = max(across, size[1 - side])
    along = at - gap
    return windows, (along, across) if side == 0 else (across, along)
