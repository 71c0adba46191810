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
from smalti.steps.reporting.markup import element, symbol, table
from smalti.steps.reporting.modes_section import modes_section
from smalti.steps.reporting.over_scan import over_scan_section
from smalti.steps.reporting.panels_section import panels_section
from smalti.steps.reporting.reciprocal_section import reciprocal_section
from smalti.steps.reporting.rejected_section import rejected_section

__all__ = ["sections"]

MOST_PARAMETERS = 400
"""More parameters (of many crystals) are not listed one by one on the page."""


def sections(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Give (key, heading, markup) of every section that has something to show."""
    charts = charts_of(data)
    drawn = [
        ("panels", "Panels", panels_section(data)),
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
