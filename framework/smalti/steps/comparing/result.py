"""What several minimisers made of one problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.solution import Solution
from smalti.text import plural, table

__all__ = ["SHORT", "Compared", "Run", "lowest_of"]

Array = NDArray[np.float64]

SHORT = 0.1
"""Minima further apart than this many ESDs are not the same for any purpose."""


@dataclass(frozen=True)
class Run:
    """What one minimiser did.

    Attributes
    ----------
    name : str
    seconds : float
    calls : Mapping
        How often it asked for what: ``normal_equations``, ``objective``, ``residuals``, ``jacobian``.
    solution : Solution or None
        None where it failed.
    problem : str
        What went wrong; empty when nothing did.
    """

    name: str
    seconds: float
    calls: dict[str, int]
    solution: Solution | None
    problem: str = ""


@dataclass(frozen=True)
class Compared:
    """Several minimisers on one problem.

    Attributes
    ----------
    runs : tuple of Run
    n_parameters, n_reflections : int
    distances : (K, K)
        Between the minima, in ESDs: sqrt(d^T N d), N the normal matrix at the lowest. No parameter of the
        two differs by more of its own ESDs. nan where a minimiser failed.
    warnings : tuple of str
    """

    runs: tuple[Run, ...]
    n_parameters: int
    n_reflections: int
    distances: Array
    warnings: tuple[str, ...] = ()

    @property
    def lowest(self) -> int | None:
        """Number of the run with the lowest objective."""
        return lowest_of(self.runs)

    def summary(self) -> dict[str, Any]:
        """Give the rows as one JSON object."""
        return {
            "n_parameters": self.n_parameters,
            "n_reflections": self.n_reflections,
            "lowest": None if self.lowest is None else self.runs[self.lowest].name,
            "minimisers": [self._row(number) for number in range(len(self.runs))],
            "distances_esd": [[_number(value) for value in row] for row in self.distances],
        }

    def _row(self, number: int) -> dict[str, Any]:
        run, lowest = self.runs[number], self.lowest
        row: dict[str, Any] = {"minimiser": run.name, "seconds": run.seconds, "calls": dict(run.calls)}
        if run.solution is None or lowest is None:
            return {**row, "problem": run.problem}
        last = run.solution.steps[-1]
        return {
            **row,
            "steps": last.number,
            "objective": run.solution.objective,
            "distance_esd": _number(self.distances[number, lowest]),
            "rmsd_x_mm": last.rmsd[0],
            "rmsd_y_mm": last.rmsd[1],
            "rmsd_phi_deg": float(np.degrees(last.rmsd[2])),
            "ended": run.solution.ended.value,
            "converged": run.solution.ended.converged,
        }

    def text(self) -> str:
        """Set the table, the lowest minimum marked."""
        lowest = self.lowest
        floor = self._row(lowest)["objective"] if lowest is not None else 0.0
        rows = []
        for number, run in enumerate(self.runs):
            row, passes = self._row(number), sum(run.calls.values())
            if "problem" in row:
                rows.append([run.name, "", passes, f"{run.seconds:.2f}", "", "", row["problem"]])
                continue
            above = f"{row['objective'] - floor:.1e}"
            apart = f"{row['distance_esd']:.1e}"
            rows.append([run.name, row["steps"], passes, f"{run.seconds:.2f}", above, apart, row["ended"]])
        task = f"{plural(self.n_parameters, 'parameter')} against {plural(self.n_reflections, 'reflection')}"
        heads = [
            "Minimiser",
            "Steps",
            "Passes",
            "Time\n(s)",
            "Objective\nabove lowest",
            "Distance\n(ESD)",
            "End",
        ]
        title = f"{task}; the lowest objective is {floor:.6g}:"
        return "\n\n".join([table(heads, rows, title=title), self._agreement()])

    def _agreement(self) -> str:
        if self.lowest is None:
            return "No minimiser came to an end."
        spread = float(np.nanmax(self.distances))
        where = f"The minima are within {spread:.1e} ESDs of one another."
        return where if spread < SHORT else f"{where} Not all of them are the minimum."


def lowest_of(runs: Sequence[Run]) -> int | None:
    """Give the number of the run with the lowest objective; None where all failed."""
    values = {k: run.solution.objective for k, run in enumerate(runs) if run.solution is not None}
    return min(values, key=lambda k: values[k]) if values else None


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
