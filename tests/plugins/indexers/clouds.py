"""Clouds of reciprocal-lattice points as a rotating crystal shows them."""

from __future__ import annotations

import numpy as np

from smalti.geometry.prediction import diffraction_angles, miller_indices_within
from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.rotation import rotate, rotation
from smalti.solution import PointCloud

AXIS = np.array([1.0, 0.0, 0.0])
S0 = np.array([0.0, 0.0, -1.0])


def orientation_matrix(cell, angles=(0.4, 1.1, 2.3)):
    U = np.eye(3)
    for axis, angle in zip(np.eye(3), angles, strict=True):
        U = rotation(axis, angle) @ U
    return U @ B_from_cell(cell)


def cloud(A, rng, *, n=None, d_min=3.0, span=90.0, noise=2e-4, spurious=0.0, offset=0.0, rule=None):
    """What ``span`` degrees of rotation show of a lattice at 1 Angstrom.

    ``offset`` is an error of the beam in 1/Angstrom, ``rule`` keeps the indices that it says.
    """
    h = miller_indices_within(A, d_min)
    if rule is not None:
        h = h[rule(h)]
    q = h @ A.T
    both, crosses = diffraction_angles(q, AXIS, S0)
    angle = both[:, rng.integers(0, 2)] % (2 * np.pi)
    seen = crosses & (angle < np.radians(span))
    q, angle = q[seen], angle[seen]
    if n is not None and n < len(q):
        rows = rng.choice(len(q), n, replace=False)
        q, angle = q[rows], angle[rows]
    q = q + rotate(AXIS, -angle, np.tile([0.0, offset, offset / 2], (len(q), 1)))
    q = q + rng.normal(scale=noise, size=q.shape)
    extra = round(len(q) * spurious / (1.0 - spurious))
    radius = np.linalg.norm(q, axis=1).max()
    q = np.concatenate([q, rng.uniform(-radius, radius, size=(extra, 3)) / np.sqrt(3)])
    angle = np.concatenate([angle, rng.uniform(0, np.radians(span), extra)])
    return PointCloud(q, angle, np.zeros(len(q), dtype=np.intp), AXIS)
