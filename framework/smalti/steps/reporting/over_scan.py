"""Crystals that vary over their scans: cell and orientation against angle."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from smalti.geometry.scan_points import turns
from smalti.models import Experiments, cell_of_axes
from smalti.steps.reporting.markup import element, figure
from smalti.steps.reporting.numbers import listed
from smalti.steps.reporting.plots import Line, lines

__all__ = ["over_scan", "over_scan_section"]

MOST_POINTS = 120
MOST_SHOWN = 6
"""Experiments whose crystals are drawn."""

_SAME = 1e-6
"""Changes below this are rounding errors."""

_ALIKE = 1e-3
"""Curves as near as this part of their size are drawn as one."""


def over_scan(experiments: Experiments) -> list[dict[str, Any]]:
    """Give cell and orientation against angle of each experiment whose crystal varies.

    Returns
    -------
    list of dict
        ``experiment``, ``angle_deg`` (n,), ``cell`` (n, 6) Angstrom and degrees, ``turn_mrad`` (n, 3): the
        rotation vector from the start of the scan.
    """
    found = []
    for number, experiment in enumerate(experiments):
        crystal, scan = experiment.crystal, experiment.scan
        if crystal is None or scan is None or not crystal.scan_points:
            continue
        points = np.array(crystal.scan_points).reshape(-1, 3, 3)
        some = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))
        start, width = np.degrees(scan.oscillation)
        found.append(
            {
                "experiment": number,
                "angle_deg": listed(start + width * some, 6),
                "cell": listed(cell_of_axes(np.linalg.inv(points[some])), 8),
                "turn_mrad": listed(turns(points[some]), 4),
            }
        )
    return found


def over_scan_section(data: dict[str, Any]) -> str:
    """Draw them; nothing where no crystal varies."""
    parts = []
    for item in data["over_scan"][:MOST_SHOWN]:
        several = len(data["over_scan"]) > 1
        name = f"Experiment {item['experiment']}: " if several else ""
        cell, x = np.array(item["cell"], dtype=float), item["angle_deg"]
        axes = 100.0 * (cell[:, :3] / cell[0, :3] - 1.0)
        curves = {
            ("change of cell axes", "%"): _lines(axes, "abc"),
            ("change of cell angles", "deg"): _lines(cell[:, 3:] - cell[0, 3:], ("alpha", "beta", "gamma")),
            ("turn of the crystal", "mrad"): _lines(np.array(item["turn_mrad"], dtype=float), "xyz"),
        }
        parts += [
            figure(escape(name + title), lines(x, drawn, "rotation angle (deg)", unit))
            for (title, unit), drawn in curves.items()
            if drawn
        ]
    return element("div", *parts, class_="grid") if parts else ""


def _lines(values: np.ndarray[Any, Any], names: Any) -> list[Line]:
    """One curve for each column that changes; columns that change alike share one."""
    curves: list[tuple[str, np.ndarray[Any, Any]]] = []
    for name, column in zip(names, values.T, strict=True):
        size = float(np.abs(column).max())
        if size <= _SAME:
            continue
        alike = [k for k, (_, other) in enumerate(curves) if np.abs(other - column).max() < _ALIKE * size]
        if alike:
            curves[alike[0]] = (f"{curves[alike[0]][0]}, {name}", column)
        else:
            curves.append((name, column))
    styles = ("one", "two", "three")
    return [Line(style, *curve) for style, curve in zip(styles, _listed(curves), strict=False)]


def _listed(curves: list[tuple[str, np.ndarray[Any, Any]]]) -> list[tuple[str, list[float]]]:
    return [(name, column.tolist()) for name, column in curves]
