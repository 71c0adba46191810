"""One block of parameters for every distinct model of some experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smalti.models import Experiments
from smalti.roles import DetectorParameterisation
from smalti.steps.refining.options import RefineOptions, is_fixed
from smalti.steps.refining.problem.blocks import (
    BeamBlock,
    Block,
    CrystalBlock,
    SettingBlock,
)
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.models import across, crystal_of, goniometer_of
from smalti.steps.refining.problem.tiles import detector_blocks
from smalti.steps.refining.problem.tying import with_one_cell

__all__ = ["blocks_of", "names_held"]


def blocks_of(
    experiments: Experiments, parameterisation: DetectorParameterisation, options: RefineOptions
) -> tuple[tuple[Block, ...], dict[int, int]]:
    """Make one block for every distinct model, and tell which model (by identity) has which."""
    for experiment in experiments:
        crystal_of(experiment)
    turning = replace(experiments, items=tuple(item for item in experiments if not item.is_still))
    blocks: list[Block] = []
    owner: dict[int, int] = {}

    def add(model: Any, block: Block) -> None:
        owner[id(model)] = len(blocks)
        blocks.append(block)

    detectors = experiments.unique("detector")
    for detector, block in zip(detectors, detector_blocks(detectors, parameterisation, options), strict=True):
        add(detector, block)
    for k, beam in enumerate(experiments.unique("beam"), start=1):
        user = next((item for item in turning if item.beam is beam), None)
        spindle = across(beam) if user is None else goniometer_of(user).laboratory_axis
        add(beam, BeamBlock(beam, spindle, k, options.weak_priors))
    crystals = experiments.unique("crystal")
    begun = with_one_cell(crystals) if options.crystals == "one_cell" else crystals
    for k, (crystal, begin) in enumerate(zip(crystals, begun, strict=True), start=1):
        hold = is_fixed(f"Crystal{k}g_param_0", options)
        add(crystal, CrystalBlock.of(begin, k, weak=options.weak_priors, hold_cell=hold))
    for k, goniometer in enumerate(turning.unique("goniometer"), start=1):
        add(goniometer, SettingBlock(goniometer, k, options.weak_priors))
    return tuple(blocks), owner


def names_held(
    experiments: Experiments, blocks: Sequence[Block], owner: Mapping[int, int], options: RefineOptions
) -> set[str]:
    """Name the parameters that are held because stills alone do not tell them.

    Of beams that only stills use everything, unless it is asked for: each crystal of a still turns with its
    beam and its cell grows with the wavelength, and every image would free parameters that next to nothing
    determines. Of a detector that only stills see the turn in its plane: crystals follow a turn of
    everything about the beam, which is the gauge.
    """
    sweeps = [item for item in experiments if not item.is_still]
    seen = {owner[id(item.detector)] for item in sweeps}
    detectors = [
        block for k, block in enumerate(blocks) if isinstance(block, DetectorBlock) and k not in seen
    ]
    held = {f"Detector{block.number}Tau1" for block in detectors}
    if options.refine_still_beams:
        return held
    turning = {owner[id(item.beam)] for item in sweeps}
    beams = {owner[id(item.beam)] for item in experiments} - turning
    return held | {parameter.name for number in beams for parameter in blocks[number].parameters}
