"""Which detectors are one, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.tiles import why_apart
from smalti.text import ranges

__all__ = ["tiles_row", "tiles_text"]

_MOST = 12
"""Runs of detector numbers that are spelt out."""


def tiles_row(layout: Layout) -> dict[str, Any]:
    """Tell which detectors share their tiles, and why others keep their own.

    Returns
    -------
    dict
        ``shared``: lists of numbers of detectors that are one; ``parameters``: of the tiles of each;
        ``apart``: number and reason of detectors that are alone among several.
    """
    blocks = [layout.detector_block(number) for number in layout.panel_offset]
    groups: dict[int, list[int]] = {}
    below: list[int] = []
    for block in blocks:
        if block.leader:
            groups.setdefault(block.leader, []).append(block.number)
            if block.leader == block.number:
                below.append(sum(block.below))
    alone = [block for block in blocks if not block.leader]
    apart = [row for block in alone[:_MOST] if len(blocks) > 1 and (row := _apart(block, blocks[0]))]
    return {"shared": list(groups.values()), "parameters": below, "apart": apart}


def _apart(block: DetectorBlock, first: DetectorBlock) -> dict[str, Any] | None:
    if block is first:
        return None
    reason = why_apart(block, first)
    return {"detector": block.number, "from": first.number, "reason": reason} if reason else None


def tiles_text(row: Mapping[str, Any]) -> str:
    """Say it in sentences."""
    said = [
        f"Detectors {ranges(group, _MOST)} are one detector: they share {n} parameters of its tiles, and "
        "each stands in a frame of its own."
        for group, n in zip(row["shared"], row["parameters"], strict=True)
    ]
    said += [
        f"Detectors {item['from']} and {item['detector']} keep tiles of their own: {item['reason']}."
        for item in row["apart"]
    ]
    return "\n".join(said)
