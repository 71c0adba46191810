"""What a worker does: crystals read, judged, brought to their best and eliminated, a group at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.reducing import Reduction, reduce_crystals, settle
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.weighing.judging import judge
from smalti.steps.refining.weighing.scatter import about_strata
from smalti.steps.streaming.common import Common
from smalti.steps.streaming.gathering import Gathered, gather
from smalti.steps.streaming.law import Classes, Law, law_of_group
from smalti.steps.streaming.sums import HALVES, Sums
from smalti.steps.streaming.survey import Group
from smalti.units import MRAD

__all__ = ["Batch", "Order", "Worked", "first_law", "reduce_batch", "typical_intensity", "work_out"]

Array = NDArray[np.float64]

_JUDGEMENTS = 1
"""How often a crystal is judged and brought to its best before it is judged for good."""
_LEAST_SHARE = 0.5
"""A crystal of which fewer of its spots than this are explained is not believed, and left out."""
_FAR = 3.0
"""So is one whose residuals are typically so many times as large as the law of noise has it."""
_WORST_OF_THREE = 1.26
"""Median of the largest absolute value of three normal deviates: (2 Phi(x) - 1)^3 = 1/2."""
_PER_PARAMETER = 2
"""Spots for each parameter of a crystal, by default: as where crystals are refined together."""

Batch = tuple[Group, ...]


@dataclass(frozen=True)
class Order:
    """What workers are told of one pass.

    Attributes
    ----------
    common : Common
    law : Law
        Of the noise.
    judged_at : (g,)
        Shared parameters at which outliers are judged.
    at : (g,)
        Shared parameters of the sums.
    """

    common: Common
    law: Law
    judged_at: Array
    at: Array


@dataclass(frozen=True)
class Worked:
    """A group at its best.

    Attributes
    ----------
    gathered : Gathered
    judged : (N,)
        Weights from 0 to 1.
    reduction : Reduction
    residuals : (N, 3) mm, mm, rad
        At the end.
    left_out : dict
    """

    gathered: Gathered
    judged: Array
    reduction: Reduction
    residuals: Array
    left_out: Mapping[str, int]


def reduce_batch(order: Order, batch: Batch) -> Sums:
    """Add up what the crystals of a batch tell of the shared parameters."""
    g, panels = len(order.at), order.common.n_panels
    total = Sums.none(g, panels)
    for group in batch:
        worked = work_out(order, group)
        if isinstance(worked, Worked):
            total = total.plus(_sums(worked, order, group.number % HALVES))
        else:
            total = total.plus(replace(Sums.none(g, panels), left_out=worked))
    return total


def work_out(order: Order, group: Group) -> Worked | Mapping[str, int]:
    """Read a group and bring its crystals to their best; the reasons where nothing of it can be used.

    It begins with the crystals as they came and depends on the group and the order alone.
    """
    gathered = gather(order.common, group)
    if not isinstance(gathered, Gathered):
        return gathered
    frames = order.common.frames(order.judged_at)
    variance = _variance(order, gathered)
    source = gathered.observed_at(frames)
    p = gathered.partition.with_shared(np.zeros(gathered.layout.n), order.judged_at)
    judged, p, left_out = _judged(gathered, source, variance, p, order.common)
    source = replace(source, weights=judged[:, None] / variance)
    p = gathered.partition.with_shared(p, order.at)
    reduction = reduce_crystals(source, gathered.partition, p)
    return Worked(gathered, judged, reduction, source.calc_minus_obs(reduction.p), left_out)


def first_law(common: Common, typical: float, group: Group) -> Law | None:
    """Fit the law of noise to one group, as it came."""
    gathered = gather(common, group)
    if not isinstance(gathered, Gathered):
        return None
    residuals = gathered.source.calc_minus_obs(np.zeros(gathered.layout.n))
    order = np.argsort(gathered.strata, kind="stable")
    deviations = about_strata(residuals, gathered.strata, order)
    return law_of_group(deviations, gathered.data, typical)


def typical_intensity(common: Common, group: Group) -> float:
    """Give the median intensity of the spots of a group; 1 where no intensities are known."""
    gathered = gather(common, group)
    if not isinstance(gathered, Gathered):
        return np.nan
    known = gathered.data.traits.intensity
    known = known[np.isfinite(known) & (known > 0.0)]
    return float(np.median(known)) if known.size else 1.0


def _judged(
    gathered: Gathered, source: RotationSource, variance: Array, p: Array, common: Common
) -> tuple[Array, Array, dict[str, int]]:
    """Judge the reflections and leave out crystals that do not fit: weights (N,) and parameters (n,)."""
    sigma, partition = np.sqrt(variance), gathered.partition
    say = partial(judge, gathered.data, sigmas=sigma, groups=gathered.strata, rejector=common.rejector)
    crystal = partition.crystal[gathered.data.spots.experiment]
    count = len(partition.own)
    there = np.bincount(crystal, minlength=count)
    judged = np.zeros(gathered.data.n)
    for _ in range(_JUDGEMENTS):
        judged = say(residuals=source.calc_minus_obs(p))
        p = settle(replace(source, weights=judged[:, None] / variance), partition, p)
    judged = say(residuals=source.calc_minus_obs(p))
    kept = np.bincount(crystal, judged > 0.0, minlength=count)
    least = common.options.minimum_per_crystal or _PER_PARAMETER * (partition.own >= 0).sum(axis=1)
    poor, wrong = there < least, kept < _LEAST_SHARE * there
    relative = np.abs(source.calc_minus_obs(p) / sigma).max(axis=1, initial=0.0)
    for number in np.flatnonzero(~poor & ~wrong):
        typical = np.median(relative[crystal == number])
        wrong[number] = not typical < _FAR * _WORST_OF_THREE
    if common.options.crystals_that_do_not_fit == "keep":
        poor, wrong = 3 * kept < (partition.own >= 0).sum(axis=1), np.zeros_like(wrong)
    judged = np.where((poor | wrong)[crystal], 0.0, judged)
    left_out = dict(gathered.left_out)
    if (wrong & ~poor).any():
        left_out["crystals that do not fit"] = int((wrong & ~poor).sum())
    if poor.any():
        left_out["crystals with too few spots"] = int(poor.sum())
    return judged, p, left_out


def _variance(order: Order, gathered: Gathered) -> Array:
    """Variances by the law of noise, (N, 3), or by what the user says of DeltaPsi."""
    variance = order.law.variance(gathered.data)
    psi = order.common.options.delta_psi_sigma * MRAD
    if psi > 0.0:
        variance[gathered.data.traits.still, 2] = psi**2
    return variance


def _sums(worked: Worked, order: Order, half: int) -> Sums:
    gathered, reduction = worked.gathered, worked.reduction
    data, partition, judged = gathered.data, gathered.partition, worked.judged
    used = judged > 0.0
    crystals = np.unique(partition.crystal[data.spots.experiment[used]])
    none = Sums.none(len(order.at), order.common.n_panels)
    matrix, gradient = none.matrix.copy(), none.gradient.copy()
    objective, n_own = np.zeros(HALVES), np.zeros(HALVES)
    matrix[half], gradient[half], objective[half] = reduction.matrix, reduction.gradient, reduction.objective
    n_own[half] = (partition.own[crystals] >= 0).sum()
    rejected = np.bincount(data.spots.panel[~used], minlength=order.common.n_panels)
    return replace(
        none,
        matrix=matrix,
        gradient=gradient,
        objective=objective,
        n_own=n_own,
        panel_used=reduction.panel_used,
        panel_rejected=rejected.astype(float),
        panel_squares=reduction.panel_squares,
        n_crystals=len(crystals),
        n_experiments=len(np.unique(data.spots.experiment[used])),
        left_out=worked.left_out,
        classes=Classes.of(worked.residuals, data, used, order.law.typical),
    )
