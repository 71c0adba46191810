"""Crystals at the parameters of a refinement, whether they vary over their scans or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.crystal_parameters import METRIC_SCALE, cell_derivatives
from smalti.models import Crystal
from smalti.steps.refining.problem.blocks import CrystalBlock
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock

__all__ = ["CellOf", "cell_at", "crystal_numbers", "static_block"]

Array = NDArray[np.float64]


def crystal_numbers(layout: Layout) -> list[int]:
    """Give the numbers of the blocks that are crystals."""
    kinds = CrystalBlock, VaryingCrystalBlock
    return [number for number, block in enumerate(layout.blocks) if isinstance(block, kinds)]


def static_block(layout: Layout, number: int) -> CrystalBlock:
    """Give the block of a crystal, of one that varies that of the same crystal without variation."""
    block = layout.blocks[number]
    if isinstance(block, VaryingCrystalBlock):
        return block.static
    assert isinstance(block, CrystalBlock)
    return block


@dataclass(frozen=True)
class CellOf:
    """A crystal and what its cell depends on.

    Attributes
    ----------
    crystal : Crystal
    slopes : (6, c)
        Derivatives of its cell (Angstrom, degrees) by free parameters.
    columns : (c,) intp
        Which free parameters these are, ascending.
    """

    crystal: Crystal
    slopes: Array
    columns: NDArray[np.intp]


def cell_at(layout: Layout, number: int, p: Array, angle: float | None = None) -> CellOf:
    """Give a crystal at p (n,), its mean over the scan or what it is at an angle (rad)."""
    block, own = layout.blocks[number], layout.part(number, p)
    static = static_block(layout, number)
    blend = np.eye(len(own))
    if isinstance(block, VaryingCrystalBlock):
        blend = block.averages if angle is None else block.blend_at(angle)
    crystal = static.compose(blend @ own)
    by_static = cell_derivatives(crystal.B.T @ crystal.B, static.basis.E / METRIC_SCALE)
    by_own = by_static @ blend[3:]
    columns = layout.column[layout.offsets[number] : layout.offsets[number] + len(own)]
    free = (columns >= 0) & by_own.any(axis=0)
    places, where = np.unique(columns[free], return_inverse=True)
    slopes = np.zeros((6, len(places)))
    np.add.at(slopes.T, where, by_own[:, free].T)
    return CellOf(crystal, slopes, places)
