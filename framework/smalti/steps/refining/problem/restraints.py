"""What is known of cells and distances beside the reflections: further rows of the least-squares problem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.errors import UsageError
from smalti.geometry.derivatives import PANEL
from smalti.models import Detector
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.crystals import cell_at, crystal_numbers, static_block
from smalti.steps.refining.problem.drifting import walk_of
from smalti.steps.refining.problem.layout import Layout

__all__ = ["CellTarget", "CommonCell", "Distance", "Restraint", "distance_of", "in_place", "restraints_of"]

Array = NDArray[np.float64]
Rows = tuple[Array, sparse.csr_array]


class Restraint(Protocol):
    """Something known of the models."""

    def rows(self, layout: Layout, p: Array) -> Rows:
        """Give residuals over sigma (m,) at p (n,) and their derivatives (m, n), sparse."""


@dataclass(frozen=True)
class CellTarget:
    """A cell is near to a given one.

    Attributes
    ----------
    block : int
        Number of the crystal's block.
    target, sigma : (6,) Angstrom, degrees
        A constant of sigma 0 is not restrained.
    """

    block: int
    target: Array
    sigma: Array

    def rows(self, layout: Layout, p: Array) -> Rows:
        """Compare the cell at p with the target."""
        found = cell_at(layout, self.block, p)
        keep = _independent(found.slopes, self.sigma)
        away = np.array(found.crystal.cell) - self.target
        slopes = in_place(found.slopes[keep] / self.sigma[keep, None], found.columns, layout.n)
        return away[keep] / self.sigma[keep], slopes


@dataclass(frozen=True)
class CommonCell:
    """Several crystals have nearly one cell: each is near to the mean of all.

    Attributes
    ----------
    blocks : tuple of int
        Numbers of the crystals' blocks.
    tolerance : float
        Standard deviation of an axis over its length; of angles, the same in radians.
    """

    blocks: tuple[int, ...]
    tolerance: float

    def rows(self, layout: Layout, p: Array) -> Rows:
        """Compare the cells at p with their mean, which moves with them."""
        found = [cell_at(layout, block, p) for block in self.blocks]
        cells = np.array([item.crystal.cell for item in found])
        # Sigmas of the start: they must not change with the cells that they judge.
        start = static_block(layout, self.blocks[0]).crystal.cell
        sigma = self.tolerance * np.concatenate([start[:3], np.full(3, np.degrees(1.0))])
        keep = _independent(found[0].slopes, sigma)
        away = (cells - cells.mean(axis=0))[:, keep] / sigma[keep]
        each = [in_place(item.slopes[keep] / sigma[keep, None], item.columns, layout.n) for item in found]
        mean = sum(each[1:], start=each[0]) / len(each)
        return away.ravel(), sparse.csr_array(sparse.vstack([by_p - mean for by_p in each]))


@dataclass(frozen=True)
class Distance:
    """The distance of a detector is known.

    Attributes
    ----------
    block : int
        Number of the detector's block.
    target, sigma : float
        mm.
    """

    block: int
    target: float
    sigma: float

    def rows(self, layout: Layout, p: Array) -> Rows:
        """Compare the distance at p with the target."""
        first = layout.panel_offset[self.block]
        detector = layout.detector_block(self.block).compose(layout.split(p)[self.block])
        distance, by_frame = distance_of(detector)
        frames = slice(PANEL.stop * first, PANEL.stop * (first + len(detector)))
        by_p = sparse.csr_array(by_frame.reshape(1, -1)) @ layout.tangent(p)[frames]
        return np.array([(distance - self.target) / self.sigma]), sparse.csr_array(by_p / self.sigma)


def distance_of(detector: Detector) -> tuple[float, Array]:
    """Give the mean distance of the planes of all panels from the crystal (mm), and its derivatives.

    Returns
    -------
    distance : float
    by_frame : (P, 9)
        By the frames (fast, slow, origin) of the panels.
    """
    d = detector.stacked()
    fast, slow, origin = d[:, :, 0], d[:, :, 1], d[:, :, 2]
    normal = np.cross(fast, slow)
    signed = np.einsum("pi,pi->p", normal, origin)
    by_frame = np.concatenate([np.cross(slow, origin), np.cross(origin, fast), normal], axis=1)
    return float(np.abs(signed).mean()), np.sign(signed)[:, None] * by_frame / len(d)


def restraints_of(layout: Layout, options: RefineOptions) -> tuple[Restraint, ...]:
    """Make the restraints that the options ask for.

    Raises
    ------
    UsageError
        A target without its sigmas, or a cell that is none.
    """
    crystals = crystal_numbers(layout)
    found: list[Restraint] = []
    if options.cell_target or options.cell_sigma:
        target, sigma = _six(options)
        found += [CellTarget(k, target, sigma) for k in crystals]
    if options.similar_cells > 0.0:
        found += [CommonCell(group, options.similar_cells) for group in _alike(layout, crystals)]
    if options.distance_sigma > 0.0:
        for number in layout.panel_offset:
            here, _ = distance_of(layout.detector_block(number).detector)
            found.append(Distance(number, options.distance or here, options.distance_sigma))
    elif options.distance:
        raise UsageError(
            "refine.distance needs refine.distance_sigma.",
            "A distance is a restraint: how strongly it holds is told by its standard deviation in mm.",
            "Give refine.distance_sigma=0.1, say, or set the distance on import: smalti import distance=...",
        )
    if layout.drift is not None:
        found.append(walk_of(layout.drift, layout.blocks, layout.offsets, layout.column, options))
    return tuple(found)


def _six(options: RefineOptions) -> tuple[Array, Array]:
    target, sigma = np.array(options.cell_target), np.array(options.cell_sigma)
    if target.shape != (6,) or sigma.shape != (6,) or (target <= 0.0).any() or (sigma < 0.0).any():
        raise UsageError(
            "refine.cell_target and refine.cell_sigma go together, six numbers each.",
            f"Given are {target.size} and {sigma.size}; cells are positive, sigmas not negative.",
            "Example: refine.cell_target=58,58,151,90,90,90 refine.cell_sigma=0.1,0.1,0.2,0,0,0 (0: none).",
        )
    return target, sigma


def _alike(layout: Layout, crystals: Sequence[int]) -> list[tuple[int, ...]]:
    """Group crystals of the same space group; one alone has nothing to be like."""
    groups: dict[str, list[int]] = defaultdict(list)
    for k in crystals:
        groups[static_block(layout, k).crystal.space_group.strip()].append(k)
    return [tuple(members) for members in groups.values() if len(members) > 1]


def in_place(slopes: Array, columns: NDArray[np.intp], n: int) -> sparse.csr_array:
    """Derivatives (m, c) by some of n parameters as those by all of them, (m, n)."""
    row, place = np.divmod(np.arange(slopes.size), max(len(columns), 1))
    return sparse.csr_array((slopes.ravel(), (row, columns[place])), shape=(len(slopes), n))


def _independent(slopes: Array, sigma: Array) -> NDArray[np.intp]:
    """Choose constants to restrain: of those that symmetry makes equal the one that is known best."""
    kept: list[int] = []
    size = np.abs(slopes).max(axis=1)
    for k in np.argsort(np.where(sigma > 0.0, sigma, np.inf), kind="stable"):
        same = any(np.allclose(slopes[k], slopes[j], rtol=1e-6, atol=1e-9 * size[k]) for j in kept)
        if sigma[k] > 0.0 and size[k] > 1e-9 and not same:
            kept.append(int(k))
    return np.array(sorted(kept), dtype=np.intp)
