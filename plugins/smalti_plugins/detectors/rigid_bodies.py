"""Rigid bodies in a detector's tree, and how six numbers move them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation, rotation_derivative, skew
from smalti.models import Detector, Node
from smalti.units import MRAD

__all__ = ["SIX", "Body", "bodies", "carried", "motion", "slopes"]

Array = NDArray[np.float64]

SIX = (
    ("Dist", "mm"), ("Shift1", "mm"), ("Shift2", "mm"), ("Tau1", "mrad"), ("Tau2", "mrad"), ("Tau3", "mrad"),
)  # fmt: skip
"""Name and unit of the parameters of a body."""

_TO_RADIANS = np.array([1.0, 1.0, 1.0, MRAD, MRAD, MRAD])


@dataclass(frozen=True, eq=False)
class Body:
    """A node of the tree that has parameters.

    Attributes
    ----------
    prefix : str
        Of the names of its parameters: "" for the root, "Group12" for nodes of the level asked for.
    path, level, name, panels
        As in :class:`smalti.models.Node`.
    axes : (3, 3)
        Columns normal (away from the crystal), fast, slow, laboratory.
    centre : (3,) mm
        Mean of the centres of its panels, laboratory.
    """

    prefix: str
    path: tuple[int, ...]
    level: int
    name: str
    panels: tuple[int, ...]
    axes: Array
    centre: Array


@lru_cache(maxsize=32)
def bodies(detector: Detector, level: int, joint: bool) -> tuple[Body, ...]:
    """List the bodies of a detector, parents before children.

    Parameters
    ----------
    level : int
    joint : bool
        Whether all levels from the root down take part, or the nodes at ``level`` only.
    """
    d = detector.stacked()
    middles = np.array([d[k] @ (w / 2.0, h / 2.0, 1.0) for k, (w, h) in enumerate(_sizes(detector))])
    found: list[Body] = []
    for depth in range(0 if joint else level, level + 1):
        for number, node in enumerate(detector.nodes(depth), start=1):
            if joint and (node.level < depth or any(set(b.panels) == set(node.panels) for b in found)):
                continue  # it moves already: a panel that ends above, or the only child of its parent
            prefix = f"Group{number}" if depth == level else f"Level{depth}Group{number}"
            found.append(_body(node, prefix if depth else "", middles))
    return tuple(found)


def _sizes(detector: Detector) -> list[tuple[float, float]]:
    return [panel.size_mm for panel in detector.panels]


def _body(node: Node, prefix: str, middles: Array) -> Body:
    centre = middles[list(node.panels)].mean(axis=0)
    fast, slow, normal = node.rotation.T
    axes = np.column_stack([normal if normal @ centre >= 0.0 else -normal, fast, slow])
    return Body(prefix, node.path, node.level, node.name, node.panels, axes, centre)


def motion(body: Body, values: Array) -> Array:
    """Give the rigid motion (4, 4) of six parameters.

    [Tau3]slow [Tau2]fast [Tau1]normal about the centre, then Dist, Shift1, Shift2 along normal, fast, slow.
    """
    R = np.eye(3)
    for axis, angle in zip(body.axes.T, values[3:] * MRAD, strict=True):
        R = rotation(axis, angle) @ R
    out = np.eye(4)
    out[:3, :3] = R
    out[:3, 3] = body.centre - R @ body.centre + body.axes @ values[:3]
    return out


def slopes(body: Body, values: Array) -> Array:
    """Give the derivatives of :func:`motion` by its six parameters, (6, 4, 4)."""
    turns = [rotation(axis, angle) for axis, angle in zip(body.axes.T, values[3:] * MRAD, strict=True)]
    out = np.zeros((6, 4, 4))
    out[:3, :3, 3] = body.axes.T
    for k in range(3):
        parts = list(turns)
        parts[k] = MRAD * rotation_derivative(body.axes[:, k], values[3 + k] * MRAD)
        dR = parts[2] @ parts[1] @ parts[0]
        out[3 + k, :3, :3], out[3 + k, :3, 3] = dR, -dR @ body.centre
    return out


def carried(parent: Body, child: Body) -> Array:
    """Give the parameters of a child that move it as the six of its parent would, (6, 6), to first order."""
    across = child.axes.T @ parent.axes
    out = np.zeros((6, 6))
    out[:3, :3] = out[3:, 3:] = across
    out[:3, 3:] = -child.axes.T @ skew(child.centre - parent.centre) @ parent.axes  # omega x arm
    return np.asarray(out * _TO_RADIANS / _TO_RADIANS[:, None])
