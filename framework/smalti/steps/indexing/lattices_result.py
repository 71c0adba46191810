"""Several lattices in words and in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalti.steps.indexing.crystals import crystal_of
from smalti.steps.indexing.more_lattices import Further
from smalti.tables import Reflections
from smalti.text import table

__all__ = ["lattice_rows", "lattices_text"]


def lattice_rows(further: Further, reflections: Reflections) -> list[dict[str, Any]]:
    """Give number, cell, A and indexed spots of each lattice, for the JSON."""
    width = len(further.lattices[0])
    ids = reflections["id"]
    counts = np.bincount(ids[ids >= 0] // width, minlength=len(further.lattices))
    return [
        {
            "lattice": number,
            "experiments": list(range((number - 1) * width, number * width)),
            "cell": list(crystal_of(sweeps[0]).cell),
            "A": crystal_of(sweeps[0]).A.tolist(),
            "indexed": int(count),
        }
        for number, (sweeps, count) in enumerate(zip(further.lattices, counts, strict=True), start=1)
    ]


def lattices_text(further: Further, reflections: Reflections) -> str:
    """Table of the lattices and why the search for more ended; "" where one was all that was asked for."""
    if len(further.lattices) == 1 and not further.trials and further.ended.startswith("no more than 1 "):
        return ""
    rows = [
        (row["lattice"], *(f"{value:.3f}" for value in row["cell"]), row["indexed"])
        for row in lattice_rows(further, reflections)
    ]
    heads = ("lattice", "a", "b", "c", "alpha", "beta", "gamma", "# indexed")
    return table(heads, rows, title="Lattices:") + f"\nThe search for more ended: {further.ended}."
