"""Tables of panels, of what the data tell badly, and the verdict, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.steps.refining.telling.rmsd_columns import rmsd_columns, rmsd_heads, rmsd_words
from smalti.text import plural, table

__all__ = ["determination_text", "detectors_text", "panels_table", "verdict_text"]

Row = Mapping[str, Any]

_MODES = 2
"""Weak directions that are shown; all are in the JSON."""


def panels_table(panels: Sequence[Row]) -> str:
    """Set one line a panel: how well its spots fit, how far it moved, and whether that is believed."""
    several = len({row["detector"] for row in panels}) > 1
    own = any(row["prior_share"] is not None for row in panels)
    columns = rmsd_columns(panels)
    heads = ["Panel", "Nref", "Out", *rmsd_heads(columns)]
    if own:
        heads += ["Shift\n(um)", "+-", "Normal\n(um)", "+-", "Turn\n(mrad)", "+-", "Prior\nshare", "Moved"]
    rows = []
    for row in panels:
        name = f"{row['detector']}/{row['panel']}" if several else row["panel"]
        cells = [name, row["n_used"], row["n_rejected"], *rmsd_words(row, columns, 3)]
        rows.append([*cells, *_motion(row)] if own else cells)
    title = "RMSDs by panel" + (" (detector/panel)" if several else "")
    if own:
        title += (
            ", and what each did beyond the whole detector (moved: by more than three ESDs in its\n"
            "plane; ?: not believed; Out: rejected):"
        )
    return table(heads, rows, title=title if own else title + ":")


def _motion(row: Row) -> list[str]:
    share = row["prior_share"]
    return [
        *(_short(row[key]) for key in ("shift_um", "esd_um", "normal_um", "esd_normal_um")),
        f"{row['rotation_mrad']:.3f}",
        f"{row['esd_rotation_mrad']:.3f}",
        "" if share is None else f"{share:.2f}",
        "" if share is None else "?" if not row["believed"] else "yes" if row["moved"] else "no",
    ]


def _short(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 999.95 else f"{value:.0f}"


def detectors_text(detectors: Sequence[Row]) -> str:
    """Say how each detector moved as a whole."""
    lines = []
    for row in detectors:
        which = f" {row['detector']}" if len(detectors) > 1 else ""
        shift = ", ".join(
            f"{1e3 * value:.1f}({1e3 * esd:.1f})"
            for value, esd in zip(row["shift_mm"], row["esd_shift_mm"], strict=True)
        )
        turn = ", ".join(
            f"{value:.3f}({esd:.3f})"
            for value, esd in zip(row["rotation_mrad"], row["esd_rotation_mrad"], strict=True)
        )
        lines.append(f"Detector{which} as a whole: moved by {shift} um, turned by {turn} mrad (x, y, z).")
    return "\n".join(lines)


def determination_text(results: Row) -> str:
    """Say what was held, how well the rest is determined, and what is told worst."""
    lines = [
        f"Gauge {results['gauge']}.",
        f"The data determine {results['effective_parameters']:.1f} of "
        f"{plural(results['n_parameters'], 'parameter')}; condition number {results['condition']:.2g}.",
    ]
    modes = [mode for mode in results["weak_modes"] if mode["kind"] != "unseen"]
    # What single panels lack, their own lines tell.
    modes = [mode for mode in modes if not mode["of_panels"]] or modes
    for mode in modes[:_MODES]:
        what = "Not told at all" if mode["null"] else "Told worst"
        held = f", {100 * mode['prior_share']:.0f} % held by priors" if mode["prior_share"] > 0.01 else ""
        lines.append(f"{what}: {mode['name']} (eigenvalue {mode['eigenvalue']:.1e}{held}).")
    return "\n".join(lines)


def verdict_text(verdict: Row) -> str:
    """Set the verdict and what else is to be known."""
    return "\n".join(["Verdict: " + verdict["text"], *verdict["notes"]])
