"""What the parameters of bodies make of a detector: its frames, their derivatives, and what nobody sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import skew
from smalti.models import Detector
from smalti.solution import PanelDerivatives, Parameter
from smalti.units import MRAD
from smalti_plugins.detectors.freedoms import SIX
from smalti_plugins.detectors.rigid_bodies import Bodies, Body, motions, slopes

__all__ = ["compose", "derivatives", "gauge", "parameters", "parent_of"]

Array = NDArray[np.float64]

_TO_RADIANS = np.array([1.0, 1.0, 1.0, MRAD, MRAD, MRAD])

_EXACT = 1e-9
"""How much of a motion may be missing where children are said to take it back."""


def parameters(bodies: Bodies) -> tuple[Parameter, ...]:
    """Name the parameters."""
    return tuple(
        Parameter(body.prefix + SIX[k][0], SIX[k][1], body.panels, f"{body.label} {SIX[k][0]}")
        for body in bodies.items
        for k in body.freedoms
    )


def compose(detector: Detector, bodies: Bodies, p: Array) -> Detector:
    """Give the detector displaced by parameters p (n,)."""
    moved = motions(bodies.items, bodies.values(p))
    return detector.moved(
        {body.node.path: (M[:3, :3], M[:3, 3]) for body, M in zip(bodies.items, moved, strict=True)}
    )


def derivatives(detector: Detector, bodies: Bodies, p: Array) -> PanelDerivatives:
    """Give the derivatives of all panel frames at p (n,); a panel moves with all bodies that carry it."""
    values = bodies.values(p)
    # One more that does not move, for panels that fewer bodies carry.
    moved = np.concatenate([motions(bodies.items, values), np.eye(4)[None]])
    by_own = np.concatenate([slopes(bodies.items, values), np.zeros((1, len(SIX), 4, 4))])
    count, depth = bodies.chains.shape
    out = np.zeros((count, len(SIX) * depth, 3, 3))
    columns = bodies.columns[bodies.chains].reshape(count, -1).astype(np.int32)
    after = np.zeros((count, 4, 3))  # fast and slow are directions, the origin is a point
    after[:, :3], after[:, 3, 2] = detector.stacked(), 1.0
    for place in reversed(range(depth)):
        body = bodies.chains[:, place]
        changed = by_own[body] @ after[:, None]
        for outer in reversed(range(place)):
            changed = moved[bodies.chains[:, outer], None] @ changed
        out[:, len(SIX) * place : len(SIX) * (place + 1)] = changed[:, :, :3]
        after = moved[body] @ after
    out[columns < 0] = 0.0
    return PanelDerivatives(columns, out)


def parent_of(items: Sequence[Body], j: int) -> int | None:
    """Give the nearest body above another in the tree."""
    path = items[j].node.path
    above = [k for k, body in enumerate(items) if k != j and path[: len(body.node.path)] == body.node.path]
    return max(above, key=lambda k: len(items[k].node.path), default=None)


def gauge(bodies: Bodies) -> Array:
    """Give the motions in which a parent goes one way and all its children go back, (g, n).

    Where children have not all freedoms, only what they can take back is such a motion.
    """
    items = bodies.items
    parents = [parent_of(items, j) for j in range(len(items))]
    directions: list[Array] = []
    for k, parent in enumerate(items):
        children = [j for j, above in enumerate(parents) if above == k]
        if not children or {p for j in children for p in items[j].panels} != set(parent.panels):
            continue
        needed = {j: carried(parent, items[j])[:, list(parent.freedoms)] for j in children}
        for mix in _possible(items, needed, len(parent.freedoms)):
            direction = np.zeros(bodies.n)
            direction[bodies.columns[k, list(parent.freedoms)]] = mix
            for j, back in needed.items():
                own = list(items[j].freedoms)
                direction[bodies.columns[j, own]] = -(back @ mix)[own]
            directions.append(direction)
    return np.array(directions).reshape(-1, bodies.n)


def _possible(items: Sequence[Body], needed: dict[int, Array], count: int) -> Array:
    """Mixtures of a parent's ``count`` freedoms that need no freedom which a child lacks, (g, count)."""
    missing = [back[[f for f in range(len(SIX)) if f not in items[j].freedoms]] for j, back in needed.items()]
    lacking = np.concatenate([np.zeros((1, count)), *missing])
    _, size, directions = np.linalg.svd(lacking)
    rank = int((size > _EXACT * max(1.0, float(size.max(initial=0.0)))).sum())
    return np.eye(count) if rank == 0 else np.asarray(directions[rank:])


def carried(parent: Body, child: Body) -> Array:
    """Give the parameters of a child that move it as the six of its parent would, (6, 6), to first order."""
    across = child.axes.T @ parent.axes
    out = np.zeros((6, 6))
    out[:3, :3] = out[3:, 3:] = across
    out[:3, 3:] = -child.axes.T @ skew(child.pivot - parent.pivot) @ parent.axes  # omega x arm
    return np.asarray(out * _TO_RADIANS / _TO_RADIANS[:, None])
