"""Rounds of judging and minimising."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.progress import Progress
from smalti.roles import Minimiser, OutlierRejector
from smalti.solution import NormalEquations, Prior, Solution
from smalti.steps.cores import available_cores
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.restraints import restraints_of
from smalti.steps.refining.problem.selection import Selection
from smalti.steps.refining.problem.smoothness import held_paths
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.solving.concentrating import FEW, concentrate
from smalti.steps.refining.solving.learning import learn, settled
from smalti.steps.refining.solving.projecting import Minimum, determined_by, minimise, partition_for
from smalti.steps.refining.solving.supporting import followers
from smalti.steps.refining.weighing.judging import judge, strata
from smalti.steps.refining.weighing.leverage import crystal_leverages, leverages
from smalti.steps.refining.weighing.mislabelled import DOUBTED, Mislabelled, find_mislabelled
from smalti.steps.refining.weighing.noise import Noise, NoiseModel
from smalti.units import MRAD
from smalti_ext.threads import allow

__all__ = ["Fit", "Round", "fit_in_rounds"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """One round of judging and minimising.

    Attributes
    ----------
    weights : (N,)
        What the judge said; 0 for what is held out.
    noise : Noise
        Variances of the centroids.
    residuals : (N, 3)
        Before this round's minimisation.
    p : (n,)
        All parameters, after it.
    solution : Solution
        Of the shared parameters, which are all where no crystal is eliminated.
    equations : NormalEquations
        At the solution, of the same.
    determined : (n,)
        How far the data determine each parameter, from 0 to 1.
    """

    weights: Array
    noise: Noise
    residuals: Array
    p: Array
    solution: Solution
    equations: NormalEquations
    determined: Array

    @property
    def effective(self) -> float:
        """How many parameters the data determine."""
        return float(self.determined.sum())


@dataclass(frozen=True)
class Fit:
    """What the rounds ended with.

    Attributes
    ----------
    source : RotationSource
        The last problem.
    partition : Partition
        Which parameters were eliminated.
    rounds : tuple of Round
    residuals : (N, 3) mm, mm, rad
        calc - obs at the end.
    judged : (N,)
        What the judge says of every reflection, of those that are held out too.
    held_out : (N,) bool
        The free set.
    noise : Noise
        At the end; that of the weights is in the last round.
    groups : (N,)
        Strata of the judge.
    mislabelled : Mislabelled
        The outliers that carry the index of a neighbour.
    """

    source: RotationSource
    partition: Partition
    rounds: tuple[Round, ...]
    residuals: Array
    judged: Array
    held_out: Mask
    noise: Noise
    groups: NDArray[np.intp]
    mislabelled: Mislabelled

    @property
    def p(self) -> Array:
        """The parameters found, (n,)."""
        return self.rounds[-1].p

    @cached_property
    def misfit(self) -> Array:
        """Mean of the three squared residuals over their variances, (N,)."""
        return np.asarray(np.mean(self.residuals**2 / self.rounds[-1].noise.variance, axis=1))

    @cached_property
    def working(self) -> Mask:
        """What was fitted, (N,)."""
        return (self.judged > 0.0) & ~self.held_out

    @cached_property
    def free(self) -> Mask:
        """What is held out and no outlier, (N,)."""
        return (self.judged > 0.0) & self.held_out

    @cached_property
    def rejected(self) -> Mask:
        """The outliers, held out or not, (N,)."""
        return np.asarray(self.judged == 0.0)


def fit_in_rounds(
    layout: Layout,
    selection: Selection,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions,
    progress: Progress,
    begin: Array | None = None,
) -> Fit:
    """Judge and minimise in turn, until the same reflections are rejected as before.

    Judged once, on the models as they came, good spots of badly placed panels would be lost for ever. What
    is held out has no part in it: its residuals are hidden from the judge and from the noise, and its
    weights are 0. It is judged once, at the end.

    Parameters
    ----------
    begin : (n,), optional
        Where to begin; the models as they came.
    """
    data, held_out = selection.observations, selection.held_out
    groups = strata(data, options, held_out)
    psi = options.delta_psi_sigma * MRAD
    model = NoiseModel(data, groups, options.noise == "estimated", options.seed, psi)
    p = np.zeros(layout.n) if begin is None else begin
    source = _observed_at(_source(layout, selection, options), selection, p)
    partition, threads = partition_for(source, options), source.n_threads
    before = source.calc_minus_obs(p)
    p, residuals, noise = _start(source, partition, p, before, held_out, model, minimiser, options)
    rounds: list[Round] = []
    prior = source.prior
    for number in range(options.rounds):
        progress("refining", number, options.rounds)
        with allow(threads):
            weights = judge(data, _hidden(residuals, held_out), np.sqrt(noise.judging), groups, rejector)
        if rounds and _as_before(rounds[-1], weights, noise) and settled(source.prior, prior):
            break
        if 2 * int((weights > 0.0).sum()) < options.minimum_reflections:
            raise _all_rejected(weights, rejector)
        source = replace(source, weights=weights[:, None] / noise.variance, prior=prior)
        found = minimise(source, partition, minimiser, p)
        p, equations = found.p, found.equations
        known = determined_by(source, partition, found)
        prior = _learnt(source, partition, found)
        rounds.append(Round(weights, noise, before, p, found.solution, equations, known))
        log.info("round %d: %d used, %s", number + 1, equations.n_reflections, found.solution.ended.value)
        source = _observed_at(source, selection, p)
        before = residuals = source.calc_minus_obs(p)
        own = crystal_leverages(layout, data, source.weights, p)
        leverage = leverages(layout, known, weights, data.spots.panel, own)
        with allow(threads):
            noise = model.later(_hidden(residuals, held_out), weights, leverage, rejector)
    progress("refining", options.rounds, options.rounds)
    with allow(threads):
        judged = _judged(data, residuals, rounds[-1], held_out, groups, rejector)
    wrong = find_mislabelled(*source.states(p), noise.judging, judged < DOUBTED)
    return Fit(source, partition, tuple(rounds), residuals, judged, held_out, noise, groups, wrong)


def _source(layout: Layout, selection: Selection, options: RefineOptions) -> RotationSource:
    """The problem with the variances of the table."""
    restraints = (
        *restraints_of(layout, options),
        *held_paths(layout, options),
        *followers(layout, selection),
    )
    data, threads = selection.observations, options.n_threads or available_cores()
    return RotationSource(layout, data, 1.0 / data.variance, layout.prior, threads, restraints)


def _learnt(source: RotationSource, partition: Partition, found: Minimum) -> Prior:
    """The prior with the widths that the data make most likely; crystals have none to be learnt."""
    of_shared = partition.prior_of_shared
    learnt = learn(found.equations, of_shared(source.prior), of_shared(source.layout.prior)).prior
    return partition.with_prior_of_shared(source.layout.prior, learnt)


def _judged(
    data: Observations,
    residuals: Array,
    last: Round,
    held_out: Mask,
    groups: NDArray[np.intp],
    rejector: OutlierRejector,
) -> Array:
    """What the judge says at the end, (N,): of what was fitted what he said before, of the rest for once."""
    if not held_out.any():
        return last.weights
    everything = judge(data, residuals, np.sqrt(last.noise.judging), groups, rejector)
    return np.where(held_out, everything, last.weights)


def _observed_at(source: RotationSource, selection: Selection, p: Array) -> RotationSource:
    """Let observed millimetres follow the geometry at p (n,), where they depend on it."""
    if selection.parallax is None:
        return source
    state = source.layout.state(p)
    return replace(source, observations=selection.parallax.observed(source.observations, state.d))


def _start(
    source: RotationSource,
    partition: Partition,
    p: Array,
    residuals: Array,
    held_out: Mask,
    model: NoiseModel,
    minimiser: Minimiser,
    options: RefineOptions,
) -> tuple[Array, Array, Noise]:
    """Where the first round begins, and residuals and noise there."""
    data, n = source.observations, source.layout.n
    noise = model.first(_hidden(residuals, held_out))
    if data.n >= FEW or held_out.any() or p.any():
        return p, residuals, noise
    p = concentrate(source, partition, minimiser, p, noise.variance, max(options.minimum_reflections, n))
    residuals = source.calc_minus_obs(p)
    return p, residuals, model.first(residuals, n)


def _hidden(residuals: Array, held_out: Mask) -> Array:
    """Residuals (N, 3) without those that are held out: nan, as where nothing is predicted."""
    return np.where(held_out[:, None], np.nan, residuals) if held_out.any() else residuals


def _as_before(last: Round, weights: Array, noise: Noise) -> bool:
    """Whether another round would change nothing that matters."""
    changed = float(np.abs(weights - last.weights).sum())
    ratio = noise.variance / last.noise.variance
    return changed <= 1e-3 * len(weights) and bool(np.quantile(np.abs(ratio - 1.0), 0.9) < 0.05)


def _all_rejected(weights: Array, rejector: OutlierRejector) -> DataError:
    return DataError(
        f"Outlier rejection leaves {int((weights > 0.0).sum())} of {len(weights)} reflections.",
        f"Either the models are far off, or '{rejector.name}' is too strict for so few.",
        "Refine with --outliers none first, or look at the indexing.",
    )
