"""What indexing found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice_symmetry import Setting
from smalti.models import Crystal, Experiment, Experiments
from smalti.steps.indexing.alternatives import Alternative, alternative_rows, alternatives_text
from smalti.steps.indexing.candidates_result import candidate_table, trial_summary
from smalti.steps.indexing.centre import CentreShift
from smalti.steps.indexing.crystals import (
    crystal_of,
    crystal_rows,
    crystals_table,
    largest_turn,
    single,
)
from smalti.steps.indexing.cycles import Cycle
from smalti.steps.indexing.lattices_result import lattice_rows, lattices_text
from smalti.steps.indexing.methods import Method, method_rows, methods_text
from smalti.steps.indexing.more_lattices import Further
from smalti.steps.indexing.scale import beam_tolerances
from smalti.steps.indexing.separating import Comparison
from smalti.steps.indexing.trials import Trial
from smalti.steps.refining.telling.result import Refined
from smalti.tables import Reflections
from smalti.text import plural, table

__all__ = ["Indexed"]


@dataclass(frozen=True)
class Indexed:
    """The crystal, the indexed spots, and how they were found.

    Attributes
    ----------
    experiments : Experiments
        One per sweep, all with one crystal or each with its own in the same axes; further lattices follow,
        one experiment per sweep each.
    reflections : Reflections
        All spots; those not indexed have ``id`` -1.
    warnings : tuple of str
    trials : tuple of Trial
        Every lattice tried, best first.
    shifts : tuple of CentreShift
        Applied to each distinct detector before refinement.
    bravais : tuple of Setting
        Symmetric lattices that the final one is close to.
    cycles : tuple of Cycle
    indexed : (S,) int
        Indexed spots of each sweep.
    total : (S,) int
        All spots of each sweep.
    max_cell : float
        Longest axis looked for, Angstrom.
    space_group : str
        Name for people.
    further : Further
        The lattices, and the search for more than one.
    alternatives : tuple of Alternative
        Smaller and larger cells, and how many spots speak for the larger of two.
    comparison : Comparison or None
        Own crystals against a shared one, where both were tried.
    rescued : int
        Spots that had no index in the last macrocycle and got one from the models that it refined.
    methods : tuple of Method
        Indexers tried in turn; empty where one was asked for.
    """

    experiments: Experiments
    reflections: Reflections
    warnings: tuple[str, ...]
    trials: tuple[Trial, ...]
    shifts: tuple[CentreShift, ...]
    bravais: tuple[Setting, ...]
    cycles: tuple[Cycle, ...]
    indexed: tuple[int, ...]
    total: tuple[int, ...]
    max_cell: float
    space_group: str
    further: Further
    alternatives: tuple[Alternative, ...] = ()
    comparison: Comparison | None = None
    rescued: int = 0
    methods: tuple[Method, ...] = ()

    @property
    def crystal(self) -> Crystal:
        """The crystal of the first sweep: in most cases that of all."""
        return crystal_of(self.experiments[0])

    @property
    def first_lattice(self) -> tuple[Experiment, ...]:
        """The experiments of the first lattice, one for each sweep."""
        return self.experiments.items[: len(self.total)]

    def summary(self) -> dict[str, Any]:
        """Give everything that is printed, and every candidate tried, as one JSON object."""
        return {
            "cell": list(self.crystal.cell),
            "space_group": self.space_group,
            "volume": abs(self.crystal.volume),
            "A": self.crystal.A.tolist(),
            "crystals": _crystals_summary(self.first_lattice, self.comparison),
            "lattices": lattice_rows(self.further, self.reflections),
            "search_for_more": {
                "ended": self.further.ended,
                "candidates": [[trial_summary(item) for item in trials] for trials in self.further.trials],
            },
            "indexed": list(self.indexed),
            "spots": list(self.total),
            "fraction": sum(self.indexed) / max(sum(self.total), 1),
            "rescued": self.rescued,
            "max_cell": self.max_cell,
            "beam_shifts": [
                {**_shift_summary(shift), "tolerance_px": tolerance}
                for shift, tolerance in zip(self.shifts, beam_tolerances(self.first_lattice), strict=False)
            ],
            "methods": method_rows(self.methods),
            "candidates": [trial_summary(trial) for trial in self.trials],
            "alternatives": alternative_rows(self.alternatives),
            "bravais": [
                {"lattice": item.bravais, "cell": list(item.cell), "distortion": item.distortion}
                for item in self.bravais
            ],
            "macrocycles": [
                {
                    "number": cycle.number,
                    "d_min": cycle.d_min,
                    "indexed": cycle.indexed,
                    "note": cycle.note,
                    "refinement": cycle.refined.summary()
                    if isinstance(cycle.refined, Refined)
                    else {"experiments": cycle.refined.results["experiments"]},
                }
                for cycle in self.cycles
            ],
        }

    def text(self) -> str:
        """Give the tables for people."""
        parts = [
            methods_text(self.methods),
            candidate_table(self.trials),
            shift_text(self.shifts, beam_tolerances(self.first_lattice)),
            alternatives_text(self.alternatives),
            bravais_table(self.bravais),
            *(_cycle_text(cycle) for cycle in self.cycles),
            crystal_text(
                self.crystal, self.space_group, lattice_rows(self.further, self.reflections)[0]["indexed"]
            ),
            crystals_table(self.first_lattice),
            lattices_text(self.further, self.reflections),
            sweep_table(self.indexed, self.total),
            f"Rescued after the last macrocycle: {plural(self.rescued, 'spot')}." if self.rescued else "",
        ]
        return "\n\n".join(part for part in parts if part)


def shift_text(shifts: Sequence[CentreShift], tolerances: Sequence[float]) -> str:
    """Sentences on where the beam was found, and what a transform of the whole sweep would bear (px)."""
    lines = []
    for number, (shift, tolerance) in enumerate(zip(shifts, tolerances, strict=False)):
        if any(shift.shift):
            x, y = shift.pixels
            first, second = shift.esd
            certain = "" if shift.alternatives == 1 else f" (nearest of {shift.alternatives} possible)"
            name = f"Detector {number}" if len(shifts) > 1 else "The detector"
            lines.append(
                f"{name} was moved by {x:+.2f}, {y:+.2f} px across the beam{certain}; standard uncertainty "
                f"{first:.2f}, {second:.2f} px\n"
                "(by the scatter of the spots: misplaced panels are not in it);\n"
                f"coherence {shift.before:.2f} before, {shift.coherence:.2f} after.\n"
                f"A transform of the whole sweep would bear {tolerance:.1f} px across the spindle "
                "(0.28 lambda D / a_perp)."
            )
    return "\n".join(lines)


def bravais_table(lattices: Sequence[Setting]) -> str:
    """Table of the symmetric lattices that fit."""
    rows = [
        (item.bravais, f"{item.distortion:.2f}", *(f"{value:.2f}" for value in item.cell))
        for item in sorted(lattices, key=lambda item: item.distortion)
    ]
    heads = ("lattice", "distortion\n(deg)", "a", "b", "c", "alpha", "beta", "gamma")
    return table(heads, rows, title="Symmetric lattices near the one found:")


def _cycle_text(cycle: Cycle) -> str:
    own = "" if single(cycle.refined.experiments.items) else ", own crystals"
    note = f" ({cycle.note})" if cycle.note else ""
    head = (
        f"Macrocycle {cycle.number}{own}{note}: {cycle.indexed:,} indexed spots to {cycle.d_min:.2f} Angstrom"
    )
    keys = ("rmsd_x_px", "rmsd_y_px", "rmsd_z_images")
    rows = [
        (item["experiment"], item["n_used"], *(_number(item[key]) for key in keys))
        for item in cycle.refined.results["experiments"]
    ]
    return table(("sweep", "Nref", "RMSD_X\n(px)", "RMSD_Y\n(px)", "RMSD_Z\n(images)"), rows, title=head)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def crystal_text(crystal: Crystal, space_group: str, indexed: int) -> str:
    """The crystal as the field writes it."""
    lines = [
        f"Refined crystal model ({indexed:,} reflections):",
        "    Unit cell: " + ", ".join(f"{value:.3f}" for value in crystal.cell),
        f"    Space group: {space_group}",
    ]
    for name, matrix in (("U matrix:  ", crystal.U), ("B matrix:  ", crystal.B), ("A = UB:    ", crystal.A)):
        lines += _matrix_lines(name, matrix)
    return "\n".join(lines)


def _matrix_lines(name: str, matrix: NDArray[np.float64]) -> list[str]:
    rows = ["{" + ", ".join(f"{value:8.5f}" for value in row) + "}" for row in matrix]
    return [
        f"    {name}{{{rows[0]},",
        f"    {'':{len(name)}} {rows[1]},",
        f"    {'':{len(name)}} {rows[2]}}}",
    ]


def sweep_table(indexed: Sequence[int], total: Sequence[int]) -> str:
    """Table of indexed fractions."""
    rows = [
        (number, good, n - good, f"{100 * good / max(n, 1):.1f}")
        for number, (good, n) in enumerate(zip(indexed, total, strict=True))
    ]
    return table(("sweep", "# indexed", "# unindexed", "% indexed"), rows)


def _shift_summary(shift: CentreShift) -> dict[str, Any]:
    return {
        "mm": list(shift.shift),
        "px": list(shift.pixels),
        "esd_px": [value if math.isfinite(value) else None for value in shift.esd],
        "esd_leaves_out": "misplaced panels",
        "kept": shift.kept,
        "coherence_before": shift.before,
        "coherence_after": shift.coherence,
        "alternatives": shift.alternatives,
    }


def _crystals_summary(experiments: Sequence[Experiment], comparison: Comparison | None) -> dict[str, Any]:
    return {
        "shared": single(experiments),
        "largest_turn_deg": largest_turn(experiments),
        "comparison": None if comparison is None else asdict(comparison),
        "sweeps": crystal_rows(experiments),
    }
