"""Drift of the detector over time, or from experiment to experiment, as the refinement told it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from smalti.steps.reporting.markup import element, figure, number
from smalti.steps.reporting.plots import Line, lines

__all__ = ["drift_section"]

_STYLES = ("one", "two", "three")


def drift_section(data: Mapping[str, Any]) -> str:
    """Draw each chain of steps, what moves and what turns apart; nothing where no drift was let."""
    drift = data["drift"]
    if not drift:
        return ""
    figures, said = [], []
    unit = "time (h)" if drift["unit"] == "h" else "experiment"
    for chain in drift["chains"]:
        x = [step["time"] for step in chain["steps"]]
        for what in sorted({item["unit"] for item in chain["parameters"]}):
            rows = [item for item in chain["parameters"] if item["unit"] == what]
            for first in range(0, len(rows), len(_STYLES)):
                part = rows[first : first + len(_STYLES)]
                curves = [
                    Line(style, item["name"], item["values"], item["esds"])
                    for style, item in zip(_STYLES, part, strict=False)
                ]
                names = ", ".join(item["name"] for item in part)
                figures.append(figure(names, lines(x, curves, unit, f"from the mean ({what})")))
        said += [_said(item, drift["unit"]) for item in chain["parameters"]]
    notes = element("ul", *(element("li", escape(text)) for text in said))
    return element("div", *figures, class_="grid") + notes


def _said(item: Mapping[str, Any], unit: str) -> str:
    per = "h" if unit == "h" else "experiment"
    text = (
        f"{item['name']}: {number(item['rate'])} ± {number(item['rate_esd'], 2)} {item['unit']} per {per}, "
    )
    text += f"{number(item['range'])} {item['unit']} in all"
    if item["drifts"]:
        return text + "; more than noise."
    return (
        text + f"; noise alone would look like this in {number(100.0 * item['probability'], 2)} % of cases."
    )
