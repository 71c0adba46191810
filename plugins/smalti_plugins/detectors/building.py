"""Which bodies a choice of nodes makes, and what has to go where no prior holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti_plugins.detectors.levels import Chosen
from smalti_plugins.detectors.motion import derivatives, parent_of
from smalti_plugins.detectors.rigid_bodies import Bodies, Body, body_of, panel_middles

__all__ = ["build", "without_gauge"]

Array = NDArray[np.float64]

_INDEPENDENT = 0.03
"""Share of a parent's motion that its children must not be able to imitate for the parent to keep it.

Panels that lie flat to some mrad imitate a shift of their parent in the plane but for this much; a
tilt of the parent that only lets panels turn in their planes is not imitated at all.
"""


def build(
    detector: Detector,
    nodes: Sequence[Chosen],
    freedoms: Mapping[tuple[int, ...], tuple[int, ...]],
    *,
    priors: bool,
) -> Bodies:
    """Make bodies of nodes.

    Parameters
    ----------
    freedoms : Mapping
        Path of a node to what it may do; the root is free in all six.
    priors : bool
        Whether priors hold the nodes; without them a parent keeps only what its children cannot do.
    """
    middles = panel_middles(detector)
    last = max(item.level for item in nodes)
    items: list[Body] = []
    carried: set[frozenset[int]] = set()
    for item in nodes:
        panels = frozenset(item.node.panels)
        if panels in carried:
            continue  # the only child of its parent moves already
        carried.add(panels)
        prefix = f"Group{item.number}" if item.level == last else f"Level{item.level}Group{item.number}"
        own = freedoms[item.node.path] if item.level else tuple(range(6))
        if own:
            items.append(body_of(item.node, prefix if item.level else "", middles, own))
    return Bodies.of(items if priors else without_gauge(detector, items), len(detector))


def without_gauge(detector: Detector, items: Sequence[Body]) -> tuple[Body, ...]:
    """Take from every parent the freedoms that its children together have too, from the leaves up.

    What is left has no direction that nothing sees, and reaches the same geometries.
    """
    kept = list(items)
    parents = [parent_of(items, j) for j in range(len(items))]
    for k in sorted(range(len(items)), key=lambda k: -len(items[k].node.path)):
        children = [j for j, above in enumerate(parents) if above == k]
        # A panel that only its parent moves would stay behind without it, and is what the others go by.
        if {panel for j in children for panel in items[j].panels} == set(items[k].panels):
            kept[k] = replace(kept[k], freedoms=_own(detector, kept, k, children))
    return tuple(body for body in kept if body.freedoms)


def _own(detector: Detector, items: Sequence[Body], k: int, children: Sequence[int]) -> tuple[int, ...]:
    """Choose the freedoms of body k that what hangs below cannot imitate."""
    own = _displacements(detector, items[k])
    size = np.linalg.norm(own, axis=(1, 2))
    rest = own / size[:, None, None]
    for j in children:
        inside = [b for b in items if _below(b, items[j])]
        panels = list(items[j].panels)
        spanned = np.concatenate([_displacements(detector, b)[:, panels] for b in inside])
        Q = _span(spanned.reshape(len(spanned), -1))
        part = rest[:, panels].reshape(len(rest), -1)
        rest[:, panels] = (part - (part @ Q) @ Q.T).reshape(len(rest), len(panels), -1)
    left = rest.reshape(len(rest), -1)
    chosen: list[int] = []
    while True:
        norms = np.linalg.norm(left, axis=1)
        best = int(np.argmax(norms))
        if norms[best] < _INDEPENDENT:
            return tuple(items[k].freedoms[place] for place in sorted(chosen))
        chosen.append(best)
        unit = left[best] / norms[best]
        left = left - np.outer(left @ unit, unit)


def _below(body: Body, above: Body) -> bool:
    return body.node.path[: len(above.node.path)] == above.node.path


def _displacements(detector: Detector, body: Body) -> Array:
    """Displacements of three corners of every panel by the freedoms of one body, (f, P, 9)."""
    alone = Bodies.of([body], len(detector))
    by_frame = derivatives(detector, alone, np.zeros(alone.n))
    width, height = np.array([panel.size_mm for panel in detector.panels]).T
    zero, one = np.zeros(len(detector)), np.ones(len(detector))
    corners = np.array([[zero, zero, one], [width, zero, one], [zero, height, one]]).transpose(2, 1, 0)
    moved = by_frame.values[:, list(body.freedoms)] @ corners[:, None]  # (P, f, 3, 3)
    return np.asarray(moved.transpose(1, 0, 2, 3).reshape(len(body.freedoms), len(detector), 9))


def _span(rows: Array) -> Array:
    """Orthonormal columns that span rows (m, n), (n, r)."""
    _, size, directions = np.linalg.svd(rows / np.linalg.norm(rows, axis=1)[:, None], full_matrices=False)
    return np.asarray(directions[size > 1e-6 * size[0]].T)
