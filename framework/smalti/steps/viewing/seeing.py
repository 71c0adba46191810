"""Which resolutions a view shows, and how fine: rings are chosen for what is on the screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, to_mm, wave_vectors
from smalti.models import Experiment
from smalti.steps.viewing.placing import Layout

__all__ = ["MOST", "Band", "band_of"]

Array = NDArray[np.float64]
SAMPLES = 25
"""Places along a side of the view at which the resolution is worked out."""
GAP = 8.0
"""Screen px that rings are apart at least: closer ones are drawn as one."""
MOST = 80
"""Most rings in a view."""


@dataclass(frozen=True)
class Band:
    """A range of 1/d (1/Angstrom), and how far apart rings in it are to be at least."""

    low: float
    high: float
    apart: float


def band_of(layout: Layout, experiment: Experiment, corner: Array, extent: Array, zoom: float) -> Band | None:
    """Give the band that a view shows; None where it shows no panel.

    Parameters
    ----------
    corner, extent : (2,)
        Upper left corner and size of the view, pixels of the layout.
    zoom : float
        Screen px for a pixel.
    """
    part = np.linspace(0.0, 1.0, SAMPLES)
    grid = np.stack(np.meshgrid(part, part), axis=-1).reshape(-1, 2) * extent + corner
    arrays = PanelArrays.of(experiment.detector)
    found, slopes = [], []
    for number in range(len(layout.windows)):
        px = np.linalg.solve(layout.linear[number], (grid - layout.offset[number]).T).T
        px = px[np.all((px >= 0.0) & (px < layout.windows[number, 2:]), axis=1)]
        if len(px):
            q = _inverse_d(px, number, arrays, experiment)
            steps = [_inverse_d(px + step, number, arrays, experiment) - q for step in np.eye(2)]
            found.append(q)
            slopes.append(np.hypot(*steps))
    if not found:
        return None
    q, slope = np.concatenate(found), float(np.median(np.concatenate(slopes)))
    between = slope * float(np.max(extent)) / (SAMPLES - 1)
    low, high = max(0.0, float(q.min()) - between), float(q.max()) + between
    return Band(low, high, max(slope * GAP / zoom, (high - low) / MOST))


def _inverse_d(px: Array, number: int, arrays: PanelArrays, experiment: Experiment) -> Array:
    """1/d (N,) of positions (N, 2) on one panel; the depth of absorption is left aside."""
    panel = np.full(len(px), number)
    s1 = wave_vectors(to_mm(px, panel, arrays), panel, arrays, experiment.beam.wavelength)
    return np.asarray(np.linalg.norm(s1 - experiment.beam.s0, axis=1))
