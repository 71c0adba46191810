"""What a refinement found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Crystal, Experiments
from smalti.steps.refining.certainty.certainty import Certainty
from smalti.steps.refining.certainty.covariances import covariances_of
from smalti.steps.refining.certainty.halving import Halves
from smalti.steps.refining.certainty.other_indices import other_indices
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import Selection
from smalti.steps.refining.solving.letting_vary import Varied
from smalti.steps.refining.solving.rounds import Fit
from smalti.steps.refining.solving.supporting import Following
from smalti.steps.refining.telling.believing import believe
from smalti.steps.refining.telling.between import between_panels
from smalti.steps.refining.telling.correlation_rows import correlation_rows
from smalti.steps.refining.telling.coverage import coverage_row
from smalti.steps.refining.telling.drift_rows import drift_row
from smalti.steps.refining.telling.ending import short_of_minimum
from smalti.steps.refining.telling.many import summary_row
from smalti.steps.refining.telling.mode_rows import gauge, mode_row
from smalti.steps.refining.telling.noise_rows import noise_row
from smalti.steps.refining.telling.prior_rows import prior_rows
from smalti.steps.refining.telling.rejected_rows import rejected_row
from smalti.steps.refining.telling.residual_rows import (
    Row,
    experiment_rows,
    free_step_rows,
    residual_statistics,
    step_rows,
    third_of,
)
from smalti.steps.refining.telling.rows import (
    cells_of,
    crystal_rows,
    detector_rows,
    panel_rows,
    parameter_rows,
)
from smalti.steps.refining.telling.systematics import systematics
from smalti.steps.refining.telling.tables import as_text
from smalti.steps.refining.telling.tile_rows import tiles_row
from smalti.steps.refining.telling.validation_rows import free_row, halves_row
from smalti.steps.refining.telling.verdict import verdict
from smalti.storage.covariances import Covariances
from smalti.tables import Reflections

__all__ = ["Findings", "Refined", "durations", "gather"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Refined:
    """The refined models and everything known about them.

    Attributes
    ----------
    experiments : Experiments
    reflections : Reflections
        All rows of the input, predicted again and flagged.
    warnings : tuple of str
    covariance : (n, n)
        Of the free parameters, in the order and units of ``results["parameters"]``; where crystals were
        eliminated, of the shared ones: ``covariances.names``.
    panel_covariance : tuple of (P, 6, 6)
        For each detector and panel: covariance of the displacement of its centre (fast, slow, normal,
        mm) and of its rotation vector (rad), after the motion of the detector as a whole.
    covariances : Covariances
        All of this and more, as it is saved.
    results : Mapping
        The rows of all tables.
    """

    experiments: Experiments
    reflections: Reflections
    warnings: tuple[str, ...]
    covariance: Array
    panel_covariance: tuple[Array, ...]
    covariances: Covariances
    results: Mapping[str, Any]

    @property
    def trustworthy(self) -> bool:
        """Whether the result should be believed."""
        return bool(self.results["verdict"]["trustworthy"])

    def summary(self) -> dict[str, Any]:
        """Give everything that is printed, as one JSON object."""
        return dict(self.results)

    def text(self) -> str:
        """Give the tables for people."""
        return as_text(self.results)


@dataclass(frozen=True)
class Findings:
    """What the parts of a refinement found, one after the other.

    Attributes
    ----------
    selection : Selection
    fit : Fit
        The last one.
    certainty : Certainty
    halves : Halves or None
    choice : Mapping or None
        Of the level, where it was asked for.
    varied : Varied
        What varies over the scans, and the layout of the last fit.
    held : sequence of str
        Sentences about what reflections could not support.
    """

    selection: Selection
    fit: Fit
    certainty: Certainty
    halves: Halves | None
    choice: Mapping[str, Any] | None
    varied: Varied
    held: Sequence[str]


def gather(
    found: Findings,
    options: RefineOptions,
    refined: Experiments,
    table: Reflections,
    clock: Mapping[str, float],
) -> Refined:
    """Make the tables of a refinement."""
    fit, certainty = found.fit, found.certainty
    layout, uncertainty = found.varied.layout, certainty.uncertainty
    panels, detectors, motions = [], [], []
    for number in layout.panel_offset:
        rows, moved = panel_rows(layout, number, found.selection.observations, fit, uncertainty)
        panels += rows
        detectors.append(detector_rows(layout, number, moved))
        motions.append(moved)
    common, other = systematics(fit, layout.n_panels), other_indices(fit)
    panels = [row | scan for row, scan in zip(panels, common.panels, strict=True)]
    halves, apart = halves_row(layout, fit, found.halves, options, panels)
    cells = cells_of(layout, fit.p, uncertainty)
    results = {
        **_figures(found, refined),
        "panels": _judged(layout, fit, [a | b for a, b in zip(panels, apart, strict=True)]),
        "between_panels": between_panels(found.selection.observations, fit.residuals, fit.working),
        "systematics": common.whole,
        "other_indices": None if other is None else asdict(other),
        "detectors": detectors,
        "halves": halves,
        **_models(found, cells),
        "seconds": durations(clock),
    }
    results["summary_of_experiments"] = summary_row(results["experiments"], _seen_crystals(layout, results))
    covariances = covariances_of(layout, fit.p, uncertainty, motions, cells)
    results["correlations"] = correlation_rows(covariances.covariance, covariances.names)
    judgement = verdict(results, fit.rounds[-1].solution.ended, certainty.determination.modes)
    return Refined(
        refined,
        table,
        (*judgement["reasons"], *judgement["notes"], *found.varied.notes),
        uncertainty.covariance.shared,
        tuple(moved.own_covariance for moved in motions),
        covariances,
        {**results, "verdict": judgement},
    )


def _seen_crystals(layout: Layout, results: Mapping[str, Any]) -> list[Row]:
    """Rows of the crystals of experiments that were used: those of others are as they were given."""
    used = [row["experiment"] for row in results["experiments"] if row["n_used"]]
    numbers = {layout.blocks[layout.uses[number]["crystal"]].number for number in used}
    return [row for row in results["crystals"] if row["crystal"] in numbers]


def _models(found: Findings, cells: Sequence[tuple[Crystal, Array, Array]]) -> dict[str, Any]:
    """The parameters and what they make of crystals, and how well they are determined."""
    fit, certainty = found.fit, found.certainty
    layout, uncertainty, known = found.varied.layout, certainty.uncertainty, certainty.determination
    return {
        "held": list(found.held),
        "crystals": crystal_rows(layout, fit.p, uncertainty, cells),
        "parameters": parameter_rows(layout, fit.p, uncertainty),
        "priors": prior_rows(fit, uncertainty),
        "effective_parameters": uncertainty.effective,
        "condition": known.condition,
        "smallest_eigenvalue": known.smallest,
        "tiles": tiles_row(layout),
        "drift": drift_row(layout, fit, certainty),
        "weak_modes": [mode_row(layout, mode) for mode in known.modes],
        "covariance_factors": certainty.factors,
        "gauge": gauge(layout),
    }


def _judged(layout: Layout, fit: Fit, panels: Sequence[Row]) -> list[Row]:
    """Add to the rows of panels whether they are believed."""
    follow = {
        (layout.detector_block(item.block).number, panel)
        for item in fit.source.restraints
        if isinstance(item, Following)
        for panel in item.panels
    }
    known = [row["scan_ratio"] for row in panels if row["scan_ratio"] is not None]
    usual = float(np.median(known)) if known else 0.0
    return [
        row | believe(row, follows=(row["detector"], row["panel"]) in follow, usual=usual) for row in panels
    ]


def _figures(found: Findings, refined: Experiments) -> dict[str, Any]:
    """Reflections, residuals before, without outliers and at the end, and the steps between."""
    fit, data, layout = found.fit, found.selection.observations, found.varied.layout
    first, last = fit.rounds[0], fit.rounds[-1]
    return {
        "n_parameters": layout.n,
        "third": third_of(data),
        "n_used": int(fit.working.sum()),
        "n_free": int(fit.free.sum()),
        "n_rejected": int(fit.rejected.sum()),
        "left_out": dict(found.selection.left_out),
        "before": residual_statistics(first.noise.variance, first.residuals, np.ones(data.n, dtype=bool)),
        "after_rejection": residual_statistics(first.noise.variance, first.residuals, first.weights > 0.0),
        "final": residual_statistics(last.noise.variance, fit.residuals, fit.working),
        "steps": step_rows([item.solution for item in fit.rounds]),
        "free_steps": free_step_rows(fit),
        "ended": last.solution.ended.value,
        "short_of_minimum": short_of_minimum(last.equations),
        "variance_scale": last.noise.scale,
        "noise": noise_row(layout, data, fit),
        "rejected": rejected_row(data, fit),
        "experiments": experiment_rows(refined, data, fit, found.selection.left_out_experiments),
        "coverage": coverage_row(layout, data, fit),
        "free": free_row(fit, found.certainty.uncertainty.effective),
        "level_choice": found.choice,
        "scan_choice": found.varied.choice,
    }


def durations(clock: Mapping[str, float]) -> dict[str, float]:
    """Seconds from each mark of a clock to the next, by the name of the later."""
    marks = list(clock.items())
    return {name: now - before for (_, before), (name, now) in zip(marks[:-1], marks[1:], strict=True)}
