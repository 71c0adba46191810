"""The reciprocal lattice to turn about: spots with an index and without."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.steps.reporting.markup import element, number
from smalti.tables import Reflections

__all__ = ["reciprocal_points", "reciprocal_section"]

Array = NDArray[np.float64]

MOST = {"indexed": 3000, "unindexed": 2000}
"""Points drawn of each kind: enough to see rows, few enough to turn them fast and to keep the page small."""

GRID = 3000
"""Steps from the origin to the furthest point: finer than any screen."""

VIEWS = (("free", "start"), ("a", "along a*"), ("b", "along b*"), ("c", "along c*"))


def reciprocal_points(experiments: Experiments, reflections: Reflections) -> dict[str, Any] | None:
    """Gather the points: those of other crystals turned to where the first one's would be.

    None where the table holds no points (``rlp``) or there is no crystal.
    """
    crystals = [item.crystal for item in experiments]
    if "rlp" not in reflections or not crystals or crystals[0] is None:
        return None
    first = crystals[0]
    ids = reflections["id"]
    # a spot without an index is shown with the crystal of its sweep, or of its still
    owner = np.where(ids >= 0, ids, reflections["imageset_id"] if "imageset_id" in reflections else 0)
    points = np.array(reflections["rlp"], dtype=float)
    known = (owner >= 0) & (owner < len(crystals)) & np.isfinite(points).all(axis=1) & points.any(axis=1)
    kinds = {"indexed": np.flatnonzero(known & (ids >= 0)), "unindexed": np.flatnonzero(known & (ids < 0))}
    drawn = {name: rows[_spread(rows.size, MOST[name])] for name, rows in kinds.items()}
    everything = np.concatenate(list(drawn.values()))
    if everything.size == 0:
        return None
    # Only what is drawn is turned: at most so many crystals, however many there are.
    for k in np.unique(owner[everything]).tolist():
        crystal = crystals[k]
        if crystal is not None and crystal is not first:
            rows = everything[owner[everything] == k]
            points[rows] = points[rows] @ (first.A @ np.array(crystal.real_space)).T
    longest = float(np.linalg.norm(points[everything], axis=1).max())
    step = longest / GRID
    return {
        "step": float(f"{step:.6g}"),
        "total": {name: int(rows.size) for name, rows in kinds.items()},
        **{name: np.rint(points[rows] / step).astype(int).ravel().tolist() for name, rows in drawn.items()},
        "axes": [[float(f"{value:.6g}") for value in column] for column in first.A.T.tolist()],
    }


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """Rows chosen evenly, at most so many."""
    return (
        np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.intp))
        if count
        else np.zeros(0, np.intp)
    )


def reciprocal_section(data: Mapping[str, Any]) -> str:
    """The canvas, its buttons and its data; nothing where there are no points."""
    found = data.get("reciprocal")
    if not found:
        return ""
    views = [
        element("button", label, type="button", data_view=key, aria_pressed=str(key == "free").lower())
        for key, label in VIEWS
    ]
    kinds = [
        element("button", label, type="button", data_kind=key, aria_pressed="true")
        for key, label in (("indexed", "● indexed"), ("unindexed", "◇ not indexed"))
    ]
    controls = element(
        "div", element("span", "View"), *views, element("span", "Show"), *kinds, class_="controls"
    )
    told = " and ".join(
        f"{number(len(found[key]) // 3)} of {number(found['total'][key])} {word}"
        for key, word in (("indexed", "indexed spots"), ("unindexed", "without an index"))
    )
    canvas = element(
        "canvas", id="reciprocal-view", width=900, height=620, tabindex=0, role="img",
        aria_label=f"Reciprocal lattice of the first crystal: {told}.",
        style="width:100%;max-width:900px;aspect-ratio:900/620;touch-action:none;cursor:grab;display:block",
    )  # fmt: skip
    hint = (
        f"Drawn: {told}. Drag or use the arrow keys to turn, the wheel or + and - to come nearer, a, b and c "
        "to look along an axis, i and u to show or hide. Rows that no spot fills, or spots between rows, say "
        "that the cell is too large, or too small."
    )
    content = json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")
    store = f'<script type="application/json" id="reciprocal-data">{content}</script>'
    return (
        controls
        + canvas
        + element("p", escape(hint), class_="quiet")
        + store
        + f"<script>{_script()}</script>"
    )


def _script() -> str:
    return files(__package__).joinpath("assets", "reciprocal.js").read_text(encoding="utf-8")
