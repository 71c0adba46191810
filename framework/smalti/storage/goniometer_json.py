"""The goniometer as DIALS writes it: one axis with two rotations, or a chain of axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalti.models import IDENTITY, Goniometer, matrix, vector
from smalti.storage.places import Fields, Place
from smalti.units import clean_degrees, radians

__all__ = ["read_goniometer", "write_goniometer"]


def read_goniometer(place: Place) -> Goniometer:
    """Read a goniometer; a chain of axes is known by its key ``axes``."""
    fields = place.fields()
    if "axes" in fields:
        return _read_chain(fields)
    axis = vector(fields.numbers("rotation_axis", 3))
    if not any(axis):
        raise fields.at("rotation_axis").fail("an axis cannot be of length 0")
    # Files of old versions have no setting rotation: there was none.
    return Goniometer(
        axis,
        matrix(fields.numbers("fixed_rotation", 9, IDENTITY)),
        matrix(fields.numbers("setting_rotation", 9, IDENTITY)),
        extra=fields.rest(),
    )


def _read_chain(fields: Fields) -> Goniometer:
    axes = tuple(vector(item.numbers(3)) for item in fields.at("axes").items())
    if not axes or not all(any(axis) for axis in axes):
        raise fields.at("axes").fail("at least one axis is needed, and none of length 0")
    angles = fields.at("angles").numbers(len(axes))
    names = fields.at("names").texts(len(axes))
    scan_axis = fields.integer("scan_axis")
    if not 0 <= scan_axis < len(axes):
        raise fields.at("scan_axis").fail(f"there is no axis {scan_axis}; they are 0 to {len(axes) - 1}")
    return Goniometer.multi_axis(axes, tuple(radians(a) for a in angles), names, scan_axis, fields.rest())


def write_goniometer(goniometer: Goniometer) -> dict[str, Any]:
    """Write a goniometer, as a chain of axes where it is one."""
    if goniometer.axes and _is_its_chain(goniometer):
        return {
            "axes": [list(axis) for axis in goniometer.axes],
            "angles": [clean_degrees(angle) for angle in goniometer.angles],
            "names": list(goniometer.names),
            "scan_axis": goniometer.scan_axis,
            **goniometer.extra,
        }
    return {
        "rotation_axis": list(goniometer.rotation_axis),
        "fixed_rotation": list(goniometer.fixed_rotation),
        "setting_rotation": list(goniometer.setting_rotation),
        **goniometer.extra,
    }


def _is_its_chain(goniometer: Goniometer) -> bool:
    """Tell whether the rotations are still those that follow from the chain of axes.

    A chain is written without its rotations, so one whose rotations were changed since (a refined
    axis, say) has to be written as a single axis or the change would be lost.
    """
    chain = Goniometer.multi_axis(goniometer.axes, goniometer.angles, goniometer.names, goniometer.scan_axis)
    pairs = (
        (chain.rotation_axis, goniometer.rotation_axis),
        (chain.fixed_rotation, goniometer.fixed_rotation),
        (chain.setting_rotation, goniometer.setting_rotation),
    )
    return all(np.allclose(one, other, rtol=0.0, atol=1e-12) for one, other in pairs)
