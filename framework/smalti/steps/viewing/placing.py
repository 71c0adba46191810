"""Where panels are drawn: on the raw image, or at their true places in the laboratory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.models import Beam, Detector
from smalti.steps.reporting.face import Face, face_of

__all__ = ["Layout", "image_layout", "laboratory_layout", "same_paper"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """One way of drawing a detector.

    Pixel position (x, y) of panel p is drawn at linear[p] @ (x, y) + offset[p], in pixels of the view.

    Attributes
    ----------
    linear : (P, 2, 2)
    offset : (P, 2)
    size : (2,)
        Width and height of the view; it begins at 0, 0.
    windows : (P, 4)
        First fast and slow pixel on the raw frame, width and height of each panel.
    kind : str
        "image", or how the laboratory is projected: "flat", "unrolled", "spread".
    beam : (2,) or None
        Where the direct beam meets the view.
    """

    linear: Array
    offset: Array
    size: Array
    windows: NDArray[np.intp]
    kind: str
    beam: Array | None

    def place(self, panel: NDArray[np.intp], px: Array) -> Array:
        """Places on the view (N, 2) of pixel positions (N, 2) on panels (N,)."""
        return np.asarray(np.einsum("nij,nj->ni", self.linear[panel], px) + self.offset[panel])

    def corners(self) -> Array:
        """Outlines of the panels on the view, (P, 4, 2)."""
        unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        points = unit[None] * self.windows[:, None, 2:]
        return np.asarray(np.einsum("pij,pcj->pci", self.linear, points) + self.offset[:, None])


def image_layout(detector: Detector, size: tuple[int, int]) -> Layout:
    """Draw the raw image of this size (fast, slow) as it is."""
    windows = _windows(detector)
    linear = np.broadcast_to(np.eye(2), (len(windows), 2, 2))
    return Layout(linear, windows[:, :2].astype(float), np.array(size, dtype=float), windows, "image", None)


def laboratory_layout(detector: Detector, beam: Beam) -> Layout:
    """Draw each panel at its true place, in pixels of the median size."""
    face = face_of(detector, beam)
    left, top, right, bottom = face.bounds()
    return _laid(face, detector, np.array([left, top]), np.array([right - left, bottom - top]))


def same_paper(drawn: Detector, beam: Beam, other: Detector) -> Layout:
    """Draw another geometry of a detector on the paper of the first, so that only what moved differs.

    A displacement is resolved along fast and slow of the panel as drawn, and these have their place on
    the paper; what is along the panel's normal cannot be seen there.
    """
    face = face_of(drawn, beam)
    left, top, right, bottom = face.bounds()
    a, b = drawn.stacked(), other.stacked()
    basis = a[:, :, :2].transpose(0, 2, 1)
    turn = basis @ b[:, :, :2]
    shift = np.einsum("pij,pj->pi", basis, b[:, :, 2] - a[:, :, 2])
    moved = Face(
        np.asarray(face.linear @ turn),
        np.asarray(face.offset + np.einsum("pij,pj->pi", face.linear, shift)),
        face.size,
        face.kind,
        face.beam,
    )
    return _laid(moved, drawn, np.array([left, top]), np.array([right - left, bottom - top]))


def _laid(face: Face, detector: Detector, corner: Array, extent: Array) -> Layout:
    pixel = np.array([panel.pixel_size for panel in detector.panels])
    unit = float(np.median(pixel))
    return Layout(
        np.asarray(face.linear * pixel[:, None, :] / unit),
        np.asarray((face.offset - corner) / unit),
        np.asarray(extent / unit),
        _windows(detector),
        face.kind,
        None if face.beam is None else np.asarray((face.beam - corner) / unit),
    )


def _windows(detector: Detector) -> NDArray[np.intp]:
    return np.array([(*panel.window, *panel.image_size) for panel in detector.panels], dtype=np.intp)
