"""The free set: reflections held out of the fit, to tell how well the models predict what they never saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.steps.mixing import mixed
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.observations import Observations

__all__ = ["free_set", "held_out", "keys"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST = 0.5
"""No larger part is held out."""


def held_out(data: Observations, d_star: Array, marked: Mask | None, options: RefineOptions) -> Mask:
    """Choose the reflections that no fit may see, (N,).

    None where all are few: a free RMSD of some dozens tells little, and they are missed. Experiments whose
    reflections are marked by an earlier refinement keep their set, or what one level has learnt from
    would be free at the next.

    Parameters
    ----------
    d_star : (N,) 1/Angstrom
        Length of each reciprocal-lattice vector.
    marked : (N,) bool, optional
        The free set of an earlier refinement.

    Raises
    ------
    DataError
        More than half is marked: that is no free set, but flags of another meaning.
    """
    if options.free_fraction == 0.0 or data.n < options.free_minimum:
        return np.zeros(data.n, dtype=bool)
    cell, order = data.cell, np.argsort(data.cell, kind="stable")
    key = keys(data.spots.h, options.seed)
    drawn = np.zeros(data.n, dtype=bool)
    drawn[order] = free_set(
        cell[order], data.spots.angle[order], d_star[order], key[order], options.free_fraction
    )
    if marked is None or not marked.any():
        return drawn
    if marked.mean() > _MOST:
        raise DataError(
            f"The column 'free' marks {100 * marked.mean():.0f} % of the reflections, to be held out.",
            "It marks what an earlier refinement held out; numbered flags of other programs are none of it.",
            "Remove the column, or set refine.free_fraction=0 to fit all reflections.",
        )
    source = np.where(data.traits.still, -1, data.spots.experiment) + 1  # all stills have one set
    has_a_set = np.bincount(source, weights=marked) > 0.0
    return np.where(has_a_set[source], marked, drawn)


def free_set(cell: NDArray[np.intp], angle: Array, d_star: Array, key: Array, fraction: float) -> Mask:
    """Draw one reflection from each stratum of 1/fraction neighbours in panel, angle and resolution, (N,).

    The reflections of a cell (experiment and panel) are divided into ranges of the angle, and these into
    shells of resolution. A cell with fewer than 1/fraction reflections gives none. Depends on what is
    observed only, not on the order of the rows.

    Parameters
    ----------
    cell : (N,) int
        Ascending from 0.
    angle : (N,) rad
    d_star : (N,) 1/Angstrom
    key : (N,)
        Random numbers between 0 and 1 that decide within a stratum.
    """
    free = np.zeros(len(cell), dtype=bool)
    bounds = np.searchsorted(cell, np.arange(int(cell[-1]) + 2)) if len(cell) else np.zeros(1, dtype=int)
    for first, last in zip(bounds[:-1], bounds[1:], strict=True):
        n = int(last - first)
        strata = int(n * fraction + 1e-9)
        if strata == 0:
            continue
        rows = first + np.argsort(key[first:last], kind="stable")  # breaks ties of the angle
        rows = rows[np.argsort(angle[rows], kind="stable")]
        block = np.arange(n) * max(round(strata**0.5), 1) // n
        rows = rows[np.lexsort((d_star[rows], block))]
        stratum = np.arange(n) * strata // n
        order = np.lexsort((key[rows], stratum))
        chosen = np.concatenate([[True], np.diff(stratum[order]) != 0])
        free[rows[order[chosen]]] = True
    return free


def keys(h: Array, seed: int) -> Array:
    """Give each reflection a random number between 0 and 1 of its index and the seed only, (N,)."""
    hkl = np.rint(h).astype(np.int64).astype(np.uint64)
    return np.asarray((mixed(hkl, seed) >> np.uint64(11)) * 2.0**-53)
