"""The beam as DIALS writes it."""

from __future__ import annotations

from typing import Any

from smalti.models import Beam, vector
from smalti.storage.places import Place

__all__ = ["read_beam", "write_beam"]

_POLYCHROMATIC = "polychromatic"


def read_beam(place: Place) -> Beam:
    """Read a beam; one of many wavelengths stands at the middle of its range."""
    fields = place.fields()
    extra: dict[str, Any] = {}
    if fields.maybe("wavelength") is None and (spread := fields.maybe("wavelength_range")) is not None:
        shortest, longest = spread.numbers(2)
        wavelength = 0.5 * (shortest + longest)
        extra["wavelength_range"] = [shortest, longest]
    else:
        wavelength = fields.number("wavelength")
    if wavelength <= 0.0:
        raise fields.at("wavelength").fail(f"a wavelength is greater than 0, not {wavelength:g}")
    direction = vector(fields.numbers("direction", 3))
    if not any(direction):
        raise fields.at("direction").fail("a direction cannot be of length 0")
    return Beam(
        direction,
        wavelength,
        fields.number("divergence", 0.0),
        fields.number("sigma_divergence", 0.0),
        vector(fields.numbers("polarization_normal", 3, (0.0, 1.0, 0.0))),
        fields.number("polarization_fraction", 0.999),
        fields.number("flux", 0.0),
        fields.number("transmission", 1.0),
        {**extra, **fields.rest()},
    )


def write_beam(beam: Beam) -> dict[str, Any]:
    """Write a beam; a polychromatic one keeps its range and has no single wavelength."""
    written: dict[str, Any] = {
        "direction": list(beam.direction),
        "wavelength": beam.wavelength,
        "divergence": beam.divergence,
        "sigma_divergence": beam.sigma_divergence,
        "polarization_normal": list(beam.polarization_normal),
        "polarization_fraction": beam.polarization_fraction,
        "flux": beam.flux,
        "transmission": beam.transmission,
        **beam.extra,
    }
    if beam.extra.get("__id__") == _POLYCHROMATIC:
        del written["wavelength"]
    return written
