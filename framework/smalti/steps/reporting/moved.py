"""How far each panel moved between two geometries, apart from the move of the whole detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector

__all__ = ["Moved", "compare"]

Array = NDArray[np.float64]


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


def compare(before: Detector, after: Detector) -> Moved | None:
    """Compare two geometries of one detector; None where the panels are not the same.

    The common motion is the rigid one that brings the corners of all panels closest, each panel
    counting alike (Kabsch 1976, Acta Cryst. A32, 922).
    """
    sizes = [panel.image_size for panel in before.panels]
    if sizes != [panel.image_size for panel in after.panels]:
        return None
    old, new = before.stacked(), after.stacked()
    size = np.array([panel.size_mm for panel in before.panels])
    R, t = _superposition(_corners(old, size), _corners(new, size))
    middle = np.column_stack([size / 2, np.ones(len(size))])
    was, now = (np.einsum("pij,pj->pi", d, middle) for d in (old, new))
    own, moved = _bases(old), _bases(new)
    shift = np.einsum("pji,pj->pi", own, (now - t) @ R - was) * 1e3
    # R^T takes the common rotation back; what remains of the panel's own is seen in its old frame.
    turn = np.einsum("pji,jk,pkl->pil", own, R.T, moved)
    centre = was.mean(axis=0)
    return Moved(shift, _rotation_vectors(turn) * 1e3, (R @ centre + t - centre) * 1e3, _vector(R) * 1e3)


def _corners(d: Array, size: Array) -> Array:
    unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    points = np.concatenate([unit[None] * size[:, None], np.ones((len(size), 4, 1))], axis=2)
    return np.asarray(np.einsum("pij,pcj->pci", d, points).reshape(-1, 3))


def _superposition(old: Array, new: Array) -> tuple[Array, Array]:
    """Rotation R and translation t that bring R old + t closest to new."""
    a, b = old.mean(axis=0), new.mean(axis=0)
    u, _, vt = np.linalg.svd((old - a).T @ (new - b))
    # Flat detectors leave the third singular vector's sign free: forbid the mirror.
    sign = np.sign(np.linalg.det(vt.T @ u.T))
    R = vt.T @ np.diag([1.0, 1.0, sign]) @ u.T
    return R, b - R @ a


def _bases(d: Array) -> Array:
    return np.stack([d[:, :, 0], d[:, :, 1], np.cross(d[:, :, 0], d[:, :, 1])], axis=2)


def _vector(R: Array) -> Array:
    return np.asarray(_rotation_vectors(R[None])[0])


def _rotation_vectors(R: Array) -> Array:
    """Axis times angle of rotations (P, 3, 3), well below half a turn."""
    skew = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=1) / 2.0
    sine = np.linalg.norm(skew, axis=1)
    cosine = (np.trace(R, axis1=1, axis2=2) - 1.0) / 2.0
    angle = np.arctan2(sine, cosine)
    return np.asarray(skew * np.where(sine > 1e-12, angle / np.where(sine > 1e-12, sine, 1.0), 1.0)[:, None])
