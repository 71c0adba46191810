"""What a direction of the parameters does, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.geometry.derivatives import PANEL
from smalti.steps.refining.certainty.gauges import detector_motions, tied_detectors
from smalti.steps.refining.certainty.reaching import Reach
from smalti.steps.refining.problem.blocks import BeamBlock, Block, SettingBlock
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import Partition

__all__ = ["Group", "Motions", "Shares", "groups_of", "in_words"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Shares = tuple[tuple[str, float], ...]

_TAKES_PART = 0.08
"""Motions with a smaller share of a direction are not named."""

_NAMED = 4
"""Panels that are named."""

_LEAST = 1e-3
"""Smaller shares are not listed."""

_OTHER = "motions without a name"
"""What a parameterisation does that is none of those that are named."""

_RIDGE = 1e-10


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


def groups_of(layout: Layout, partition: Partition, p: Array, reach: Reach) -> list[Group]:
    """Divide the shared parameters into named motions; later ones are what earlier ones leave.

    Parameters
    ----------
    reach : Reach
        What motions the parameters can make.
    """
    found: list[Group] = []
    counts = {kind: sum(type(b) is kind for b in layout.blocks) for kind in map(type, layout.blocks)}
    places = np.append(np.where(partition.owner < 0, partition.place, -1), -1)
    for number, block in enumerate(layout.blocks):
        first, size = layout.offsets[number], len(layout.part(number, p))
        columns = places[layout.column[first : first + size]]
        if not (columns >= 0).any():
            continue
        which = f" {getattr(block, 'number', '')}" if counts[type(block)] > 1 else ""
        if isinstance(block, DetectorBlock):
            found += _of_detector(layout, p, reach, number, f" (detector{which})" if which else "")
        else:
            found += [group(reach.n) for group in _of_block(block, columns, which)]
    for members in tied_detectors(layout):
        found += _of_tied_detectors(layout, p, reach, members)
    named = [group for group in found if group.directions.any()]
    return named or [Group(_OTHER, np.eye(reach.n))]


def _of_block(block: Block, columns: Index, which: str) -> Iterator[Callable[[int], Group]]:
    """The motions of a beam, a goniometer or a crystal, to be made in the space of n parameters."""
    if isinstance(block, BeamBlock):
        yield partial(_by_columns, f"direction of the beam{which}", columns[:2])
        yield partial(_by_columns, f"wavelength{which}", columns[2:])
    elif isinstance(block, SettingBlock):
        yield partial(_by_columns, f"direction of the spindle{which}", columns)
    else:
        turns = np.array(["Phi" in parameter.name for parameter in block.parameters])
        yield partial(_by_columns, f"orientation of the crystal{which}", columns[turns])
        yield partial(_size_of_cell, f"size of the cell{which}", columns[~turns], block.start[~turns])
        yield partial(_by_columns, f"shape of the cell{which}", columns[~turns])


def _by_columns(name: str, columns: Index, n: int) -> Group:
    places = np.unique(columns[columns >= 0])
    directions = np.zeros((len(places), n))
    directions[np.arange(len(places)), places] = 1.0
    return Group(name, directions)


def _size_of_cell(name: str, columns: Index, start: Array, n: int) -> Group:
    """All lengths of the cell by one factor: every element of the reciprocal metric in proportion."""
    direction = np.zeros((1, n))
    direction[0, columns[columns >= 0]] = start[columns >= 0]
    return Group(name, direction)


def _of_detector(layout: Layout, p: Array, reach: Reach, number: int, which: str) -> list[Group]:
    """The motions of a whole detector, and those of its panels."""
    motions = detector_motions(layout, number, layout.state(p), len(reach.felt))
    return _named(reach, motions, which)


def _of_tied_detectors(layout: Layout, p: Array, reach: Reach, members: Sequence[int]) -> list[Group]:
    """The motions that detectors of one set of tiles make together, alike in the frames of their roots."""
    motions = detector_motions(layout, members[0], layout.state(p), len(reach.felt))
    blocks = [layout.detector_block(number) for number in members]
    if len({len(block.detector) for block in blocks}) > 1:  # tied by hand, and nothing alike
        return []
    roots = [
        next(iter(block.compose(layout.part(number, p)).walk())).rotation
        for number, block in zip(members, blocks, strict=True)
    ]
    size = PANEL.stop * len(blocks[0].detector)
    start = [PANEL.stop * layout.panel_offset[number] for number in members]
    together = []
    for name, local in motions:
        moved = local[:, start[0] : start[0] + size].reshape(-1, 3)
        everywhere = np.zeros_like(local)
        for first, root in zip(start, roots, strict=True):
            turned = moved @ roots[0] @ root.T
            everywhere[:, first : first + size] = turned.reshape(len(local), size)
        together.append((name, everywhere))
    which = "" if len(members) == len(layout.panel_offset) else " (detectors that share tiles)"
    return _named(reach, together, which)


def _named(reach: Reach, motions: Sequence[tuple[str, Array]], which: str) -> list[Group]:
    directions = reach.parameters(np.vstack([local for _, local in motions]))
    found, at = [], 0
    for name, local in motions:
        rows = directions[at : at + len(local)]
        at += len(local)
        found.append(Group(f"{name}{which}", rows[rows.any(axis=1)], "panel " in name))
    return found


@dataclass(frozen=True)
class Motions:
    """Named motions as an ordered basis: what a motion shares with earlier ones is theirs.

    The shares of a unit vector c are the squares of its components in the basis that Gram and Schmidt would
    make of all rows in turn. With the Cholesky factor L of their Gram matrix D D^T these are L^-1 D c.

    Attributes
    ----------
    names : tuple of str
    single : (g,) bool
        Whether a motion is one of single panels.
    group : (k,) intp
        Number of the motion of each row.
    rows : (k, m)
        D: unit vectors, or nothing.
    factor : (k, k)
        L; rows that follow from earlier ones have a small diagonal, and no share.
    """

    names: tuple[str, ...]
    single: NDArray[np.bool_]
    group: NDArray[np.intp]
    rows: Array
    factor: Array

    @classmethod
    def of(cls, groups: Sequence[Group], coordinates: Callable[[Array], Array]) -> Motions:
        """Take groups of directions to coordinates: (k, n) to (k, m)."""
        rows = coordinates(np.vstack([group.directions for group in groups]))
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        unit = rows / np.where(length > 0.0, length, 1.0)
        factor = linalg.cholesky(unit @ unit.T + _RIDGE * np.eye(len(unit)), lower=True)
        return cls(
            tuple(group.name for group in groups),
            np.array([group.of_panels for group in groups]),
            np.repeat(np.arange(len(groups)), [len(group.directions) for group in groups]),
            unit,
            factor,
        )

    def shares(self, c: Array) -> list[Shares]:
        """Give the shares of the motions in unit vectors (j, m), largest first."""
        return [
            tuple(
                sorted(
                    ((name, float(s)) for name, s in zip(self.names, row, strict=True) if s > _LEAST),
                    key=lambda item: -item[1],
                )
            )
            for row in self._by_motion(c)
        ]

    def of_panels(self, c: Array) -> Array:
        """Give the share of single panels in unit vectors (j, m), (j,)."""
        return np.asarray(self._by_motion(c)[:, self.single].sum(axis=1))

    def _by_motion(self, c: Array) -> Array:
        parts = linalg.solve_triangular(self.factor, self.rows @ c.T, lower=True) ** 2
        out = np.zeros((len(c), len(self.names)))
        np.add.at(out.T, self.group, parts)
        return out


def in_words(shares: Shares) -> str:
    """Name a direction by the motions that take part in it; panels that do the same are named together."""
    if not shares:
        return _OTHER
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
