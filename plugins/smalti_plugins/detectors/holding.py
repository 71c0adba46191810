"""What holds bodies near their places: tolerances of the detector, or what the user says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from smalti.models import Detector, tolerances
from smalti.solution import Prior
from smalti.units import MRAD
from smalti_plugins.detectors.rigid_bodies import Bodies

__all__ = ["Priors", "Widths", "hold"]

Priors = bool | Literal["learnt"]
"""Whether priors hold the bodies; "learnt" lets the data widen or narrow them."""

_KINDS = ("along the normal", "in plane", "in plane", "turn", "tilt", "tilt")
"""Which of the six share one width."""


@dataclass(frozen=True, slots=True)
class Widths:
    """What the user says of tolerances: None leaves it to the detector's description; mm and mrad."""

    in_plane: float | None
    normal: float | None
    turn: float | None
    tilt: float | None
    block_place: float
    block_angle: float


def hold(detector: Detector, bodies: Bodies, widths: Widths, priors: Priors) -> Prior:
    """Give the prior of the parameters of bodies: about zero, each body by itself."""
    if not priors:
        return Prior(np.zeros(bodies.n), np.zeros(bodies.n))
    known = tolerances(detector)
    place, angle = widths.block_place, widths.block_angle
    sigmas: list[float] = []
    groups: list[str] = []
    for body in bodies.items:
        path = body.node.path
        six = (place, place, place, angle, angle, angle)
        if path:
            mount = known[path]
            in_plane = widths.in_plane or mount.in_plane
            tilt = widths.tilt or mount.tilt / MRAD
            turn = widths.turn or mount.turn / MRAD
            six = (widths.normal or mount.normal, in_plane, in_plane, turn, tilt, tilt)
        sigmas += [six[k] for k in body.freedoms]
        groups += [f"level {len(path)}, {_KINDS[k]}" if path else "" for k in body.freedoms]
    return Prior(np.zeros(bodies.n), np.array(sigmas) ** -2.0, tuple(groups), priors == "learnt")
