"""Charts of data drawn for the page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from smalti.charts import Chart, Curve, Section
from smalti.steps.reporting.markup import element, figure, table
from smalti.steps.reporting.plots import Line, lines, points, stacked, stairs

__all__ = ["draw", "draw_section", "grid"]

_STYLES = ("one", "two", "three", "four")
"""Classes of the style sheet: colours that the colour-blind can tell apart."""


def draw(chart: Chart) -> str:
    """Draw one chart with its title."""
    curves = [_line(curve, k) for k, curve in enumerate(chart.curves)]
    labels = chart.x_label, chart.y_label
    x = list(chart.x)
    if chart.kind == "stairs":
        svg = stairs([v or 0.0 for v in x], curves, *labels)
    elif chart.kind == "bars":
        places = [v or 0.0 for v in x]
        svg = stacked(places, places[1] - places[0] if len(places) > 1 else 1.0, curves, *labels)
    else:
        kind = points if chart.kind == "points" else lines
        svg = kind(x, curves, *labels, zero=chart.zero, x_ticks=list(chart.x_ticks) or None)
    return figure(chart.title, svg, chart.note)


def grid(charts: Iterable[Chart]) -> str:
    """Draw charts beside one another; nothing where there are none."""
    drawn = [draw(chart) for chart in charts]
    return element("div", *drawn, class_="grid") if drawn else ""


def draw_section(section: Section) -> str:
    """Draw a section that came as data."""
    text = [element("p", escape(paragraph)) for paragraph in section.text]
    sheets = [table(sheet.heads, sheet.rows) for sheet in section.sheets]
    return "".join([*text, grid(section.charts), *sheets])


def _line(curve: Curve, number: int) -> Line:
    chosen = curve.colour - 1 if curve.colour else number
    return Line(_STYLES[chosen % len(_STYLES)], curve.label, curve.values, curve.band)
