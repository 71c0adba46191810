"""Small plots as SVG: lines with bands, stairs, stacked bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from smalti.steps.reporting.markup import element, number
from smalti.steps.reporting.numbers import nice

__all__ = ["Axes", "Line", "lines", "points", "stacked", "stairs", "ticks"]

Numbers = Sequence[float | None]

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 12, 40


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its class in the style sheet, its label, its values, and a band about it."""

    style: str
    label: str
    values: Numbers
    band: Numbers | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """A frame with scales from data to drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give the place of a point of the data in the drawing."""
        u = LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)
        v = HEIGHT - BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)
        return u, v

    def frame(
        self, x_label: str, y_label: str, x_ticks: Sequence[tuple[float, str]] | None = None
    ) -> list[str]:
        """Draw grid, ticks and labels; the x axis at zero is drawn stronger where it is inside."""
        parts = []
        for value in ticks(*self.y):
            _, v = self.at(self.x[0], value)
            style = "axis" if value == 0.0 else "grid"
            parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_f(v), y2=_f(v), class_=style))
            parts.append(element("text", number(value), x=LEFT - 6, y=_f(v + 4), class_="tick end"))
        for value, label in x_ticks or [(t, number(t, 4)) for t in ticks(*self.x)]:
            u, _ = self.at(value, self.y[0])
            parts.append(element("line", x1=_f(u), x2=_f(u), y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
            parts.append(element("text", escape(label), x=_f(u), y=HEIGHT - BOTTOM + 15, class_="tick mid"))
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(element("text", escape(x_label), x=_f(middle), y=HEIGHT - 6, class_="label mid"))
        place = (TOP + HEIGHT - BOTTOM) / 2
        turned = f"translate(12 {_f(place)}) rotate(-90)"
        parts.append(element("text", escape(y_label), transform=turned, class_="label mid"))
        return parts


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Give round values within a range."""
    step = nice((high - low) / about)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def lines(
    x: Numbers,
    curves: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    zero: bool = True,
    x_ticks: Sequence[tuple[float, str]] | None = None,
) -> str:
    """Draw curves over common x values; a value of None breaks a curve."""
    xs = [v for v in x if v is not None]
    reach = [
        value + sign * (band or 0.0)
        for curve in curves
        for value, band in zip(curve.values, curve.band or [0.0] * len(curve.values), strict=True)
        if value is not None
        for sign in (-1.0, 1.0)
    ]
    if not xs or not reach:
        return _empty()
    low, high = min(reach), max(reach)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    pad = 0.06 * (high - low) or 1.0
    axes = Axes(_wide(min(xs), max(xs)), (low - (pad if low else 0.0), high + pad))
    parts = axes.frame(x_label, y_label, x_ticks)
    parts.extend(_band(axes, x, curve) for curve in curves if curve.band is not None)
    parts.extend(_curve(axes, x, curve) for curve in curves)
    return _svg(parts, [(c.style, c.label) for c in curves if c.label], f"{y_label} against {x_label}")


def points(
    x: Numbers,
    curves: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    zero: bool = True,
    x_ticks: Sequence[tuple[float, str]] | None = None,
) -> str:
    """Draw values as dots over common x values."""
    known = [v for v in x if v is not None]
    reach = [v for curve in curves for v in curve.values if v is not None]
    if not known or not reach:
        return _empty()
    low, high = (min(0.0, *reach), max(0.0, *reach)) if zero else (min(reach), max(reach))
    pad = 0.06 * (high - low) or 1.0
    axes = Axes(_wide(min(known), max(known)), (low - pad, high + pad))
    parts = axes.frame(x_label, y_label, x_ticks)
    for curve in curves:
        for place, value in zip(x, curve.values, strict=True):
            if place is not None and value is not None:
                u, v = axes.at(place, value)
                parts.append(element("circle", cx=_f(u), cy=_f(v), r=2.2, class_=f"{curve.style} dot"))
    return _svg(parts, [(c.style, c.label) for c in curves if c.label], f"{y_label} against {x_label}")


def stairs(edges: Sequence[float], curves: Sequence[Line], x_label: str, y_label: str) -> str:
    """Draw histograms with common edges; the first is filled."""
    top = max((v or 0.0) for curve in curves for v in curve.values)
    axes = Axes(_wide(edges[0], edges[-1]), (0.0, (top or 1.0) * 1.08))
    parts = axes.frame(x_label, y_label)
    for k, curve in enumerate(curves):
        path = []
        for value, left, right in zip(curve.values, edges[:-1], edges[1:], strict=True):
            path += [axes.at(left, value or 0.0), axes.at(right, value or 0.0)]
        ends = [axes.at(edges[0], 0.0), *path, axes.at(edges[-1], 0.0)]
        parts.append(element("path", d=_path(ends), class_=f"{curve.style} {'area' if k == 0 else 'line'}"))
    return _svg(parts, [(c.style, c.label) for c in curves], f"histogram of {x_label}")


def stacked(x: Sequence[float], step: float, curves: Sequence[Line], x_label: str, y_label: str) -> str:
    """Draw bars, one kind upon the other; ``x`` are the left edges."""
    heights = [0.0] * len(x)
    total = [sum(c.values[k] or 0.0 for c in curves) for k in range(len(x))]
    axes = Axes(_wide(x[0], x[-1] + step), (0.0, (max(total) or 1.0) * 1.08))
    parts = axes.frame(x_label, y_label)
    for curve in curves:
        path = []
        for k, left in enumerate(x):
            (u0, v0), (u1, v1) = (
                axes.at(left, heights[k] + (curve.values[k] or 0.0)),
                axes.at(left + step, heights[k]),
            )
            if v1 - v0 > 0.05:
                path.append(f"M{_f(u0)} {_f(v0)}H{_f(u1)}V{_f(v1)}H{_f(u0)}Z")
            heights[k] += curve.values[k] or 0.0
        parts.append(element("path", d="".join(path), class_=f"{curve.style} solid"))
    return _svg(parts, [(c.style, c.label) for c in curves], f"{y_label} by {x_label}")


def _runs(x: Numbers, curve: Line) -> list[list[tuple[float, float, float]]]:
    """Give the stretches without a gap: place, value and half the width of the band."""
    runs: list[list[tuple[float, float, float]]] = [[]]
    for place, value, half in zip(x, curve.values, curve.band or [0.0] * len(curve.values), strict=True):
        if place is None or value is None or half is None:
            runs.append([])
        else:
            runs[-1].append((place, value, half))
    return [run for run in runs if run]


def _curve(axes: Axes, x: Numbers, curve: Line) -> str:
    parts = [_path([axes.at(place, value) for place, value, _ in run]) for run in _runs(x, curve)]
    return element("path", d="".join(parts), class_=f"{curve.style} line")


def _band(axes: Axes, x: Numbers, curve: Line) -> str:
    parts = []
    for run in _runs(x, curve):
        upper = [axes.at(place, value + half) for place, value, half in run]
        lower = [axes.at(place, value - half) for place, value, half in reversed(run)]
        parts.append(_path([*upper, *lower]) + "Z")
    return element("path", d="".join(parts), class_=f"{curve.style} band")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_f(u)} {_f(v)}" for u, v in points)


def _svg(parts: Sequence[str], legend: Sequence[tuple[str, str]], label: str) -> str:
    keys = element(
        "div",
        *(element("span", element("i", class_=style), escape(text)) for style, text in legend),
        class_="keys",
    )
    box = f"0 0 {WIDTH} {HEIGHT}"
    drawing = element("svg", *parts, viewBox=box, role="img", aria_label=label, class_="plot")
    return keys + drawing


def _empty() -> str:
    return element("p", "Nothing to draw.", class_="quiet")


def _wide(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _f(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
