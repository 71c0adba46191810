"""Each panel by a choice of its own."""

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
from smalti_plugins.detectors.holding import Priors, Widths
from smalti_plugins.detectors.levels import deepest
from smalti_plugins.detectors.moving import MovingBodies
from smalti_plugins.detectors.rigid_bodies import Bodies
from smalti_plugins.detectors.tables import freedoms_by_panel

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PerPanel(MovingBodies):
    """A table says what each panel may do; the detector as a whole has all six freedoms.

    A row is ``panels: freedoms``, rows are parted by semicolons. Panels are numbers, ranges and names, or
    ``others``. Freedoms are all, in_plane (Shift1, Shift2, Tau1), no_tilt (Dist besides), shifts, fixed, or
    names of parameters joined by ``+``. What is fixed moves with the detector.
    """

    name: ClassVar[str] = "per_panel"

    panels: str = option("others: all", "The table: 3,7-9: all; 12: fixed; others: in_plane.", min_length=1)
    priors: Priors = option(
        True, "Hold every panel near its place by tolerances; learnt: let the data tell how wide they are."
    )
    in_plane: float | None = option(
        None,
        "Tolerance of a panel's place in its own plane; none: by the detector's description.",
        unit="mm",
        gt=0,
    )
    normal: float | None = option(
        None, "Tolerance of a panel's place along its normal; none: by the description.", unit="mm", gt=0
    )
    tilt: float | None = option(
        None, "Tolerance of a panel's tilt out of its plane; none: by the description.", unit="mrad", gt=0
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
        return Widths(self.in_plane, self.normal, self.turn, self.tilt, self.block_place, self.block_angle)

    def _bodies(self, detector: Detector) -> Bodies:
        return _bodies(detector, self.panels, bool(self.priors))


@lru_cache(maxsize=32)
def _bodies(detector: Detector, table: str, priors: bool) -> Bodies:
    freedoms = freedoms_by_panel(detector, table)
    nodes = deepest(detector)
    chosen = {item.node.path: freedoms[item.node.panels[0]] for item in nodes if item.node.group is None}
    chosen[()] = ()
    return build(detector, nodes, chosen, priors=priors)


@hookimpl
def smalti_detector_parameterisations() -> Sequence[type[PerPanel]]:
    """Bring the parameterisation with a table of panels."""
    return [PerPanel]
