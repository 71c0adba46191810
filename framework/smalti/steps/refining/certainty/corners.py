"""What the motion of a panel does at its corners, along the ray from the sample and across it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import panel_bases
from smalti.geometry.rotation import skew
from smalti.models import Detector
from smalti.steps.refining.problem.displacement import Displacements
from smalti.units import MRAD, UM

__all__ = ["corner_rows"]

Array = NDArray[np.float64]
Row = dict[str, Any]

_CORNERS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
"""From the origin of the panel along its fast axis, and on around."""

_UNITS = np.array([UM, UM, UM, MRAD, MRAD, MRAD])


def corner_rows(moved: Displacements, after: Detector) -> list[Row]:
    """Describe the displacements of the centre and of the four corners of each panel.

    Spots tell places across the rays five to twenty times better than along them; both are given, and
    which motion of the panel is known worst.
    """
    d = after.stacked()
    bases = panel_bases(d)
    rows = []
    for k, panel in enumerate(after.panels):
        half = 0.5 * np.array(panel.size_mm)
        arms = np.array([(a * half[0], b * half[1], 0.0) for a, b in _CORNERS])
        centre = d[k] @ (*half, 1.0) @ bases[k]  # from the sample, in the axes of the panel
        motion, covariance = moved.own[k], moved.own_covariance[k]
        rows.append(
            _at_centre(motion, covariance, centre)
            | _at_corners(motion, covariance, centre, arms)
            | _worst(covariance, centre, float(np.hypot(*half)))
            | {"covariance": (covariance / np.outer(_UNITS, _UNITS)).tolist()}
        )
    return rows


def _at_centre(motion: Array, covariance: Array, centre: Array) -> Row:
    ray = centre / np.linalg.norm(centre)
    along = float(ray @ motion[:3])
    across = motion[:3] - along * ray
    return {
        "along_ray_um": along / UM,
        "esd_along_ray_um": _deviation(covariance[:3, :3], ray) / UM,
        "across_ray_um": float(np.linalg.norm(across)) / UM,
        "esd_across_ray_um": _deviation(covariance[:3, :3], _direction(across, ray)) / UM,
    }


def _at_corners(motion: Array, covariance: Array, centre: Array, arms: Array) -> Row:
    """Lengths of the displacements of the corners and their ESDs along them, whole and across the ray."""
    found: dict[str, list[float]] = {
        name: [] for name in ("corner_um", "esd_corner_um", "corner_across_um", "esd_corner_across_um")
    }
    for arm in arms:
        by_motion = np.hstack([np.eye(3), -skew(arm)])
        shift, square = by_motion @ motion, by_motion @ covariance @ by_motion.T
        ray = (centre + arm) / np.linalg.norm(centre + arm)
        across = shift - (ray @ shift) * ray
        found["corner_um"].append(float(np.linalg.norm(shift)) / UM)
        found["esd_corner_um"].append(_deviation(square, _direction(shift, ray)) / UM)
        found["corner_across_um"].append(float(np.linalg.norm(across)) / UM)
        found["esd_corner_across_um"].append(_deviation(square, _direction(across, ray)) / UM)
    return dict(found)


def _direction(vector: Array, ray: Array) -> Array:
    """The unit vector along a vector; of one that is nothing, some direction across the ray."""
    length = float(np.linalg.norm(vector))
    if length > 0.0:
        return np.asarray(vector / length)
    across = np.cross(ray, np.eye(3)[np.abs(ray).argmin()])
    return np.asarray(across / np.linalg.norm(across))


def _deviation(covariance: Array, direction: Array) -> float:
    return float(np.sqrt(max(float(direction @ covariance @ direction), 0.0)))


def _worst(covariance: Array, centre: Array, reach: float) -> Row:
    """Name the motion that is known worst, rotations counted by what they do at a corner."""
    scale = np.array([1.0, 1.0, 1.0, reach, reach, reach])
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    if values[-1] <= 0.0:
        return {"weakest": None, "esd_weakest_um": 0.0}
    worst = vectors[:, -1]
    along = float(worst[:3] @ centre / np.linalg.norm(centre)) ** 2
    shares = {
        "along its ray": along,
        "across its ray": float(np.sum(worst[:3] ** 2)) - along,
        "tilt": float(np.sum(worst[3:5] ** 2)),
        "turn in its plane": float(worst[5] ** 2),
    }
    name = max(shares, key=lambda key: shares[key])
    return {"weakest": name, "esd_weakest_um": float(np.sqrt(values[-1])) / UM}
