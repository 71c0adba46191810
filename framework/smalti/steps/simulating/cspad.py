"""A detector like the CS-PAD: quadrants, sensors and ASICs, which are no grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation
from smalti.models import Detector, Group, Panel, vector

__all__ = ["CSPAD", "SENSOR_LEVEL", "cspad"]

Array = NDArray[np.float64]

CSPAD = "CS-PAD"
"""The name by which the layout is asked for."""

SENSOR_LEVEL = 2
"""Level of the tree at which the sensors are: root, quadrants, sensors, ASICs."""

# Sizes and numbers are those of the header of a CS-PAD image in CBF (Hart et al. 2012, Proc. SPIE 8504,
# 85040C describe the detector). Between the two ASICs of a sensor lie wide pixels, which are left out.
_PIXEL = 0.10992
_ASIC = (194, 185)
_BETWEEN = 3 * _PIXEL
_QUADRANTS, _SENSORS = 4, 8
# mm: from sensor to sensor of a pair, from pair to pair of a quadrant, from the middle of the detector to
# that of a quadrant, and how far quadrants are set off to leave a hole for the beam.
_SENSOR_PITCH, _PAIR_PITCH, _QUADRANT_PITCH, _HOLE = 23.1, 46.6, 46.6, 5.0
_TURN_OF_A_CORNER = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))


def cspad(distance: float, beam_centre: tuple[float, float] | None, thickness: float, mu: float) -> Detector:
    """Make a CS-PAD perpendicular to a beam along -z: four quadrants of eight sensors of two ASICs.

    Quadrants follow one another by turns of 90 degrees about the middle, and so do the four pairs of
    sensors of a quadrant about its own.

    Parameters
    ----------
    distance : float
        mm.
    beam_centre : (fast, slow) px, optional
        Where the beam meets the detector, from its middle.
    thickness, mu : float
        Of the sensor, mm and 1/mm.
    """
    x, y = (value * _PIXEL for value in beam_centre or (0.0, 0.0))
    panels: list[Panel] = []
    quadrants = []
    for q in range(_QUADRANTS):
        sensors = []
        for s in range(_SENSORS):
            first = len(panels)
            panels += [_asic(q, s, a, thickness, mu) for a in range(2)]
            sensors.append(_group(f"Q{q}S{s}", *_place_of_sensor(s), (first, first + 1)))
        turn = rotation((0.0, 0.0, 1.0), q * np.pi / 2.0)
        middle = turn @ (_QUADRANT_PITCH + _HOLE, _QUADRANT_PITCH - _HOLE, 0.0)
        quadrants.append(_group(f"Q{q}", turn, middle, sensors))
    facing = np.diag([1.0, -1.0, -1.0])
    return Detector(tuple(panels), _group("Detector", facing, np.array([-x, y, -distance]), quadrants))


def _asic(q: int, s: int, a: int, thickness: float, mu: float) -> Panel:
    width, height = (n * _PIXEL for n in _ASIC)
    x = 0.5 * _BETWEEN if a else -0.5 * _BETWEEN - width
    return Panel(
        f"Q{q}S{s}A{a}", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (x, -0.5 * height, 0.0), _ASIC, (_PIXEL, _PIXEL),
        window=(a * _ASIC[0], (q * _SENSORS + s) * _ASIC[1]), thickness=thickness, material="Si", mu=mu,
        parallax=True,
    )  # fmt: skip


def _place_of_sensor(s: int) -> tuple[Array, Array]:
    """Axes and middle of a sensor in the frame of its quadrant."""
    pair, upper = divmod(s, 2)
    turn = rotation((0.0, 0.0, 1.0), pair * np.pi / 2.0)
    middle = 0.5 * _PAIR_PITCH * np.array([*_TURN_OF_A_CORNER[pair], 0.0])
    return turn, middle + turn @ (0.0, (upper - 0.5) * _SENSOR_PITCH, 0.0)


def _group(name: str, axes: Array, origin: Array, children: Sequence[Group | int]) -> Group:
    return Group(name, vector(axes[:, 0]), vector(axes[:, 1]), vector(origin), tuple(children))
