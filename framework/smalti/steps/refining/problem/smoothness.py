"""What holds the samples of crystals that vary over their scans, beside the reflections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from smalti.geometry.derivatives import BEAM, PANEL
from smalti.geometry.rotation import rotation
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import N_SHARED, Layout
from smalti.steps.refining.problem.restraints import Restraint
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock

__all__ = ["Linear", "held_paths", "lab_tilts", "smoothness"]

Array = NDArray[np.float64]

_TURN_SIGMA = 1.0
"""mrad from one sample of the orientation to the next."""

_CELL_SIGMA = 0.01
"""Of the metric, from one sample to the next: 0.5 % of an axis."""

_TILT_SIGMA = 1e-3
"""mrad: the part of the orientation's path that is told by beam and detector is held to nothing."""

_EXACT = 1e-6
"""A direction that parameters reproduce to this part of its length is one of theirs."""

_RIDGE = 1e-11


@dataclass(frozen=True)
class Linear:
    """Sums of parameters that should be zero.

    Attributes
    ----------
    matrix : (m, n)
        Over their standard deviations.
    """

    matrix: Array

    def rows(self, _layout: Layout, p: Array) -> tuple[Array, sparse.csr_array]:
        """Give the sums and their derivatives."""
        return self.matrix @ p, sparse.csr_array(self.matrix)


def held_paths(layout: Layout, options: RefineOptions) -> tuple[Restraint, ...]:
    """Make the restraints of a layout with crystals that vary; none of one without."""
    if not layout.sample_offset or layout.n == 0:
        return ()
    found = [lab_tilts(layout)]
    if options.weak_priors:
        found.append(smoothness(layout))
    return tuple(Linear(matrix) for matrix in found if len(matrix))


def smoothness(layout: Layout) -> Array:
    """Hold each sample near to the next, so weakly that it is felt only where there are few reflections.

    A gap is bridged by a straight line, and beyond the last reflections a crystal stays as it is.

    Returns
    -------
    (m, n)
        Differences of neighbouring samples over their standard deviations.
    """
    rows = []
    for number, block in enumerate(layout.blocks):
        if not isinstance(block, VaryingCrystalBlock):
            continue
        columns = layout.column[layout.offsets[number] + block.places]  # (m, c)
        sigma = np.concatenate([np.full(3, _TURN_SIGMA), _CELL_SIGMA * block.static.cell_sizes])
        for k in np.flatnonzero(block.varies):
            for a, b in zip(columns[:-1, k], columns[1:, k], strict=True):
                row = np.zeros(layout.n)
                row[a], row[b] = -1.0 / sigma[k], 1.0 / sigma[k]
                rows.append(row)
    return np.array(rows).reshape(-1, layout.n)


def lab_tilts(layout: Layout) -> Array:
    """Hold what the path of the orientation shares with a tilt of beam and detector against the spindle.

    A crystal that is turned by R(-phi) t about any small t across the spindle diffracts as if beam and
    detector were tilted by -t. Where these are refined too nothing tells the two apart; as in a static
    refinement it is told by beam and detector, and the path has no part of it beyond a constant.

    Returns
    -------
    (m, n)
        For each such direction of the samples of all crystals that share a detector the part in mrad of
        their paths, over its standard deviation.
    """
    rows = []
    for number in layout.panel_offset:
        members = [e for e, use in enumerate(layout.uses) if use["detector"] == number]
        blocks = [layout.blocks[layout.uses[e]["crystal"]] for e in members]
        if not all(isinstance(block, VaryingCrystalBlock) and all(block.varies[:3]) for block in blocks):
            continue  # a crystal that stays, or stays in part, tells the tilt
        goniometer = layout.experiments[members[0]].goniometer
        assert goniometer is not None
        spindle = goniometer.laboratory_axis
        across = np.cross(spindle, np.eye(3)[np.argmin(np.abs(spindle))])
        across /= np.linalg.norm(across)
        beam = layout.experiments[members[0]].beam.s0
        beside = np.cross(spindle, beam)
        if np.linalg.norm(beside) > 1e-6 * np.linalg.norm(beam):
            across = beside / np.linalg.norm(beside)
        axes = across, np.cross(across, spindle)
        rows += [_path(layout, members, axis) for axis in _free(layout, number, members, axes)]
    return np.array(rows).reshape(-1, layout.n)


def _free(layout: Layout, number: int, members: list[int], axes: Sequence[Array]) -> list[Array]:
    """Give the axes about which detector and beams, or the spindles, can tilt by their parameters."""
    names = [parameter.name for parameter in layout.parameters]
    if any(name.startswith("Goniometer") for name in names):
        return list(axes)
    here = [name.startswith(("Detector", "Beam")) for name in names]
    if not any(here):
        return []
    nowhere = np.zeros(layout.n)
    state, tangent = layout.state(nowhere), layout.tangent(nowhere)[:, np.flatnonzero(here)].toarray()
    motions, first = np.zeros((layout.n_local, len(axes))), layout.panel_offset[number]
    for motion, axis in zip(motions.T, axes, strict=True):
        for k in range(first, first + len(layout.detector_block(number).detector)):
            motion[PANEL.stop * k : PANEL.stop * (k + 1)] = np.cross(axis, state.d[k].T).ravel()
        for e in members:
            at = PANEL.stop * layout.n_panels + N_SHARED * e
            motion[at : at + BEAM.stop - BEAM.start] = np.cross(axis, state.s0[e])
    unit = tangent / np.maximum(np.linalg.norm(tangent, axis=0), 1e-300)
    left, factor = motions, linalg.cho_factor(unit.T @ unit + _RIDGE * np.eye(unit.shape[1]))
    for _ in range(3):  # parents and children of a tree do the same: the ridge, and what it costs undone
        left = left - unit @ linalg.cho_solve(factor, unit.T @ left)
    off = np.linalg.norm(left, axis=0) / np.linalg.norm(motions, axis=0)
    return [axis for axis, distance in zip(axes, off, strict=True) if distance < _EXACT]


def _path(layout: Layout, members: list[int], axis: Array) -> Array:
    """The row that gives the part of a tilt about an axis in the samples of the crystals, over its sigma."""
    row = np.zeros(layout.n)
    for e in members:
        number, goniometer = layout.uses[e]["crystal"], layout.experiments[e].goniometer
        block = layout.blocks[number]
        assert isinstance(block, VaryingCrystalBlock) and goniometer is not None
        turned = rotation(goniometer.axis, -block.smoother.positions) @ goniometer.S.T @ axis
        path = turned @ goniometer.F  # F^T R(-phi) S^T t at each sample, (m, 3)
        places = layout.offsets[number] + block.places[:, :3]
        row[layout.column[places]] = path - path.mean(axis=0)
    return np.asarray(row / (row @ row) / _TILT_SIGMA)
