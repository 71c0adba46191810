"""Reasons not to believe a lattice too quickly."""

from __future__ import annotations

from collections.abc import Sequence

from smalti.geometry.lattice import same_lattice
from smalti.steps.indexing.centre import CentreShift
from smalti.steps.indexing.cycles import Cycle
from smalti.steps.indexing.superlattice import Superlattice
from smalti.steps.indexing.trials import Trial

__all__ = ["doubts"]

GOOD_FRACTION = 0.7
"""Below this fraction of indexed spots there is probably more in the data than one lattice."""

LEAST_SECOND = 0.15
"""Fraction of the spots that a second crystal explains, at least: by chance a tenth are near its points."""

SAME_CELL = 0.03
"""Relative difference of axes and angles of two crystals of one kind, at most."""

GOOD_RMSD = 1.5
"""Pixels or images; more than this is seldom a well-described experiment."""


def beam_doubt(shift: CentreShift) -> str:
    """Say why the place of the beam is not certain."""
    if shift.kept:
        return f"The beam centre was left where the header has it: {shift.kept}."
    return (
        f"The beam centre is not certain: {shift.alternatives} places explain the spots alike, the header's "
        "does not; that nearest to it was taken."
    )


def second_crystal(trials: Sequence[Trial]) -> Trial | None:
    """The best candidate that has the cell of the first in another orientation, by its own spots; or None."""
    first = trials[0]
    for trial in trials[1:]:
        same = all(abs(a / b - 1.0) < SAME_CELL for a, b in zip(trial.cell, first.cell, strict=True))
        if same and trial.explains(LEAST_SECOND) and not same_lattice(trial.basis, first.basis):
            return trial
    return None


def doubts(
    indexed: float,
    trials: Sequence[Trial],
    cycles: Sequence[Cycle],
    larger: Sequence[Superlattice],
    lattices: int,
) -> tuple[str, ...]:
    """Say what is odd about a result, in sentences.

    Parameters
    ----------
    indexed : float
        Fraction of the usable spots.
    trials : sequence of Trial
        Best first: that taken.
    cycles : sequence of Cycle
    larger : sequence of Superlattice
        Larger cells that spots need with the final models.
    lattices : int
        How many were found.
    """
    found = []
    best, second = trials[0], second_crystal(trials) if lattices == 1 else None
    if indexed < GOOD_FRACTION and second is not None:
        found.append(
            f"Only {100 * indexed:.0f} % of the spots are indexed, and a second crystal with the same cell "
            f"explains {100 * second.indexed:.0f} %: --max-lattices 2."
        )
    elif indexed < GOOD_FRACTION:
        found.append(
            f"Only {100 * indexed:.0f} % of the spots are indexed: several lattices (--max-lattices 3), ice, "
            "or spurious spots?"
        )
    found += [beam_doubt(shift) for shift in best.shifts if shift.alternatives > 1 or shift.kept]
    if best.least_odd < 0.25:
        found.append(
            f"A smaller cell would leave only {100 * best.least_odd:.0f} % of the spots unexplained: "
            "a pseudo-translation, or a second lattice?"
        )
    found += [
        f"{100 * item.odd:.1f} % of the spots stand at 1/{item.factor} of {item.direction} of the primitive "
        f"cell: they need one {item.factor} times as large (index.odd_fraction decides)."
        for item in larger[:1]
    ]
    found += [
        f"Sweep {row['experiment']}: RMSD {row[key]:.1f} {unit}; geometry or lattice may be wrong."
        for row in (cycles[-1].refined.results["experiments"] if cycles else ())
        for key, unit in (("rmsd_x_px", "px"), ("rmsd_y_px", "px"), ("rmsd_z_images", "images"))
        if row[key] is not None and row[key] > GOOD_RMSD
    ]
    return tuple(found)
