"""What indexing of stills found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.steps.indexing.candidates_result import trial_summary
from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.indexing.cycles import Cycle
from smalti.steps.indexing.stills.each import Found
from smalti.tables import Reflections
from smalti.text import plural, table

__all__ = ["IndexedStills", "StillRow"]

Array = NDArray[np.float64]

SHOWN = 20
"""Stills up to which each has a line in the text; all are in the JSON."""

OTHER_CELL = 0.05
"""Relative difference of an axis from the median of all, from which a cell is another one."""


@dataclass(frozen=True, slots=True)
class StillRow:
    """What became of one still.

    Attributes
    ----------
    still : int
        Number among those given.
    spots : int
    indexed : tuple of int
        Spots of each of its crystals.
    experiments : tuple of int
        Their numbers in the files written.
    indexer : str
        That found it.
    problem : str
        Why there is none; "" where there is one.
    """

    still: int
    spots: int
    indexed: tuple[int, ...]
    experiments: tuple[int, ...]
    indexer: str
    problem: str


@dataclass(frozen=True)
class IndexedStills:
    """The crystals of stills, the indexed spots, and what became of each still.

    Attributes
    ----------
    experiments : Experiments
        One for each crystal; stills without one are left out.
    reflections : Reflections
        The spots of the stills that have a crystal; those not indexed have ``id`` -1.
    warnings : tuple of str
    rows : tuple of StillRow
        One for each still given.
    cycles : tuple of Cycle
    space_group : str
        Name for people.
    found : tuple of Found
        The search in each still, with every candidate.
    """

    experiments: Experiments
    reflections: Reflections
    warnings: tuple[str, ...]
    rows: tuple[StillRow, ...]
    cycles: tuple[Cycle, ...]
    space_group: str
    found: tuple[Found, ...]

    @property
    def cells(self) -> Array:
        """Cell of each crystal, (K, 6) Angstrom and deg."""
        return np.array([crystal_of(item).cell for item in self.experiments])

    def summary(self) -> dict[str, Any]:
        """Give everything that is printed, and every candidate tried, as one JSON object."""
        cells = self.cells
        return {
            "stills": len(self.rows),
            "indexed_stills": sum(not row.problem for row in self.rows),
            "crystals": len(cells),
            "space_group": self.space_group,
            "indexed": sum(sum(row.indexed) for row in self.rows),
            "spots": sum(row.spots for row in self.rows),
            "fraction": sum(sum(row.indexed) for row in self.rows) / max(sum(r.spots for r in self.rows), 1),
            "reasons": dict(Counter(row.problem for row in self.rows if row.problem).most_common()),
            "cell_median": np.median(cells, axis=0).tolist(),
            "cell_quartiles": np.quantile(cells, [0.25, 0.75], axis=0).tolist(),
            "other_cells": self._others(),
            "each": [self._row(row) for row in self.rows],
            "candidates": [[trial_summary(trial) for trial in item.trials] for item in self.found],
            "macrocycles": [
                {
                    "number": cycle.number,
                    "d_min": cycle.d_min,
                    "indexed": cycle.indexed,
                    "rmsd": _rmsd(cycle),
                }
                for cycle in self.cycles
            ],
        }

    def text(self) -> str:
        """Give the tables for people."""
        good = [row for row in self.rows if not row.problem]
        head = (
            f"{len(good):,} of {plural(len(self.rows), 'still')} indexed, "
            f"{plural(len(self.experiments), 'crystal')}."
        )
        parts = [head, _reasons(self.rows), self._each(), self._cells_text(), _cycles_text(self.cycles)]
        return "\n\n".join(part for part in parts if part)

    def _others(self) -> list[int]:
        """Numbers of the crystals whose cell is not that of most."""
        cells = self.cells
        away = np.abs(cells[:, :3] / np.median(cells[:, :3], axis=0) - 1.0).max(axis=1)
        return np.flatnonzero(away > OTHER_CELL).tolist()

    def _row(self, row: StillRow) -> dict[str, Any]:
        cells = [list(crystal_of(self.experiments[k]).cell) for k in row.experiments]
        return {
            "still": row.still, "spots": row.spots, "indexed": list(row.indexed),
            "experiments": list(row.experiments), "cells": cells, "indexer": row.indexer,
            "problem": row.problem,
        }  # fmt: skip

    def _each(self) -> str:
        if len(self.rows) > SHOWN:
            return ""
        rows = [
            (
                row.still,
                row.spots,
                count,
                f"{100 * count / max(row.spots, 1):.1f}",
                row.problem or _cell(cell),
            )
            for row in self.rows
            for count, cell in zip(row.indexed or (0,), self._row(row)["cells"] or [()], strict=True)
        ]
        return table(("still", "spots", "# indexed", "% indexed", "cell"), rows)

    def _cells_text(self) -> str:
        cells, others = self.cells, self._others()
        low, middle, high = np.quantile(cells, [0.25, 0.5, 0.75], axis=0)
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        rows = [
            (name, f"{x:.3f}", f"{y:.3f}", f"{z:.3f}")
            for name, x, y, z in zip(names, middle, low, high, strict=True)
        ]
        text = table(("", "median", "lower quartile", "upper quartile"), rows, title="Cells of the crystals:")
        if others:
            text += (
                f"\n{plural(len(others), 'crystal')} with an axis more than {100 * OTHER_CELL:.0f} % from "
                "the median: another lattice, or a wrong one."
            )
        return text


def _reasons(rows: tuple[StillRow, ...]) -> str:
    reasons = Counter(row.problem for row in rows if row.problem)
    if not reasons:
        return ""
    body = [(count, reason) for reason, count in reasons.most_common()]
    return table(("stills", "not indexed because"), body)


def _cell(cell: tuple[float, ...]) -> str:
    return " ".join(f"{value:.2f}" for value in cell)


def _rmsd(cycle: Cycle) -> dict[str, float]:
    """Root mean squares of the residuals of all stills."""
    rows = cycle.refined.results["experiments"]
    weights = np.array([row["n_used"] for row in rows], dtype=float)
    found = {}
    for key in ("rmsd_x_px", "rmsd_y_px", "rmsd_delta_psi_mrad"):
        values = np.array([row[key] or 0.0 for row in rows])
        found[key] = float(np.sqrt(weights @ values**2 / max(weights.sum(), 1.0)))
    return found


def _cycles_text(cycles: tuple[Cycle, ...]) -> str:
    rows = [
        (
            cycle.number,
            cycle.indexed,
            f"{cycle.d_min:.2f}",
            *(f"{value:.3g}" for value in _rmsd(cycle).values()),
        )
        for cycle in cycles
    ]
    heads = ("macrocycle", "# indexed", "d_min\n(A)", "RMSD_X\n(px)", "RMSD_Y\n(px)", "RMSD_DeltaPsi\n(mrad)")
    return table(heads, rows) if rows else ""
