"""How a crystal varies over its scan: cell and orientation against angle, for tables and the JSON."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation_vector
from smalti.steps.refining.problem.covariance import Covariance
from smalti.steps.refining.problem.crystals import cell_at
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock
from smalti.steps.refining.telling.residual_rows import Row

__all__ = ["scan_row"]

Array = NDArray[np.float64]


def scan_row(layout: Layout, number: int, p: Array, covariance: Covariance) -> Row | None:
    """Describe the path of a crystal; None of one that does not vary.

    Cell and orientation are given at the samples that are inside the scan and at its ends. The orientation
    is the rotation vector from the mean (mrad, axes of the crystal at angle 0 of the goniometer).
    """
    block = layout.blocks[number]
    if not isinstance(block, VaryingCrystalBlock):
        return None
    begin, end = block.scan.angle_range
    low, high = sorted((begin, end))
    samples = [x for x in block.smoother.positions if low < x < high]
    angles = np.array([begin, *samples, end])
    mean = cell_at(layout, number, p).crystal
    cells, esds, turns = [], [], []
    for angle in angles:
        here = cell_at(layout, number, p, float(angle))
        crystal = here.crystal
        cells.append(list(crystal.cell))
        esd = np.sqrt(np.maximum(np.diag(covariance.of(here.slopes, here.columns)), 0.0))
        esds.append([float(x) if x > 1e-9 else 0.0 for x in esd])
        turns.append((1e3 * rotation_vector(crystal.U @ mean.U.T)).tolist())
    return {
        "interval_deg": abs(float(np.degrees(block.smoother.spacing))),
        "n_samples": block.smoother.n_samples,
        "varies": _kinds(block),
        "angle_deg": np.degrees(angles).tolist(),
        "cell": cells,
        "cell_esd": esds,
        "cell_range": (np.max(cells, axis=0) - np.min(cells, axis=0)).tolist(),
        "turn_mrad": turns,
        "turn_range_mrad": float(np.max(np.linalg.norm(np.array(turns)[:, None] - np.array(turns), axis=2))),
    }


def _kinds(block: VaryingCrystalBlock) -> list[str]:
    kinds = ("orientation", block.varies[:3]), ("cell", block.varies[3:])
    return [name for name, varies in kinds if any(varies)]
