"""Everything that a report says, as plain data: the page only draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalti.models import Detector, Experiments
from smalti.steps.reporting.by_panel import overall, panel_rows, systematic
from smalti.steps.reporting.cells import Cells, divide, map_layers
from smalti.steps.reporting.experiments import crystals_of, experiment_rows, summary_of
from smalti.steps.reporting.face import Face, face_of
from smalti.steps.reporting.groups import group_rows
from smalti.steps.reporting.moved import Moved, compare
from smalti.steps.reporting.numbers import listed, nice, significant
from smalti.steps.reporting.over_scan import over_scan
from smalti.steps.reporting.refinement import Refinement
from smalti.steps.reporting.residuals import Residuals
from smalti.steps.reporting.trends import (
    against_angle,
    against_intensity,
    against_order,
    against_resolution,
    histograms,
    per_image,
    quantiles,
)

__all__ = ["content"]

MOST_LISTED = 6
"""Panels that are named on the first screen."""


def content(
    experiments: Experiments,
    after: Residuals,
    before: tuple[Experiments, Residuals] | None,
    refinement: Refinement,
    history: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Gather the figures of a report; see docs/reference/report.md for the meaning of each."""
    detector = experiments[0].detector
    face = face_of(detector, experiments[0].beam)
    used = np.bincount(after.panel[after.used], minlength=len(detector)) > 0
    moved = compare(before[0][0].detector, detector, used) if before is not None else None
    own = moved if moved is not None and moved.apart else None
    comparable = before is not None and len(before[0][0].detector) == len(detector)
    earlier = before[1] if before is not None else None
    rows = panel_rows(detector, after, earlier if comparable else None, own, refinement.panels)
    each = experiment_rows(experiments, after, refinement)
    return {
        "third": after.third,
        "variances": after.variances,
        "totals": _totals(experiments, after, rows),
        "rmsd": {
            "after": overall(after),
            "before": overall(earlier) if earlier is not None else None,
            "free": refinement.free,
        },
        "systematic": {
            "after": systematic(after, len(detector)),
            "before": systematic(before[1], len(before[0][0].detector)) if before is not None else None,
        },
        "whole": refinement.whole or _whole(moved),
        "refinement_reasons": list(refinement.reasons),
        "map": _map(detector, face, after, earlier if comparable else None, rows),
        "panels": rows,
        "groups": group_rows(detector, face, after, refinement.parameters),
        **_most_moved(rows),
        "angle": against_angle(after),
        "order": against_order(after, len(experiments)),
        "resolution": against_resolution(after),
        "intensity": against_intensity(after),
        "histograms": histograms(after, earlier),
        "quantiles": quantiles(after),
        "images": per_image(after),
        "steps": refinement.steps,
        "ended": refinement.ended,
        "experiments": each,
        "experiments_summary": summary_of(each),
        "crystals": crystals_of(experiments, refinement),
        "over_scan": over_scan(experiments),
        "drift": refinement.drift,
        "parameters": refinement.parameters,
        "rejected": refinement.rejected,
        "gauge": refinement.gauge,
        "weak_modes": refinement.weak_modes,
        "correlations": refinement.correlations,
        "history": [dict(record) for record in history],
    }


def _totals(experiments: Experiments, after: Residuals, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "experiments": len(experiments),
        "detectors": len(experiments.unique("detector")),
        "crystals": len(experiments.unique("crystal")),
        "images": sum(e.scan.n_images for e in experiments if e.scan is not None),
        "spots": len(after.panel),
        "indexed": int(after.indexed.sum()),
        "used": int(after.used.sum()),
        "rejected": int(after.rejected.sum()),
        "panels": len(rows),
        "levels": experiments[0].detector.depth,
        "panels_without": sum(row["used"] == 0 for row in rows),
    }


def _whole(moved: Moved | None) -> dict[str, Any] | None:
    if moved is None:
        return None
    return {
        "shift_um": listed(moved.whole_shift),
        "shift_esd_um": None,
        "turn_mrad": listed(moved.whole_turn),
        "turn_esd_mrad": None,
    }


def _map(
    detector: Detector, face: Face, after: Residuals, before: Residuals | None, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    cells = divide(face, int(after.used.sum()))
    layers, vectors = map_layers(face, cells, after, before)
    panel_of_cell = cells.panels()
    layers.extend(_panel_layers(rows, panel_of_cell.tolist()))
    return {
        "kind": face.kind,
        "bounds": listed(face.bounds(), 6),
        "beam": listed(face.beam, 6) if face.beam is not None else None,
        "panels": [
            {
                "name": panel.name,
                "matrix": listed(np.column_stack([face.linear[k], face.offset[k]]), 6),
                "size": listed(face.size[k], 6),
                "grid": cells.grid[k].tolist(),
            }
            for k, panel in enumerate(detector.panels)
        ],
        "middles": listed(face.place(panel_of_cell, cells.middles()), 5),
        "panel_of_cell": panel_of_cell.tolist(),
        "layers": layers,
        "vectors": vectors,
        "displacements": _displacements(face, cells, rows),
    }


def _panel_layers(rows: list[dict[str, Any]], panel_of_cell: list[int]) -> list[dict[str, Any]]:
    """Layers that have one value for a whole panel, where anything is known of its motion.

    They compare the two geometries: there is no before.
    """
    layers = []
    columns: dict[str, tuple[str, str, str, list[float | None]]] = {
        "moved": (
            "moved",
            "moved in the plane",
            "sequential",
            [_length(row["displacement_um"]) for row in rows],
        ),
        "normal": (
            "along normal",
            "moved along the normal",
            "diverging",
            [_part(row["displacement_um"], 2) for row in rows],
        ),
        "esd": (
            "ESD",
            "ESD of the displacement in the plane",
            "sequential",
            [_length(row["displacement_esd_um"]) for row in rows],
        ),
        "share": ("prior", "share of the prior", "sequential", [row["prior_share"] for row in rows]),
    }
    for key, (short, label, kind, by_panel) in columns.items():
        known = [abs(v) for v in by_panel if v is not None]
        if known:
            values = [by_panel[p] for p in panel_of_cell]
            unit = "" if key == "share" else "µm"
            layer: dict[str, Any] = {"key": key, "short": short, "label": label, "unit": unit}
            layer |= {"kind": kind, "per": "panel"}
            # Panels that only a prior holds have ESDs so large that they would hide all others.
            layers.append(layer | {"limit": nice(float(np.quantile(known, 0.9))), "after": values})
    return layers


def _length(vector: list[float | None] | None) -> float | None:
    """Give the length in the plane of the panel."""
    if vector is None or vector[0] is None or vector[1] is None:
        return None
    return significant(math.hypot(vector[0], vector[1]))


def _part(vector: list[float | None] | None, k: int) -> float | None:
    return None if vector is None else vector[k]


def _most_moved(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the believed panels with the largest displacements in their plane, and the median of all."""
    known = [row for row in rows if row["used"] and _length(row["displacement_um"]) is not None]
    lengths = {row["panel"]: _length(row["displacement_um"]) or 0.0 for row in known}
    believed = [row for row in known if not row["note"].startswith("not believed")]
    most = sorted(believed, key=lambda row: -lengths[row["panel"]])[:MOST_LISTED]
    return {
        "sure": _sure(known),
        "not_believed": len(known) - len(believed),
        "median_moved_um": significant(float(np.median(list(lengths.values())))) if lengths else None,
        "most_moved": [
            {
                "panel": row["panel"],
                "in_plane_um": lengths[row["panel"]],
                "in_plane_esd_um": _length(row["displacement_esd_um"]),
                "normal_um": _part(row["displacement_um"], 2),
                "normal_esd_um": _part(row["displacement_esd_um"], 2),
            }
            for row in most
        ],
    }


def _sure(known: list[dict[str, Any]]) -> dict[str, int] | None:
    """Count the panels that moved in their plane by more than three ESDs, where those are known."""
    told = [row for row in known if row["displacement_esd_um"] is not None]
    if not told:
        return None
    return {"moved": sum(map(_has_moved, told)), "of": len(told)}


def _has_moved(row: dict[str, Any]) -> bool:
    """Take the refinement's word, which knows how its ESDs lean; results of old do not have it."""
    if row["moved"] is not None:
        return bool(row["moved"])
    pairs = zip(row["displacement_um"][:2], row["displacement_esd_um"][:2], strict=True)
    return any(abs(value or 0.0) > 3.0 * (esd or math.inf) for value, esd in pairs)


def _displacements(face: Face, cells: Cells, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """In-plane displacement of each panel as an arrow on paper, with its own magnification."""
    if all(row["displacement_um"] is None for row in rows):
        return None
    shift = np.array([(row["displacement_um"] or [np.nan] * 3)[:2] for row in rows], dtype=float)
    paper = face.direction(np.arange(len(rows)), shift)
    lengths = np.hypot(*paper.T)
    long = float(np.nanquantile(lengths, 0.95)) if np.isfinite(lengths).any() else 1.0
    reach = 0.7e3 * float(np.median(face.size.min(axis=1)))
    return {
        "middles": listed(face.centres(), 5),
        "um": listed(paper, 3),
        "magnification": nice(reach / max(long, 1e-3)),
        "key_um": nice(max(long, 1e-3)),
    }
