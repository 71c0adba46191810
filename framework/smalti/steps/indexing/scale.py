"""How far off the beam may be, and the distance once a cell is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.reciprocal import B_from_cell
from smalti.models import Experiment, Experiments
from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import rotation_models

__all__ = ["beam_tolerances", "cell_scale", "distance_of", "rescaled", "scale_warning"]

Array = NDArray[np.float64]

CROSSING = 0.2765
"""x/(2 pi) where |J0(x)| = |J0(2 x)|, x = 1.737: from there on a doubled axis outweighs the axis."""

WORTH_SAYING = 0.01
"""Difference of scale between the cell found and the one given that is told."""


def distance_of(experiment: Experiment) -> float:
    """Distance of the first panel's plane from the crystal, mm."""
    fast, slow, origin = experiment.detector.stacked()[0].T
    return abs(float(np.cross(fast, slow) @ origin))


def beam_tolerances(sweeps: Sequence[Experiment]) -> tuple[float, ...]:
    """How far off the beam may be before a transform of the whole sweep doubles an axis, px.

    0.28 lambda D / a_perp of the axis with the longest part across the spindle. One for each distinct
    detector, the least of its sweeps.
    """
    found = []
    for detector in Experiments(tuple(sweeps)).unique("detector"):
        each = []
        for item in (sweep for sweep in sweeps if sweep.detector is detector):
            goniometer, _ = rotation_models(item)
            axes = np.array(crystal_of(item).real_space)
            spindle = goniometer.F.T @ goniometer.axis
            across = float(np.linalg.norm(axes - np.outer(axes @ spindle, spindle), axis=1).max())
            each.append(CROSSING * item.beam.wavelength * distance_of(item) / across)
        found.append(min(each) / max(detector.panels[0].pixel_size))
    return tuple(found)


def cell_scale(basis: Array, known: KnownLattice) -> float:
    """How many times as long as those of the known cell the axes found are; 1 where no cell is known."""
    cell = known.primitive_cell()
    if cell is None:
        return 1.0
    ideal = 1.0 / float(np.linalg.det(B_from_cell(cell)))
    return float((abs(np.linalg.det(basis)) / ideal) ** (1.0 / 3.0))


def rescaled(sweeps: Sequence[Experiment], scale: float) -> list[Experiment]:
    """Move detectors along the beam so that a cell ``scale`` times too long becomes right.

    At low angles the points lie at r = x/(lambda D), so that axes found are proportional to the distance
    assumed. Shared detectors stay shared.
    """
    moved = {}
    for detector in Experiments(tuple(sweeps)).unique("detector"):
        item = next(sweep for sweep in sweeps if sweep.detector is detector)
        step = item.beam.unit_s0 * distance_of(item) * (1.0 / scale - 1.0)
        moved[id(detector)] = detector.moved({(): (np.eye(3), step)})
    return [replace(item, detector=moved[id(item.detector)]) for item in sweeps]


def scale_warning(scale: float, taken: bool) -> tuple[str, ...]:
    """Say that distance or wavelength disagree with the cell that was given."""
    if abs(scale - 1.0) < WORTH_SAYING:
        return ()
    size = f"{100 * abs(scale - 1.0):.1f} %"
    which = "longer" if scale > 1.0 else "shorter"
    told = f"The axes found are {size} {which} than those given: distance or wavelength are off by so much."
    cure = (
        "The detector was moved to where the cell has it (index.distance_from_cell)."
        if taken
        else "--set index.distance_from_cell=true takes the cell's word for the distance."
    )
    return (f"{told} {cure}",)
