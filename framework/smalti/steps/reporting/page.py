"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from typing import Any

from smalti.steps.reporting.markup import Cell, element, number, symbol, table
from smalti.steps.reporting.picture import LEVELS, draw_map
from smalti.steps.reporting.sections import sections
from smalti.text import plural

__all__ = ["render"]

MARKS = {"good": "✓", "doubtful": "!", "bad": "✗"}
HOW_DRAWN = {
    "flat": "",
    "unrolled": "The detector is curved; it is drawn unrolled.",
    "spread": "The panels face several ways; they are drawn spread about the beam.",
}
PANEL_KEYS = (
    *(
        "panel",
        "name",
        "used",
        "free",
        "rejected",
        "rmsd",
        "rmsd_px",
        "rmsd_before",
        "rmsd_free",
        "mean",
        "chi2",
    ),
    *("displacement_um", "displacement_esd_um", "turn_mrad", "turn_esd_mrad", "prior_share", "note"),
)
MAP_KEYS = ("bounds", "middles", "layers", "vectors")
"""What the script of the page works with of panels and map; the rest is drawn already."""


def render(data: dict[str, Any], title: str) -> str:
    """Draw the content of a report; every number on the page stands in ``data``."""
    parts = {
        "title": escape(title),
        "style": _asset("report.css"),
        "script": _asset("report.js"),
        "json": _embedded(_for_script(data)),
        "history": _embedded(data["history"]),
        "body": _body(data, title),
    }
    pieces = re.split(r"\{\{(\w+)\}\}", _asset("report.html"))
    return "".join(parts[piece] if k % 2 else piece for k, piece in enumerate(pieces))


def _for_script(data: dict[str, Any]) -> dict[str, Any]:
    """Take what the script needs: panels by columns, for their names are longer than their numbers."""
    found = {key: data["map"][key] for key in MAP_KEYS}
    moves = data["map"]["displacements"]
    found["displacements"] = moves and {"magnification": moves["magnification"]}
    rows = data["panels"]
    return {
        "third": data["third"],
        "map": found,
        "panels": {key: [row[key] for row in rows] for key in PANEL_KEYS},
    }


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _embedded(data: dict[str, Any] | list[dict[str, Any]]) -> str:
    """Write JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def _body(data: dict[str, Any], title: str) -> str:
    drawn = sections(data)
    links = [element("a", escape(name), href=f"#{key}") for key, name, _ in drawn]
    head = element("header", element("h1", escape(title)))
    below = [element("section", element("h2", escape(name)), markup, id=key) for key, name, markup in drawn]
    first = [_verdict(data["verdict"]), _warnings(data["warnings"]), _figures(data), _face(data)]
    contents = element("nav", "Below: ", *links, aria_label="Sections of this page")
    return element("div", head, element("main", *first, contents, *below))


def _warnings(warnings: list[str]) -> str:
    """Say what the numbers do not show: also which component's section failed."""
    if not warnings:
        return ""
    return element("ul", *(element("li", escape(text)) for text in warnings), class_="warnings")


def _verdict(verdict: dict[str, Any]) -> str:
    mark = element("span", MARKS[verdict["level"]] + " ", class_="mark")
    reasons = (
        element("ul", *(element("li", escape(text)) for text in verdict["reasons"]))
        if verdict["reasons"]
        else ""
    )
    say = element("p", mark, escape(verdict["sentence"]), class_="say")
    return element("div", say, reasons, class_=f"verdict {verdict['level']}")


def _figures(data: dict[str, Any]) -> str:
    totals, rmsd = data["totals"], data["rmsd"]
    after, before, free = rmsd["after"], rmsd["before"], rmsd["free"]
    cards = []
    for k, name in enumerate(("X", "Y", symbol(data["third"]))):
        unit, step = ("mdeg", "images") if k == 2 else ("µm", "px")
        was = f"{number(before['um'][k])} → " if before is not None else ""
        small = f" ({number(after['px'][k], 2)} {step})" if after["px"][k] is not None else ""
        note = f"RMSD {name}, {unit}{small}"
        cards.append((was + number(after["um"][k]), note))
    if free is not None and free.get("um"):
        cards.append((" / ".join(number(v) for v in free["um"][:2]), "free RMSD X / Y, µm"))
    spread, earlier = data["systematic"]["after"], data["systematic"]["before"]
    if totals["panels"] > 1:
        was = f"{number(earlier['um'])} → " if earlier is not None else ""
        cards.append((was + number(spread["um"]), f"panel to panel, µm ({number(spread['px'], 2)} px)"))
    cards.append((number(totals["used"]), f"reflections used, {number(totals['rejected'])} rejected"))
    share = 100.0 * totals["indexed"] / max(totals["spots"], 1)
    cards.append((f"{share:.1f} %", f"indexed of {number(totals['spots'])} spots"))
    empty = totals["panels_without"]
    cards.append((f"{totals['panels'] - empty:,} / {totals['panels']:,}", "panels with reflections"))
    boxes = [
        element("div", element("b", escape(value)), element("span", escape(note))) for value, note in cards
    ]
    return element("div", *boxes, class_="figures")


def _face(data: dict[str, Any]) -> str:
    # Empty until a panel is pointed at: the script fills it.
    readout = element("section", id="readout", aria_live="polite", aria_label="Figures of a panel", hidden="")
    hint = (
        "Point at a panel or tap it for its figures, or go there by Tab and the arrow keys; a click or Enter "
        "keeps them, Esc lets go."
    )
    told = element("p", escape(hint), class_="quiet hint")
    drawing = element("div", _controls(data), draw_map(data["map"]), _legend(data["map"]), told)
    steps = [
        element(
            "li", escape(step["text"]), element("code", escape(step["command"])) if step["command"] else ""
        )
        for step in data["verdict"]["next"]
    ]
    todo = element("section", element("h3", "What to do next"), element("ol", *steps))
    side = element("aside", todo, _most_moved(data), class_="side")
    return element("div", drawing, side, readout, class_="face")


def _most_moved(data: dict[str, Any]) -> str:
    if not data["most_moved"]:
        return _whole_moved(data["whole"])
    rows: list[list[Cell]] = [
        [
            f"{row['panel']}",
            (row["in_plane_um"], row["in_plane_esd_um"]),
            (row["normal_um"], row["normal_esd_um"]),
        ]
        for row in data["most_moved"]
    ]
    inner = table(["panel", "in plane\nµm", "along normal\nµm"], rows)
    note = f"Median of all panels: {number(data['median_moved_um'])} µm in the plane."
    if data["not_believed"]:
        note += f" Not listed: {plural(data['not_believed'], 'panel')} that the refinement does not believe."
    return element(
        "section", element("h3", "Panels that moved most"), inner, element("p", escape(note), class_="quiet")
    )


def _whole_moved(whole: dict[str, Any] | None) -> str:
    """Say how the detector moved where no panel moved by itself."""
    if not whole or not whole["shift_um"]:
        return ""
    rows: list[list[Cell]] = [
        [axis, (shift, shift_esd), (turn, turn_esd)]
        for axis, shift, shift_esd, turn, turn_esd in zip(
            "xyz",
            whole["shift_um"],
            whole["shift_esd_um"] or [None] * 3,
            whole["turn_mrad"] or [None] * 3,
            whole["turn_esd_mrad"] or [None] * 3,
            strict=True,
        )
    ]
    inner = table(["laboratory", "moved\nµm", "turned\nmrad"], rows)
    return element("section", element("h3", "The detector as a whole moved"), inner)


def _controls(data: dict[str, Any]) -> str:
    layers = [_button("layer", item["key"], item["short"], item["label"]) for item in data["map"]["layers"]]
    arrows = [_button("arrows", "residuals", "mean residual"), _button("arrows", "none", "none")]
    if data["map"]["displacements"] is not None:
        arrows.insert(1, _button("arrows", "moves", "displacement"))
    second = _choice("Arrows", arrows)
    if "before" in data["map"]["vectors"]:
        both = [_button("when", "before", "before"), _button("when", "after", "after")]
        second += _choice("Geometry", both) + element("span", "(key b)")
    return element("div", _choice("Colour", layers), class_="controls") + element(
        "div", second, class_="controls"
    )


def _choice(name: str, buttons: list[str]) -> str:
    return element("div", element("span", name), *buttons, class_="choice", role="group", aria_label=name)


def _button(key: str, value: str, label: str, title: str | None = None) -> str:
    pressed = "true" if value in ("rms", "residuals", "after") else "false"
    return element(
        "button", escape(label), type="button", title=title, data_set=f"{key}={value}", aria_pressed=pressed
    )


def _legend(data: dict[str, Any]) -> str:
    layer = next(item for item in data["layers"] if item["key"] == "rms")
    swatches = [element("rect", x=k, width=1, height=1, class_=f"s{k}") for k in range(LEVELS + 1)]
    bar = element(
        "svg", *swatches, viewBox=f"0 0 {LEVELS + 1} 1", preserveAspectRatio="none", aria_hidden="true"
    )
    scale = f"Mean residual arrows magnified {number(data['vectors']['magnification'])} times."
    how = HOW_DRAWN[data["kind"]]
    return element(
        "div",
        element("span", escape(layer["label"]), id="what", aria_live="polite"),
        element("span", "0", id="low"),
        bar,
        element("span", escape(f"≥ {number(layer['limit'])} {layer['unit']}"), id="high"),
        element("span", escape(scale), id="scale"),
        element("span", "+ direct beam") if data["beam"] is not None else "",
        element("span", escape(how)),
        class_="legend",
        id="legend",
    )  # fmt: skip
