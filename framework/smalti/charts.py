"""Charts and tables as data: what a page or a picture draws, and what plugins add to a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Chart", "Curve", "Section", "Sheet"]

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve of a chart.

    Attributes
    ----------
    label : str
        For the key; "" for none.
    values : sequence
        None breaks a curve.
    band : sequence, optional
        Half the width of a band about the curve.
    colour : int
        1 to 4: which colour of the page, 0 takes the next.
    """

    label: str
    values: Values
    band: Values | None = None
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over common places.

    Attributes
    ----------
    title, note : str
        Above the drawing; the note is set smaller.
    x_label, y_label : str
        With their units in brackets.
    x : sequence
        Places of the values. Of "stairs" the n + 1 edges of n values, of "bars" the left edges of bars of
        equal width, one upon the other.
    curves : sequence of Curve
    kind : {"lines", "points", "stairs", "bars"}
    x_ticks : sequence of (place, label)
        Instead of round numbers.
    zero : bool
        Whether lines and points show the value 0 in any case.
    """

    title: str
    x_label: str
    y_label: str
    x: Values
    curves: Sequence[Curve]
    kind: Literal["lines", "points", "stairs", "bars"] = "lines"
    x_ticks: Sequence[tuple[float, str]] = ()
    zero: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: heads, and rows of words and numbers."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    title : str
    text : sequence of str
        Paragraphs.
    charts : sequence of Chart
    sheets : sequence of Sheet
    """

    title: str
    text: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    sheets: Sequence[Sheet] = ()
