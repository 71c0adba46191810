"""The longest cell axis that the spots suggest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from smalti.solution import PointCloud

__all__ = ["estimate_max_cell"]

Array = NDArray[np.float64]

LEAST = 25.0
"""Angstrom; even a small molecule has combinations of axes that help to find its lattice."""


def estimate_max_cell(cloud: PointCloud, wedge: float, multiplier: float = 1.3) -> float:
    """Estimate the longest axis from the distances between neighbours within wedges of rotation.

    Close to the longest axis' reciprocal, many neighbours are equally far apart. In a histogram of
    1/distance on a logarithmic scale that is the last high bin; what lies beyond it are spots cut in
    two, which spread over a wide range.

    Parameters
    ----------
    cloud : PointCloud
        ``angles`` and ``sweeps`` say which points may be neighbours.
    wedge : float
        Width of the wedges, rad.
    multiplier : float
        Margin for axes along which no neighbours were seen.

    Returns
    -------
    float
        Angstrom.
    """
    lengths = _neighbour_lengths(cloud, wedge)
    if lengths.size < 4:
        return LEAST
    logs = np.log2(lengths)
    bins = int(np.clip(lengths.size // 8, 4, 40))
    edges = np.linspace(np.log2(3.0), np.log2(3000.0), bins + 1)
    height = np.histogram(logs, edges)[0]
    last = int(np.flatnonzero(height > 0.25 * height.max())[-1])
    top = np.sort(lengths[(logs >= edges[last]) & (logs < edges[last + 1])])
    return max(LEAST, multiplier * float(np.median(top)))


def _neighbour_lengths(cloud: PointCloud, wedge: float) -> Array:
    """1/distance (M,) Angstrom of nearest neighbours within sweeps and half-overlapping wedges."""
    found = []
    for sweep in np.unique(cloud.sweeps):
        rows = np.flatnonzero(cloud.sweeps == sweep)
        number = np.floor((cloud.angles[rows] - cloud.angles[rows].min()) / wedge)
        for k in np.unique(number):
            points = cloud.points[rows[number == k]]
            if len(points) > 2:
                distance = np.asarray(cKDTree(points).query(points, k=2)[0])[:, 1]
                found.append(1.0 / np.maximum(distance, 1e-6))
    lengths = np.concatenate(found) if found else np.zeros(0)
    return lengths[(lengths > 3.0) & (lengths < 3000.0)]
