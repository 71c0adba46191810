"""Every cell a few times smaller or larger than the one taken, and how many spots need the larger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import cell_of, finer_lattice, niggli, odd_fraction, residue_classes
from smalti.steps.indexing.superlattice import FACTORS, Superlattice, larger_cells
from smalti.text import table

__all__ = ["Alternative", "alternative_cells", "alternative_rows", "alternatives_text"]

Array = NDArray[np.float64]

ENOUGH = 20_000
"""Spots that measure what a smaller cell leaves over; more tell nothing new."""

SHOWN = 2
"""Smaller and larger cells in the log; all are in the JSON."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A cell that is a whole number of times smaller or larger than that taken.

    Attributes
    ----------
    ratio : float
        Its volume over that of the cell taken: 1/5, 1/3, 1/2, 2, 3 or 5.
    cell : tuple of six float
        Reduced, Angstrom and degrees.
    direction : tuple of int
        Smaller cells: the vector of the lattice taken of which a part is added. Larger ones: the reciprocal
        direction whose rows are divided.
    odd : float
        Fraction of the spots that only the larger of the two cells explains.
    significance : float or None
        Larger cells: standard deviations by which these spots exceed chance.
    verdict : str
        "too small", "would do" (hardly any spot needs the cell taken), "needed by some" or "not needed".
    """

    ratio: float
    cell: tuple[float, ...]
    direction: tuple[int, int, int]
    odd: float
    significance: float | None
    verdict: str


def alternative_cells(
    basis: Array, points: Array, threshold: float
) -> tuple[tuple[Alternative, ...], tuple[Superlattice, ...]]:
    """Measure all cells of a half to a fifth and of twice to five times the volume.

    Parameters
    ----------
    basis : (3, 3) Angstrom
        Reduced, primitive; rows a, b, c.
    points : (N, 3) 1/Angstrom
        Spots of this lattice and of none.
    threshold : float
        The fraction of spots that decides between two cells.

    Returns
    -------
    alternatives : tuple of Alternative
        By volume; among equal volumes those first that come nearest to being needed instead.
    significant : tuple of Superlattice
        The larger cells that significantly many spots need, the one that most need first.
    """
    A = np.asarray(np.linalg.inv(basis))
    fractional = points @ basis.T
    near = points[np.linalg.norm(fractional - np.rint(fractional), axis=1) < 0.2]
    near = near[:: max(1, len(near) // ENOUGH)]
    smaller = (
        [_smaller(h, basis, near, n, threshold) for n in FACTORS for h in residue_classes(n)]
        if len(near)
        else []
    )
    measured = larger_cells(A, points)
    significant = [item for item in measured if item.significant]
    larger = [_larger(item, A) for item in measured]
    ordered = sorted(smaller, key=lambda item: (item.ratio, item.odd))
    ordered += sorted(larger, key=lambda item: (item.ratio, -item.odd))
    return tuple(ordered), tuple(sorted(significant, key=lambda item: (-item.odd, item.factor)))


def _smaller(h: NDArray[np.int64], basis: Array, points: Array, n: int, threshold: float) -> Alternative:
    odd = odd_fraction(h, basis, points, n)
    x, y, z = h.tolist()
    cell = cell_of(niggli(finer_lattice(h, basis, n))[0])
    return Alternative(1.0 / n, cell, (x, y, z), odd, None, "would do" if odd < threshold else "too small")


def _larger(item: Superlattice, A: Array) -> Alternative:
    finer = finer_lattice(np.array(item.direction), A.T, item.factor).T
    cell = cell_of(niggli(np.linalg.inv(finer))[0])
    verdict = "needed by some" if item.significant else "not needed"
    return Alternative(float(item.factor), cell, item.direction, item.odd, item.significance, verdict)


def alternative_rows(alternatives: Sequence[Alternative]) -> list[dict[str, Any]]:
    """Give all of them, for the JSON."""
    return [asdict(item) for item in alternatives]


def alternatives_text(alternatives: Sequence[Alternative]) -> str:
    """Table of those that come nearest to being the cell; "" where there are none."""
    smaller = sorted((item for item in alternatives if item.ratio < 1.0), key=lambda item: item.odd)
    larger = sorted((item for item in alternatives if item.ratio > 1.0), key=lambda item: -item.odd)
    shown = [*smaller[:SHOWN], *[item for item in larger if item.verdict == "needed by some"][:SHOWN]]
    if not shown:
        return ""
    rows = [
        (
            f"1/{round(1 / item.ratio)}" if item.ratio < 1.0 else f"{item.ratio:.0f}",
            *(f"{value:.2f}" for value in item.cell),
            f"{100 * item.odd:.1f}",
            item.verdict,
        )
        for item in shown
    ]
    heads = ("volume", "a", "b", "c", "alpha", "beta", "gamma", "odd\n(%)", "")
    none = "" if len(shown) > len(smaller[:SHOWN]) else " No larger one is needed."
    title = f"Smaller and larger cells nearest to being right ({len(alternatives)} measured):"
    note = f"odd: spots that the smaller of it and the cell taken does not explain.{none}"
    return table(heads, rows, title=title) + "\n" + note
