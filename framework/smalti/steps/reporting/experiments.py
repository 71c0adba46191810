"""Experiments and their crystals in numbers: each in the JSON, many as distributions on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Crystal, Detector, Experiments
from smalti.steps.reporting.numbers import listed, mean_and_rms, significant
from smalti.steps.reporting.refinement import Refinement
from smalti.steps.reporting.residuals import Residuals

__all__ = ["MOST_EXPERIMENTS", "crystals_of", "experiment_rows", "summary_of"]

Array = NDArray[np.float64]

MOST_EXPERIMENTS = 24
"""More experiments are drawn as distributions, and only the worst are listed on the page."""

_BINS = 30


def experiment_rows(
    experiments: Experiments, after: Residuals, refinement: Refinement
) -> list[dict[str, Any]]:
    """Counts, RMSDs and models of each experiment, and why it was left out of a refinement."""
    n, use = len(experiments), after.used
    counts, _, rms = mean_and_rms(after.experiment[use], after.values[use], n)
    _, _, px = mean_and_rms(after.experiment[use], (after.values / after.steps)[use], n)
    indexed = np.bincount(after.experiment[after.indexed], minlength=n)
    rejected = np.bincount(after.experiment[after.rejected], minlength=n)
    distances = {id(found): _distance(found) for found in experiments.unique("detector")}
    return [
        {
            "experiment": k,
            "identifier": item.identifier,
            "still": bool(item.is_still),
            "indexed": int(indexed[k]),
            "used": int(counts[k]),
            "rejected": int(rejected[k]),
            "rmsd": listed(rms[k]),
            "rmsd_px": listed(px[k]),
            "distance_mm": distances[id(item.detector)],
            "wavelength": significant(item.beam.wavelength, 7),
            "space_group": item.crystal.space_group.strip() if item.crystal is not None else None,
            "crystal": _cell(item.crystal),
            "why": refinement.left_out.get(k, "" if counts[k] else "no reflection of it was used"),
        }
        for k, item in enumerate(experiments)
    ]


def _distance(detector: Detector) -> float | None:
    """Give the smallest distance from the sample to the plane of a panel, mm."""
    d = detector.stacked()
    normal = np.cross(d[:, :, 0], d[:, :, 1])
    return significant(float(np.abs(np.einsum("pi,pi->p", normal, d[:, :, 2])).min()), 7)


def _cell(crystal: Crystal | None) -> list[Any] | None:
    return listed(crystal.cell, 6) if crystal is not None else None


def summary_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Quartiles and histograms of counts, RMSDs and cells, the worst by number; None of a few experiments.

    Returns
    -------
    dict or None
        ``n``, ``stills``, ``left_out``; ``distributions``: ``key``, ``name``, ``unit``, ``five``, ``edges``,
        ``counts``; ``worst``: numbers of the experiments with the largest RMSDs, and those left out.
    """
    if len(rows) <= MOST_EXPERIMENTS:
        return None
    used = [row for row in rows if row["used"]]
    rmsd = {row["experiment"]: float(np.hypot(*row["rmsd"][:2])) for row in used}
    worst = sorted(rmsd, key=lambda k: -rmsd[k])[:MOST_EXPERIMENTS]
    return {
        "n": len(rows),
        "stills": sum(row["still"] for row in rows),
        "left_out": len(rows) - len(used),
        "distributions": _distributions(rows, used),
        "worst": sorted(worst),
        "without": [row["experiment"] for row in rows if not row["used"]],
    }


def _distributions(rows: Sequence[dict[str, Any]], used: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    named: list[tuple[str, str, str, list[float | None]]] = [
        ("used", "reflections used", "", [row["used"] for row in used]),
        ("rejected", "reflections rejected", "", [row["rejected"] for row in used]),
        ("rmsd_x", "RMSD X", "µm", [row["rmsd"][0] for row in used]),
        ("rmsd_y", "RMSD Y", "µm", [row["rmsd"][1] for row in used]),
        ("rmsd_third", "RMSD third", "mdeg", [row["rmsd"][2] for row in used]),
    ]
    for k, name in enumerate(("a", "b", "c", "alpha", "beta", "gamma")):
        unit = "Å" if k < 3 else "deg"
        named.append((name, name, unit, [row["crystal"][k] for row in rows if row["crystal"] is not None]))
    found = []
    for key, name, unit, values in named:
        known = np.array([value for value in values if value is not None], dtype=float)
        if known.size:
            found.append({"key": key, "name": name, "unit": unit, **_distribution(known)})
    return found


def _distribution(values: Array) -> dict[str, Any]:
    """Five numbers, and a histogram whose ends take in what lies far out."""
    five = np.percentile(values, [0, 25, 50, 75, 100])
    reach = 5.0 * (five[3] - five[1])
    low, high = max(five[0], five[2] - reach), min(five[4], five[2] + reach)
    if not high > low:
        return {"five": listed(five, 6), "edges": [], "counts": []}
    edges = np.linspace(low, high, _BINS + 1)
    counts, _ = np.histogram(np.clip(values, low, high), edges)
    return {"five": listed(five, 6), "edges": listed(edges, 6), "counts": counts.tolist()}


def crystals_of(experiments: Experiments, refinement: Refinement) -> dict[str, Any]:
    """Cells of all crystals: one as it is, many by their quartiles."""
    crystals = experiments.unique("crystal")
    if not crystals:
        return {"n": 0}
    cells = np.array([crystal.cell for crystal in crystals])
    return {
        "n": len(crystals),
        "space_groups": sorted({crystal.space_group.strip() for crystal in crystals}),
        "cell_median": listed(np.median(cells, axis=0), 6),
        "cell_quartiles": listed(np.quantile(cells, (0.25, 0.75), axis=0), 6) if len(crystals) > 1 else None,
        "cell_esd": refinement.cell_esd if len(crystals) == 1 else None,
    }
