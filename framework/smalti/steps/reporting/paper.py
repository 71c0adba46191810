"""The figures of a report as files for papers: PNG or SVG, by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.charts import Chart
from smalti.errors import PluginError
from smalti.steps.reporting.brought import section_of
from smalti.steps.reporting.charted import charts_of

__all__ = ["KINDS", "figures"]

KINDS = ("png", "svg")

# Okabe and Ito's colours, which the colour-blind can tell apart (doi 10.1038/nmeth.1618 recommends them).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_MAPS = {"sequential": "viridis", "diverging": "PuOr"}
_COLUMN = 3.4
"""Inches; the width of a column of most journals."""
_STYLE: Any = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "legend.fontsize": 7.0,
    "svg.fonttype": "none",
    # The same data give the same bytes.
    "svg.hashsalt": "smalti",
}


def figures(data: Mapping[str, Any], kind: str) -> Iterator[tuple[str, bytes]]:
    """Draw every figure of a report; give the name of its file without ending, and its bytes.

    Parameters
    ----------
    data : Mapping
        Of :class:`smalti.steps.reporting.Report`.
    kind : {"png", "svg"}

    Raises
    ------
    PluginError
        matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError:
        raise PluginError(
            "Figures for papers need matplotlib, which is not installed.",
            "It is no part of a plain installation.",
            "pip install 'smalti[plots]'",
        ) from None
    with rc_context(_STYLE):
        for layer in data["map"]["layers"]:
            for when, suffix in (("after", ""), ("before", "-before")):
                if when in layer:
                    yield f"map-{_slug(layer['key'])}{suffix}", _drawn(_map(data["map"], layer, when), kind)
        brought = {name: section_of(item).charts for name, item in data["sections"].items()}
        for key, charts in {**charts_of(data), **brought}.items():
            for k, chart in enumerate(charts, start=1):
                number = f"-{k}" if len(charts) > 1 else ""
                yield f"{_slug(key)}{number}", _drawn(_chart(chart), kind)


def _drawn(figure: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None}
    figure.savefig(buffer, format=kind, dpi=300, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()


def _chart(chart: Chart) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_COLUMN, 0.62 * _COLUMN))
    axes = figure.add_subplot()
    floor = np.zeros(len(chart.curves[0].values)) if chart.curves else np.zeros(0)
    for k, curve in enumerate(chart.curves):
        colour = _COLOURS[(curve.colour - 1 if curve.colour else k) % len(_COLOURS)]
        values, label = _numbers(curve.values), curve.label or None
        x = _numbers(chart.x)
        if chart.kind == "stairs":
            axes.stairs(values, x, color=colour, label=label, fill=k == 0, alpha=0.6 if k == 0 else None)
        elif chart.kind == "bars":
            width = x[1] - x[0] if len(x) > 1 else 1.0
            axes.bar(x, np.nan_to_num(values), width, floor, align="edge", color=colour, label=label, lw=0)
            floor = floor + np.nan_to_num(values)
        elif chart.kind == "points":
            axes.plot(x, values, ".", color=colour, label=label)
        else:
            axes.plot(x, values, color=colour, label=label)
            if curve.band is not None:
                half = _numbers(curve.band)
                axes.fill_between(x, values - half, values + half, color=colour, alpha=0.2, lw=0)
    if chart.kind in ("lines", "points") and chart.zero:
        axes.axhline(0.0, color="0.6", lw=0.5, zorder=0)
    if chart.x_ticks:
        axes.set_xticks([place for place, _ in chart.x_ticks], [label for _, label in chart.x_ticks])
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    if any(curve.label for curve in chart.curves):
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def _map(face: Mapping[str, Any], layer: Mapping[str, Any], when: str) -> Any:
    """Draw one layer of the detector face, with outlines, mean residuals as arrows and the direct beam."""
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    left, top, right, bottom = face["bounds"]
    ratio = (bottom - top) / max(right - left, 1e-9)
    figure = Figure(figsize=(_COLUMN, max(_COLUMN * ratio, 0.8) + 0.4))
    axes = figure.add_subplot()
    limit = layer["limit"]
    low = 0.0 if layer["kind"] == "sequential" else -limit
    cells = PolyCollection(
        list(_cells(face["panels"])),
        array=np.ma.masked_invalid(_numbers(layer[when])),
        cmap=_MAPS[layer["kind"]],
        clim=(low, limit),
        # Edges in the colour of the face close the slits that smoothing leaves between cells.
        edgecolor="face",
        linewidth=0.2,
        rasterized=True,
    )
    axes.add_collection(cells)
    outlines = [_corners(panel) for panel in face["panels"]]
    axes.add_collection(PolyCollection(outlines, facecolor="none", edgecolor="0.3", linewidth=0.3))
    if layer["key"] == "rms":
        _arrows(axes, face, when)
    if face["beam"] is not None:
        axes.plot(*face["beam"], "+", color="black", ms=5, mew=0.6)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xlabel="x (mm)", ylabel="y (mm)")
    unit = f" ({layer['unit']})" if layer["unit"] else ""
    label = f"{layer['label'].partition(':')[0]}{unit}"
    extend = "max" if layer["kind"] == "sequential" else "both"
    figure.colorbar(cells, ax=axes, label=label, fraction=0.04, extend=extend)
    return figure


def _arrows(axes: Any, face: Mapping[str, Any], when: str) -> None:
    vectors = face["vectors"]
    middles = np.array(face["middles"], dtype=float).reshape(-1, 2)
    pairs = [[np.nan, np.nan] if item is None else item for item in vectors[when]]
    arrows = np.array([[np.nan if v is None else v for v in pair] for pair in pairs], dtype=float)
    arrows = arrows.reshape(-1, 2) * 1e-3 * vectors["magnification"]
    known = np.isfinite(arrows).all(axis=1)
    style = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.0025, "color": "black"}
    axes.quiver(*middles[known].T, *arrows[known].T, **style)


def _cells(panels: Iterable[Mapping[str, Any]]) -> Iterator[NDArray[np.float64]]:
    """Give the outline of each cell of each panel, row by row."""
    for panel in panels:
        nx, ny = panel["grid"]
        width, height = panel["size"]
        for j in range(ny):
            for i in range(nx):
                box = (width * i / nx, height * j / ny, width * (i + 1) / nx, height * (j + 1) / ny)
                yield _placed(panel, box)


def _corners(panel: Mapping[str, Any]) -> NDArray[np.float64]:
    return _placed(panel, (0.0, 0.0, *panel["size"]))


def _placed(panel: Mapping[str, Any], box: Sequence[float]) -> NDArray[np.float64]:
    x0, y0, x1, y1 = box
    matrix = np.array(panel["matrix"], dtype=float)
    points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
