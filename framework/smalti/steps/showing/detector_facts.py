"""What there is to know of a detector: its tree, where it stands, where the beam meets it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, find_panels, intersect, to_px
from smalti.models import Beam, Detector, Tolerances, tolerances

__all__ = ["detector_facts"]

Array = NDArray[np.float64]


def detector_facts(detector: Detector, beam: Beam) -> dict[str, Any]:
    """Gather the facts of a detector in a beam.

    The distance of a panel is the length of the perpendicular from the crystal to its plane; its
    two-theta the angle between the beam and that perpendicular, 0 for a panel square to the beam.
    Those of the detector are those of the panel that the beam meets, or misses by the least.
    """
    arrays = PanelArrays.of(detector)
    unit_s0 = beam.unit_s0
    normals = np.cross(arrays.d[:, :, 0], arrays.d[:, :, 1])
    signed = np.einsum("pi,pi->p", normals, arrays.d[:, :, 2])
    outward = normals * np.sign(signed)[:, None]
    two_theta = np.degrees(np.arccos(np.clip(outward @ unit_s0, -1.0, 1.0)))
    distance = np.abs(signed)
    centre = _beam_centre(unit_s0, arrays)
    main = centre["panel"] if centre else int(np.argmin(two_theta))
    near, far = _resolution(arrays, beam)
    return {
        "n_panels": len(detector),
        "tree": _tree(detector),
        "distance_mm": float(distance[main]),
        "two_theta_deg": float(two_theta[main]),
        "beam_centre": centre,
        "resolution": [near, far],
        "panels": [
            {
                "name": panel.name,
                "image_size": list(panel.image_size),
                "pixel_size": list(panel.pixel_size),
                "window": list(panel.window),
                "trusted_range": list(panel.trusted_range),
                "type": panel.type,
                "material": panel.material,
                "thickness": panel.thickness,
                "mu": panel.mu,
                "parallax": panel.parallax,
                "n_mask": len(panel.mask),
                "distance_mm": float(distance[k]),
                "two_theta_deg": float(two_theta[k]),
                "fast": arrays.d[k, :, 0].tolist(),
                "slow": arrays.d[k, :, 1].tolist(),
                "origin": arrays.d[k, :, 2].tolist(),
            }
            for k, panel in enumerate(detector.panels)
        ],
    }


def _tree(detector: Detector) -> list[dict[str, Any]]:
    """Name groups and panels at each level, and tell how exactly they are mounted (JSON: mm and mrad).

    ``tolerances`` are the different ones of a level, the commonest first; empty for the root, and where
    the file says something that is no tolerance.
    """
    groups, panels = defaultdict[int, list[str]](list), defaultdict[int, list[str]](list)
    mounts = defaultdict[int, Counter[Tolerances]](Counter)
    try:
        known = tolerances(detector)
    except DataError:
        known = {}
    for node in detector.walk():
        (panels if node.group is None else groups)[node.level].append(node.name)
        if node.path in known:
            mounts[node.level][known[node.path]] += 1
    return [
        {
            "level": level,
            "groups": groups[level],
            "panels": panels[level],
            "n_panels": len(panels[level]),
            "tolerances": [item.as_stated() for item, _ in mounts[level].most_common()],
        }
        for level in range(detector.depth + 1)
    ]


def _beam_centre(unit_s0: Array, arrays: PanelArrays) -> dict[str, Any] | None:
    """Find where the beam meets the detector: on a panel, or on the plane of the one it misses least.

    None where the beam meets no plane going forward.
    """
    hit, mm = find_panels(unit_s0[None, :], arrays)
    panel, inside = int(hit[0]), bool(hit[0] >= 0)
    if not inside:
        every = np.arange(len(arrays.d), dtype=np.intp)
        where, forward = intersect(np.repeat(unit_s0[None, :], len(every), axis=0), every, arrays)
        if not forward.any():
            return None
        size = arrays.image_size * arrays.pixel_size
        outside = np.linalg.norm(where - np.clip(where, 0.0, size), axis=1)
        panel = int(np.nanargmin(outside))
        mm = where[panel][None, :]
    px = to_px(mm, np.array([panel]), arrays)
    return {"panel": panel, "inside": inside, "mm": mm[0].tolist(), "px": px[0].tolist()}


def _resolution(arrays: PanelArrays, beam: Beam) -> tuple[float | None, float]:
    """Resolution (Angstrom) of the corners nearest to the beam (None if it hits) and farthest from it."""
    size = arrays.image_size * arrays.pixel_size
    steps = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    xy = steps[None, :, :] * size[:, None, :]
    corners = np.einsum("pij,pcj->pci", arrays.d[:, :, :2], xy) + arrays.d[:, None, :, 2]
    rays = corners / np.linalg.norm(corners, axis=2)[:, :, None]
    theta = 0.5 * np.arccos(np.clip(rays @ beam.unit_s0, -1.0, 1.0))
    farthest = beam.wavelength / (2.0 * float(np.sin(theta.max())))
    hit, _ = find_panels(beam.unit_s0[None, :], arrays)
    # The beam within a panel leaves no lower limit; else the nearest corner is a fair one.
    nearest = None if hit[0] >= 0 else beam.wavelength / (2.0 * float(np.sin(max(theta.min(), 1e-9))))
    return nearest, farthest
