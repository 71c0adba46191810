"""What a ledger holds, and what it tells, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.steps.ledger.book import Ledger
from smalti.steps.refining.telling.panel_tables import detectors_text, verdict_text
from smalti.steps.streaming.telling import halves_text, panels_table
from smalti.text import plural, table, wrapped

__all__ = ["as_text", "content_rows", "content_text"]

Row = Mapping[str, Any]


def as_text(results: Row) -> str:
    """Set all tables of a solution."""
    parts = [
        _runs(results["runs"]),
        panels_table(results["panels"]),
        detectors_text(results["detectors"]),
        halves_text(results),
        verdict_text(results["verdict"]),
    ]
    return "\n\n".join(wrapped(part) for part in parts if part)


def _runs(rows: Sequence[Row]) -> str:
    heads = ["Run", "Crystals", "Nref", "From the\nsolution (ESDs)", "Off by\n(ESDs)", ""]
    body = [
        [row["run"], row["n_crystals"], row["n_used"], f"{row['distance']:.3g}", f"{row['beside']:.2g}",
         "linearise again" if row["stale"] else ""]
        for row in rows
    ]  # fmt: skip
    return table(heads, body, title="Runs, how far the solution is from where each was linearised:")


def content_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """List the runs of a ledger."""
    return [
        {
            "run": name,
            "n_crystals": run.sums.n_crystals,
            "n_used": run.sums.n_used,
            "n_rejected": run.sums.n_rejected,
            "rmsd_mm": list(run.sums.rmsd[:2]),
            "curvature": run.curvature,
            **run.facts,
        }
        for name, run in ledger.runs.items()
    ]


def content_text(ledger: Ledger) -> str:
    """Say what a ledger is about, and list its runs."""
    problem = ledger.problem
    heads = ["Run", "When", "Files", "Crystals", "Nref", "Out", "RMSD_X\n(mm)", "RMSD_Y\n(mm)"]
    rows = [
        [row["run"], str(row.get("time", ""))[:16].replace("T", " "), row.get("n_files", "")]
        + [row["n_crystals"], row["n_used"], row["n_rejected"]]
        + [f"{value:.5f}" for value in row["rmsd_mm"]]
        for row in content_rows(ledger)
    ]
    about = (
        f"About {plural(len(problem.detector), 'panel')}, moving as '{problem.parameterisation}': "
        f"{plural(len(problem.names), 'parameter')}."
    )
    return f"{about}\n\n{table(heads, rows, title='Runs:')}"
