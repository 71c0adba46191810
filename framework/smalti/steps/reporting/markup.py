"""HTML and SVG as text, always escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["ELEMENT", "Cell", "Link", "element", "estimate", "figure", "number", "symbol", "table"]

ELEMENT = str
"""Markup that is safe to put into a page."""


@dataclass(frozen=True, slots=True)
class Link:
    """A number that leads to another place of the page."""

    text: str
    href: str


Cell = str | float | int | None | tuple[float | None, float | None] | Link
"""What a table shows: a text, a number, nothing, a number with its ESD, or a link."""


def element(tag: str, *children: str, **attributes: object) -> ELEMENT:
    """Make an element; children are markup, attribute values are text.

    A trailing underscore in an attribute's name falls away (``class_``), others become hyphens;
    attributes that are None are left out.
    """
    words = [
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    ]
    return f"<{tag}{''.join(words)}>{''.join(children)}</{tag}>"


def number(value: float | int | None, digits: int = 3) -> str:
    """Write a number for people: few digits, a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0.0:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:,.0f}"
    return text.replace("-", "−")


def estimate(value: float | None, esd: float | None) -> str:
    """Write a number with its ESD, as many digits as that leaves."""
    if value is None or esd is None:
        return number(value)
    esd = float(f"{esd:.2g}")
    places = max(0, 1 - math.floor(math.log10(esd))) if esd > 0.0 else 3
    # Adding 0 makes of a negative zero one that needs no sign.
    return f"{round(value, places) + 0.0:.{places}f} ± {esd:.{places}f}".replace("-", "−")


def symbol(third: str) -> str:
    """Write the name of the third residual: φ, ΔΨ for stills, or both."""
    return {"phi": "φ", "DeltaPsi": "ΔΨ", "mixed": "φ, ΔΨ"}[third]


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    class_: str = "",
    sort: bool = False,
    ids: Sequence[str] = (),
) -> ELEMENT:
    """Set a table; numbers to the right. With ``sort`` the heads are buttons for the page's script.

    ``ids`` name the rows, for links to them.
    """
    heads = [
        element("th", element("button", escape(head), type="button") if sort else escape(head), scope="col")
        for head in headers
    ]
    body = []
    for k, row in enumerate(rows):
        cells = [_cell(value) for value in row]
        body.append(element("tr", *cells, id=ids[k] if ids else None))
    content = element("thead", element("tr", *heads)) + element("tbody", *body)
    name = " ".join(word for word in (class_, "sortable" if sort else "") if word)
    return element("div", element("table", content, class_=name or None), class_="scroll")


def _cell(value: Cell) -> ELEMENT:
    if isinstance(value, str):
        return element("td", escape(value))
    if isinstance(value, Link):
        link = element("a", escape(value.text), href=value.href)
        return element("td", link, class_="n")
    if isinstance(value, tuple):
        return element("td", estimate(*value), class_="n")
    return element("td", number(value), class_="n")


def figure(title: str, svg: str, note: str = "") -> ELEMENT:
    """Frame a drawing with its title and a note below."""
    caption = element("figcaption", element("strong", escape(title)), escape(f" {note}" if note else ""))
    return element("figure", caption, svg)
