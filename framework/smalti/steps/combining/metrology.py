"""Carry the places of the panels *within* a detector from one data set to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.superposition import rigid_motion
from smalti.models import Detector, Panel

__all__ = ["Carried", "check_same_panels", "with_metrology"]

Array = NDArray[np.float64]

_SAME_PIXELS = 1e-6  # mm


@dataclass(frozen=True, slots=True)
class Carried:
    """A detector with the metrology of another.

    Attributes
    ----------
    detector : Detector
    moved : (P,) mm
        How far the centre of each panel moved.
    """

    detector: Detector
    moved: Array


def with_metrology(detector: Detector, reference: Detector) -> Carried:
    """Place the panels of a detector relative to one another as those of a reference.

    Where the detector as a whole stands (its distance, centre and tilts) stays: the reference is brought
    onto it by the rigid motion that fits the corners of all panels best, and only then are its panels taken.
    So the metrology of a data set at one distance serves another at a different one.

    Raises
    ------
    DataError
        They are not the same panels.
    """
    check_same_panels(detector, reference)
    size = np.array([panel.size_mm for panel in detector.panels])
    old, new = detector.stacked(), reference.stacked()
    R, t = rigid_motion(_corners(new, size), _corners(old, size))
    placed = np.einsum("ij,pjk->pik", R, new)
    placed[:, :, 2] += t
    middle = np.column_stack([size / 2.0, np.ones(len(size))])
    moved = np.linalg.norm(np.einsum("pij,pj->pi", placed - old, middle), axis=1)
    return Carried(detector.with_panel_frames(placed), moved)


def _corners(d: Array, size: Array) -> Array:
    unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    flat = np.concatenate([unit * size[:, None], np.ones((len(size), 4, 1))], axis=2)
    return np.asarray(np.einsum("pij,pcj->pci", d, flat)).reshape(-1, 3)


def check_same_panels(detector: Detector, reference: Detector) -> None:
    """Refuse detectors that do not have the same panels.

    Raises
    ------
    DataError
    """
    if len(detector) != len(reference):
        raise DataError(
            f"The reference has {len(reference)} panels, the detector {len(detector)}.",
            "A metrology can only be carried to a detector of the same panels.",
            "Bring both to one form first: smalti panels FILE.expt FILE.refl --panels modules.",
        )
    for k, (mine, other) in enumerate(zip(detector.panels, reference.panels, strict=True)):
        pixels = np.abs(np.subtract(mine.pixel_size, other.pixel_size)).max()
        if mine.image_size != other.image_size or pixels > _SAME_PIXELS:
            raise DataError(
                f"Panel {k} has {_described(other)} in the reference, {_described(mine)} in the detector.",
                "These are not the same detector.",
                "Give the refined experiments of the same detector.",
            )


def _described(panel: Panel) -> str:
    size, pixel = panel.image_size, panel.pixel_size
    return f"{size[0]} x {size[1]} px of {pixel[0]:g} mm"
