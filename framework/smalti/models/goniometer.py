"""The goniometer: a fixed rotation, the scan axis, a setting rotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models.frames import IDENTITY, Matrix, Vector, as_array, matrix

__all__ = ["Goniometer"]


@dataclass(frozen=True, slots=True)
class Goniometer:
    """A goniometer with one axis that turns during a scan.

    A reciprocal-lattice vector r0 = A h of the crystal at angle 0 is at
    r(phi) = S R(e, phi) F r0 in the laboratory.

    Attributes
    ----------
    rotation_axis : Vector
        e, unit vector of the scan axis with the axes that carry it at zero.
    fixed_rotation : Matrix
        F, the product of the axes between crystal and scan axis at their set angles.
    setting_rotation : Matrix
        S, the product of the axes that carry the scan axis.
    axes : tuple of Vector
        All axes of a multi-axis goniometer, crystal side first; empty when there is one axis.
    angles : tuple of float
        Their angles, radians (that of the scan axis is where the scan was set up).
    names : tuple of str
        Their names.
    scan_axis : int
        Which of ``axes`` turns.
    """

    rotation_axis: Vector = (1.0, 0.0, 0.0)
    fixed_rotation: Matrix = IDENTITY
    setting_rotation: Matrix = IDENTITY
    axes: tuple[Vector, ...] = ()
    angles: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    scan_axis: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def multi_axis(
        cls,
        axes: tuple[Vector, ...],
        angles: tuple[float, ...],
        names: tuple[str, ...],
        scan_axis: int,
        extra: Mapping[str, Any] | None = None,
    ) -> Goniometer:
        """Build a goniometer from its axes (crystal side first) and their angles in radians."""
        fixed, setting = np.eye(3), np.eye(3)
        for k, (axis, angle) in enumerate(zip(axes, angles, strict=True)):
            if k < scan_axis:
                fixed = _rotation(axis, angle) @ fixed
            elif k > scan_axis:
                setting = _rotation(axis, angle) @ setting
        return cls(
            axes[scan_axis], matrix(fixed), matrix(setting), axes, angles, names, scan_axis, extra or {}
        )

    @property
    def F(self) -> NDArray[np.float64]:
        """The fixed rotation, (3, 3)."""
        return as_array(self.fixed_rotation)

    @property
    def S(self) -> NDArray[np.float64]:
        """The setting rotation, (3, 3)."""
        return as_array(self.setting_rotation)

    @property
    def axis(self) -> NDArray[np.float64]:
        """The scan axis in its own frame (before the setting rotation), unit vector (3,)."""
        axis = np.array(self.rotation_axis)
        return np.asarray(axis / np.linalg.norm(axis))

    @property
    def laboratory_axis(self) -> NDArray[np.float64]:
        """The scan axis in the laboratory, unit vector (3,)."""
        return np.asarray(self.S @ self.axis)


def _rotation(axis: Vector, angle: float) -> NDArray[np.float64]:
    """Rodrigues' formula for one axis; models may not import the geometry above them."""
    e = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0.0, -e[2], e[1]], [e[2], 0.0, -e[0]], [-e[1], e[0], 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross)
