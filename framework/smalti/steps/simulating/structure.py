"""Intensities of all reflections of a crystal, looked up by index: for many crystals of one structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.prediction import miller_indices_within
from smalti.models import Crystal
from smalti.steps.simulating.crystals import absent, wilson_intensities
from smalti.steps.simulating.options import SimulateOptions

__all__ = ["Structure"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Structure:
    """Mean photons of the reflections to a resolution, in a table by index.

    Attributes
    ----------
    counts : (2 H + 1, 2 K + 1, 2 L + 1) float
        0 for what is extinct or beyond the resolution.
    limits : (3,) int
        H, K, L.
    d_min : float
        Angstrom.
    """

    counts: Array
    limits: NDArray[np.int32]
    d_min: float

    @classmethod
    def of(cls, crystal: Crystal, d_min: float, options: SimulateOptions) -> Structure:
        """Work out the intensities of a crystal, with the mean of the options over all."""
        # Cells that differ from crystal to crystal bring reflections in from a little beyond the limit.
        limit = d_min * (1.0 - 4.0 * options.cell_spread)
        h = miller_indices_within(crystal.A, limit)
        h = h[~absent(h, options.space_group)]
        d = 1.0 / np.linalg.norm(h @ crystal.A.T, axis=1)
        intensities = wilson_intensities(h, d, options.space_group, options.b_factor, options.seed)
        limits = np.abs(h).max(axis=0)
        counts = np.zeros(2 * limits + 1)
        counts[tuple((h + limits).T)] = options.counts * intensities / intensities.mean()
        return cls(counts, limits, d_min)

    def photons(self, h: NDArray[np.int32]) -> Array:
        """Look up mean photons (N,) of reflections (N, 3)."""
        inside = np.all(np.abs(h) <= self.limits, axis=1)
        place = np.where(inside[:, None], h + self.limits, 0)
        return np.asarray(np.where(inside, self.counts[tuple(place.T)], 0.0))
