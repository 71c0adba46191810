"""The parts of the page below the first screen."""

from __future__ import annotations

import shlex
from html import escape
from typing import Any

from smalti.steps.reporting.brought import section_of
from smalti.steps.reporting.charted import charts_of
from smalti.steps.reporting.drawing import draw_section, grid
from smalti.steps.reporting.drift_section import drift_section
from smalti.steps.reporting.experiments_section import experiments_section
from smalti.steps.reporting.groups import groups_section
from smalti.steps.reporting.markup import element, estimate, symbol, table
from smalti.steps.reporting.modes_section import modes_section
from smalti.steps.reporting.over_scan import over_scan_section
from smalti.steps.reporting.reciprocal_section import reciprocal_section
from smalti.steps.reporting.rejected_section import rejected_section

__all__ = ["sections"]

MOST_PARAMETERS = 600
"""More parameters (of many crystals) are not listed one by one on the page."""


def sections(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Give (key, heading, markup) of every section that has something to show."""
    charts = charts_of(data)
    drawn = [
        ("panels", "Panels", _panels(data)),
        ("groups", "Groups of panels", groups_section(data)),
        ("drift", "Drift", drift_section(data)),
        ("angle", "Against rotation angle", grid(charts["angle"])),
        ("order", "Against order of experiments", grid(charts["order"])),
        ("resolution", "Against resolution", grid(charts["resolution"])),
        ("intensity", "Against intensity", grid(charts["intensity"])),
        ("distributions", "Distributions", grid(charts["distributions"])),
        ("images", "Spots on images", grid(charts["images"])),
        ("rejected", "What was rejected", rejected_section(data)),
        ("steps", "Steps of refinement", _steps(data)),
        ("experiments", "Experiments and crystals", experiments_section(data)),
        ("reciprocal", "Reciprocal lattice", reciprocal_section(data)),
        ("over-scan", "Crystals over the scan", over_scan_section(data)),
        ("parameters", "Parameters", _parameters(data)),
        ("modes", "What the data tell badly", modes_section(data)),
        *(
            (f"section-{name}", item["title"], draw_section(section_of(item)))
            for name, item in data["sections"].items()
        ),
        ("history", "History", _history(data)),
    ]
    return [item for item in drawn if item[2]]


def _panels(data: dict[str, Any]) -> str:
    rows = data["panels"]
    moved = any(row["displacement_um"] is not None for row in rows)
    esd = any(row["displacement_esd_um"] is not None for row in rows)
    before = any(row["rmsd_before"] is not None for row in rows)
    share = any(row["prior_share"] is not None for row in rows)
    heads = [
        "panel",
        "name",
        "spots",
        "used",
        "rejected",
        "mean X\nµm",
        "mean Y\nµm",
        f"mean {symbol(data['third'])}\nmdeg",
    ]
    heads += ["RMSD X\nµm", "RMSD Y\nµm", "RMSD X\npx", "RMSD Y\npx", f"RMSD {symbol(data['third'])}\nmdeg"]
    heads += ["before X\nµm", "before Y\nµm"] if before else []
    heads += [f"moved {axis}\nµm" for axis in ("fast", "slow", "normal")] if moved else []
    heads += [f"turned {axis}\nmrad" for axis in ("fast", "slow", "normal")] if moved else []
    heads += [*(["prior\nshare"] if share else []), "note"]
    body = []
    for row in rows:
        cells: list[Any] = [row["panel"], row["name"], row["spots"], row["used"], row["rejected"]]
        # Means of a fit can be as small as rounding errors: a hundredth of a micrometre is enough.
        cells += [None if v is None else round(v, 2) for v in row["mean"]]
        cells += [row["rmsd"][0], row["rmsd"][1], *row["rmsd_px"][:2], row["rmsd"][2]]
        cells += (row["rmsd_before"] or [None] * 3)[:2] if before else []
        cells += _with_esd(row["displacement_um"], row["displacement_esd_um"]) if moved else []
        cells += _with_esd(row["turn_mrad"], row["turn_esd_mrad"]) if moved else []
        cells += [*([row["prior_share"]] if share else []), row["note"]]
        body.append(cells)
    text = table(heads, body, sort=True).replace('class="scroll"', 'class="scroll tall"', 1)
    for row in rows:
        text = text.replace("<tr><td", f'<tr id="panel-{row["panel"]}"><td', 1)
    return _motion_note(data, moved, esd) + text


def _with_esd(
    values: list[float | None] | None, esds: list[float | None] | None
) -> list[tuple[float | None, float | None]]:
    if values is None:
        return [(None, None)] * 3
    return list(zip(values, esds or [None] * len(values), strict=True))


def _motion_note(data: dict[str, Any], moved: bool, esd: bool) -> str:
    if not moved:
        return ""
    text = (
        "Moved and turned: in each panel's own frame, after the motion that all panels share is taken away."
    )
    if data["whole"] is not None:
        whole = data["whole"]
        shift = ", ".join(estimate(*pair) for pair in _with_esd(whole["shift_um"], whole["shift_esd_um"]))
        turn = ", ".join(estimate(*pair) for pair in _with_esd(whole["turn_mrad"], whole["turn_esd_mrad"]))
        text += (
            f" The detector as a whole moved by ({shift}) µm and turned by ({turn}) mrad in the laboratory."
        )
    if not esd:
        text += " Uncertainties are not known here: give the .json of the refinement to see them."
    return element("p", escape(text), class_="quiet")


def _steps(data: dict[str, Any]) -> str:
    if not data["steps"]:
        return ""
    third = symbol(data["third"])
    heads = [
        "round",
        "step",
        "reflections",
        "RMSD X (µm)",
        "RMSD Y (µm)",
        f"RMSD {third} (mdeg)",
        "objective",
    ]
    rows = [
        [step["round"], step["step"], step["n"], *step["rmsd"], step["objective"]] for step in data["steps"]
    ]
    return table(heads, rows) + element("p", escape(data["ended"]), class_="quiet")


def _parameters(data: dict[str, Any]) -> str:
    every = data["parameters"]
    if not every:
        return ""
    # Of many crystals the distributions are shown above; one by one they would fill the page.
    shown = every if len(every) <= MOST_PARAMETERS else [p for p in every if "Crystal" not in p["name"]]
    shown = shown[:MOST_PARAMETERS]
    rows = [
        [p["label"], p["name"], p["value"], p["shift"], p["esd"], p["unit"], p["prior_share"]] for p in shown
    ]
    title = f"{len(every):,} parameters"
    if len(shown) < len(every):
        title += f", {len(shown)} of them here, all in the JSON file"
    inner = table(["parameter", "name", "value", "shift", "ESD", "unit", "prior\nshare"], rows, sort=True)
    return element("details", element("summary", title), inner)


def _history(data: dict[str, Any]) -> str:
    """List of each record when it was made, by which program, and its command line."""
    if not data["history"]:
        return ""
    rows = [
        [
            str(record.get("time", ""))[:19].replace("T", " "),
            f"{record.get('program', '')} {record.get('version', '')}".strip(),
            _command(record),
        ]
        for record in data["history"]
    ]
    return table(["when", "program", "command"], rows)


def _command(record: dict[str, Any]) -> str:
    """Give the command line as it would be typed; a line left by another program as it is."""
    words = [str(word) for word in record.get("argv") or ()]
    return shlex.join(words) if words else str(record.get("command") or record.get("line") or "")
