"""The parts of the page below the first screen."""

from __future__ import annotations

import shlex
from html import escape
from typing import Any

from smalti.steps.reporting.drift_section import drift_section
from smalti.steps.reporting.experiments_section import experiments_section
from smalti.steps.reporting.groups import groups_section
from smalti.steps.reporting.markup import element, estimate, figure, number, symbol, table
from smalti.steps.reporting.over_scan import over_scan_section
from smalti.steps.reporting.plots import Line, lines, stacked, stairs
from smalti.steps.reporting.reciprocal_section import reciprocal_section

__all__ = ["sections"]

NAMES = (("X", "µm"), ("Y", "µm"))
MOST_PARAMETERS = 600
"""More parameters (of many crystals) are not listed one by one on the page."""


def sections(data: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Give (key, heading, markup) of every section that has something to show."""
    drawn = [
        ("panels", "Panels", _panels(data)),
        ("groups", "Groups of panels", groups_section(data)),
        ("drift", "Drift", drift_section(data)),
        ("angle", "Against rotation angle", _against_angle(data)),
        ("order", "Against order of experiments", _against_order(data)),
        ("resolution", "Against resolution", _against_resolution(data)),
        ("distributions", "Distributions", _histograms(data)),
        ("images", "Spots on images", _images(data)),
        ("steps", "Steps of refinement", _steps(data)),
        ("experiments", "Experiments and crystals", experiments_section(data)),
        ("reciprocal", "Reciprocal lattice", reciprocal_section(data)),
        ("over-scan", "Crystals over the scan", over_scan_section(data)),
        ("parameters", "Parameters", _parameters(data)),
        ("history", "History", _history(data)),
    ]
    return [item for item in drawn if item[2]]


def _residuals(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [*NAMES, (symbol(data["third"]), "mdeg")]


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


def _against_angle(data: dict[str, Any]) -> str:
    return _trend(data, data["angle"], "angle_deg", "rotation angle (deg)")


def _against_order(data: dict[str, Any]) -> str:
    return _trend(data, data["order"], "experiment", "experiment")


def _trend(data: dict[str, Any], trend: dict[str, Any], key: str, label: str) -> str:
    """Draw the three mean residuals, each in a band of its RMSD; nothing where there is no trend."""
    if not trend[key]:
        return ""
    drawn = []
    for k, (name, unit) in enumerate(_residuals(data)):
        mean, rms = ([row[k] for row in trend[what]] for what in ("mean", "rmsd"))
        curve = Line("one", "mean, in a band of ± RMSD", mean, rms)
        svg = lines(trend[key], [curve], label, f"{name} ({unit})")
        drawn.append(figure(f"{name}, calculated − observed", svg))
    return element("div", *drawn, class_="grid")


def _against_resolution(data: dict[str, Any]) -> str:
    trend = data["resolution"]
    if not trend["d"]:
        return ""
    x = [1.0 / d**2 for d in trend["d"]]
    marks = [(1.0 / d**2, f"{d:.3g}") for d in _spread(trend["d"])]
    xy = [
        Line(style, f"RMSD {name}", [row[k] for row in trend["rmsd"]])
        for k, (style, name) in enumerate((("one", "X"), ("two", "Y")))
    ]
    means = [
        Line(style, f"mean {name}", [row[k] for row in trend["mean"]])
        for k, (style, name) in enumerate((("one", "X"), ("two", "Y")))
    ]
    third = [Line("one", f"RMSD {symbol(data['third'])}", [row[2] for row in trend["rmsd"]])]
    drawn = [
        figure("RMSD on the detector", lines(x, xy, "resolution (Angstrom)", "µm", x_ticks=marks)),
        figure(
            "Mean residual on the detector", lines(x, means, "resolution (Angstrom)", "µm", x_ticks=marks)
        ),
        figure(
            f"RMSD in {symbol(data['third'])}",
            lines(x, third, "resolution (Angstrom)", "mdeg", x_ticks=marks),
        ),
    ]
    return element("div", *drawn, class_="grid")


def _spread(d: list[float]) -> list[float]:
    """Pick about five resolutions that lie evenly in 1/d^2."""
    low, high = 1.0 / d[0] ** 2, 1.0 / d[-1] ** 2
    if high <= low:
        return [d[0]]
    return [float(f"{(low + (high - low) * k / 4) ** -0.5:.3g}") for k in range(5)]


def _histograms(data: dict[str, Any]) -> str:
    drawn = []
    for (name, unit), histogram in zip(_residuals(data), data["histograms"], strict=True):
        curves = [Line("one", "used", histogram["used"])]
        if histogram["before"] is not None:
            curves.append(Line("three", "before", histogram["before"]))
        if any(histogram["rejected"]):
            curves.append(Line("four", "rejected", histogram["rejected"]))
        note = (
            f"median {number(histogram['median'])}, robust sigma {number(histogram['robust_sigma'])}, "
            f"RMSD {number(histogram['rmsd'])} {unit}"
        )
        drawn.append(
            figure(f"{name}:", stairs(histogram["edges"], curves, f"{name} ({unit})", "spots"), note)
        )
    return element("div", *drawn, class_="grid")


def _images(data: dict[str, Any]) -> str:
    images = data["images"]
    step = images["images_per_bin"]
    x = [float(images["first"] + step * k) for k in range(len(images["used"]))]
    curves = [
        Line("one", "used", images["used"]),
        Line("three", "indexed, not used", images["other"]),
        Line("four", "rejected", images["rejected"]),
        Line("two", "not indexed", images["unindexed"]),
    ]
    what = images["of"]
    label = f"spots per {what}" if step == 1 else f"spots per {step} {what}s"
    return element("div", figure("Spots found", stacked(x, float(step), curves, what, label)), class_="grid")


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
