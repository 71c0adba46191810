"""Refine beam, detector and crystals against the positions of indexed reflections."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from smalti.steps.refining.solving.leaving_out import far_off, held_for, too_few
from smalti.steps.refining.solving.letting_vary import Varied, let_vary
from smalti.steps.refining.solving.rounds import fit_in_rounds
from smalti.steps.refining.solving.supporting import followers, supported, told
from smalti.steps.refining.telling.residual_rows import experiment_rows
from smalti.steps.refining.telling.result import Findings, Refined, gather
from smalti.tables import Flag, Reflections

__all__ = ["Fitted", "fit_only", "refine"]

_MOST_FITS = 3
"""Crystals that do not fit spoil what the others are compared with: so often they are looked for."""


@dataclass(frozen=True)
class Fitted:
    """The refined models, without what is known of their certainty.

    Attributes
    ----------
    experiments : Experiments
    reflections : Reflections
        All rows of the input, predicted again and flagged.
    results : Mapping
        ``experiments`` (RMSDs of each), ``n_used``, ``n_rejected`` and ``ended``, as those of a
        :class:`~smalti.steps.refining.telling.result.Refined`.
    """

    experiments: Experiments
    reflections: Reflections
    results: Mapping[str, Any]


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
        The data cannot be refined: a table that does not fit, too few reflections, ...
    """
    options = options or RefineOptions()
    clock = {"start": time.perf_counter()}
    solved = _solve(experiments, reflections, parameterisation, minimiser, rejector, options, progress, clock)
    fit = solved.varied.fit
    certainty = certainty_of(fit)
    clock["uncertainty"] = time.perf_counter()
    halves = refine_halves(fit, certainty, options)
    found = Findings(solved.selection, fit, certainty, halves, solved.choice, solved.varied, solved.held)
    clock["halves"] = time.perf_counter()
    refined, table = _finish(reflections, solved)
    clock["prediction"] = time.perf_counter()
    return gather(found, options, refined, table, clock)


def fit_only(
    experiments: Experiments,
    reflections: Reflections,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions | None = None,
) -> Fitted:
    """Refine as :func:`refine` does, for callers that need the models alone.

    Covariances, weak directions, halves and the tables of panels are left out: of refinements on the way to
    something else nobody reads them.
    """
    options = options or RefineOptions()
    solved = _solve(experiments, reflections, parameterisation, minimiser, rejector, options, silent, {})
    fit = solved.varied.fit
    refined, table = _finish(reflections, solved)
    results = {
        "experiments": experiment_rows(
            refined, solved.selection.observations, fit, solved.selection.left_out_experiments
        ),
        "n_used": int(fit.working.sum()),
        "n_rejected": int(fit.rejected.sum()),
        "ended": fit.rounds[-1].solution.ended.value,
    }
    return Fitted(refined, table, results)


@dataclass(frozen=True)
class _Solved:
    """What the fits ended with, and how they were chosen."""

    selection: Selection
    choice: Mapping[str, Any] | None
    held: Sequence[str]
    varied: Varied


def _solve(
    experiments: Experiments,
    reflections: Reflections,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions,
    progress: Progress,
    clock: dict[str, float],
) -> _Solved:
    """Select reflections, fit, choose the level and let crystals vary."""
    given = _given(experiments, parameterisation, options)
    selection = select(reflections, next(iter(given.values())), options)
    selection = selection.without(too_few(next(iter(given.values())), selection, options))
    clock["selection"] = time.perf_counter()
    fitting = partial(
        fit_in_rounds, minimiser=minimiser, rejector=rejector, options=options, progress=progress
    )
    for left in reversed(range(_MOST_FITS)):
        given = {name: held_for(layout, selection.left_out_experiments) for name, layout in given.items()}
        layouts = {name: supported(layout, selection) for name, layout in given.items()}
        fit_of = partial(fitting, selection=selection)
        chosen, choice = choose(try_all(layouts, fit_of))
        far = far_off(chosen.fit, options) if left else {}
        if not far:
            break
        selection = selection.without(far)
    held = told(given[chosen.name], chosen.layout, followers(chosen.layout, selection))
    varied = let_vary(chosen, fit_of, options)
    clock["solution"] = time.perf_counter()
    return _Solved(selection, choice, held, varied)


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


def _finish(table: Reflections, solved: _Solved) -> tuple[Experiments, Reflections]:
    """Compose the models, predict all indexed reflections with them and flag what became of each."""
    selection, fit = solved.selection, solved.varied.fit
    refined = solved.varied.layout.compose(fit.p)
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
    columns = {"flags": flags, "entering": selection.entering, "xyzobs.mm.weights": _weights(table, solved)}
    if fit.held_out.any():
        free = np.array(table["free"]) if "free" in table else np.zeros(table.n_rows, dtype=bool)
        free[rows] = fit.held_out
        columns["free"] = free
    if fit.mislabelled.found.any() or "mislabelled" in table:
        columns["mislabelled"] = np.zeros(table.n_rows, dtype=bool)
        columns["mislabelled"][rows] = fit.mislabelled.found
    table = with_parallax(table, selection.parallax, selection.observations, fit.source.layout.state(fit.p).d)
    return refined, predict_indexed(refined, table.with_columns(columns))


def _weights(table: Reflections, solved: _Solved) -> NDArray[np.float64]:
    """Give (N, 3) what the squares of residuals were weighed with; 0 for spots that had no part in it."""
    weights = np.zeros((table.n_rows, 3))
    weights[solved.selection.observations.rows] = 1.0 / solved.varied.fit.rounds[-1].noise.variance
    return weights
