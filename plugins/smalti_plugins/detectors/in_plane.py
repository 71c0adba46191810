"""Panels that move in their own planes only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.models import Detector
from smalti.options import option
from smalti_plugins.detectors.building import build
from smalti_plugins.detectors.freedoms import IN_PLANE
from smalti_plugins.detectors.holding import Priors, Widths
from smalti_plugins.detectors.levels import deepest
from smalti_plugins.detectors.moving import MovingBodies
from smalti_plugins.detectors.rigid_bodies import Bodies

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class InPlane(MovingBodies):
    """Shift1, Shift2 and Tau1 of every panel, and all six of the detector as a whole.

    These three are what reflections see of a panel to first order: its distance and its tilts act
    through obliquity and curvature only, and need thousands of spots. Where panels are known to lie
    flat, this is all there is to find.
    """

    name: ClassVar[str] = "in_plane"

    priors: Priors = option(
        True, "Hold every panel near its place by tolerances; learnt: let the data tell how wide they are."
    )
    in_plane: float | None = option(
        None,
        "Tolerance of a panel's place in its own plane; none: by the detector's description.",
        unit="mm",
        gt=0,
    )
    turn: float | None = option(
        None, "Tolerance of a panel's rotation in its plane; none: by the description.", unit="mrad", gt=0
    )
    block_place: float = option(
        1.0, "Weak tolerance of the whole detector's place; felt only where data are few.", unit="mm", gt=0
    )
    block_angle: float = option(
        3.0, "Weak tolerance of the whole detector's angles; felt only where data are few.", unit="mrad", gt=0
    )

    def _widths(self) -> Widths:
        return Widths(self.in_plane, None, self.turn, None, self.block_place, self.block_angle)

    def _bodies(self, detector: Detector) -> Bodies:
        return _bodies(detector, bool(self.priors))


@lru_cache(maxsize=32)
def _bodies(detector: Detector, priors: bool) -> Bodies:
    nodes = deepest(detector)
    return build(detector, nodes, {item.node.path: IN_PLANE for item in nodes}, priors=priors)


@hookimpl
def smalti_detector_parameterisations() -> Sequence[type[InPlane]]:
    """Bring the parameterisation of panels in their planes."""
    return [InPlane]
