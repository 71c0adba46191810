"""The table of panels: how each fits, how it moved, and what holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from smalti.steps.reporting.markup import Cell, Link, element, estimate, symbol, table

__all__ = ["panels_section"]

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], Cell]]

MOST_PANELS = 256
"""Of more, only the worst are listed on the page, which is to stay small enough to mail."""
WORST = 128

_AXES = ("fast", "slow", "normal")


def panels_section(data: Mapping[str, Any]) -> str:
    """Set the table; columns of which nothing is known are left out."""
    every = data["panels"]
    rows = _listed(every)
    columns = [column for column in _columns(symbol(data["third"])) if _known(column, rows)]
    body = [[value(row) for _, value in columns] for row in rows]
    identities = [f"panel-{row['panel']}" for row in rows]
    inner = table([head for head, _ in columns], body, class_="panels", sort=True, ids=identities)
    note = ""
    if len(rows) < len(every):
        text = (
            f"The {len(rows)} of {len(every):,} panels that are not believed or have the largest "
            "RMSDs; the map has the figures of all, and so has the JSON file."
        )
        note = element("p", escape(text))
    return _note(data) + note + inner.replace('class="scroll"', 'class="scroll tall"', 1)


def _listed(rows: list[Row]) -> list[Row]:
    """Choose the panels that are listed, in their order."""
    if len(rows) <= MOST_PANELS:
        return rows
    told = [row["note"].startswith("not believed") for row in rows]
    worst = [max(row["rmsd_px"][:2]) if row["used"] else 0.0 for row in rows]
    order = sorted(range(len(rows)), key=lambda k: (not told[k], -worst[k]))
    return [rows[k] for k in sorted(order[:WORST])]


def _columns(third: str) -> list[Column]:
    """Give head and value of every column."""
    counts = [(key, _plain(key)) for key in ("spots", "used", "free", "rejected")]
    moved = [(f"moved {axis}\nµm", _moved("displacement", "um", k)) for k, axis in enumerate(_AXES)]
    turned = [(f"turned {axis}\nmrad", _moved("turn", "mrad", k)) for k, axis in enumerate(_AXES)]
    rmsds = [
        (f"{head} {axis}\n{unit}", _part(key, k))
        for key, head, unit in (
            ("rmsd", "RMSD", "µm"),
            ("rmsd_before", "before", "µm"),
            ("rmsd_free", "free", "µm"),
            ("rmsd_px", "RMSD", "px"),
        )
        for k, axis in enumerate("XY")
    ]
    # Means of a fit can be as small as rounding errors: a hundredth of a micrometre is enough.
    means = [
        (f"mean {name}\n{unit}", _part("mean", k, 2))
        for k, (name, unit) in enumerate((("X", "µm"), ("Y", "µm"), (third, "mdeg")))
    ]
    return [
        ("panel", lambda row: Link(str(row["panel"]), "#map")),
        ("name", _plain("name")),
        *counts,
        *moved,
        *turned,
        ("worst corner\nµm", lambda row: (*row["corner_um"],) if row["corner_um"] else None),
        *rmsds,
        (f"RMSD {third}\nmdeg", _part("rmsd", 2)),
        *means,
        ("chi²\nX, Y", _plain("chi2")),
        ("halves apart\nESDs", _plain("halves_sigma")),
        ("told worst", _plain("weakest")),
        ("prior\nshare", _plain("prior_share")),
        ("note", _plain("note")),
    ]


def _plain(key: str) -> Callable[[Row], Cell]:
    return lambda row: row[key]


def _part(key: str, k: int, places: int | None = None) -> Callable[[Row], Cell]:
    """Give one of several numbers, where there are any."""

    def value(row: Row) -> Cell:
        found = row[key][k] if row[key] else None
        return found if found is None or places is None else round(found, places)

    return value


def _moved(key: str, unit: str, k: int) -> Callable[[Row], Cell]:
    """Give one part of a motion with its ESD."""

    def value(row: Row) -> Cell:
        found, esds = row[f"{key}_{unit}"], row[f"{key}_esd_{unit}"]
        return (found[k], esds[k] if esds else None) if found else None

    return value


def _known(column: Column, rows: list[Row]) -> bool:
    return column[0] == "note" or any(column[1](row) not in (None, "") for row in rows)


def _note(data: Mapping[str, Any]) -> str:
    rows = data["panels"]
    if all(row["displacement_um"] is None for row in rows):
        return ""
    text = (
        "Moved and turned: in each panel's own frame, after the motion that all panels share is taken away."
    )
    if data["whole"] is not None:
        shift, turn = (_three(data["whole"], key) for key in ("shift_um", "turn_mrad"))
        text += (
            f" The detector as a whole moved by ({shift}) µm and turned by ({turn}) mrad in the laboratory."
        )
    if all(row["displacement_esd_um"] is None for row in rows):
        text += " Uncertainties are not known here: give the .json of the refinement to see them."
    return element("p", escape(text), class_="quiet")


def _three(whole: Row, key: str) -> str:
    what, _, unit = key.rpartition("_")
    values, esds = whole[key], whole[f"{what}_esd_{unit}"]
    if values is None:
        return "–"
    return ", ".join(estimate(*pair) for pair in zip(values, esds or [None] * 3, strict=True))
