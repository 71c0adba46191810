"""Many crystals: orientations at random, cells that differ a little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.crystal_parameters import METRIC_SCALE, B_from_metric, cell_basis
from smalti.geometry.rotation import rotation
from smalti.models import Crystal

__all__ = ["random_rotations", "spread_cells", "turned_a_little"]

Array = NDArray[np.float64]


def random_rotations(rng: np.random.Generator, number: int) -> Array:
    """Draw rotations (N, 3, 3) uniformly, as unit quaternions [Shoemake 1992, Graphics Gems III, 124]."""
    q = rng.normal(size=(number, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1)[:, None]).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def turned_a_little(rng: np.random.Generator, rotations: Array, angle: float) -> Array:
    """Turn rotations (N, 3, 3) further by random angles (rad, RMS about each axis)."""
    vectors = angle * rng.normal(size=(len(rotations), 3))
    size = np.linalg.norm(vectors, axis=1)
    axes = np.where(size[:, None] > 0.0, vectors, (1.0, 0.0, 0.0))
    return np.asarray(rotation(axes, size) @ rotations)


def spread_cells(rng: np.random.Generator, crystal: Crystal, number: int, spread: float) -> Array:
    """Draw cells about that of a crystal, within its symmetry; give their B matrices (N, 3, 3) 1/Angstrom.

    Parameters
    ----------
    spread : float
        Of the axes as a fraction, RMS; the elements of the metric that are angles spread as much.
    """
    basis = cell_basis(crystal.space_group)
    metric = crystal.B.T @ crystal.B
    size = np.array([np.sqrt(metric[a, a] * metric[b, b]) for a, b in basis.places]) * METRIC_SCALE
    diagonal = np.array([2.0 if a == b else 1.0 for a, b in basis.places])
    drawn = spread * diagonal * size * rng.normal(size=(number, len(size)))
    return B_from_metric(basis.metric(basis.parameters(metric) + drawn))
