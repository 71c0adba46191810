"""The incident beam as a function of three parameters: Mu1, Mu2 (mrad) and nu (1/Angstrom)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.rotation import rotation, rotation_derivative
from smalti.units import MRAD

__all__ = ["BEAM_PARAMETERS", "beam_axes", "beam_derivatives", "compose_beam"]

Array = NDArray[np.float64]

BEAM_PARAMETERS = (("Mu1", "mrad"), ("Mu2", "mrad"), ("nu", "1/Angstrom"))
"""Name and unit of each parameter."""


def beam_axes(s0: ArrayLike, spindle: ArrayLike) -> tuple[Array, Array]:
    """Give the axes about which Mu1 and Mu2 turn the beam, two unit vectors (3,).

    Mu1 turns about the normal of s0 in the plane of beam and spindle: it has the effect of turning
    everything about the spindle, which no experiment can see. Mu2 turns about s0 x spindle
    [Waterman et al. 2016, Acta Cryst. D72, 558, section on the beam].
    """
    s0 = np.asarray(s0, dtype=float)
    normal = np.cross(s0, np.asarray(spindle, dtype=float))
    if np.linalg.norm(normal) < 1e-9 * np.linalg.norm(s0):  # a spindle along the beam: any pair will do
        normal = np.cross(s0, np.eye(3)[np.argmin(np.abs(s0))])
    second = normal / np.linalg.norm(normal)
    first = np.cross(second, s0)
    return first / np.linalg.norm(first), second


def compose_beam(s0: ArrayLike, spindle: ArrayLike, p: ArrayLike) -> Array:
    """Give the wave vector s0 (3,) 1/Angstrom displaced by p = (Mu1, Mu2, change of nu)."""
    start = np.asarray(s0, dtype=float)
    mu1, mu2, nu = np.asarray(p, dtype=float)
    first, second = beam_axes(start, spindle)
    unit = rotation(second, mu2 * MRAD) @ rotation(first, mu1 * MRAD) @ start / np.linalg.norm(start)
    return np.asarray((np.linalg.norm(start) + nu) * unit)


def beam_derivatives(s0: ArrayLike, spindle: ArrayLike, p: ArrayLike) -> Array:
    """Give d(s0)/dp (3, 3): row k is the derivative with respect to parameter k."""
    start = np.asarray(s0, dtype=float)
    mu1, mu2, nu = np.asarray(p, dtype=float)
    first, second = beam_axes(start, spindle)
    unit = start / np.linalg.norm(start)
    length = np.linalg.norm(start) + nu
    R1, R2 = rotation(first, mu1 * MRAD), rotation(second, mu2 * MRAD)
    return np.stack(
        [
            length * MRAD * (R2 @ rotation_derivative(first, mu1 * MRAD) @ unit),
            length * MRAD * (rotation_derivative(second, mu2 * MRAD) @ R1 @ unit),
            R2 @ R1 @ unit,
        ]
    )
