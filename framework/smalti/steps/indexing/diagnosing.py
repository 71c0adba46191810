"""What spots look like in which no lattice was found, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.trials import Trial

__all__ = [
    "OTHERS",
    "at_the_edge",
    "beam_further_off",
    "ice_share",
    "nothing_found",
    "signs",
    "strewn_about",
    "too_few",
    "turned_the_other_way",
]

Array = NDArray[np.float64]

ICE = (3.895, 3.661, 3.438, 2.667, 2.249, 2.069, 1.947, 1.916, 1.882, 1.719)
"""d (Angstrom) of the strong rings of hexagonal ice (a 4.498, c 7.338 Angstrom, P 63/m m c)."""

RING = 0.002
"""Half-width of a ring in 1/d^2, 1/Angstrom^2."""

FEW = 100
"""Spots below which periodicity is hard to see without the cell."""

SHARP = 0.5
"""Part of the indexed spots within half of the tolerance from which a lattice is hardly there by chance."""

BY_CHANCE = 0.113
"""Part of points strewn evenly that lie within 0.3 of an index of a lattice point: (4 pi/3) 0.3^3."""

OTHERS = "Try other indexers: --auto."
"""What ends the advice wherever a lattice was looked for and not found."""

NARROW = 3.0
"""Degrees; the shape of the Ewald sphere leaves one direction unknown in less."""


def ice_share(length: Array) -> float:
    """Part of the spots on rings of ice, beyond what stands beside the rings.

    Parameters
    ----------
    length : (N,) 1/Angstrom
        1/d of each.
    """
    square = length**2
    rings = np.array([d**-2 for d in ICE])
    away = np.abs(square[:, None] - rings).min(axis=1) if len(length) else np.zeros(0)
    on, beside = int((away < RING).sum()), int(((away >= RING) & (away < 2.0 * RING)).sum())
    return max(0, on - beside) / max(len(length), 1)


def signs(
    length: Array, degrees: float, trials: Sequence[Trial], options: IndexOptions
) -> tuple[list[str], list[str]]:
    """What was seen, and what to try, each as sentences.

    Parameters
    ----------
    length : (N,) 1/Angstrom
        Of the spots searched.
    degrees : float
        Rotation of the widest sweep.
    trials : sequence of Trial
    options : IndexOptions
    """
    seen, cures = [], []
    ice = ice_share(length)
    if ice > 0.15:
        seen.append(f"{100 * ice:.0f} % of the spots lie on rings of ice.")
        cures.append("Find spots without ice rings, or look only below them: --d-min 4.")
    if len(length) < FEW:
        seen.append(f"{len(length)} spots are few.")
        cures.append("Find more spots, or give the cell and use --indexer known_cell.")
    best = max(trials, key=lambda trial: trial.indexed, default=None)
    if best is not None and not cures and best.indexed < 2.0 * BY_CHANCE and best.by_chance:
        seen.append(f"Any lattice has {100 * BY_CHANCE:.0f} % by chance: the spots show no periodicity.")
        cures.append("Look whether they are reflections: smalti view.")
    if degrees < NARROW:
        seen.append(f"The sweep covers only {degrees:.2g} deg.")
        cures.append("Give the cell, or index it together with other sweeps.")
    if best is not None:
        if at_the_edge(best, options) or "beam is off" in best.refused:
            seen.append(f"The beam may be further off than the {options.search_range:g} px searched.")
            cures.append("Search further: --set index.search_range=100, or correct the beam centre.")
        if best.indexed < options.min_indexed and best.sharpness > SHARP:
            seen.append(
                f"The best lattice explains {100 * best.indexed:.0f} %, but these well: one of several?"
            )
            cures.append("Accept a part: --set index.min_indexed=0.1 --max-lattices 3.")
    return seen, cures


def at_the_edge(trial: Trial, options: IndexOptions) -> bool:
    """Whether the beam was found where the search ends, or beyond."""
    return any(max(map(abs, shift.pixels)) > 0.9 * options.search_range for shift in trial.shifts)


def nothing_found(
    trials: Sequence[Trial],
    length: Array,
    degrees: float,
    max_cell: float,
    known: KnownLattice,
    options: IndexOptions,
) -> DataError:
    """The error that says so: what was tried, what was seen, what to try."""
    seen, cures = signs(length, degrees, trials, options)
    if not trials:
        what = "No lattice was found."
        why = f"{len(length):,} spots show no three periodic directions up to {max_cell:.0f} Angstrom."
        usual = "Check distance, wavelength, rotation axis and --max-cell."
    else:
        best = max(trials, key=lambda trial: trial.indexed)
        cell = " ".join(f"{value:.2f}" for value in best.cell)
        told = known.cell or known.space_group
        what = "No lattice was found that " + ("fits the given lattice." if told else "explains the spots.")
        why = f"{len(trials)} tried with {len(length):,} spots; the best, {cell}, {best.refused}."
        usual = "Check distance, wavelength and rotation axis."
        if known.cell or known.space_group:
            usual = "Leave out space group and cell to see what is there. " + usual
    return DataError(what, " ".join([why, *seen]), " ".join([*cures, usual, OTHERS]))


def too_few(count: int, least: int, options: IndexOptions) -> DataError:
    """The error that says that there is nothing to search in."""
    limit = f" (d_min is {options.d_min:g} Angstrom)" if options.d_min else ""
    return DataError(
        f"{count} spots are too few to find a lattice.",
        f"At least {least} are needed{limit}.",
        "Find spots with a lower threshold or --min-spot-size, or use more images.",
    )


def strewn_about(
    cell: Sequence[float], indexed: float, sharpness: float, results: Sequence[Mapping[str, Any]]
) -> DataError:
    """The error that says that even after refinement spots only happen to be near the points of a lattice.

    Parameters
    ----------
    cell : (6,) Angstrom, deg
    indexed : float
        Part of the spots.
    sharpness : float
    results : sequence of mapping
        Of the last refinement, one for each sweep; empty where there was none.
    """
    worst = [
        f"{max(values):.1f} {unit}"
        for keys, unit in ((("rmsd_x_px", "rmsd_y_px"), "px"), (("rmsd_z_images",), "images"))
        if (values := [row[key] for row in results for key in keys if row[key] is not None])
    ]
    off = f" (RMSDs up to {' and '.join(worst)})" if worst else ""
    return DataError(
        "No lattice was found that explains the spots.",
        f"The best, {' '.join(f'{value:.2f}' for value in cell)}, has {100 * indexed:.0f} % of them near "
        f"its points, but strewn about these as if an axis were wrong{off}: {100 * sharpness:.0f} % lie "
        "within half of that distance, where a wrong axis has 50 % and a right lattice nearly all.",
        "Try another --max-cell; of several lattices in the beam, give the cell. To see this lattice all the "
        f"same: --set index.least_sharpness=0. {OTHERS}",
    )


def beam_further_off(found: Trial, searched: float) -> DataError:
    """The error that says that the beam is further off than was searched (px)."""
    cell = " ".join(f"{value:.2f}" for value in found.cell)
    x, y = max((item.pixels for item in found.shifts), key=np.linalg.norm)
    return DataError(
        "The beam is further off than was searched: nothing fits there, or not as well.",
        f"With the detector moved by {x:+.1f}, {y:+.1f} px across the beam, the cell {cell} explains "
        f"{100 * found.indexed:.0f} % of the spots.",
        f"Search further: --set index.search_range={searched:g}, or correct the beam centre.",
    )


def turned_the_other_way(turned: Trial) -> DataError:
    """The error that says that the rotation axis has the wrong sense."""
    cell = " ".join(f"{value:.2f}" for value in turned.cell)
    return DataError(
        "No lattice was found, but one would be if the crystal turned the other way.",
        f"With the axis reversed, the cell {cell} explains {100 * turned.indexed:.0f} % of the spots.",
        "Import again with the rotation axis reversed (import.axis).",
    )
