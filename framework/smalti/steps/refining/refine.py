"""Refine beam, detector and crystals against the positions of indexed reflections."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.solution import Prior
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining.judging import judge, strata
from smalti.steps.refining.layout import Layout
from smalti.steps.refining.observations import Observations
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.result import Refined, Round, gather
from smalti.steps.refining.selection import Selection, observed_and_indexed, select
from smalti.steps.refining.source import RotationSource
from smalti.steps.refining.uncertainty import assess, effective_parameters, reduced_chi_squared
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
    sigmas, groups = np.sqrt(data.variance), strata(data, options)
    threads = options.n_threads or os.cpu_count() or 1
    source = RotationSource(layout, data, 1.0 / data.variance, layout.prior, threads)
    p = np.zeros(layout.n)
    residuals = source.calc_minus_obs(p)
    # Before anything is refined only the scatter within strata tells how good the centroids are.
    scale = _robust_scale(residuals / sigmas, groups)
    rounds: list[Round] = []
    for number in range(options.rounds):
        progress("refining", number, options.rounds)
        weights = judge(data, residuals, sigmas * np.sqrt(scale), groups, rejector)
        if rounds and _as_before(rounds[-1], weights, scale):
            break
        if 2 * int((weights > 0.0).sum()) < options.minimum_reflections:
            raise _all_rejected(weights, rejector)
        source = replace(source, weights=weights[:, None] / (scale * data.variance))
        solution = minimiser.minimise(source, p)
        p = solution.parameters
        equations = source.normal_equations(p)
        rounds.append(Round(weights, scale, residuals, solution, equations))
        log.info("round %d: %d used, %s", number + 1, equations.n_reflections, solution.ended.value)
        residuals = source.calc_minus_obs(p)
        scale = _fitted_scale(rounds[-1], source.prior, p)
    progress("refining", options.rounds, options.rounds)
    return source, tuple(rounds)


def _as_before(last: Round, weights: Array, scale: float) -> bool:
    """Whether another round would change nothing that matters."""
    changed = int(((weights > 0.0) != (last.weights > 0.0)).sum())
    return changed <= 1e-3 * len(weights) and abs(scale / last.scale - 1.0) < 0.05


def _robust_scale(normalised: Array, groups: NDArray[np.intp]) -> float:
    """Variance of normalised residuals about the median of their stratum, from absolute deviations."""
    values = normalised[np.isfinite(normalised).all(axis=1)]
    labels = groups[np.isfinite(normalised).all(axis=1)]
    order = np.argsort(labels, kind="stable")
    parts = np.split(values[order], np.flatnonzero(np.diff(labels[order])) + 1)
    deviations = np.concatenate(
        [part - np.median(part, axis=0) for part in parts if len(part) > 2] or [values]
    )
    # 1.4826 makes the median absolute deviation of a normal distribution its standard deviation.
    spread = 1.4826 * np.median(np.abs(deviations), axis=0) if len(deviations) else np.ones(3)
    squares = float(np.sum(spread**2)) * len(values)
    return reduced_chi_squared(squares, 3 * len(values), 0.0)


def _fitted_scale(last: Round, prior: Prior, p: Array) -> float:
    """Variance of the centroids against what the table says, from chi-squared at the minimum."""
    energy = 0.5 * float(np.sum(prior.precision * (p - prior.mean) ** 2))
    chi_squared = 2.0 * (last.equations.objective - energy) * last.scale
    n = 3 * last.equations.n_reflections
    return reduced_chi_squared(chi_squared, n, effective_parameters(last.equations, prior))


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
