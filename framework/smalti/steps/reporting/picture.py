"""The map of the detector as SVG, readable as it stands; the page's script switches its layers."""

from __future__ import annotations

import math
from typing import Any

from smalti.steps.reporting.markup import element, number

__all__ = ["LEVELS", "draw_map", "shade"]

LEVELS = 6
"""Steps of colour on either side of zero, and steps of the sequential scale less one."""
MOST_NUMBERED = 256
FIRST_LAYER = "rms"
NEEDLE = 0.13
"""Half the width of an arrow in its lengths; those of outliers are no wider than those of most."""


LEAST = 6.0
"""Arrows of fewer thousandths of the face are not drawn (the page's script has these two numbers too)."""


def shade(value: float | None, limit: float, kind: str) -> str:
    """Name the style of a value: p1..p6 above and m1..m6 below zero, z0 at it, or s0..s6; none is empty."""
    if value is None:
        return "none"
    step = min(LEVELS, int(abs(value) / limit * LEVELS + 0.5))
    if kind == "sequential":
        return f"s{step}"
    return "z0" if step == 0 else f"{'p' if value > 0 else 'm'}{step}"


def draw_map(data: dict[str, Any]) -> str:
    """Draw cells coloured by the size of their residual, the mean residuals as arrows, and outlines."""
    layer = next(item for item in data["layers"] if item["key"] == FIRST_LAYER)
    left, top, right, bottom = data["bounds"]
    margin = 0.02 * max(right - left, bottom - top)
    corner = f"{left - margin:.6g} {top - margin:.6g}"
    box = f"{corner} {right - left + 2 * margin:.6g} {bottom - top + 2 * margin:.6g}"
    unit = max(right - left, bottom - top) / 1000.0
    cells, outlines, first = [], [], 0
    for panel in data["panels"]:
        n = panel["grid"][0] * panel["grid"][1]
        values = layer["after"][first : first + n]
        cells.append(_cells(panel, [shade(v, layer["limit"], layer["kind"]) for v in values]))
        outlines.append(_outline(panel))
        first += n
    arrows = _needles(data["middles"], data["vectors"]["after"], data["vectors"], LEAST * unit)
    moves = ""
    if data["displacements"] is not None:
        d = data["displacements"]
        moves = _needles(d["middles"], d["um"], d, LEAST * unit)
    parts = [
        _hatch(unit),
        element("g", *cells, id="cells", shape_rendering="crispEdges"),
        element("g", *outlines, id="outlines"),  # the script gives them their names and roles
        element("g", *_numbers(data["panels"], unit), id="numbers"),
        element("g", arrows, id="arrows"),
        element("g", moves, id="moves", class_="off"),
        _beam(data["beam"], unit),
    ]
    return element(
        "svg", *parts, id="map", viewBox=box, role="group", style=f"--u:{unit:.4g}px",
        aria_label="Map of the detector face; use the arrow keys to go from panel to panel.",
    )  # fmt: skip


def _cells(panel: dict[str, Any], styles: list[str]) -> str:
    (a, c, e), (b, d, f) = panel["matrix"]
    (nx, ny), (width, height) = panel["grid"], panel["size"]
    w, h = width / nx, height / ny
    # A little wider than they are apart: rounding to pixels would leave slits between some.
    size = f'width="{1.005 * w:.5g}" height="{1.005 * h:.5g}"'
    rects = [
        f'<rect x="{(k % nx) * w:.5g}" y="{(k // nx) * h:.5g}" {size} class="{style}"/>'
        for k, style in enumerate(styles)
    ]
    return element("g", *rects, transform=f"matrix({a:g} {b:g} {c:g} {d:g} {e:g} {f:g})")


def _outline(panel: dict[str, Any]) -> str:
    (a, c, e), (b, d, f) = panel["matrix"]
    width, height = panel["size"]
    placed = f"matrix({a:g} {b:g} {c:g} {d:g} {e:g} {f:g})"
    return element("rect", width=f"{width:g}", height=f"{height:g}", transform=placed)


def _numbers(panels: list[dict[str, Any]], unit: float) -> list[str]:
    """Write each panel's number into its upper left corner on paper, where that is legible."""
    if len(panels) > MOST_NUMBERED:
        return []
    texts = []
    for k, panel in enumerate(panels):
        (a, c, e), (b, d, f) = panel["matrix"]
        width, height = panel["size"]
        high = min(20 * unit, 0.4 * min(width, height))
        x = e + min(0.0, a * width) + min(0.0, c * height) + 0.25 * high
        y = f + min(0.0, b * width) + min(0.0, d * height) + high
        texts.append(element("text", str(k), x=f"{x:.5g}", y=f"{y:.5g}", font_size=f"{high:.3g}"))
    return texts


def _needles(
    middles: list[list[float]],
    vectors: list[list[float | None]],
    scaling: dict[str, Any],
    least: float,
) -> str:
    """Draw needles, thick where they start and pointed where they lead; um times the magnification.

    Those shorter than ``least`` (mm) are left out: they would be specks.
    """
    scale, widest = scaling["magnification"] * 1e-3, scaling["key_um"]
    paths = []
    for (x, y), (dx, dy) in zip(middles, vectors, strict=True):
        needle = ""
        if dx is not None and dy is not None and math.hypot(dx, dy) * scale > least:
            u, v = dx * scale, dy * scale
            half = NEEDLE * min(1.0, widest / max(math.hypot(dx, dy), 1e-9))
            a, b = -half * v, half * u
            needle = f"M{x + a:.5g} {y + b:.5g}L{x + u:.5g} {y + v:.5g}L{x - a:.5g} {y - b:.5g}Z"
        paths.append(f'<path d="{needle}"/>')
    return "".join(paths)


def _hatch(unit: float) -> str:
    """Make the filling of cells about which nothing is known."""
    width = f"{8 * unit:.4g}"
    line = element("path", d=f"M0 0V{width}", class_="hatch")
    turn = {"patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
    return element("defs", element("pattern", line, id="unknown", width=width, height=width, **turn))


def _beam(beam: list[float] | None, unit: float) -> str:
    if beam is None:
        return ""
    x, y, r = beam[0], beam[1], 8 * unit
    cross = f"M{x - r:.5g} {y:.5g}h{2 * r:.4g}M{x:.5g} {y - r:.5g}v{2 * r:.4g}"
    note = element("title", f"direct beam at {number(x)} mm, {number(y)} mm on this map")
    return element("path", note, d=cross, class_="beam")
