"""The detector as a tree of rigid bodies: six parameters for every node down to a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.geometry.rotation import rotation, rotation_derivative, skew
from smalti.hookspecs import API, hookimpl
from smalti.models import Detector, Node
from smalti.options import option, suggest
from smalti.solution import PanelDerivatives, Parameter, Prior
from smalti.units import MRAD

SMALTI_API = API

Array = NDArray[np.float64]

_NAMES = (
    ("Dist", "mm"), ("Shift1", "mm"), ("Shift2", "mm"), ("Tau1", "mrad"), ("Tau2", "mrad"), ("Tau3", "mrad"),
)  # fmt: skip
_TO_RADIANS = np.array([1.0, 1.0, 1.0, MRAD, MRAD, MRAD])


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
        found: list[Parameter] = []
        for prefix, node in self._bodies(detector):
            label = node.name if prefix else "detector"
            found += [Parameter(prefix + name, unit, node.panels, f"{label} {name}") for name, unit in _NAMES]
        return tuple(found)

    def compose(self, detector: Detector, p: Array) -> Detector:
        """Give the detector displaced by parameters p (n,)."""
        motions = {}
        for (_, node), values in zip(self._bodies(detector), np.reshape(p, (-1, 6)), strict=True):
            motion = _motion(_frame(detector, node), values)
            motions[node.path] = (motion[:3, :3], motion[:3, 3])
        return detector.moved(motions)

    def derivatives(self, detector: Detector, p: Array) -> PanelDerivatives:
        """Give the derivatives of all panel frames at p (n,); a panel moves with all its ancestors."""
        bodies = [node for _, node in self._bodies(detector)]
        values = np.reshape(np.asarray(p, dtype=float), (-1, 6))
        motions = [_motion(_frame(detector, node), v) for node, v in zip(bodies, values, strict=True)]
        slopes = [_slopes(_frame(detector, node), v) for node, v in zip(bodies, values, strict=True)]
        chains: list[list[int]] = [[] for _ in detector.panels]  # bodies that carry a panel, root first
        for k, node in enumerate(bodies):
            for panel in node.panels:
                chains[panel].append(k)
        depth = max(map(len, chains))
        columns = np.full((len(chains), 6 * depth), -1, dtype=np.int32)
        out = np.zeros((len(chains), 6 * depth, 3, 3))
        d = _homogeneous(detector.stacked())
        for panel, chain in enumerate(chains):
            for place, k in enumerate(chain):
                before, after = np.eye(4), d[panel]
                for outer in chain[:place]:
                    before = before @ motions[outer]
                for inner in reversed(chain[place + 1 :]):
                    after = motions[inner] @ after
                at = slice(6 * place, 6 * place + 6)
                columns[panel, at] = np.arange(6 * k, 6 * k + 6)
                out[panel, at] = (before @ slopes[k] @ after)[:, :3]
        return PanelDerivatives(columns, out)

    def prior(self, detector: Detector) -> Prior:
        """Give the tolerances as a Gaussian prior about the detector as it is."""
        place, angle = self.block_place, self.block_angle
        block = np.array([place, place, place, angle, angle, angle])
        node = np.array([self.normal, self.in_plane, self.in_plane, self.turn, self.tilt, self.tilt])
        sigmas = np.concatenate([node if body.level else block for _, body in self._bodies(detector)])
        precision = sigmas**-2.0 if self.priors else np.zeros_like(sigmas)
        return Prior(np.zeros_like(sigmas), precision)

    def gauge(self, detector: Detector) -> Array:
        """Give the motions in which a parent goes one way and all its children go back, (g, n)."""
        bodies = [node for _, node in self._bodies(detector)]
        found = []
        for k, parent in enumerate(bodies):
            children = [j for j, node in enumerate(bodies) if j != k and _parent(bodies, j) == k]
            if sorted(p for j in children for p in bodies[j].panels) != sorted(parent.panels):
                continue
            for axis in range(6):
                direction = np.zeros((len(bodies), 6))
                direction[k, axis] = 1.0
                for j in children:
                    direction[j] -= _carried(_frame(detector, parent), _frame(detector, bodies[j]))[:, axis]
                found.append(direction.ravel())
        return np.array(found).reshape(-1, 6 * len(bodies))

    def _bodies(self, detector: Detector) -> list[tuple[str, Node]]:
        """List the nodes that have parameters, parents before children, with the prefix of their names."""
        level = _level_number(detector, self.level)
        bodies: list[tuple[str, Node]] = []
        for depth in range(0 if self.priors else level, level + 1):
            nodes = detector.nodes(depth)
            for number, node in enumerate(nodes, start=1):
                if node.level < depth:
                    continue  # a panel that ends above this level has had its turn
                if depth and _moves_with_parent(bodies, node):
                    continue
                prefix = (
                    "" if depth == 0 else f"Group{number}" if depth == level else f"Level{depth}Group{number}"
                )
                bodies.append((prefix, node))
        return bodies


def _level_number(detector: Detector, level: int | str) -> int:
    text = str(level).strip()
    depth = detector.depth
    if text.isdigit():
        if int(text) <= depth:
            return int(text)
        raise UsageError(
            f"The detector has no level {text}.",
            f"Its tree is {depth} deep: " + _tree(detector) + ".",
            f"Give a level from 0 to {depth}.",
        )
    if text.lower() in {"module", "modules", "panel", "panels"}:
        return depth
    named = [node.level for node in detector.walk() if node.name == text]
    if not named:
        raise UsageError(
            f"The detector has no level or node called '{text}'.",
            "Its levels: " + _tree(detector) + ".",
            suggest(text, sorted({node.name for node in detector.walk() if node.name})),
        )
    return min(named)


def _tree(detector: Detector) -> str:
    counts = [sum(node.level == level for node in detector.walk()) for level in range(detector.depth + 1)]
    return ", ".join(f"level {level} has {count} of them" for level, count in enumerate(counts))


def _moves_with_parent(bodies: Sequence[tuple[str, Node]], node: Node) -> bool:
    """Whether a node is the only child of one that already moves the same panels."""
    return any(set(body.panels) == set(node.panels) for _, body in bodies)


def _parent(bodies: Sequence[Node], j: int) -> int | None:
    path = bodies[j].path
    above = [
        k
        for k, node in enumerate(bodies)
        if len(node.path) < len(path) and path[: len(node.path)] == node.path
    ]
    return max(above, key=lambda k: bodies[k].level, default=None)


def _frame(detector: Detector, node: Node) -> Array:
    """Axes normal, fast, slow as columns and the centre of a node, (3, 4), laboratory, mm.

    The normal points away from the crystal. The centre is the mean of the centres of the panels.
    """
    d = detector.stacked()[list(node.panels)]
    sizes = np.array([(*detector.panels[k].size_mm, 2.0) for k in node.panels]) / 2.0
    centre = np.einsum("pij,pj->pi", d, sizes).mean(axis=0)
    fast, slow, normal = node.rotation.T
    return np.column_stack([normal if normal @ centre >= 0.0 else -normal, fast, slow, centre])


def _motion(frame: Array, values: Array) -> Array:
    """Rigid motion of six parameters, (4, 4): [Tau3]slow [Tau2]fast [Tau1]normal about the centre, then shifts."""
    axes, centre = frame[:, :3], frame[:, 3]
    R = np.eye(3)
    for axis, angle in zip(axes.T, values[3:] * MRAD, strict=True):
        R = rotation(axis, angle) @ R
    out = np.eye(4)
    out[:3, :3] = R
    out[:3, 3] = centre - R @ centre + axes @ values[:3]
    return out


def _slopes(frame: Array, values: Array) -> Array:
    """Derivatives of :func:`_motion` by its six parameters, (6, 4, 4)."""
    axes, centre = frame[:, :3], frame[:, 3]
    turns = [rotation(axis, angle) for axis, angle in zip(axes.T, values[3:] * MRAD, strict=True)]
    out = np.zeros((6, 4, 4))
    out[:3, :3, 3] = axes.T
    for k in range(3):
        parts = list(turns)
        parts[k] = rotation_derivative(axes[:, k], values[3 + k] * MRAD)
        dR = MRAD * parts[2] @ parts[1] @ parts[0]
        out[3 + k, :3, :3], out[3 + k, :3, 3] = dR, -dR @ centre
    return out


def _homogeneous(d: Array) -> Array:
    """Panel frames (P, 3, 3) with the row that a (4, 4) motion needs, (P, 4, 3): directions 0, points 1."""
    last = np.broadcast_to(np.array([[[0.0, 0.0, 1.0]]]), (len(d), 1, 3))
    return np.concatenate([d, last], axis=1)


def _carried(parent: Array, child: Array) -> Array:
    """How the six small motions of a parent look in the parameters of a child, (6, 6)."""
    out = np.zeros((6, 6))
    arm = child[:, 3] - parent[:, 3]
    across = child[:, :3].T
    out[:3, :3] = across @ parent[:, :3]
    out[:3, 3:] = -across @ skew(arm) @ parent[:, :3]  # omega x arm
    out[3:, 3:] = across @ parent[:, :3]
    return np.asarray(out * _TO_RADIANS / _TO_RADIANS[:, None])


@hookimpl
def smalti_detector_parameterisations() -> Sequence[type[Hierarchical]]:
    """Bring the hierarchical parameterisation."""
    return [Hierarchical]
