"""Make a report: what moved, whether to believe it, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.roles import ReportSection
from smalti.steps.reporting.brought import brought, plain
from smalti.steps.reporting.content import content
from smalti.steps.reporting.page import render
from smalti.steps.reporting.reciprocal_section import reciprocal_points
from smalti.steps.reporting.refinement import Refinement
from smalti.steps.reporting.residuals import Residuals, gather, on_the_reflections_of
from smalti.steps.reporting.verdict import judge
from smalti.tables import Reflections
from smalti.text import plural

__all__ = ["Report", "make_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """A report.

    Attributes
    ----------
    html : str
        One file that needs no other and no network.
    data : dict
        Every number on the page, JSON-able.
    warnings : tuple of str
    """

    html: str
    data: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give the verdict and the overall figures."""
        keys = ("verdict", "totals", "rmsd", "systematic", "whole")
        return {key: self.data[key] for key in keys}

    def text(self) -> str:
        """Say the verdict, its reasons and what to do next."""
        verdict = self.data["verdict"]
        lines = [verdict["sentence"], *(f"- {reason}" for reason in verdict["reasons"])]
        for step in verdict["next"]:
            lines.append(f"Next: {step['text']}" + (f"\n      {step['command']}" if step["command"] else ""))
        return "\n".join(lines)


def make_report(
    experiments: Experiments,
    reflections: Reflections,
    before: tuple[Experiments, Reflections] | None = None,
    details: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    *,
    title: str = "",
    names: tuple[str, str] = ("refined.expt", "refined.refl"),
    extra: Sequence[ReportSection] = (),
) -> Report:
    """Make a report of indexed or refined data.

    Parameters
    ----------
    experiments, reflections
        As an index or refine step wrote them; predicted where the table holds no predictions.
    before : (experiments, reflections), optional
        The same at an earlier stage, to compare with on the same scales.
    details : Mapping, optional
        The summary of the refinement (the ``.json`` beside its files): steps, parameters, uncertainties.
    history : sequence of Mapping, optional
        Records of the commands that led here; default: those that the experiments carry.
    title : str
        Default: the name of the experiments.
    names : (str, str)
        Names of the files, for the commands that the report proposes.
    extra : sequence of ReportSection
        Components that add sections.

    Raises
    ------
    DataError
        Nothing is indexed or predicted, or the files do not belong together.
    """
    after = _usable(gather(experiments, reflections), "")
    warnings = list(after.warnings)
    earlier: tuple[Experiments, Residuals] | None = None
    if before is not None:
        residuals, same = on_the_reflections_of(_usable(gather(*before), " before"), after)
        earlier = (before[0], residuals)
        if not same:
            warnings.append("Before and after hold different spots: each is judged on its own.")
        if len(before[0][0].detector) != len(experiments[0].detector):
            warnings.append("Before and after differ in their number of panels: the map shows only after.")
    if len(experiments.unique("detector")) > 1:
        many = plural(len(experiments.unique("detector")), "detector")
        warnings.append(f"There are {many}; the spots of all are drawn on the first.")
    records = history if history is not None else experiments.history
    data = content(experiments, after, earlier, Refinement.of(details), records)
    data["verdict"] = judge(data, names)
    found, failed = brought(extra, experiments, reflections, data)
    warnings += failed
    data["sections"] = {name: plain(section) for name, section in found.items()}
    data["warnings"] = warnings
    data["reciprocal"] = reciprocal_points(experiments, reflections)
    return Report(render(data, title or f"smalti: {names[0]}"), data, tuple(warnings))


def _usable(residuals: Residuals, which: str) -> Residuals:
    if not residuals.used.any():
        raise DataError(
            f"There is nothing to report{which}: no indexed reflection could be predicted.",
            f"{plural(int(residuals.indexed.sum()), 'reflection')} indexed, none meets its panel.",
            "Give experiments and reflections of the same step; stills need the predictions of a refinement.",
        )
    return residuals
