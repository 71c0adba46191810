"""Crystals that do not fit: too few spots to place them, or spots that scatter unlike those of all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import Selection
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["FAR", "FEW", "REJECTED", "far_off", "held_for", "too_few"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

FEW = "too few reflections to place a crystal of its own"
FAR = "its spots scatter far more than those of other crystals"
REJECTED = "most of its spots are outliers"

_PER_PARAMETER = 2
"""Reflections for each parameter of a crystal, by default: what they tell is then six times what is asked."""

_OTHERS = 10
"""Crystals of one kind, sweeps or stills, below which none is told to be unlike the others."""

_FENCE = 1.5
_LEAST_TIMES = 2.0
_OF_SCALE = 0.67
"""Standard deviation of the logarithm of a scale from the absolute medians of three coordinates, times the
root of the number of spots."""


def too_few(layout: Layout, selection: Selection, options: RefineOptions) -> dict[int, str]:
    """Find experiments whose crystal has fewer reflections than it takes to place it, with the reason.

    None where it is the only crystal, or where all have too few.
    """
    if options.crystals_that_do_not_fit == "keep":
        return {}
    crystal = _crystals(layout)
    count = np.bincount(
        crystal[selection.observations.spots.experiment[~selection.held_out]], minlength=len(layout.blocks)
    )
    shared = np.bincount(layout.column[layout.column >= 0], minlength=layout.n) > 1
    found: dict[int, str] = {}
    for number in np.unique(crystal):
        offset = layout.offsets[number]
        column = layout.column[offset : offset + len(layout.blocks[number].parameters)]
        own = int((~shared[column[column >= 0]]).sum())
        if own and count[number] < (options.minimum_per_crystal or _PER_PARAMETER * own):
            found |= {int(e): FEW for e in np.flatnonzero(crystal == number)}
    return found if len(found) < len(crystal) else {}


def far_off(fit: Fit, options: RefineOptions) -> dict[int, str]:
    """Find experiments whose crystal does not fit, with the reason.

    Of each crystal the scale of its residuals (from the median of their absolute values, outliers
    included) is compared with those of all crystals of its kind, sweeps or stills. Beyond Tukey's fence of
    the logarithms, and beyond twice the median by more than chance makes of its number of spots, a crystal
    is another one than it is said to be, two in one, or misindexed. So is one that loses most of its spots
    to the judge.
    """
    layout, data = fit.source.layout, fit.source.observations
    if options.crystals_that_do_not_fit == "keep":
        return {}
    crystal = _crystals(layout)
    of_spot = crystal[data.spots.experiment]
    scaled = np.abs(fit.residuals / data.traits.unit)
    scaled[~np.isfinite(scaled).all(axis=1)] = np.inf
    found: dict[int, str] = {}
    for still in (False, True):
        members = np.unique(of_spot[data.traits.still == still])
        if len(members) < _OTHERS:
            continue
        count, scale = _scales(scaled, of_spot, members)
        relative = scale / np.maximum(np.median(scale, axis=0), 1e-12)
        size = 0.5 * np.log(np.mean(relative**2, axis=1))
        low, middle, high = np.quantile(size, (0.25, 0.5, 0.75))
        chance = middle + np.log(_LEAST_TIMES) + 2.0 * _OF_SCALE / np.sqrt(count)
        far = size > np.maximum(high + _FENCE * (high - low), chance)
        kept = np.bincount(of_spot, weights=fit.judged > 0.0, minlength=len(layout.blocks))[members]
        for reason, which in ((FAR, far), (REJECTED, ~far & (kept < 0.5 * count))):
            found |= {int(e): reason for e in np.flatnonzero(np.isin(crystal, members[which]))}
    return found


def held_for(layout: Layout, left_out: Collection[int] | Mapping[int, str]) -> Layout:
    """Hold the crystals of experiments that are left out, unless others use them too."""
    crystal = _crystals(layout)
    out = np.zeros(len(crystal), dtype=bool)
    out[list(left_out)] = True
    gone = np.setdiff1d(crystal[out], crystal[~out])
    names = {parameter.name for number in gone for parameter in layout.blocks[number].parameters}
    return layout.holding(names) if names else layout


def _crystals(layout: Layout) -> Index:
    """Number of the block of each experiment's crystal, (E,)."""
    return np.array([use["crystal"] for use in layout.uses], dtype=np.intp)


def _scales(sizes: Array, of_spot: Index, members: Index) -> tuple[Index, Array]:
    """Numbers of spots (K,) and medians of absolute residuals (K, 3) of some crystals."""
    order = np.argsort(of_spot, kind="stable")
    first = np.searchsorted(of_spot[order], members)
    last = np.searchsorted(of_spot[order], members, side="right")
    medians = [np.median(sizes[order[a:b]], axis=0) for a, b in zip(first, last, strict=True)]
    return last - first, np.array(medians)
