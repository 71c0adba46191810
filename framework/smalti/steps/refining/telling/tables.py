"""The tables of a refinement as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.steps.refining.telling.drift_rows import drift_text, panels_to_list
from smalti.steps.refining.telling.many import MANY, experiments_text
from smalti.steps.refining.telling.noise_rows import classes_table
from smalti.steps.refining.telling.panel_tables import (
    detectors_text,
    determination_text,
    panels_table,
    verdict_text,
)
from smalti.steps.refining.telling.prior_rows import prior_table
from smalti.steps.refining.telling.rejected_rows import rejected_text
from smalti.steps.refining.telling.rmsd_columns import rmsd_columns, rmsd_heads, rmsd_words, third_head
from smalti.steps.refining.telling.scan_tables import scan_table
from smalti.steps.refining.telling.tile_rows import tiles_text
from smalti.steps.refining.telling.validation_tables import (
    choice_table,
    free_steps_table,
    halves_text,
    validation_table,
)
from smalti.text import plural, table, wrapped

__all__ = ["as_text"]

Row = Mapping[str, Any]


def as_text(results: Row) -> str:
    """Set all tables, in the order in which things happened."""
    rejected = rejected_text(results["rejected"], results["panels"])
    if results["left_out"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in results["left_out"].items())
        rejected += f" Left out before: {reasons}."
    task = (
        f"{plural(results['n_parameters'], 'parameter')} refined against {results['n_used']:,} reflections."
    )
    if results["n_free"]:
        task += f" {results['n_free']:,} are held out."
    third = third_head(results["third"])
    parts = [
        _statistics(results["before"], "Observations matched to predictions", third),
        rejected,
        _statistics(results["after_rejection"], "The same without outliers", third),
        choice_table(results["level_choice"]),
        choice_table(results["scan_choice"], "what varies over the scan"),
        task,
        _steps(results["steps"], third) + f"\n{results['ended']}",
        free_steps_table(results["free_steps"], third),
        experiments_text(results["summary_of_experiments"])
        if len(results["experiments"]) > MANY
        else _experiments(results["experiments"]),
        panels_table(panels_to_list(results)),
        detectors_text(results["detectors"]),
        tiles_text(results["tiles"]),
        drift_text(results["drift"]),
        prior_table(results["priors"]),
        validation_table(results),
        halves_text(results),
        classes_table(results["noise"], third),
        _crystals(results["crystals"]) if len(results["crystals"]) <= MANY else "",
        determination_text(results),
        verdict_text(results["verdict"]),
    ]
    return wrapped("\n\n".join(part for part in parts if part))


def _statistics(row: Row, title: str, third: str) -> str:
    names = (
        ("Xc - Xo (mm)", "residual_x_mm"),
        ("Yc - Yo (mm)", "residual_y_mm"),
        ("Phic - Phio (deg)" if third == "Phi" else f"{third} (deg)", "residual_phi_deg"),
        ("X weights (1/mm^2)", "weight_x_per_mm2"),
        ("Y weights (1/mm^2)", "weight_y_per_mm2"),
        (f"{third} weights (1/deg^2)", "weight_phi_per_deg2"),
    )
    rows = [[name, *(f"{value:.4g}" for value in row[key])] for name, key in names]
    return table(["", "Min", "Q1", "Med", "Q3", "Max"], rows, title=f"{title} ({row['n']:,}):")


def _steps(steps: Sequence[Row], third: str) -> str:
    rows = [
        [
            s["round"],
            s["step"],
            s["n"],
            f"{s['rmsd_x_mm']:.6f}",
            f"{s['rmsd_y_mm']:.6f}",
            f"{s['rmsd_phi_deg']:.6f}",
            f"{s['objective']:.6g}",
        ]
        for s in steps
    ]
    heads = ["Round", "Step", "Nref", "RMSD_X\n(mm)", "RMSD_Y\n(mm)", f"RMSD_{third}\n(deg)", "Objective"]
    return table(heads, rows, title="Refinement steps:")


def _experiments(experiments: Sequence[Row]) -> str:
    columns = rmsd_columns(experiments)
    rows = [[r["experiment"], r["n_used"], *rmsd_words(r, columns, 4), r["n_rejected"]] for r in experiments]
    heads = ["Exp", "Nref", *rmsd_heads(columns), "Rejected"]
    return table(heads, rows, title="RMSDs by experiment:")


def _crystals(crystals: Sequence[Row]) -> str:
    parts = []
    for row in crystals:
        cell = "  ".join(
            f"{value:.4f}({esd:.4f})" if esd else f"{value:.3f}"
            for value, esd in zip(row["cell"], row["cell_esd"], strict=True)
        )
        cell += f"\n  Volume {row['volume']:.1f}({row['volume_esd']:.1f})"
        A = "\n".join("      " + "  ".join(f"{x:10.6f}" for x in line) for line in row["A"])
        parts.append(
            f"Crystal {row['crystal']}, space group {row['space_group']}:\n  Cell {cell}\n  A = U B:\n{A}"
        )
        if row["scan"]:
            parts.append(scan_table(row))
    return "\n".join(parts)
