"""Crystals at the parameters of a refinement, whether they vary over their scans or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.crystal_parameters import METRIC_SCALE, cell_derivatives
from smalti.models import Crystal
from smalti.steps.refining.problem.blocks import CrystalBlock
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock

__all__ = ["cell_at", "crystal_numbers", "static_block"]

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


def cell_at(layout: Layout, number: int, p: Array, angle: float | None = None) -> tuple[Crystal, Array]:
    """Give a crystal at p (n,), its mean over the scan or what it is at an angle (rad).

    Returns
    -------
    crystal : Crystal
    slopes : (6, n)
        Derivatives of its cell (Angstrom, degrees) by the free parameters.
    """
    block, own = layout.blocks[number], layout.split(p)[number]
    static = static_block(layout, number)
    blend = np.eye(len(own))
    if isinstance(block, VaryingCrystalBlock):
        blend = block.averages if angle is None else block.blend_at(angle)
    crystal = static.compose(blend @ own)
    by_static = cell_derivatives(crystal.B.T @ crystal.B, static.basis.E / METRIC_SCALE)
    by_own = by_static @ blend[3:]
    slopes = np.zeros((6, layout.n))
    columns = layout.column[layout.offsets[number] : layout.offsets[number] + len(own)]
    for k in np.flatnonzero(columns >= 0):
        slopes[:, columns[k]] += by_own[:, k]
    return crystal, slopes
