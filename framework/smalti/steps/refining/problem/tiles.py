"""Several data sets of one detector: its tiles are the same in all, only where it stands differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.arrangement import different_parts, superposed, with_arrangement
from smalti.models import Detector
from smalti.roles import DetectorParameterisation
from smalti.steps.answers import displaced_by, parameters_of
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.blocks import Block
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.drifting import Drift
from smalti.units import UM

__all__ = ["ALIKE", "detector_blocks", "tied_tiles", "why_apart"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ALIKE = 0.01
"""mm; detectors whose panels stand to one another as nearly as this are taken for one."""

_FAR = 2.0
"""mm; no detector is out of its own shape by more than this."""

_SIX = 6
_STEP = 1e-2
_SAME_MOTION = 1e-6
_ROUNDING = 1e-9


def detector_blocks(
    detectors: Sequence[Detector], parameterisation: DetectorParameterisation, options: RefineOptions
) -> list[DetectorBlock]:
    """Make a block for every detector; those that are one and the same share their tiles.

    A detector that shares is arranged as the first of its kind to the last bit, which then stays so; its
    root stands where it stood.

    Raises
    ------
    DataError
        ``tiles=shared`` and detectors that cannot be one.
    """
    blocks: list[DetectorBlock] = []
    for number, detector in enumerate(detectors, start=1):
        own = DetectorBlock(detector, parameterisation, number)
        leaders = [block for block in blocks if block.leader in (0, block.number)]
        found = own if options.tiles == "own" else _joined(own, leaders, options)
        blocks.append(found)
        if found.leader and found.leader != number:
            # The first of its kind finds out only now that it is not alone.
            first = blocks[found.leader - 1]
            blocks[found.leader - 1] = replace(
                first, leader=first.number, arrangement=first.detector, below=found.below
            )
    return blocks


def _joined(own: DetectorBlock, leaders: Sequence[DetectorBlock], options: RefineOptions) -> DetectorBlock:
    for leader in leaders:
        if different_parts(own.detector, leader.detector):
            continue
        fitted = superposed(own.detector, leader.detector)
        near = fitted.furthest <= (ALIKE if options.tiles == "auto" else _FAR)
        placed = replace(own, detector=fitted.detector)
        below = _known_or_tried(placed, leader) if near else None
        if below is not None and below.any():
            return replace(
                own,
                detector=fitted.detector,
                leader=leader.number,
                arrangement=leader.detector,
                below=tuple(below.tolist()),
            )
        if below is not None:  # nothing but the frame is refined: there is nothing to share
            return own
    if options.tiles == "shared" and leaders:
        raise DataError(
            f"Detector {own.number} cannot share the tiles of detector {leaders[0].number}.",
            f"For one thing, {why_apart(own, leaders[0])}.",
            "Combine data sets of one detector, or give refine.tiles=own.",
        )
    return own


def why_apart(own: DetectorBlock, other: DetectorBlock) -> str:
    """Say why two detectors do not share tiles; "" where they could."""
    if reason := different_parts(own.detector, other.detector):
        return reason
    fitted = superposed(own.detector, other.detector)
    if fitted.furthest > ALIKE:
        return f"their panels stand differently to one another, by up to {fitted.furthest / UM:.0f} um"
    if _below(replace(own, detector=fitted.detector), other) is None:
        name = own.parameterisation.name
        return f"the parameterisation '{name}' does not tell tiles from the place of the whole (priors may)"
    return ""


def _known_or_tried(own: DetectorBlock, leader: DetectorBlock) -> Mask | None:
    """As :func:`_below`; equal detectors, as the steps of a drift are, need no trial."""
    if leader.leader and own.detector == leader.detector:
        return np.array(leader.below, dtype=bool)
    return _below(own, leader)


def _below(own: DetectorBlock, leader: DetectorBlock) -> Mask | None:
    """Which parameters (n,) move tiles within the frame of the root, in both detectors alike.

    None where parameters cannot be told apart so, or the root is not free to stand elsewhere.
    """
    component, detector = own.parameterisation, own.detector
    names = [item.name for item in parameters_of(component, leader.detector)]
    own_parameters = parameters_of(component, detector)
    if [item.name for item in own_parameters] != names:
        return None
    everyone = len(detector)
    below = np.array([len(item.panels) != everyone for item in own_parameters], dtype=bool)
    if not below.any():
        return below
    frame = displaced_by(component, detector, _STEP * ~below)
    tiles = displaced_by(component, detector, _STEP * below)
    stays = with_arrangement(frame, detector).stacked() - frame.stacked()
    if np.abs(stays).max() > _ROUNDING or not _same_root(tiles, detector):
        return None
    mine, theirs = _in_root(own), _in_root(leader)
    size = float(np.abs(theirs[below]).max())
    alike = np.allclose(mine[below], theirs[below], rtol=0.0, atol=_SAME_MOTION * size)
    freedoms = np.linalg.matrix_rank(mine[~below].reshape(int((~below).sum()), -1)) if not below.all() else 0
    return below if alike and freedoms == _SIX else None


def _same_root(detector: Detector, other: Detector) -> bool:
    a, b = detector.root, other.root
    return np.allclose((a.fast, a.slow, a.origin), (b.fast, b.slow, b.origin), rtol=0.0, atol=_ROUNDING)


def _in_root(block: DetectorBlock) -> Array:
    """Derivatives of the panel frames at p = 0 in the frame of the root, (n, P, 3, 3)."""
    count = len(block.parameters)
    slopes = block.derivatives(np.zeros(count))
    turned = next(iter(block.detector.walk())).rotation.T @ slopes.values
    out = np.zeros((count, len(block.detector), 3, 3))
    panel, place = np.nonzero(slopes.columns >= 0)
    out[slopes.columns[panel, place], panel] = turned[panel, place]
    return out


def tied_tiles(
    blocks: Sequence[Block], offsets: Sequence[int], drift: Drift | None = None
) -> list[list[int]]:
    """Give the places in the full vector of parameters that are one.

    Those of tiles that detectors share, and in all steps of a drift those that do not drift.
    """
    detectors = [(block, offsets[k]) for k, block in enumerate(blocks) if isinstance(block, DetectorBlock)]
    groups: dict[int, list[int]] = {}
    for block, first in detectors:
        if block.leader:
            groups.setdefault(block.leader, []).append(first)
    below = {block.number: block.below for block, _ in detectors}
    walking = set() if drift is None else drift.moving(offsets)
    ties = [] if drift is None else drift.ties(offsets, [len(block.parameters) for block in blocks])
    for leader, firsts in groups.items():
        shared = np.flatnonzero(below[leader])
        ties += [tie for k in shared if len(tie := [f + int(k) for f in firsts if f + k not in walking]) > 1]
    return ties
