"""Sections that plugins bring: asked for, checked, and never worth a lost report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from smalti.charts import Chart, Curve, Section, Sheet
from smalti.errors import SmaltiError
from smalti.models import Experiments
from smalti.roles import ReportSection
from smalti.steps.guarding import guarded
from smalti.tables import Reflections

__all__ = ["brought", "complaint", "plain", "section_of"]


def brought(
    components: Sequence[ReportSection],
    experiments: Experiments,
    reflections: Reflections,
    figures: Mapping[str, Any],
) -> tuple[dict[str, Section], list[str]]:
    """Ask each component for its section.

    Returns
    -------
    sections : dict
        By the names of the components.
    warnings : list of str
        Of those that failed: the report is made without them.
    """
    found: dict[str, Section] = {}
    warnings = []
    for component in components:
        ask = partial(component.section, experiments, reflections, figures)
        try:
            section = guarded(ask, f"The report section '{component.name}' failed.", "Tell its author.")
        except (SmaltiError, OSError) as error:
            warnings.append(" ".join(str(error).split()))
            continue
        if section is None:
            continue
        try:
            wrong = complaint(section)
        except (TypeError, AttributeError) as error:  # a field of it has another type
            wrong = f"what it gave cannot be drawn ({error})"
        if wrong:
            warnings.append(f"The report section '{component.name}' is left out: {wrong}.")
            continue
        found[component.name] = section
    return found, warnings


def complaint(section: Any) -> str:
    """Say what is wrong with what a component gave; "" where nothing is."""
    if not isinstance(section, Section):
        return f"it gave {type(section).__name__} instead of a Section"
    if not section.title.strip():
        return "it has no title"
    if isinstance(section.text, str) or not all(isinstance(paragraph, str) for paragraph in section.text):
        return "its text is no list of paragraphs"
    for sheet in section.sheets:
        if any(len(row) != len(sheet.heads) for row in sheet.rows):
            return "a row of a table is not as long as its heads"
    return next(filter(None, map(_wrong_chart, section.charts)), "")


def _wrong_chart(chart: Chart) -> str:
    wanted = len(chart.x) - (chart.kind == "stairs")
    if not chart.curves or wanted < 1:
        return f"the chart '{chart.title}' is empty"
    for curve in chart.curves:
        bands = [] if curve.band is None else [curve.band]
        if any(len(values) != wanted for values in (curve.values, *bands)):
            return f"a curve of the chart '{chart.title}' is not as long as its x"
        if any(not _is_number(value) for values in (curve.values, *bands) for value in values):
            return f"a curve of the chart '{chart.title}' holds what is no finite number"
    if any(not _is_number(value) for value in chart.x):
        return f"the x of the chart '{chart.title}' holds what is no finite number"
    return ""


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and math.isfinite(value))


def plain(section: Section) -> dict[str, Any]:
    """Give a section as plain data, for the JSON file."""
    return asdict(section)


def section_of(data: Mapping[str, Any]) -> Section:
    """Take a section back from plain data, for drawing."""
    charts = [
        Chart(**{**chart, "curves": [Curve(**curve) for curve in chart["curves"]]})
        for chart in data["charts"]
    ]
    return Section(data["title"], data["text"], charts, [Sheet(**sheet) for sheet in data["sheets"]])
