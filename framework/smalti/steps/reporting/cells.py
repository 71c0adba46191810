"""The map of the detector face: residuals averaged over small cells of every panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.reporting.face import Face
from smalti.steps.reporting.markup import symbol
from smalti.steps.reporting.numbers import binned_mean, binned_mean_of_known, listed, nice
from smalti.steps.reporting.residuals import Residuals

__all__ = ["Cells", "divide", "map_layers"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

MOST_CELLS = 1400
"""Bounds the size of the report whatever the number of reflections."""
WANTED_PER_CELL = 20
"""Spots per cell aimed at: their mean is then four to five times surer than a single spot."""
MOST_CHI2 = 5.0
"""End of its colour scale: before a refinement it is in the hundreds, and 2 would look like 1."""
LEAST_PER_CELL = 3
"""A mean of fewer is not drawn."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A grid of equal cells on every panel.

    Attributes
    ----------
    grid : (P, 2) intp
        Cells along fast and slow.
    first : (P,) intp
        Number of each panel's first cell.
    size : (P, 2) mm
        Size of a cell.
    """

    grid: Index
    first: Index
    size: Array

    @property
    def n(self) -> int:
        """Number of all cells."""
        return int((self.grid[:, 0] * self.grid[:, 1]).sum())

    def index(self, panel: Index, mm: Array) -> Index:
        """Give the cell of points (N, 2) mm on panels (N,)."""
        place = np.floor(mm / self.size[panel]).astype(np.intp)
        place = np.clip(place, 0, self.grid[panel] - 1)
        return np.asarray(self.first[panel] + place[:, 1] * self.grid[panel, 0] + place[:, 0])

    def panels(self) -> Index:
        """Give the panel of each cell, (n,)."""
        return np.repeat(np.arange(len(self.grid)), self.grid[:, 0] * self.grid[:, 1])

    def middles(self) -> Array:
        """Give the middle of each cell on its panel, (n, 2) mm."""
        panel = self.panels()
        place = np.arange(self.n) - self.first[panel]
        column, row = place % self.grid[panel, 0], place // self.grid[panel, 0]
        return np.asarray((np.column_stack([column, row]) + 0.5) * self.size[panel])


def divide(face: Face, n_used: int) -> Cells:
    """Divide all panels into nearly square cells, as many as the number of spots supports."""
    n_panels = len(face.size)
    wanted = float(np.clip(n_used / WANTED_PER_CELL, n_panels, max(MOST_CELLS, n_panels)))
    side = np.sqrt(float(np.prod(face.size, axis=1).sum()) / wanted)
    grid = np.maximum(1, np.floor(face.size / side + 0.5)).astype(np.intp)
    while grid.prod(axis=1).sum() > max(MOST_CELLS, n_panels):
        side *= 1.05
        grid = np.maximum(1, np.floor(face.size / side + 0.5)).astype(np.intp)
    counts = grid.prod(axis=1)
    return Cells(grid, np.asarray(np.cumsum(counts) - counts), face.size / grid)


def map_layers(
    face: Face, cells: Cells, after: Residuals, before: Residuals | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Average residuals over the cells.

    Returns
    -------
    layers : list of dict
        Each with ``key``, ``short`` (for its button), ``label``, ``unit``, ``kind`` ("diverging" or
        "sequential"), ``limit`` (one for before and after), ``after`` and ``before`` (None where there
        is none).
    vectors : dict
        Mean residual of each cell on paper: ``after``, ``before`` [[x, y] ...] µm, ``magnification``,
        ``key_um`` (length of the arrow in the legend).
    """
    states = {"after": _averages(face, cells, after)}
    if before is not None:
        states["before"] = _averages(face, cells, before)
    third = symbol(after.third)
    specs: list[tuple[str, str, str, str, str]] = [
        ("rms", "RMSD", "RMSD of X and Y", "µm", "sequential"),
        ("x", "X", "mean residual to the right", "µm", "diverging"),
        ("y", "Y", "mean residual downwards", "µm", "diverging"),
        ("phi", third, f"mean residual in {third}", "mdeg", "diverging"),
        ("chi2", "chi²", "chi² of X and Y: 1 is what the variances promise", "", "sequential"),
        ("count", "spots", "spots used", "", "sequential"),
        ("rejected", "rejected", "rejected of the indexed", "%", "sequential"),
        ("unindexed", "not indexed", "not indexed of all spots", "%", "sequential"),
    ]
    layers = [
        {
            "key": key,
            "short": short,
            "label": label,
            "unit": unit,
            "kind": kind,
            "per": "cell",
            "limit": _limit([state[key] for state in states.values()], MOST_CHI2 if key == "chi2" else None),
            **{name: listed(state[key], 3) for name, state in states.items()},
        }
        for key, short, label, unit, kind in specs
        if key == "rms" or any(np.isfinite(state[key]).any() for state in states.values())
    ]
    return layers, _vectors(face, cells, states)


def _averages(face: Face, cells: Cells, residuals: Residuals) -> dict[str, Array]:
    every = cells.index(residuals.panel, residuals.position)
    use = residuals.used
    paper = face.direction(residuals.panel[use], residuals.values[use, :2])
    square = (residuals.values[use, :2] ** 2).sum(axis=1) / 2.0
    stack = np.column_stack([paper, residuals.values[use, 2], square])
    counts, mean = binned_mean(every[use], stack, cells.n)
    mean[counts < LEAST_PER_CELL] = np.nan
    weighed, chi2 = binned_mean_of_known(every[use], residuals.chi2[use], cells.n)
    spots = np.bincount(every, minlength=cells.n)
    indexed = np.bincount(every[residuals.indexed], minlength=cells.n)
    rejected = np.bincount(every[residuals.rejected], minlength=cells.n)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "x": mean[:, 0],
            "y": mean[:, 1],
            "phi": mean[:, 2],
            "rms": np.sqrt(mean[:, 3]),
            "chi2": np.where(weighed < LEAST_PER_CELL, np.nan, chi2),
            "count": counts.astype(float),
            "rejected": 100.0 * rejected / np.where(indexed, indexed, np.nan),
            "unindexed": 100.0 * (spots - indexed) / np.where(spots, spots, np.nan),
        }


def _limit(states: list[Array], most: float | None = None) -> float:
    """Give one end of the colour scale for all states: nearly all values are within, or ``most``."""
    values = np.concatenate([np.abs(state[np.isfinite(state)]) for state in states])
    limit = nice(float(np.quantile(values, 0.98))) if values.size else 1.0
    return limit if most is None else min(limit, most)


def _vectors(face: Face, cells: Cells, states: dict[str, dict[str, Array]]) -> dict[str, Any]:
    """Choose the magnification at which long vectors (95 %) reach the next cell."""
    lengths = np.concatenate([np.hypot(state["x"], state["y"]) for state in states.values()])
    lengths = lengths[np.isfinite(lengths)]
    long = float(np.quantile(lengths, 0.95)) if lengths.size else 1.0
    reach = 0.9 * float(np.sqrt(np.median(np.prod(cells.size, axis=1)))) * 1e3
    magnification = nice(reach / max(long, 1e-3)) if long > 0 else 1.0
    if magnification * long > 1.6 * reach:
        magnification /= 2.0
    return {
        "magnification": magnification,
        "key_um": nice(long),
        **{name: listed(np.column_stack([s["x"], s["y"]]), 3) for name, s in states.items()},
    }
