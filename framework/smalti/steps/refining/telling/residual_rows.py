"""Rows of the tables of a refinement about its residuals: of what was fitted, and of what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.solution import Solution
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.solving.rounds import Fit

__all__ = [
    "NEAR_SPINDLE",
    "clear_rmsd",
    "Row",
    "experiment_rows",
    "free_step_rows",
    "residual_statistics",
    "rmsds",
    "step_rows",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Row = dict[str, Any]

NEAR_SPINDLE = 0.05
"""Reflections with a smaller |zeta| are not in RMSDs."""


def residual_statistics(variance: Array, residuals: Array, use: Mask) -> Row:
    """Give five-number summaries of residuals and weights: what the tutorial prints before and after."""
    rows: Row = {"n": int(use.sum())}
    units = np.array([1.0, 1.0, np.degrees(1.0)])
    named = {
        "residual": (residuals * units, ("x_mm", "y_mm", "phi_deg")),
        "weight": (1.0 / (variance * units**2), ("x_per_mm2", "y_per_mm2", "phi_per_deg2")),
    }
    for kind, (values, names) in named.items():
        for k, name in enumerate(names):
            column = values[use, k]
            column = column[np.isfinite(column)]
            five = np.percentile(column, [0, 25, 50, 75, 100]) if column.size else np.full(5, np.nan)
            rows[f"{kind}_{name}"] = [float(x) for x in five]
    return rows


def step_rows(solutions: Sequence[Solution]) -> list[Row]:
    """List the steps of all rounds."""
    return [
        {
            "round": number,
            "step": step.number,
            "n": step.n_reflections,
            "rmsd_x_mm": step.rmsd[0],
            "rmsd_y_mm": step.rmsd[1],
            "rmsd_phi_deg": float(np.degrees(step.rmsd[2])),
            "objective": step.objective,
        }
        for number, solution in enumerate(solutions, start=1)
        for step in solution.steps
    ]


def free_step_rows(fit: Fit) -> list[Row]:
    """RMSDs of the free reflections at the start and after each round; none where nothing is held out."""
    free = fit.free
    if not free.any():
        return []
    stages = [*(item.residuals for item in fit.rounds), fit.residuals]
    rows = []
    for number, residuals in enumerate(stages):
        x, y, phi = clear_rmsd(fit, residuals, free)
        rows.append(
            {
                "round": number,
                "n": int(free.sum()),
                "rmsd_x_mm": float(x),
                "rmsd_y_mm": float(y),
                "rmsd_phi_deg": float(np.degrees(phi)),
            }
        )
    return rows


def clear_rmsd(fit: Fit, residuals: Array, use: Mask) -> Array:
    """RMSDs (3,) of some residuals (N, 3), as in :func:`rmsds`."""
    some = use & (fit.source.observations.traits.zeta >= NEAR_SPINDLE)
    some = (some if some.any() else use) & np.isfinite(residuals).all(axis=1)
    return np.asarray(np.sqrt(np.average(residuals[some] ** 2, axis=0, weights=fit.judged[some])))


def experiment_rows(refined: Experiments, data: Observations, fit: Fit) -> list[Row]:
    """Give the RMSDs of each experiment in pixels and images; in images of spots that are whole."""
    rows, whole = [], data.traits.unseen == 0.0
    for number, experiment in enumerate(refined):
        mine = data.spots.experiment == number
        pixel = experiment.detector.panels[0].pixel_size
        width = abs(experiment.scan.oscillation[1]) if experiment.scan else np.nan
        scaled = fit.residuals[mine] / (*pixel, width)
        rows.append(
            {"experiment": number, "identifier": experiment.identifier}
            | rmsds(fit, mine, scaled, whole[mine])
        )
    return rows


def rmsds(fit: Fit, mine: Mask | NDArray[np.intp], scaled: Array, whole: Mask) -> Row:
    """Count some of the reflections and give the RMSDs of those that were fitted and of the free ones.

    A reflection to which the judge gave the weight w counts for w in the RMSDs. Those nearer to the spindle
    than |zeta| = 0.05 are left out of them where there are others: they hardly count in the fit, and a
    few with errors of ten pixels would hide what all others do.

    Parameters
    ----------
    mine : (N,) bool or (M,) int
        Which reflections.
    scaled : (M, 3) px, px, images
        Their residuals.
    whole : (M,) bool
        Those that no end of the scan has cut: the RMSD of the angle is theirs, where there are any.
    """
    row: Row = {
        "n_used": int(fit.working[mine].sum()),
        "n_free": int(fit.free[mine].sum()),
        "n_rejected": int(fit.rejected[mine].sum()),
    }
    clear = fit.source.observations.traits.zeta[mine] >= NEAR_SPINDLE
    for prefix, use in (("", fit.working[mine]), ("free_", fit.free[mine])):
        names = [f"{prefix}rmsd_{name}" for name in ("x_px", "y_px", "z_images")]
        some = use & clear if (use & clear).any() else use
        row |= dict(zip(names, _rmsd(scaled, np.where(some, fit.judged[mine], 0.0), whole), strict=True))
    return row


def _rmsd(residuals: Array, weights: Array, whole: Mask) -> list[float | None]:
    if not weights.any():
        return [None, None, None]
    used = weights > 0.0
    x, y, z = np.sqrt(np.average(residuals[used] ** 2, axis=0, weights=weights[used]))
    if (used & whole).any():
        z = np.sqrt(np.average(residuals[used & whole, 2] ** 2, weights=weights[used & whole]))
    return [float(x), float(y), float(z)]
