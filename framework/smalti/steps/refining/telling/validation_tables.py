"""Tables of what was held out, of the halves and of the choice of a level, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.steps.refining.telling.many import MANY
from smalti.steps.refining.telling.rmsd_columns import rmsd_columns, rmsd_heads, rmsd_words
from smalti.text import plural, table

__all__ = ["choice_table", "free_steps_table", "halves_text", "validation_table"]

Row = Mapping[str, Any]


def choice_table(choice: Row | None, what: str = "the level") -> str:
    """Set the candidates of ``--level auto`` and the like beside one another, and why one was chosen."""
    if choice is None:
        return ""
    axes = [f"{part}rmsd_{axis}_mm" for part in ("", "free_") for axis in "xy"]
    most = max(row["evidence"] for row in choice["candidates"])
    rows = [
        [
            ("* " if row["chosen"] else "  ") + row["name"],
            row["n_parameters"],
            f"{row['effective_parameters']:.0f}",
            *("-" if row[key] is None else f"{1e3 * row[key]:.2f}" for key in axes),
            f"{row['free_deviance']:.1f}",
            f"{row['evidence'] - most:+.1f}",
        ]
        for row in choice["candidates"]
    ]
    ends = [
        "RMSD_X\n(um)",
        "RMSD_Y\n(um)",
        "Free X\n(um)",
        "Free Y\n(um)",
        "Free\ndeviance",
        "Evidence\n(2 ln)",
    ]
    heads = ["Candidate", "Parameters", "Determined", *ends]
    lines = [f"{choice['chosen']} chosen:", *(f"- {reason}" for reason in choice["reasons"])]
    return "\n".join([table(heads, rows, title=f"Choice of {what}:"), *lines])


def free_steps_table(rows: Sequence[Row], third: str) -> str:
    """Set the RMSDs of the free reflections, from the start to the end."""
    if not rows:
        return ""
    body = [
        [
            row["round"],
            row["n"],
            f"{row['rmsd_x_mm']:.6f}",
            f"{row['rmsd_y_mm']:.6f}",
            f"{row['rmsd_phi_deg']:.6f}",
        ]
        for row in rows
    ]
    heads = ["Round", "Nref", "RMSD_X\n(mm)", "RMSD_Y\n(mm)", f"RMSD_{third}\n(deg)"]
    return table(
        heads, body, title="RMSDs for out-of-sample (free) reflections, at the start and after rounds:"
    )


def validation_table(results: Row) -> str:
    """Set free beside working RMSDs by experiment and panel, and how far the halves place panels apart."""
    free, by_panel = results["free"]["n"] > 0, len(results["panels"]) > 1
    # Panels that only move together cannot be apart.
    halves = by_panel and any(row.get("half_difference_sigma") is not None for row in results["panels"])
    if not free and not halves:
        return ""
    rows = [*results["experiments"], *results["panels"]]
    working, held = rmsd_columns(rows)[:2], rmsd_columns(rows, "free_")
    heads = ["", "Nref", *rmsd_heads(working)]
    if free:
        heads += ["Free", *rmsd_heads(held)]
    if halves:
        heads += ["Halves\n(um)", "+-", "Sigmas"]
    few = results["experiments"] if len(results["experiments"]) <= MANY else []
    named = [(f"experiment {row['experiment']}", row) for row in few]
    several = len({row["detector"] for row in results["panels"]}) > 1
    for row in results["panels"] if by_panel else []:
        if row["n_used"] + row["n_free"] == 0:
            continue  # it is in the table of panels
        named.append((f"detector {row['detector']} " * several + f"panel {row['panel']}", row))
    body = []
    for name, row in named:
        cells = [name, row["n_used"], *rmsd_words(row, working, 3)]
        if free:
            cells += [row["n_free"], *rmsd_words(row, held, 3)]
        if halves:
            cells += rmsd_words(row, ("half_difference_um", "half_esd_um", "half_difference_sigma"), 1)
        body.append(cells)
    told = (["what was fitted and what was held out"] * free) + (["halves of the reflections apart"] * halves)
    title = ", and ".join(told)
    return table(heads, body, title=f"{title[0].upper()}{title[1:]}:")


_NOTHING = 1e-3
"""um; less is rounding: panels that only move together are not apart."""

_SPLITS = {
    "reflections": "every other reflection",
    "crystals": "every other crystal",
    "wedges": "every other wedge of the rotation",
    "scan": "one half of each scan",
}


def halves_text(results: Row) -> str:
    """Say in two lines how free and working residuals, and the two halves, compare."""
    lines = []
    free, halves = results["free"], results["halves"]
    if free["gap"] is not None:
        lines.append(
            f"{plural(free['n'], 'free reflection')}: residuals {100 * free['gap']:+.1f} % larger than those "
            f"fitted (+- {100 * free['gap_esd']:.1f}; {100 * free['expected_gap']:+.1f} expected)."
        )
    if halves is not None:
        lines.append(
            f"Halves ({_SPLITS[halves['split']]}): chi-squared {halves['chi_squared']:.1f} for "
            f"{halves['degrees_of_freedom']:.0f} degrees of freedom."
        )
    if halves is not None and halves["expected_difference_um"] > _NOTHING:
        lines[-1] += (
            f"\nPanels apart by {halves['difference_um']:.1f} um rms "
            f"({halves['expected_difference_um']:.1f} expected); they moved by {halves['shift_um']:.1f}."
        )
    return "\n".join(lines)
