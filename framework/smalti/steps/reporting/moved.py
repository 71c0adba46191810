"""How far each panel moved between two geometries, apart from the move of the whole detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import panel_centres
from smalti.geometry.rotation import rotation_vector
from smalti.geometry.superposition import panel_motions
from smalti.models import Detector
from smalti.units import MRAD, UM

__all__ = ["STILL_UM", "Moved", "compare"]

Array = NDArray[np.float64]

STILL_UM = 1e-3
"""Displacements (um) and turns (mrad) below are rounding errors."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Motions of panels from one geometry to another, in the frame of each panel before.

    Attributes
    ----------
    shift : (P, 3) um
        Of the panel's centre along fast, slow and normal, after the common motion is taken away.
    turn : (P, 3) mrad
        Rotation vector about fast, slow and normal, likewise.
    whole_shift : (3,) um, laboratory
        Common motion of the centre of the detector.
    whole_turn : (3,) mrad, laboratory
        Common rotation.
    """

    shift: Array
    turn: Array
    whole_shift: Array
    whole_turn: Array

    @property
    def apart(self) -> bool:
        """Whether any panel moved against the others; a detector of one panel never does."""
        return bool(np.abs(self.shift).max() > STILL_UM or np.abs(self.turn).max() > STILL_UM)


def compare(before: Detector, after: Detector, with_data: NDArray[np.bool_] | None = None) -> Moved | None:
    """Compare two geometries of one detector; None where the panels are not the same.

    The common motion is that of :mod:`smalti.geometry.superposition`, as everywhere else.

    Parameters
    ----------
    before, after : Detector
    with_data : (P,) bool, optional
        The panels that define the common motion; all where it is not given or no panel has data.
    """
    sizes = [panel.image_size for panel in before.panels]
    if sizes != [panel.image_size for panel in after.panels]:
        return None
    size = np.array([panel.size_mm for panel in before.panels])
    use = None if with_data is None or not with_data.any() else with_data
    motions = panel_motions(before.stacked(), after.stacked(), size, use)
    centre = panel_centres(before.stacked(), size).mean(axis=0)
    return Moved(
        motions.shift / UM,
        motions.turn / MRAD,
        (motions.R @ centre + motions.t - centre) / UM,
        rotation_vector(motions.R) / MRAD,
    )
