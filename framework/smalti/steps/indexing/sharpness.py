"""Whether spots lie at the points of a lattice, or are strewn about them along some direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["STREWN", "Sharpness", "sharpness_of"]

Array = NDArray[np.float64]

RADIUS = 0.3
"""Fractions of an index: spots nearer than this to a lattice point are looked at."""

STREWN = 0.5
"""Part of these within half of the radius where they fill lines: a wrong lattice in which two of three
directions are right. A quarter are where they fill planes, an eighth where they fill space."""

SIGMAS = 2.0
"""Standard deviations by which few spots have to differ from strewn ones."""


@dataclass(frozen=True, slots=True)
class Sharpness:
    """How closely spots lie to lattice points.

    Attributes
    ----------
    part : float
        Of the spots near lattice points, those within half of that distance.
    count : int
        Spots near lattice points.
    """

    part: float
    count: int

    def by_chance(self, least: float) -> bool:
        """Whether spots that have nothing to do with one direction of the lattice would lie so, too.

        Parameters
        ----------
        least : float
            The part from which on a lattice is believed; of few spots more are asked for. 0 believes all.
        """
        chance = STREWN + SIGMAS * np.sqrt(STREWN * (1.0 - STREWN) / max(self.count, 1))
        return least > 0.0 and self.part < max(least, chance)


def sharpness_of(misfit: Array) -> Sharpness:
    """Measure the sharpness of spots at distances (N,) from their lattice points, fractions of an index."""
    near = misfit[misfit < RADIUS]
    return Sharpness(float(np.mean(near < RADIUS / 2.0)) if near.size else 0.0, near.size)
