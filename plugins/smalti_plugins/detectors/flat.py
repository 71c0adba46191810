"""The whole detector as one flat piece, turned about the foot of the perpendicular from the crystal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.hookspecs import API, hookimpl
from smalti.models import Detector
from smalti.options import option
from smalti.text import plural
from smalti_plugins.detectors.holding import Widths
from smalti_plugins.detectors.moving import MovingBodies
from smalti_plugins.detectors.rigid_bodies import Bodies, Body, panel_middles

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Flat(MovingBodies):
    """Six parameters in all: every panel keeps its place in one moving frame.

    The frame is that of one panel. Dist is along its normal, Shift1 and Shift2 along its fast and slow
    axes; Tau1 turns about its normal through the crystal, Tau2 and Tau3 about its fast and slow through
    the foot P0 of the perpendicular from the crystal to its plane:

        x -> P0 + Dist normal + [Tau3]slow [Tau2]fast [Tau1]normal (x + Shift1 fast + Shift2 slow - P0)

    This is the flat detector of DIALS (Waterman et al. 2016, Acta Cryst. D72, 558), which takes the panel
    whose centre is nearest to the beam. The geometries reached are those of the hierarchical
    parameterisation at level 0; the parameters mean something else: a Tau2 or Tau3 does not move the
    foot, so that tilts and distance hardly depend on one another.
    """

    name: ClassVar[str] = "flat"

    frame_panel: int | None = option(
        None,
        "Number of the panel whose frame is used; none: the one with the foot of the perpendicular nearest "
        "to its centre.",
        ge=0,
    )
    priors: bool = option(True, "Hold the detector weakly near its place; felt only where data are few.")
    block_place: float = option(1.0, "Weak tolerance of the detector's place.", unit="mm", gt=0)
    block_angle: float = option(3.0, "Weak tolerance of the detector's angles.", unit="mrad", gt=0)

    def _widths(self) -> Widths:
        return Widths(None, None, None, None, self.block_place, self.block_angle)

    def _bodies(self, detector: Detector) -> Bodies:
        return _bodies(detector, self.frame_panel)


@lru_cache(maxsize=32)
def _bodies(detector: Detector, frame_panel: int | None) -> Bodies:
    if frame_panel is not None and frame_panel >= len(detector):
        raise UsageError(
            f"There is no panel {frame_panel} whose frame could be used.",
            f"The detector has {plural(len(detector), 'panel')}, counted from 0.",
            f"Give flat.frame_panel from 0 to {len(detector) - 1}, or leave it out.",
        )
    d = detector.stacked()
    fast, slow = d[:, :, 0], d[:, :, 1]
    normal = np.cross(fast, slow)
    feet = np.einsum("pi,pi->p", normal, d[:, :, 2])[:, None] * normal
    if frame_panel is None:
        frame_panel = int(np.argmin(np.linalg.norm(panel_middles(detector) - feet, axis=1)))
    away = normal[frame_panel] * (1.0 if normal[frame_panel] @ d[frame_panel, :, 2] >= 0.0 else -1.0)
    axes = np.column_stack([away, fast[frame_panel], slow[frame_panel]])
    root = next(iter(detector.walk()))
    return Bodies.of([Body("", root, axes, feet[frame_panel], tuple(range(6)), True)], len(detector))


@hookimpl
def smalti_detector_parameterisations() -> Sequence[type[Flat]]:
    """Bring the flat parameterisation."""
    return [Flat]
