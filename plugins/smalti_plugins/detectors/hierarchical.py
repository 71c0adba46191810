"""The detector as a tree of rigid bodies: six parameters for every node down to a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.models import Detector
from smalti.options import option
from smalti.solution import PanelDerivatives, Parameter, Prior
from smalti_plugins.detectors.levels import level_number
from smalti_plugins.detectors.rigid_bodies import SIX, Body, bodies, carried, motion, slopes

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Hierarchical:
    """Every node of the detector's tree moves as a rigid body, down to a level.

    The root (level 0) moves the whole detector. A level above 0 adds the nodes of that level and of
    those between, each *relative to its parent*, with Gaussian priors from the tolerances of the
    maker: the parent takes up what its children do together, the priors keep the children from doing
    it a second time, and a panel without reflections stays where its parent puts it. Without priors
    only the nodes of the level itself have parameters.

    Dist is along the node's normal (away from the crystal), Shift1 and Shift2 along its fast and slow
    axes; Tau1, Tau2, Tau3 turn it about normal, fast and slow through its centre.
    """

    name: ClassVar[str] = "hierarchical"

    level: int | str = option(
        0, "Level of the tree to refine: 0 the whole detector, 1 what hangs below, ..., or a node's name."
    )
    priors: bool = option(True, "Hold every node near its place by mechanical tolerances.")
    in_plane: float = option(0.2, "Tolerance of a node's place in its own plane.", unit="mm", gt=0)
    normal: float = option(0.05, "Tolerance of a node's place along its normal.", unit="mm", gt=0)
    tilt: float = option(0.3, "Tolerance of a node's tilt out of its plane.", unit="mrad", gt=0)
    turn: float = option(1.0, "Tolerance of a node's rotation in its plane.", unit="mrad", gt=0)
    block_place: float = option(
        1.0, "Weak tolerance of the whole detector's place; felt only where data are few.", unit="mm", gt=0
    )
    block_angle: float = option(
        3.0, "Weak tolerance of the whole detector's angles; felt only where data are few.", unit="mrad", gt=0
    )

    def parameters(self, detector: Detector) -> tuple[Parameter, ...]:
        """Name the parameters: Dist ... Tau3 of the root, Group12Dist ... of the nodes of the level."""
        return tuple(
            Parameter(
                body.prefix + name, unit, body.panels, f"{body.name if body.level else 'detector'} {name}"
            )
            for body in self._bodies(detector)
            for name, unit in SIX
        )

    def compose(self, detector: Detector, p: Array) -> Detector:
        """Give the detector displaced by parameters p (n,)."""
        motions = {}
        for body, values in zip(self._bodies(detector), np.reshape(p, (-1, 6)), strict=True):
            moved = motion(body, values)
            motions[body.path] = (moved[:3, :3], moved[:3, 3])
        return detector.moved(motions)

    def derivatives(self, detector: Detector, p: Array) -> PanelDerivatives:
        """Give the derivatives of all panel frames at p (n,); a panel moves with all its ancestors."""
        found = self._bodies(detector)
        values = np.reshape(np.asarray(p, dtype=float), (-1, 6))
        motions = [motion(body, v) for body, v in zip(found, values, strict=True)]
        by_own = [slopes(body, v) for body, v in zip(found, values, strict=True)]
        chains: list[list[int]] = [[] for _ in detector.panels]  # the bodies that carry a panel, root first
        for k, body in enumerate(found):
            for panel in body.panels:
                chains[panel].append(k)
        depth = max(map(len, chains))
        columns = np.full((len(chains), 6 * depth), -1, dtype=np.int32)
        out = np.zeros((len(chains), 6 * depth, 3, 3))
        for panel, (chain, d) in enumerate(zip(chains, detector.stacked(), strict=True)):
            after = np.vstack([d, [0.0, 0.0, 1.0]])  # fast and slow are directions, the origin is a point
            for place in reversed(range(len(chain))):
                k = chain[place]
                changed = by_own[k] @ after
                for outer in reversed(chain[:place]):
                    changed = motions[outer] @ changed
                at = slice(6 * place, 6 * place + 6)
                columns[panel, at] = np.arange(6 * k, 6 * k + 6)
                out[panel, at] = changed[:, :3]
                after = motions[k] @ after
        return PanelDerivatives(columns, out)

    def prior(self, detector: Detector) -> Prior:
        """Give the tolerances as a Gaussian prior about the detector as it is."""
        place, angle = self.block_place, self.block_angle
        block = np.array([place, place, place, angle, angle, angle])
        node = np.array([self.normal, self.in_plane, self.in_plane, self.turn, self.tilt, self.tilt])
        sigmas = np.concatenate([node if body.level else block for body in self._bodies(detector)])
        precision = sigmas**-2.0 if self.priors else np.zeros_like(sigmas)
        return Prior(np.zeros_like(sigmas), precision)

    def gauge(self, detector: Detector) -> Array:
        """Give the motions in which a parent goes one way and all its children go back, (g, n)."""
        found = self._bodies(detector)
        directions = []
        for k, parent in enumerate(found):
            children = [j for j in range(len(found)) if _parent(found, j) == k]
            if {p for j in children for p in found[j].panels} != set(parent.panels):
                continue
            for axis in range(6):
                direction = np.zeros((len(found), 6))
                direction[k, axis] = 1.0
                for j in children:
                    direction[j] = -carried(parent, found[j])[:, axis]
                directions.append(direction.ravel())
        return np.array(directions).reshape(-1, 6 * len(found))

    def _bodies(self, detector: Detector) -> tuple[Body, ...]:
        return bodies(detector, level_number(detector, self.level), self.priors)


def _parent(found: Sequence[Body], j: int) -> int | None:
    """The nearest body above another in the tree."""
    path = found[j].path
    above = [k for k, body in enumerate(found) if k != j and path[: len(body.path)] == body.path]
    return max(above, key=lambda k: found[k].level, default=None)


@hookimpl
def smalti_detector_parameterisations() -> Sequence[type[Hierarchical]]:
    """Bring the hierarchical parameterisation."""
    return [Hierarchical]
