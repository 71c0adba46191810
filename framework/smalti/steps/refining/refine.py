"""Refine beam, detector and crystals against the positions of indexed reflections."""

from __future__ import annotations

import time
from functools import partial

import numpy as np

from smalti.models import Experiments
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining.certainty.certainty import certainty_of
from smalti.steps.refining.certainty.halving import refine_halves
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.parallax import with_parallax
from smalti.steps.refining.problem.selection import Selection, observed_and_indexed, select
from smalti.steps.refining.problem.varying import one_crystal_a_scan
from smalti.steps.refining.solving.choosing import alternatives_of, choose, try_all
from smalti.steps.refining.solving.letting_vary import let_vary
from smalti.steps.refining.solving.rounds import Fit, fit_in_rounds
from smalti.steps.refining.solving.supporting import followers, supported, told
from smalti.steps.refining.telling.result import Findings, Refined, gather
from smalti.tables import Flag, Reflections

__all__ = ["refine"]


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
    given = _given(experiments, parameterisation, options)
    selection = select(reflections, next(iter(given.values())), options)
    layouts = {name: supported(layout, selection) for name, layout in given.items()}
    clock["selection"] = time.perf_counter()
    fit_of = partial(
        fit_in_rounds,
        selection=selection,
        minimiser=minimiser,
        rejector=rejector,
        options=options,
        progress=progress,
    )
    chosen, choice = choose(try_all(layouts, fit_of))
    held = told(given[chosen.name], chosen.layout, followers(chosen.layout, selection))
    varied = let_vary(chosen, fit_of, options)
    layout, fit = varied.layout, varied.fit
    clock["solution"] = time.perf_counter()
    certainty = certainty_of(fit)
    clock["uncertainty"] = time.perf_counter()
    found = Findings(selection, fit, certainty, refine_halves(fit, certainty, options), choice, varied, held)
    clock["halves"] = time.perf_counter()
    refined = layout.compose(fit.p)
    table = _finish(reflections, refined, selection, fit)
    clock["prediction"] = time.perf_counter()
    return gather(found, options, refined, table, clock)


def _given(
    experiments: Experiments, parameterisation: DetectorParameterisation, options: RefineOptions
) -> dict[str, Layout]:
    """Lay out the parameters; by name where there is something to choose from."""
    if options.scan_varying != "off":
        experiments = one_crystal_a_scan(experiments)
    return {
        name: Layout.of(experiments, component, options)
        for name, component in alternatives_of(parameterisation, experiments).items()
    }


def _finish(table: Reflections, refined: Experiments, selection: Selection, fit: Fit) -> Reflections:
    """Predict all indexed reflections with the refined models and flag what became of each."""
    rows = selection.observations.rows
    flags = np.array(table["flags"]) if "flags" in table else np.zeros(table.n_rows, dtype=np.uint64)
    for flag in (Flag.USED_IN_REFINEMENT, Flag.CENTROID_OUTLIER, Flag.EXCLUDED_FOR_REFINEMENT):
        flags &= ~np.uint64(int(flag))
    left_out = observed_and_indexed(table)
    left_out[rows] = False
    left_out[rows[fit.free]] = True
    flags[rows[fit.working]] |= np.uint64(int(Flag.USED_IN_REFINEMENT))
    flags[rows[fit.rejected]] |= np.uint64(int(Flag.CENTROID_OUTLIER))
    flags[left_out] |= np.uint64(int(Flag.EXCLUDED_FOR_REFINEMENT))
    columns = {"flags": flags, "entering": selection.entering}
    if fit.held_out.any():
        free = np.array(table["free"]) if "free" in table else np.zeros(table.n_rows, dtype=bool)
        free[rows] = fit.held_out
        columns["free"] = free
    if fit.mislabelled.found.any() or "mislabelled" in table:
        columns["mislabelled"] = np.zeros(table.n_rows, dtype=bool)
        columns["mislabelled"][rows] = fit.mislabelled.found
    table = with_parallax(table, selection.parallax, selection.observations, fit.source.layout.state(fit.p).d)
    return predict_indexed(refined, table.with_columns(columns))
