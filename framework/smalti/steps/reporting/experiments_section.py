"""The section of the page about experiments and crystals."""

from __future__ import annotations

from html import escape
from typing import Any

from smalti.steps.reporting.markup import element, figure, number, symbol, table
from smalti.steps.reporting.plots import Line, stairs
from smalti.text import ranges

__all__ = ["experiments_section"]

_DRAWN = ("used", "rmsd_x", "rmsd_y", "rmsd_third", "a", "b", "c")
"""The distributions that are drawn, where they vary; all are in the table and the JSON."""


def experiments_section(data: dict[str, Any]) -> str:
    """Set a few experiments one by one; of many the quartiles, distributions and the worst."""
    summary = data["experiments_summary"]
    rows = data["experiments"]
    parts = [element("p", escape(text)) for text in _crystals(data["crystals"])]
    if summary is not None:
        parts += [_quartiles(summary, data["third"]), _drawn(summary, data["third"])]
        parts += [element("p", escape(text)) for text in _told(summary)]
        rows = [rows[k] for k in summary["worst"]]
    return "".join(parts) + _rows(rows, data["third"])


def _crystals(crystals: dict[str, Any]) -> list[str]:
    if not crystals["n"]:
        return []
    cell = ", ".join(number(v, 6) for v in crystals["cell_median"])
    which = "Unit cell" if crystals["n"] == 1 else f"Median unit cell of {crystals['n']} crystals"
    lines = [f"{which}: {cell}; space group {', '.join(crystals['space_groups'])}."]
    if crystals["cell_esd"]:
        lines.append("ESDs: " + ", ".join(number(v, 2) for v in crystals["cell_esd"]) + ".")
    if crystals["cell_quartiles"]:
        low, high = crystals["cell_quartiles"]
        spans = (f"{number(a, 6)} to {number(b, 6)}" for a, b in zip(low, high, strict=True))
        lines.append("Quartiles: " + ", ".join(spans) + ".")
    return lines


def _name(item: dict[str, Any], third: str) -> str:
    return f"RMSD {symbol(third)}" if item["key"] == "rmsd_third" else str(item["name"])


def _quartiles(summary: dict[str, Any], third: str) -> str:
    heads = ["", "unit", "least", "quartile", "median", "quartile", "greatest"]
    rows = [
        [_name(item, third), item["unit"], *(number(value, 5) for value in item["five"])]
        for item in summary["distributions"]
    ]
    stills = f", {summary['stills']:,} of them stills" if summary["stills"] else ""
    title = f"{summary['n']:,} experiments{stills}, from the least to the greatest:"
    return element("p", escape(title)) + table(heads, rows)


def _drawn(summary: dict[str, Any], third: str) -> str:
    figures = []
    for item in summary["distributions"]:
        if item["key"] in _DRAWN and item["counts"]:
            name = _name(item, third)
            label = f"{name} ({item['unit']})" if item["unit"] else name
            curve = Line("one", "experiments", [float(n) for n in item["counts"]])
            figures.append(figure(name, stairs(item["edges"], [curve], label, "experiments")))
    return element("div", *figures, class_="grid")


def _told(summary: dict[str, Any]) -> list[str]:
    lines = []
    if summary["without"]:
        some = ranges(summary["without"], 12)
        lines.append(f"{summary['left_out']:,} experiments without reflections that were used: {some}.")
    lines.append(
        f"The {len(summary['worst'])} with the largest RMSDs on the detector; all are in the JSON file."
    )
    return lines


def _rows(rows: list[dict[str, Any]], third: str) -> str:
    heads = ["experiment", "used", "rejected", "RMSD X\nµm", "RMSD Y\nµm", f"RMSD {symbol(third)}\nmdeg"]
    heads += ["RMSD X\npx", "RMSD Y\npx", "images", "distance\nmm", "wavelength\nÅ", "unit cell", "note"]
    body = [
        [e["experiment"], e["used"], e["rejected"], *e["rmsd"], *e["rmsd_px"], e["distance_mm"],
         e["wavelength"], " ".join(number(v, 5) for v in e["crystal"] or []), e["why"]]
        for e in rows
    ]  # fmt: skip
    return table(heads, body, sort=True)
