"""What a direction of the parameters does, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.blocks import BeamBlock, DetectorBlock, SettingBlock
from smalti.steps.refining.gauges import Reach, detector_motions
from smalti.steps.refining.layout import Layout

__all__ = ["Group", "Shares", "groups_of", "in_words", "shares_of"]

Array = NDArray[np.float64]
Shares = tuple[tuple[str, float], ...]

_TAKES_PART = 0.08
"""Motions with a smaller share of a direction are not named."""

_NAMED = 4
"""Panels that are named."""


@dataclass(frozen=True)
class Group:
    """Directions of the parameters that have one name.

    Attributes
    ----------
    name : str
    directions : (k, n)
        In the units of the parameters.
    of_panels : bool
        Whether they are motions of single panels.
    """

    name: str
    directions: Array
    of_panels: bool = False


def groups_of(layout: Layout, p: Array, reach: Reach) -> list[Group]:
    """Divide the free parameters into named motions; later ones are what earlier ones leave.

    Parameters
    ----------
    reach : Reach
        What motions the parameters can make.
    """
    found: list[Group] = []
    counts = {kind: sum(type(b) is kind for b in layout.blocks) for kind in map(type, layout.blocks)}
    for number, block in enumerate(layout.blocks):
        size = len(block.parameters)
        columns = layout.column[layout.offsets[number] : layout.offsets[number] + size]
        which = f" {getattr(block, 'number', '')}" if counts[type(block)] > 1 else ""
        if isinstance(block, DetectorBlock):
            found += _of_detector(layout, p, reach, number, f" (detector{which})" if which else "")
        elif isinstance(block, BeamBlock):
            found += _by_columns(layout, columns, [(f"direction of the beam{which}", slice(0, 2))])
            found += _by_columns(layout, columns, [(f"wavelength{which}", slice(2, 3))])
        elif isinstance(block, SettingBlock):
            found += _by_columns(layout, columns, [(f"direction of the spindle{which}", slice(0, 2))])
        else:
            names = [parameter.name for parameter in block.parameters]
            turns = np.array(["Phi" in name for name in names])
            found += _by_columns(layout, columns, [(f"orientation of the crystal{which}", turns)])
            found.append(_size_of_cell(layout, columns, block.start, ~turns, which))
            found += _by_columns(layout, columns, [(f"shape of the cell{which}", ~turns)])
    return [group for group in found if group.directions.any()]


def _by_columns(
    layout: Layout, columns: NDArray[np.intp], parts: Sequence[tuple[str, slice | NDArray[np.bool_]]]
) -> list[Group]:
    return [Group(name, np.eye(layout.n)[np.unique(c[c >= 0])]) for name, at in parts for c in (columns[at],)]


def _size_of_cell(
    layout: Layout, columns: NDArray[np.intp], start: Array, metric: NDArray[np.bool_], which: str
) -> Group:
    """All lengths of the cell by one factor: every element of the reciprocal metric in proportion."""
    direction = np.zeros(layout.n)
    for place, value in zip(columns[metric], start[metric], strict=True):
        if place >= 0:
            direction[place] = value
    return Group(f"size of the cell{which}", direction[None])


def _of_detector(layout: Layout, p: Array, reach: Reach, number: int, which: str) -> list[Group]:
    """The motions of a whole detector, those of its panels, and what else its parameters may do."""
    motions = detector_motions(layout, number, layout.state(p))
    directions = reach.parameters(np.vstack([local for _, local in motions]))
    found, at = [], 0
    for name, local in motions:
        rows = directions[at : at + len(local)]
        at += len(local)
        found.append(Group(f"{name}{which}", rows[rows.any(axis=1)], "panel " in name))
    offset, size = layout.offsets[number], len(layout.blocks[number].parameters)
    columns = layout.column[offset : offset + size]
    return [*found, *_by_columns(layout, columns, [(f"other motions of panels{which}", slice(None))])]


def shares_of(c: Array, spaces: Sequence[tuple[str, Array]]) -> Shares:
    """Give the share of each space (k, m) of orthonormal rows in a unit direction (m,), largest first."""
    shares = [(name, float(np.sum((space @ c) ** 2))) for name, space in spaces]
    return tuple(sorted(((n, s) for n, s in shares if s > 1e-3), key=lambda item: -item[1]))


def in_words(shares: Shares) -> str:
    """Name a direction by the motions that take part in it; panels that do the same are named together."""
    joined: dict[str, tuple[float, list[int]]] = {}
    for name, share in shares:
        found = re.search(r"\bpanel (\d+)", name)
        kind = name.replace(found[0], "panels #") if found else name
        total, panels = joined.get(kind, (0.0, []))
        joined[kind] = (total + share, [*panels, int(found[1])] if found else panels)
    words: list[str] = []
    for kind, (share, panels) in sorted(joined.items(), key=lambda item: -item[1][0]):
        if share > _TAKES_PART or not words:
            most = ", ".join(map(str, sorted(panels[:_NAMED]))) + (", ..." if len(panels) > _NAMED else "")
            plural = (
                kind.replace("its ray", "their rays") if len(panels) > 1 else kind.replace("panels", "panel")
            )
            words.append(plural.replace("#", most))
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return " against ".join(words[:3]) + more
