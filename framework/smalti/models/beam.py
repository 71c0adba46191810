"""The incident beam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models.frames import Vector

__all__ = ["Beam"]


@dataclass(frozen=True, slots=True)
class Beam:
    """A monochromatic incident beam.

    Attributes
    ----------
    direction : Vector
        Unit vector from the sample *to the source*, laboratory frame.
    wavelength : float
        Angstrom.
    divergence, sigma_divergence : float
        Radians.
    polarization_normal : Vector
        Unit normal of the plane of polarisation.
    polarization_fraction, flux, transmission : float
        As in the header.
    extra : Mapping
        Keys of the file that smalti does not use, carried through.
    """

    direction: Vector = (0.0, 0.0, 1.0)
    wavelength: float = 1.0
    divergence: float = 0.0
    sigma_divergence: float = 0.0
    polarization_normal: Vector = (0.0, 1.0, 0.0)
    polarization_fraction: float = 0.999
    flux: float = 0.0
    transmission: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def unit_s0(self) -> NDArray[np.float64]:
        """Unit vector along the incident beam, (3,)."""
        direction = -np.array(self.direction)
        return np.asarray(direction / np.linalg.norm(direction))

    @property
    def s0(self) -> NDArray[np.float64]:
        """Incident wave vector, (3,) 1/Angstrom, length 1/wavelength."""
        return np.asarray(self.unit_s0 / self.wavelength)
