"""The tables of a stream as text, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.solution import Ended
from smalti.steps.refining.telling.believing import doubts_of_places
from smalti.steps.refining.telling.judged import judged
from smalti.steps.refining.telling.panel_tables import detectors_text, verdict_text
from smalti.text import plural, ranges, table, wrapped

__all__ = ["as_text", "halves_text", "judgement", "panels_table"]

Row = Mapping[str, Any]

_APART = 1.5
"""Two halves may differ by so many times what ESDs allow."""
_REJECTED = 0.3
_LEFT_OUT = 0.5
_DOUBTED = 3


def judgement(results: Row, ended: Ended | None, n_null: int) -> dict[str, Any]:
    """Judge a stream, as :func:`smalti.steps.refining.telling.judged.judged` puts it."""
    reasons = [] if ended is None or ended.converged else [
        f"The minimiser gave up before a minimum ({ended.value}); more steps or another one may help."
    ]  # fmt: skip
    if n_null:
        reasons.append(
            f"No data and no prior determine {plural(n_null, 'direction')} of the parameters; hold as many."
        )
    reasons += [*_fit(results), *doubts_of_places(results)]
    good = (
        f"{results['n_used']:,} reflections of {plural(results['n_crystals'], 'crystal')} determine "
        f"{results['effective_parameters']:.0f} of {plural(results['n_parameters'], 'parameter')}."
    )
    return judged(reasons, _notes(results), good, results["panels"])


def _fit(results: Row) -> list[str]:
    found = []
    total = results["n_used"] + results["n_rejected"]
    if results["n_rejected"] > _REJECTED * total:
        found.append(
            f"{results['n_rejected']:,} of {total:,} reflections were rejected as outliers; look at the "
            "indexing."
        )
    bad = results["left_out"].get("crystals that do not fit", 0)
    if bad > _LEFT_OUT * (bad + results["n_crystals"]):
        found.append(f"{bad:,} crystals do not fit, more than do; look at the indexing.")
    halves = results["halves"]
    if halves and halves["reduced_chi_squared"] > _APART**2:
        found.append(
            f"Two halves of the crystals differ by {halves['reduced_chi_squared'] ** 0.5:.1f} times what the "
            "ESDs allow: something that no parameter describes changes between them."
        )
    return found


def _notes(results: Row) -> list[str]:
    notes = []
    empty = [row["panel"] for row in results["panels"] if not row["n_used"]]
    if empty:
        moved = plural(len(empty), "panel")
        notes.append(f"{moved} without reflections moved with the rest: {ranges(empty)}.")
    doubted: dict[str, list[int]] = {}
    for row in results["panels"]:
        if row["n_used"] and row["believed"] is False:
            doubted.setdefault(row["why"], []).append(row["panel"])
    worst = sorted(doubted.items(), key=lambda item: -len(item[1]))
    notes += [f"Not believed: panel {ranges(numbers)} ({why})." for why, numbers in worst[:_DOUBTED]]
    return notes


def as_text(results: Row) -> str:
    """Set all tables."""
    parts = [
        _seen(results),
        _steps(results),
        panels_table(results["panels"]),
        detectors_text(results["detectors"]),
        halves_text(results),
        verdict_text(results["verdict"]),
    ]
    return "\n\n".join(wrapped(part) for part in parts if part)


def _seen(results: Row) -> str:
    left = ", ".join(f"{count:,} {reason}" for reason, count in results["left_out"].items())
    return (
        f"{plural(results['n_crystals'], 'crystal')} in {plural(results['n_files'], 'pair')} of files: "
        f"{results['n_used']:,} reflections used, {results['n_rejected']:,} rejected as outliers."
        + (f" Left out: {left}." if left else "")
    )


def _steps(results: Row) -> str:
    if not results["steps"]:
        return ""
    heads = ["Round", "Step", "Nref", "RMSD_X\n(mm)", "RMSD_Y\n(mm)", "RMSD_angle\n(mrad)"]
    rows = [
        [row["round"], row["step"], row["n_used"]]
        + [f"{row[key]:.5f}" for key in ("rmsd_x_mm", "rmsd_y_mm", "rmsd_angle_mrad")]
        for row in results["steps"]
    ]
    ended = results["ended"]
    return table(heads, rows, title="Refinement steps, each one pass over the files:") + f"\n{ended}"


def panels_table(panels: Sequence[Row]) -> str:
    """Set one line a panel."""
    own = any(row["prior_share"] is not None for row in panels)
    heads = ["Panel", "Nref", "Out", "RMSD_X\n(px)", "RMSD_Y\n(px)", "RMSD_angle\n(mrad)"]
    if own:
        heads += ["Shift\n(um)", "+-", "Normal\n(um)", "+-", "Turn\n(mrad)", "+-", "Halves\n(sigma)", "Moved"]
    rows = []
    for row in panels:
        names = ("rmsd_x_px", "rmsd_y_px", "rmsd_angle_mrad")
        fit = [f"{row[key]:.3f}" if row["n_used"] else "-" for key in names]
        cells = [row["panel"], row["n_used"], row["n_rejected"], *fit]
        rows.append([*cells, *_motion(row)] if own else cells)
    title = "RMSDs by panel"
    if own:
        title += (
            ", and what each did beyond the whole detector (moved: by more than three ESDs; ?: not believed)"
        )
    return table(heads, rows, title=title + ":")


def _motion(row: Row) -> list[str]:
    apart, share = row["half_difference_sigma"], row["prior_share"]
    return [
        *(f"{row[key]:.1f}" for key in ("shift_um", "esd_um", "normal_um", "esd_normal_um")),
        f"{row['rotation_mrad']:.3f}",
        f"{row['esd_rotation_mrad']:.3f}",
        "-" if apart is None else f"{apart:.1f}",
        "" if share is None else "?" if not row["believed"] else "yes" if row["moved"] else "no",
    ]


def halves_text(results: Row) -> str:
    """Say how far two halves of the crystals are apart."""
    halves = results["halves"]
    if not halves:
        return ""
    return (
        f"Two halves of the crystals differ by {halves['reduced_chi_squared'] ** 0.5:.2f} times what the "
        f"ESDs allow (1 is expected), at most by {halves['largest_sigma']:.1f} of them in one parameter."
    )
