"""The tables of a refinement as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.steps.refining.telling.noise_rows import classes_table
from smalti.steps.refining.telling.panel_tables import (
    detectors_text,
    determination_text,
    panels_table,
    verdict_text,
)
from smalti.steps.refining.telling.prior_rows import prior_table
from smalti.steps.refining.telling.rejected_rows import rejected_text
from smalti.steps.refining.telling.scan_tables import scan_table
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
    parts = [
        _statistics(results["before"], "Observations matched to predictions"),
        rejected,
        _statistics(results["after_rejection"], "The same without outliers"),
        choice_table(results["level_choice"]),
        choice_table(results["scan_choice"], "what varies over the scan"),
        task,
        _steps(results["steps"]) + f"\n{results['ended']}",
        free_steps_table(results["free_steps"]),
        _experiments(results["experiments"]),
        panels_table(results["panels"]),
        detectors_text(results["detectors"]),
        prior_table(results["priors"]),
        validation_table(results),
        halves_text(results),
        classes_table(results["noise"]),
        _crystals(results["crystals"]),
        determination_text(results),
        verdict_text(results["verdict"]),
    ]
    return wrapped("\n\n".join(part for part in parts if part))


def _statistics(row: Row, title: str) -> str:
    names = (
        ("Xc - Xo (mm)", "residual_x_mm"),
        ("Yc - Yo (mm)", "residual_y_mm"),
        ("Phic - Phio (deg)", "residual_phi_deg"),
        ("X weights (1/mm^2)", "weight_x_per_mm2"),
        ("Y weights (1/mm^2)", "weight_y_per_mm2"),
        ("Phi weights (1/deg^2)", "weight_phi_per_deg2"),
    )
    rows = [[name, *(f"{value:.4g}" for value in row[key])] for name, key in names]
    return table(["", "Min", "Q1", "Med", "Q3", "Max"], rows, title=f"{title} ({row['n']:,}):")


def _steps(steps: Sequence[Row]) -> str:
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
    heads = ["Round", "Step", "Nref", "RMSD_X\n(mm)", "RMSD_Y\n(mm)", "RMSD_Phi\n(deg)", "Objective"]
    return table(heads, rows, title="Refinement steps:")


def _experiments(experiments: Sequence[Row]) -> str:
    rows = [[r["experiment"], r["n_used"], *_rmsds(r), r["n_rejected"]] for r in experiments]
    heads = ["Exp", "Nref", "RMSD_X\n(px)", "RMSD_Y\n(px)", "RMSD_Z\n(images)", "Rejected"]
    return table(heads, rows, title="RMSDs by experiment:")


def _rmsds(row: Row) -> list[str]:
    if not row["n_used"]:
        return ["-", "-", "-"]
    return [f"{row[key]:.4f}" for key in ("rmsd_x_px", "rmsd_y_px", "rmsd_z_images")]


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
