"""Rows of the tables of a refinement about its residuals: of what was fitted, and of what was held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "third_of",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Row = dict[str, Any]

_NOTHING = "no reflection of it could be used"

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


def experiment_rows(
    refined: Experiments, data: Observations, fit: Fit, why: Mapping[int, str] | None = None
) -> list[Row]:
    """Give the RMSDs of each experiment in pixels and images (of spots that are whole), of stills in mrad.

    Parameters
    ----------
    refined : Experiments
    data : Observations
    fit : Fit
    why : Mapping, optional
        Of experiments that were left out, the reason.
    """
    order = np.argsort(data.spots.experiment, kind="stable")
    bounds = np.searchsorted(data.spots.experiment[order], np.arange(len(refined) + 1))
    rows = []
    for number, experiment in enumerate(refined):
        found = rmsds(fit, order[bounds[number] : bounds[number + 1]])
        reason = (why or {}).get(number, "") or ("" if found["n_used"] else _NOTHING)
        rows.append(
            {"experiment": number, "identifier": experiment.identifier, "still": bool(experiment.is_still)}
            | found
            | {"cell": None if experiment.crystal is None else list(experiment.crystal.cell), "why": reason}
        )
    return rows


def rmsds(fit: Fit, mine: NDArray[np.intp]) -> Row:
    """Count some of the reflections (M,) and give the RMSDs of those that were fitted and of the free ones.

    A reflection to which the judge gave the weight w counts for w in the RMSDs. Those nearer to the spindle
    than |zeta| = 0.05 are left out of them where there are others: they hardly count in the fit, and a
    few with errors of ten pixels would hide what all others do. The RMSD of the angle is that of spots that
    no end of the scan has cut, where there are any, and that of DeltaPsi is of stills.
    """
    row: Row = {
        "n_used": int(fit.working[mine].sum()),
        "n_free": int(fit.free[mine].sum()),
        "n_rejected": int(fit.rejected[mine].sum()),
    }
    traits = fit.source.observations.traits
    scaled = fit.residuals[mine] / traits.unit[mine]
    clear, still, whole = traits.zeta[mine] >= NEAR_SPINDLE, traits.still[mine], traits.unseen[mine] == 0.0
    for prefix, use in (("", fit.working[mine]), ("free_", fit.free[mine])):
        some = use & clear if (use & clear).any() else use
        weights = np.where(some, fit.judged[mine], 0.0)
        turning = weights * ~still
        row[f"{prefix}rmsd_x_px"] = _rms(scaled[:, 0], weights)
        row[f"{prefix}rmsd_y_px"] = _rms(scaled[:, 1], weights)
        row[f"{prefix}rmsd_z_images"] = _rms(
            scaled[:, 2], turning * whole if (turning * whole).any() else turning
        )
        row[f"{prefix}rmsd_delta_psi_mrad"] = _rms(scaled[:, 2], weights * still)
    return row


def _rms(residuals: Array, weights: Array) -> float | None:
    """Weighted root mean square; None where nothing has a weight."""
    used = weights > 0.0
    return float(np.sqrt(np.average(residuals[used] ** 2, weights=weights[used]))) if used.any() else None


def third_of(data: Observations) -> str:
    """Tell what the third residual is: "phi" of sweeps, "delta_psi" of stills, "mixed" of both."""
    still = data.traits.still
    return "delta_psi" if still.all() else "mixed" if still.any() else "phi"
