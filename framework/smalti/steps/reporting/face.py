"""The face of a detector on paper: every panel in its true place, curved detectors unrolled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import panel_centres
from smalti.geometry.rotation import rotate
from smalti.models import Beam, Detector

__all__ = ["Face", "face_of"]

Array = NDArray[np.float64]

FLAT = np.radians(5.0)
"""Panels whose normals differ by less are drawn as projected onto one plane."""


@dataclass(frozen=True, slots=True)
class Face:
    """Where panels lie on paper.

    A point (x, y) mm of panel p is drawn at linear[p] @ (x, y) + offset[p]; the paper's y points down,
    as rows of an image do.

    Attributes
    ----------
    linear : (P, 2, 2)
    offset : (P, 2) mm
    size : (P, 2) mm
        Width and height of each panel.
    kind : str
        "flat", "unrolled" or "spread".
    beam : (2,) mm or None
        Where the direct beam meets the face.
    """

    linear: Array
    offset: Array
    size: Array
    kind: str
    beam: Array | None

    def place(self, panel: NDArray[np.intp], mm: Array) -> Array:
        """Give the place on paper of points (N, 2) mm on panels (N,), (N, 2)."""
        return np.asarray(np.einsum("nij,nj->ni", self.linear[panel], mm) + self.offset[panel])

    def direction(self, panel: NDArray[np.intp], vectors: Array) -> Array:
        """Turn vectors (N, 2) along fast and slow of panels (N,) into vectors on paper."""
        return np.asarray(np.einsum("nij,nj->ni", self.linear[panel], vectors))

    def corners(self) -> Array:
        """Outlines of the panels, (P, 4, 2)."""
        unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        points = unit[None] * self.size[:, None]
        return np.asarray(np.einsum("pij,pcj->pci", self.linear, points) + self.offset[:, None])

    def centres(self) -> Array:
        """Centres of the panels, (P, 2)."""
        return np.asarray(self.corners().mean(axis=1))

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of all panels, mm."""
        corners = self.corners().reshape(-1, 2)
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


def face_of(detector: Detector, beam: Beam) -> Face:
    """Lay a detector out on paper.

    A flat detector is projected onto its mean plane, with the fast axis of the panel nearest to the
    beam to the right. A barrel is unrolled about its axis. Panels that face several ways are spread
    azimuthally about the direct beam, each at its true angle from it.
    """
    d = detector.stacked()
    size = np.array([panel.size_mm for panel in detector.panels])
    normals = np.cross(d[:, :, 0], d[:, :, 1])
    centres = panel_centres(d, size)
    # A panel may be read out in either direction: what matters is which way it faces.
    normals *= np.sign(np.einsum("pi,pi->p", normals, centres))[:, None]
    first = _nearest(centres, beam)
    spread = np.arccos(np.clip(normals @ normals[first], -1.0, 1.0))
    if spread.max() < FLAT:
        return _flat(d, size, normals, first, beam)
    axis = _barrel_axis(normals)
    if axis is not None:
        return _unrolled(d, size, centres, axis, first, beam)
    return _spread(d, size, centres, first, beam)


def _nearest(centres: Array, beam: Beam) -> int:
    cosine = centres @ beam.unit_s0 / np.linalg.norm(centres, axis=1)
    return int(np.argmax(cosine))


def _axes(d: Array, normal: Array, first: int) -> tuple[Array, Array]:
    """Two unit vectors of the paper: right along the fast axis of the first panel, and down."""
    right = d[first, :, 0] - normal * (normal @ d[first, :, 0])
    right /= np.linalg.norm(right)
    down = np.cross(normal, right)
    return right, down * (1.0 if down @ d[first, :, 1] >= 0 else -1.0)


def _flat(d: Array, size: Array, normals: Array, first: int, beam: Beam) -> Face:
    normal = normals.mean(axis=0)
    normal /= np.linalg.norm(normal)
    paper = np.stack(_axes(d, normal, first))
    along = beam.unit_s0 @ normal
    spot = paper @ (beam.unit_s0 * (d[first, :, 2] @ normal) / along) if along > 0.05 else None
    return Face(
        np.asarray(paper @ d[:, :, :2]), np.asarray(d[:, :, 2] @ paper.T), size, "flat", _checked(spot)
    )


def _checked(spot: Array | None) -> Array | None:
    return np.asarray(spot) if spot is not None and np.isfinite(spot).all() else None


def _barrel_axis(normals: Array) -> Array | None:
    """Give the direction to which all normals are perpendicular, or None where there is none."""
    _, values, vectors = np.linalg.svd(normals, full_matrices=False)
    if len(values) < 3 or values[2] / np.sqrt(len(normals)) > np.sin(FLAT):
        return None
    return np.asarray(vectors[2])


def _unrolled(d: Array, size: Array, centres: Array, axis: Array, first: int, beam: Beam) -> Face:
    """Unroll about an axis through the sample: arc length against place along the axis."""
    outward = centres - np.outer(centres @ axis, axis)
    radius = np.linalg.norm(outward, axis=1)
    outward /= radius[:, None]
    zero = beam.unit_s0 - axis * (axis @ beam.unit_s0)
    zero /= np.linalg.norm(zero)
    side = np.cross(axis, zero)
    angle = np.arctan2(outward @ side, outward @ zero)
    tangent = np.cross(axis, outward)
    middle = np.column_stack([centres @ axis, radius.mean() * angle])
    paper = np.stack([np.broadcast_to(axis, tangent.shape), tangent], axis=1)
    face = _assemble(d, size, middle, np.asarray(paper @ d[:, :, :2]), "unrolled", np.zeros(2))
    return _turned(face, first)


def _spread(d: Array, size: Array, centres: Array, first: int, beam: Beam) -> Face:
    """Put each panel's centre at its angle from the beam, times the distance, in its true azimuth."""
    s0 = beam.unit_s0
    right, down = _axes(d, s0, first)
    length = np.linalg.norm(centres, axis=1)
    unit = centres / length[:, None]
    off = np.arccos(np.clip(unit @ s0, -1.0, 1.0))
    azimuth = np.arctan2(unit @ down, unit @ right)
    middle = (length.mean() * off)[:, None] * np.column_stack([np.cos(azimuth), np.sin(azimuth)])
    radial = np.outer(np.cos(azimuth), right) + np.outer(np.sin(azimuth), down)
    # Rotate the paper's axes with the ray, so that a panel that faces the sample keeps its shape.
    axis = np.cross(s0, radial)
    turned = [rotate(axis, off, np.broadcast_to(v, axis.shape)) for v in (right, down)]
    linear = np.asarray(np.stack(turned, axis=1) @ d[:, :, :2])
    return _assemble(d, size, middle, linear, "spread", np.zeros(2))


def _assemble(d: Array, size: Array, middle: Array, linear: Array, kind: str, beam: Array) -> Face:
    offset = middle - np.einsum("pij,pj->pi", linear, size / 2)
    return Face(linear, offset, size, kind, beam)


def _turned(face: Face, first: int) -> Face:
    """Turn and mirror the paper by quarters so that fast of the first panel goes right and slow down."""
    fast, slow = face.linear[first].T
    if abs(fast[0]) >= abs(fast[1]):
        turn = np.diag([np.sign(fast[0]), np.sign(slow[1]) or 1.0])
    else:
        turn = np.array([[0.0, np.sign(fast[1])], [np.sign(slow[0]) or 1.0, 0.0]])
    beam = None if face.beam is None else turn @ face.beam
    return Face(turn @ face.linear, face.offset @ turn.T, face.size, face.kind, beam)
