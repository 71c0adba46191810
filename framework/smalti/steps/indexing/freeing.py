"""What each macrocycle looks at, and what it frees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.steps.indexing.options import IndexOptions
from smalti.steps.refining.options import RefineOptions

__all__ = ["refine_options", "resolution_steps"]

Array = NDArray[np.float64]

FEW = 200
"""Indexed spots below which their scatter is not estimated beside the models: what the models cannot explain
yet would pass for noise in one direction, which then counts for nothing and stays unexplained."""


def resolution_steps(length: Array, cycles: int, least: int = 300) -> Array:
    """Limits |r| (1/Angstrom) of the macrocycles: the last holds all, the first at least ``least`` spots."""
    if cycles == 0 or length.size == 0:
        return np.zeros(0)
    ordered = np.sort(length)
    first = max(0.4 * ordered[-1], ordered[min(least, length.size) - 1])
    # With few spots there is nothing to grow: one cycle to find indices again, one to end with.
    count = cycles if first < 0.95 * ordered[-1] else min(cycles, 2)
    return np.linspace(first, ordered[-1], count) if count > 1 else ordered[-1:]


def refine_options(
    count: int, last: bool, options: IndexOptions, *, hold_cell: bool = False, hold_distance: bool = False
) -> RefineOptions:
    """Free only what so many reflections can tell.

    Before the last cycle a quarter of the reflections does: the next cycle needs no more than indices. None
    are held out to judge with: which those are is for the refinements that follow.
    """
    few = count < options.min_to_refine_detector
    return RefineOptions(
        fix_beam=("all",) if few else RefineOptions().fix_beam,
        fix_crystal=("cell",) if hold_cell else (),
        fix_detector=("all",) if few else ("distance", "orientation") if hold_distance else (),
        noise="table" if count < FEW else "estimated",
        use_all=False,
        reflections_per_degree=max(1, options.reflections_per_degree // (1 if last else 4)),
        free_fraction=0.0,
        halves="off",
        rounds=2,
    )
