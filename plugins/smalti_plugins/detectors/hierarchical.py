"""The detector as a tree of rigid bodies: six parameters for every node down to a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.models import Detector
from smalti.options import option
from smalti.solution import Parameter
from smalti_plugins.detectors.building import build
from smalti_plugins.detectors.freedoms import freedoms_of
from smalti_plugins.detectors.holding import Priors, Widths
from smalti_plugins.detectors.levels import chosen
from smalti_plugins.detectors.moving import MovingBodies
from smalti_plugins.detectors.rigid_bodies import Bodies

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hierarchical(MovingBodies):
    """Every node of the detector's tree moves as a rigid body, down to a level.

    The root (level 0) moves the whole detector. A level above 0 adds the nodes of that level and of
    those between, each *relative to its parent*, with Gaussian priors from the tolerances of the
    maker: the parent takes up what its children do together, the priors keep the children from doing
    it a second time, and a panel without reflections stays where its parent puts it. Without priors
    a parent has only what its children cannot do together.

    A list (``0,2`` or ``0,Q0*``) takes exactly these levels and nodes of these names, and always the root.

    Dist is along the node's normal (away from the crystal), Shift1 and Shift2 along its fast and slow
    axes; Tau1, Tau2, Tau3 turn it about normal, fast and slow through its centre.
    """

    name: ClassVar[str] = "hierarchical"

    level: int | str = option(
        0,
        "Level of the tree to refine: 0 the whole detector, 1 what hangs below, ..., module; or a list of "
        "levels and names of nodes.",
    )
    freedoms: str = option(
        "all",
        "How nodes below the root may move: all, in_plane (Shift1, Shift2, Tau1), no_tilt, shifts, or "
        "names of parameters joined by +.",
    )
    priors: Priors = option(
        True, "Hold every node near its place by tolerances; learnt: let the data tell how wide they are."
    )
    in_plane: float | None = option(
        None,
        "Tolerance of a node's place in its own plane; none: by the detector's description.",
        unit="mm",
        gt=0,
    )
    normal: float | None = option(
        None, "Tolerance of a node's place along its normal; none: by the description.", unit="mm", gt=0
    )
    tilt: float | None = option(
        None, "Tolerance of a node's tilt out of its plane; none: by the description.", unit="mrad", gt=0
    )
    turn: float | None = option(
        None, "Tolerance of a node's rotation in its plane; none: by the description.", unit="mrad", gt=0
    )
    block_place: float = option(
        1.0, "Weak tolerance of the whole detector's place; felt only where data are few.", unit="mm", gt=0
    )
    block_angle: float = option(
        3.0, "Weak tolerance of the whole detector's angles; felt only where data are few.", unit="mrad", gt=0
    )

    def alternatives(self, detector: Detector) -> Mapping[str, Hierarchical]:
        """Give what ``level = "auto"`` chooses from, simplest first, by names for people.

        The whole detector, then for every level its nodes with all freedoms. Without priors, before that in
        their planes only: with priors nothing is gained by it, as what the data do not see is held anyway
        and its uncertainty is kept.
        """
        kinds = {"": "all"} if self.priors else {", in plane": "in_plane", "": "all"}
        out = {"level 0": replace(self, level=0, freedoms="all")}
        seen = {_moves(out["level 0"].parameters(detector))}
        for level in range(1, detector.depth + 1):
            for words, freedoms in kinds.items():
                candidate = replace(self, level=level, freedoms=freedoms)
                moves = _moves(candidate.parameters(detector))
                if moves not in seen:  # a level that adds no node has been met
                    out[f"level {level}{words}"] = candidate
                    seen.add(moves)
        return out

    def _widths(self) -> Widths:
        return Widths(self.in_plane, self.normal, self.turn, self.tilt, self.block_place, self.block_angle)

    def _bodies(self, detector: Detector) -> Bodies:
        return _bodies(detector, self.level, self.freedoms, bool(self.priors))


def _moves(parameters: Sequence[Parameter]) -> frozenset[tuple[tuple[int, ...], str]]:
    """What parameters move and how, whatever their names."""
    return frozenset((item.panels, item.label) for item in parameters)


@lru_cache(maxsize=32)
def _bodies(detector: Detector, level: int | str, freedoms: str, priors: bool) -> Bodies:
    nodes, own = chosen(detector, level), freedoms_of(freedoms)
    return build(detector, nodes, {item.node.path: own for item in nodes}, priors=priors)


@hookimpl
def smalti_detector_parameterisations() -> Sequence[type[Hierarchical]]:
    """Bring the hierarchical parameterisation."""
    return [Hierarchical]
