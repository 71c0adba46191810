"""The table of panels, and what the panels together say of systematic error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.steps.reporting.moved import Moved
from smalti.steps.reporting.numbers import binned_mean_of_known, listed, mean_and_rms, significant
from smalti.steps.reporting.residuals import Residuals

__all__ = ["overall", "panel_rows", "systematic"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

NORMAL_MAD = 1.4826
"""The RMSD of normal residuals over their median size."""
FEW = 30
"""Panels with fewer spots are marked: six numbers are hardly fixed by them."""


def overall(residuals: Residuals) -> dict[str, Any]:
    """RMSDs over all reflections used, in the units of both schools.

    ``core_px`` is what the RMSD would be if the middle half of the residuals spoke for all: gross
    outliers do not count in it.
    """
    values, steps = residuals.values[residuals.used], residuals.steps[residuals.used]
    if len(values) == 0:
        return {"n": 0, "um": [None] * 3, "px": [None] * 3, "core_px": [None] * 3}
    return {
        "n": len(values),
        "um": listed(np.sqrt((values**2).mean(axis=0))),
        "px": listed(np.sqrt(((values / steps) ** 2).mean(axis=0))),
        "core_px": listed(NORMAL_MAD * np.median(np.abs(values / steps), axis=0)),
    }


def systematic(residuals: Residuals, n_panels: int) -> dict[str, float | None]:
    """How much the mean residual differs from panel to panel, beyond what chance explains.

    The variance of the panels' means less that of a mean of so many, weighted by the number of spots
    and averaged over X and Y; its root in um and px. Panels with one spot say nothing.
    """
    use = residuals.used
    values = residuals.values[use, :2] / residuals.steps[use, :2]
    counts, mean, rms = mean_and_rms(residuals.panel[use], values, n_panels)
    some = counts > 1
    if not some.any():
        return {"px": None, "um": None}
    n, m = counts[some, None], mean[some]
    chance = (rms[some] ** 2 - m**2) / (n - 1)
    excess = (n * (m**2 - chance)).sum(axis=0) / n.sum()
    px = float(np.sqrt(max(float(excess.mean()), 0.0)))
    return {"px": significant(px), "um": significant(px * float(residuals.steps[use, 0].mean()))}


def panel_rows(
    detector: Detector,
    after: Residuals,
    before: Residuals | None,
    moved: Moved | None,
    esds: dict[int, dict[str, Any]],
) -> list[dict[str, Any]]:
    """One row for every panel, those without reflections too.

    ``esds`` holds what refinement knows of a panel: ``displacement_um``, ``displacement_esd_um``,
    ``turn_mrad``, ``turn_esd_mrad`` (each three numbers), ``prior_share``, ``moved``, ``doubt``,
    ``corner_um`` (of the corner that moved most, with its ESD), ``halves_sigma``, ``weakest``.
    """
    n = len(detector)
    counts, mean, rms = mean_and_rms(after.panel[after.used], after.values[after.used], n)
    _, _, rms_px = mean_and_rms(after.panel[after.used], (after.values / after.steps)[after.used], n)
    earlier = _rms(before.panel[before.used], before.values[before.used], n) if before is not None else None
    held = _rms(after.panel[after.free], after.values[after.free], n)
    _, chi2 = binned_mean_of_known(after.panel[after.used], after.chi2[after.used], n)
    everything = np.ones(len(after.panel), dtype=bool)
    spots, indexed, rejected, free = (
        np.bincount(after.panel[rows], minlength=n)
        for rows in (everything, after.indexed, after.rejected, after.free)
    )
    rows = []
    for k in range(n):
        row: dict[str, Any] = {
            "panel": k,
            "name": detector.panels[k].name,
            "spots": int(spots[k]),
            "indexed": int(indexed[k]),
            "used": int(counts[k]),
            "free": int(free[k]),
            "rejected": int(rejected[k]),
            "mean": listed(mean[k]),
            "rmsd": listed(rms[k]),
            "rmsd_px": listed(rms_px[k]),
            "rmsd_before": listed(earlier[k]) if earlier is not None else None,
            "rmsd_free": listed(held[k]) if free[k] else None,
            "chi2": significant(float(chi2[k])),
            "note": _note(int(counts[k]), esds.get(k, {}).get("doubt")),
        }
        row.update(_motion(k, moved, esds.get(k, {})))
        rows.append(row)
    return rows


def _note(count: int, doubt: str | None) -> str:
    """Say what is wrong with a panel: what the refinement says of it, or that it has few spots."""
    if count == 0:
        return "no reflections"
    if doubt:
        return f"not believed: {doubt}"
    return "few reflections" if count < FEW else ""


def _rms(panel: Index, values: Array, n: int) -> Array:
    return mean_and_rms(panel, values, n)[2]


def _motion(k: int, moved: Moved | None, known: dict[str, Any]) -> dict[str, Any]:
    """Displacement and rotation of one panel: from refinement where it says, else from two geometries."""
    shift = known.get("displacement_um") or (listed(moved.shift[k]) if moved is not None else None)
    turn = known.get("turn_mrad") or (listed(moved.turn[k]) if moved is not None else None)
    return {
        "displacement_um": shift,
        "displacement_esd_um": known.get("displacement_esd_um"),
        "moved": known.get("moved"),
        "turn_mrad": turn,
        "turn_esd_mrad": known.get("turn_esd_mrad"),
        "prior_share": known.get("prior_share"),
        "corner_um": known.get("corner_um"),
        "halves_sigma": known.get("halves_sigma"),
        "weakest": known.get("weakest", ""),
    }
