"""How detectors drifted: what each step of time says, how fast, and whether it is more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from smalti.steps.refining.certainty.certainty import Certainty
from smalti.steps.refining.problem.drifting import Chain
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.uncertainty import inverse_of
from smalti.steps.refining.solving.rounds import Fit
from smalti.text import table
from smalti.units import UM

__all__ = ["CHANCE", "drift_row", "drift_text", "panels_to_list"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

CHANCE = 1e-3
"""A drift is told as one when noise alone would look like it less often than this."""

_RANK = 1e-9


def drift_row(layout: Layout, fit: Fit, certainty: Certainty) -> dict[str, Any] | None:
    """Describe what drifts; None where nothing was let.

    Values are smoothed: what the reflections of a step say, and those of its neighbours as far as the walk
    lets. They are relative to their mean over the steps, which is the place of the tiles themselves.
    """
    if layout.drift is None:
        return None
    known = certainty.known
    inverse = inverse_of(known.curvature + known.held)
    by_noise = inverse @ known.scatter @ inverse
    chains = [
        _chain_row(layout, fit, certainty.uncertainty.covariance.shared, by_noise, chain)
        for chain in layout.drift.chains
    ]
    return {"unit": layout.drift.unit, "chance": CHANCE, "chains": chains}


def _chain_row(layout: Layout, fit: Fit, covariance: Array, by_noise: Array, chain: Chain) -> dict[str, Any]:
    first = layout.blocks[chain.blocks[0]]
    counts = np.bincount(
        fit.source.observations.spots.experiment[fit.working], minlength=len(layout.experiments)
    )
    times = np.array([step.time for step in chain.steps])
    rows = []
    for k in chain.moving:
        columns = layout.column[np.array([layout.offsets[block] for block in chain.blocks]) + k]
        if (columns < 0).any():
            continue
        parameter = first.parameters[k]
        name = parameter.name.removeprefix(f"Detector{layout.detector_block(chain.blocks[0]).number}")
        scale = 1.0 / UM if parameter.unit == "mm" else 1.0
        place = fit.partition.place[columns]
        rows.append(
            {"name": name, "unit": "um" if parameter.unit == "mm" else parameter.unit}
            | _path(scale * fit.p[columns], times, scale**2 * covariance[np.ix_(place, place)])
            | _beyond_noise(fit.p[columns], by_noise[np.ix_(place, place)])
        )
    steps = [
        {
            "time": step.time - times[0],
            "detector": layout.detector_block(block).number,
            "experiments": list(step.experiments),
            "n_used": int(counts[list(step.experiments)].sum()),
        }
        for block, step in zip(chain.blocks, chain.steps, strict=True)
    ]
    return {"start": float(times[0]), "steps": steps, "parameters": rows}


def _path(values: Array, times: Array, covariance: Array) -> dict[str, Any]:
    """Values about their mean, and the straight line through them, with ESDs."""
    n = len(values)
    about = np.eye(n) - 1.0 / n
    away = times - times.mean()
    line = away / (away @ away)
    moved = about @ values
    return {
        "values": moved.tolist(),
        "esds": np.sqrt(np.maximum(np.diag(about @ covariance @ about), 0.0)).tolist(),
        "range": float(np.ptp(moved)),
        "rate": float(line @ values),
        "rate_esd": float(np.sqrt(max(line @ covariance @ line, 0.0))),
    }


def _beyond_noise(values: Array, by_noise: Array) -> dict[str, Any]:
    """How often noise alone would make a detector that stands still look like this.

    Smoothing is linear, so differences from the mean are normal with the covariance that the scatter of
    the residuals gives them, whatever the walk was held with.
    """
    n = len(values)
    about = np.eye(n) - 1.0 / n
    size, directions = np.linalg.eigh(about @ by_noise @ about)
    kept = size > _RANK * size[-1]
    statistic = float(np.sum((directions[:, kept].T @ values) ** 2 / size[kept]))
    probability = float(chdtrc(int(kept.sum()), statistic))
    return {"chi_squared": statistic, "freedom": int(kept.sum()), "probability": probability,
            "drifts": probability < CHANCE}  # fmt: skip


def panels_to_list(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows of panels without those of later steps of a drift, which are the same tiles."""
    drift = results["drift"]
    again = {step["detector"] for chain in (drift or {"chains": []})["chains"] for step in chain["steps"][1:]}
    return [row for row in results["panels"] if row["detector"] not in again]


def drift_text(row: Mapping[str, Any] | None) -> str:
    """Set what drifts against time; of what does not, a sentence."""
    if row is None:
        return ""
    parts = [_chain_text(chain, row["unit"]) for chain in row["chains"]]
    return "\n\n".join(parts) + "\nPanels are listed for the first step; the JSON has them for all."


def _chain_text(chain: Mapping[str, Any], unit: str) -> str:
    steps = chain["steps"]
    drifting = [item for item in chain["parameters"] if item["drifts"]]
    still = [item for item in chain["parameters"] if not item["drifts"]]
    said = []
    if drifting:
        heads = [f"Time\n({unit})", "Nref", *(f"{item['name']}\n({item['unit']})" for item in drifting)]
        rows = [
            [f"{step['time']:.4g}", step["n_used"]]
            + [f"{item['values'][k]:.2f} +- {item['esds'][k]:.2f}" for item in drifting]
            for k, step in enumerate(steps)
        ]
        per = "h" if unit == "h" else "experiment"
        said.append(table(heads, rows, title=f"Drift of the detector over {len(steps)} steps:"))
        said += [
            f"{item['name']} drifts by {item['rate']:+.3g} +- {item['rate_esd']:.2g} {item['unit']} per "
            f"{per}, {item['range']:.3g} {item['unit']} in all."
            for item in drifting
        ]
    if still:
        worst = min(item["probability"] for item in still)
        names = ", ".join(item["name"] for item in still)
        said.append(
            f"No drift of {names} over {len(steps)} steps: noise alone would look like this in at least "
            f"{100.0 * worst:.2g} % of cases."
        )
    return "\n".join(said)
