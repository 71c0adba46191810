"""What the figures mean, in a sentence, and what to do next."""

from __future__ import annotations

import shlex
from typing import Any

from smalti.steps.handing_on import dials_import
from smalti.steps.reporting.markup import number
from smalti.text import plural, ranges

__all__ = ["judge"]

BAD_RMSD_PX = 1.0
"""Beyond one pixel the models do not describe the spots."""
HIGH_RMSD_PX = 0.5
TAIL = 2.0
"""An RMSD so many times that of the middle half is made by outliers."""
SYSTEMATIC_PX = 0.05
"""Strong spots are centred to about a tenth of a pixel; panels off by half of that are worth moving."""
MANY_REJECTED = 0.20
LOW_INDEXED = 0.50
FEW_PER_PANEL = 50
"""Mean number of spots of a panel below which a refinement of its place leans on the prior."""

MOST_NAMED = 12
"""Ranges of panels that are named in a sentence."""

GOOD, DOUBTFUL, BAD = "good", "doubtful", "bad"


def judge(data: dict[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    """Judge the content of a report.

    Parameters
    ----------
    data : dict
        ``totals``, ``rmsd``, ``systematic``, ``panels`` as the report holds them.
    names : (str, str)
        Names of the experiment and reflection files, for the commands proposed.

    Returns
    -------
    dict
        ``level`` ("good", "doubtful", "bad"), ``sentence``, ``reasons`` (list), ``next`` (list of
        {"text", "command"}).
    """
    findings = [*((BAD, reason) for reason in data["refinement_reasons"]), *_fit(data), *_coverage(data)]
    level = next((level for level in (BAD, DOUBTFUL) if any(f[0] == level for f in findings)), GOOD)
    return {
        "level": level,
        "sentence": _sentence(data, level),
        "reasons": [text for _, text in findings],
        "next": _next(data, level, names),
    }


def _fit(data: dict[str, Any]) -> list[tuple[str, str]]:
    after = data["rmsd"]["after"]
    worst, core = max(after["px"][:2]), max(after["core_px"][:2])
    found = []
    if core > BAD_RMSD_PX:
        found.append((BAD, f"The RMSD is {worst:.2g} px: the models do not describe where the spots are."))
    elif worst > TAIL * core and worst > HIGH_RMSD_PX:
        text = f"A few gross outliers make the RMSD {worst:.2g} px; without them it is about {core:.2g} px."
        found.append((DOUBTFUL, text))
    elif worst > HIGH_RMSD_PX:
        text = f"The RMSD of {worst:.2g} px is high; well-placed panels reach 0.1 to 0.3 px."
        found.append((DOUBTFUL, text))
    spread = data["systematic"]["after"]
    if spread["px"] is not None and spread["px"] > SYSTEMATIC_PX and data["totals"]["panels"] > 1:
        found.append(
            (
                DOUBTFUL,
                f"Mean residuals differ from panel to panel by {number(spread['um'])} µm "
                f"({number(spread['px'], 2)} px) more than chance explains: panels are out of place.",
            )
        )
    return found


def _coverage(data: dict[str, Any]) -> list[tuple[str, str]]:
    totals = data["totals"]
    found = []
    if totals["rejected"] > MANY_REJECTED * max(totals["used"] + totals["rejected"], 1):
        share = 100.0 * totals["rejected"] / (totals["used"] + totals["rejected"])
        found.append((DOUBTFUL, f"{share:.0f} % of the reflections were rejected as outliers."))
    if totals["indexed"] < LOW_INDEXED * totals["spots"]:
        share = 100.0 * totals["indexed"] / totals["spots"]
        found.append((DOUBTFUL, f"Only {share:.0f} % of the spots are indexed."))
    panels = totals["panels"] - totals["panels_without"]
    if totals["used"] < FEW_PER_PANEL * max(panels, 1):
        found.append(
            (
                DOUBTFUL,
                f"{plural(totals['used'], 'reflection')} on {plural(panels, 'panel')}: "
                "too few to place each panel by data alone.",
            )
        )
    return found


def _sentence(data: dict[str, Any], level: str) -> str:
    after, before = data["rmsd"]["after"], data["rmsd"]["before"]
    size = f"{_pair(after['um'], 3)} µm ({_pair(after['px'], 2)} px)"
    opening = {
        GOOD: "The geometry explains the data",
        DOUBTFUL: "Usable, with reservations",
        BAD: "Do not use this geometry",
    }[level]
    if before is not None and before["um"][0] is not None:
        fit = f"the RMSD in X / Y went from {_pair(before['um'], 3)} to {size}"
    else:
        fit = f"the RMSD in X / Y is {size} over {plural(after['n'], 'reflection')}"
    sure = data["sure"]
    if sure is None or sure["of"] < 2:
        return f"{opening}: {fit}."
    return (
        f"{opening}: {fit}, and {sure['moved']} of {sure['of']} panels moved by more than three ESDs, "
        f"in the median by {data['median_moved_um']:.2g} µm."
    )


def _pair(values: list[float], digits: int) -> str:
    return " / ".join(number(value, digits) for value in values[:2])


def _next(data: dict[str, Any], level: str, names: tuple[str, str]) -> list[dict[str, str]]:
    totals = data["totals"]
    steps = [_main_step(data, level, *names)]
    if totals["panels_without"]:
        empty = ranges([row["panel"] for row in data["panels"] if row["used"] == 0], MOST_NAMED)
        placed = (
            "it moved with its parent" if totals["panels_without"] == 1 else "they moved with their parents"
        )
        steps.append(
            _step(
                f"No reflection on {plural(totals['panels_without'], 'panel')} ({empty}): {placed} "
                "only. Other data (another distance or 2-theta) would tell where."
            )
        )
    if totals["rejected"] > MANY_REJECTED * max(totals["used"], 1):
        steps.append(
            _step("See where the rejected spots lie (map, layer 'rejected'): a second lattice or ice?")
        )
    return steps


def _main_step(data: dict[str, Any], level: str, experiments: str, reflections: str) -> dict[str, str]:
    spread = data["systematic"]["after"]["px"]
    refine = f"smalti refine {shlex.quote(experiments)} {shlex.quote(reflections)}"
    if level == BAD:
        return _step(
            "Look at the map: if all panels disagree alike, the beam centre, distance or lattice is wrong. "
            "Refine the detector as one block first, or index again.",
            f"{refine} --level 0 -o block",
        )
    if spread is not None and spread > SYSTEMATIC_PX and data["totals"]["panels"] > 1:
        if data["totals"]["levels"] > 1:
            text = "Refine the groups of panels, as far down as the data tell."
            return _step(text, f"{refine} --level auto --outliers tukey -o panels")
        return _step("Refine every panel by itself.", f"{refine} --level 1 --outliers tukey -o panels")
    if max(data["rmsd"]["after"]["core_px"][:2]) > HIGH_RMSD_PX:
        text = "Refine the geometry, the detector as one block, without the outliers."
        return _step(text, f"{refine} --level 0 --outliers tukey -o block")
    if level == DOUBTFUL:
        text = "See to the reservations first (layer chi² of the map, and the charts below); then use it."
        return _step(text, dials_import(experiments, data["totals"]["panels"]))
    return _step(
        "Use this geometry for other data of the same detector.",
        dials_import(experiments, data["totals"]["panels"]),
    )


def _step(text: str, command: str = "") -> dict[str, str]:
    return {"text": text, "command": command}
