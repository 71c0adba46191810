"""The crystal as DIALS writes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalti.models import Crystal, matrix, vector
from smalti.storage.places import Place

__all__ = ["read_crystal", "write_crystal"]

_AXES = ("real_space_a", "real_space_b", "real_space_c")


def read_crystal(place: Place) -> Crystal:
    """Read a crystal; mosaicity, covariances and the like are carried in ``extra``."""
    fields = place.fields()
    a, b, c = (vector(fields.numbers(key, 3)) for key in _AXES)
    sides = np.linalg.norm([a, b, c], axis=1)
    if abs(np.linalg.det([a, b, c])) <= 1e-6 * float(np.prod(sides)):
        raise place.fail("real_space_a, b and c lie in a plane and span no cell")
    symbol = fields.text("space_group_hall_symbol", " P 1")
    points = fields.maybe("A_at_scan_points")
    varying = () if points is None else tuple(matrix(item.numbers(9)) for item in points.items())
    return Crystal((a, b, c), symbol, varying, fields.rest())


def write_crystal(crystal: Crystal) -> dict[str, Any]:
    """Write a crystal."""
    written: dict[str, Any] = {"__id__": "crystal"}
    written |= {key: list(axis) for key, axis in zip(_AXES, crystal.real_space, strict=True)}
    written["space_group_hall_symbol"] = crystal.space_group
    if crystal.scan_points:
        written["A_at_scan_points"] = [list(point) for point in crystal.scan_points]
    return {**written, **crystal.extra}
