"""Refine beam, detector and crystals against the positions of indexed reflections."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.steps.answers import solution_of
from smalti.steps.executing import available_cores
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining.concentrating import FEW, concentrate
from smalti.steps.refining.judging import judge, strata
from smalti.steps.refining.layout import Layout
from smalti.steps.refining.noise import Noise, first_noise, later_noise
from smalti.steps.refining.observations import Observations
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.restraints import restraints_of
from smalti.steps.refining.result import Refined, Round, gather
from smalti.steps.refining.selection import Selection, observed_and_indexed, select
from smalti.steps.refining.source import RotationSource
from smalti.steps.refining.uncertainty import assess, effective_parameters
from smalti.tables import Flag, Reflections

__all__ = ["refine"]

Array = NDArray[np.float64]
log = logging.getLogger(__name__)


def refine(
    experiments: Experiments,
    reflections: Reflections,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions | None = None,
    progress: Progress = silent,
) -> Refined:
    """Refine the models of rotation experiments.

    In rounds: outliers are judged on the residuals of the present models, then the minimiser moves
    the models; until the same reflections are rejected as before. Judged once, on the models as they
    came, good spots of badly placed panels would be lost for ever.

    Parameters
    ----------
    experiments, reflections
        As the indexing left them, or an earlier refinement. Models shared by experiments stay shared.
    parameterisation, minimiser, rejector
        Components that do the work.

    Returns
    -------
    Refined

    Raises
    ------
    DataError
        The data cannot be refined: stills, a table that does not fit, too few reflections, ...
    """
    options = options or RefineOptions()
    clock = {"start": time.perf_counter()}
    layout = Layout.of(experiments, parameterisation, options)
    selection = select(reflections, layout, options)
    clock["selection"] = time.perf_counter()
    source, rounds = _rounds(layout, selection.observations, minimiser, rejector, options, progress)
    clock["solution"] = time.perf_counter()
    p = rounds[-1].solution.parameters
    uncertainty = assess(rounds[-1].equations, source.prior)
    clock["uncertainty"] = time.perf_counter()
    refined = layout.compose(p)
    table = _finish(reflections, refined, selection, source.weights[:, 0] > 0.0)
    clock["prediction"] = time.perf_counter()
    return gather(layout, selection, source, rounds, uncertainty, refined, table, clock)


def _rounds(
    layout: Layout,
    data: Observations,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions,
    progress: Progress,
) -> tuple[RotationSource, tuple[Round, ...]]:
    """Judge and minimise in turn; give the last problem and what each round did."""
    groups, estimate = strata(data, options), options.noise == "estimated"
    threads = options.n_threads or available_cores()
    source = RotationSource(
        layout, data, 1.0 / data.variance, layout.prior, threads, restraints_of(layout, options)
    )
    p = np.zeros(layout.n)
    before = residuals = source.calc_minus_obs(p)
    noise = first_noise(data, residuals, groups, estimate)
    if data.n < FEW:
        least = max(options.minimum_reflections, layout.n)
        p = concentrate(source, minimiser, p, noise.variance, least)
        residuals = source.calc_minus_obs(p)
        noise = first_noise(data, residuals, groups, estimate, layout.n)
    rounds: list[Round] = []
    for number in range(options.rounds):
        progress("refining", number, options.rounds)
        weights = judge(data, residuals, np.sqrt(noise.judging), groups, rejector)
        if rounds and _as_before(rounds[-1], weights, noise):
            break
        if 2 * int((weights > 0.0).sum()) < options.minimum_reflections:
            raise _all_rejected(weights, rejector)
        source = replace(source, weights=weights[:, None] / noise.variance)
        solution = solution_of(minimiser, source, p)
        p = solution.parameters
        equations = source.normal_equations(p)
        rounds.append(Round(weights, noise, before, solution, equations))
        log.info("round %d: %d used, %s", number + 1, equations.n_reflections, solution.ended.value)
        before = residuals = source.calc_minus_obs(p)
        effective = effective_parameters(equations, source.prior)
        noise = later_noise(data, residuals, groups, weights, effective, estimate)
    progress("refining", options.rounds, options.rounds)
    return source, tuple(rounds)


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


def _finish(
    table: Reflections, refined: Experiments, selection: Selection, used: NDArray[np.bool_]
) -> Reflections:
    """Predict all indexed reflections with the refined models and flag what became of each."""
    rows = selection.observations.rows
    flags = np.array(table["flags"]) if "flags" in table else np.zeros(table.n_rows, dtype=np.uint64)
    for flag in (Flag.USED_IN_REFINEMENT, Flag.CENTROID_OUTLIER, Flag.EXCLUDED_FOR_REFINEMENT):
        flags &= ~np.uint64(int(flag))
    left_out = observed_and_indexed(table)
    left_out[rows] = False
    flags[rows[used]] |= np.uint64(int(Flag.USED_IN_REFINEMENT))
    flags[rows[~used]] |= np.uint64(int(Flag.CENTROID_OUTLIER))
    flags[left_out] |= np.uint64(int(Flag.EXCLUDED_FOR_REFINEMENT))
    return predict_indexed(refined, table.with_columns({"flags": flags, "entering": selection.entering}))
