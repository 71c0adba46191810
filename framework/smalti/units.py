"""Units: inside smalti lengths are millimetres, angles radians, wavelengths and cells Angstrom.

Detector parameters are shown to people in the field's own units (mm and mrad); these helpers
convert at the edges, and nowhere else.
"""

from __future__ import annotations

import math

__all__ = ["MRAD", "UM", "clean_degrees", "degrees", "radians"]

MRAD = 1e-3
"""One milliradian, in radians."""

UM = 1e-3
"""One micrometre, in millimetres."""

degrees = math.degrees
radians = math.radians


def clean_degrees(angle: float) -> float:
    """Give an angle in degrees without the noise of the conversion from radians.

    ``degrees(radians(0.15))`` need not be 0.15; rounding to 12 decimals gives back every angle
    that a person or a header ever wrote, so that files survive a round trip.
    """
    return round(math.degrees(angle), 12)
