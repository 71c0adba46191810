"""Rigid bodies made of panels, one within another, and how a few numbers move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import skew
from smalti.models import Detector, Node
from smalti.units import MRAD
from smalti_plugins.detectors.freedoms import SIX

__all__ = ["Bodies", "Body", "body_of", "motions", "panel_middles", "slopes"]

Array = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Body:
    """A node of the tree that has parameters.

    Attributes
    ----------
    prefix : str
        Of the names of its parameters: "" for the root, "Group12" for a node below.
    node : Node
    axes : (3, 3)
        Columns normal (away from the crystal), fast, slow, laboratory.
    pivot : (3,) mm
        The point about which it turns, laboratory.
    freedoms : tuple of int
        Which of :data:`SIX` it has.
    turns_shifts : bool
        Whether Shift1 and Shift2 are along the axes as turned by Tau1-3, as in the flat detector of
        DIALS; otherwise along the axes as they were.
    """

    prefix: str
    node: Node
    axes: Array
    pivot: Array
    freedoms: tuple[int, ...]
    turns_shifts: bool = False

    @property
    def panels(self) -> tuple[int, ...]:
        """The panels that it carries."""
        return self.node.panels

    @property
    def label(self) -> str:
        """Its name for people."""
        return (self.node.name or self.prefix) if self.prefix else "detector"


@dataclass(frozen=True, eq=False)
class Bodies:
    """All bodies of a detector, parents before children, and where their parameters are.

    Attributes
    ----------
    items : tuple of Body
    columns : (B + 1, 6)
        Number of each body's parameters, -1 where it has not that freedom; the last row is of no body.
    chains : (P, D)
        The bodies that carry each panel, outermost first, then -1.
    n : int
        Number of parameters.
    """

    items: tuple[Body, ...]
    columns: Ints
    chains: Ints
    n: int

    @classmethod
    def of(cls, items: Sequence[Body], n_panels: int) -> Bodies:
        """Number the parameters of bodies."""
        columns = np.full((len(items) + 1, len(SIX)), -1, dtype=np.intp)
        n = 0
        for k, body in enumerate(items):
            for freedom in body.freedoms:
                columns[k, freedom] = n
                n += 1
        carriers: list[list[int]] = [[] for _ in range(n_panels)]
        for k, body in enumerate(items):
            for panel in body.panels:
                carriers[panel].append(k)
        chains = np.full((n_panels, max(1, *map(len, carriers))), -1, dtype=np.intp)
        for panel, chain in enumerate(carriers):
            chains[panel, : len(chain)] = chain
        return cls(tuple(items), columns, chains, n)

    def values(self, p: Array) -> Array:
        """Give the six values of each body, 0 where it has not that freedom, (B, 6)."""
        columns = self.columns[:-1]
        return np.where(columns >= 0, np.append(np.asarray(p, dtype=float), 0.0)[columns], 0.0)


def body_of(node: Node, prefix: str, middles: Array, freedoms: tuple[int, ...]) -> Body:
    """Make a body that turns about the mean of the centres of its panels.

    Parameters
    ----------
    middles : (P, 3) mm
        Centres of all panels, as :func:`panel_middles` gives them.
    """
    centre = middles[list(node.panels)].mean(axis=0)
    fast, slow, normal = node.rotation.T
    axes = np.column_stack([normal if normal @ centre >= 0.0 else -normal, fast, slow])
    return Body(prefix, node, axes, centre, freedoms)


def panel_middles(detector: Detector) -> Array:
    """Give the centres of all panels in the laboratory, (P, 3) mm."""
    half = np.array([[w / 2.0, h / 2.0, 1.0] for w, h in (panel.size_mm for panel in detector.panels)])
    return np.asarray(np.einsum("pij,pj->pi", detector.stacked(), half))


def motions(items: Sequence[Body], values: Array) -> Array:
    """Give the rigid motions of bodies by their six parameters, (B, 4, 4).

    [Tau3]slow [Tau2]fast [Tau1]normal about the pivot; Dist, Shift1, Shift2 along normal, fast, slow.
    """
    axes, pivot, turning = _stacked(items)
    turn = _turns(axes, values[:, 3:])
    R = turn[:, 2] @ turn[:, 1] @ turn[:, 0]
    out = np.zeros((len(items), 4, 4))
    out[:, :3, :3], out[:, 3, 3] = R, 1.0
    within = _apply(axes[:, :, 1:], values[:, 1:3])
    away = axes[:, :, 0] * values[:, :1]
    out[:, :3, 3] = pivot - _apply(R, pivot) + away + np.where(turning, _apply(R, within), within)
    return out


def slopes(items: Sequence[Body], values: Array) -> Array:
    """Give the derivatives of :func:`motions` by the six parameters, (B, 6, 4, 4)."""
    axes, pivot, turning = _stacked(items)
    turn = _turns(axes, values[:, 3:])
    R = turn[:, 2] @ turn[:, 1] @ turn[:, 0]
    arm = np.where(turning, _apply(axes[:, :, 1:], values[:, 1:3]), 0.0) - pivot
    out = np.zeros((len(items), len(SIX), 4, 4))
    moved = axes.copy()
    moved[:, :, 1:] = np.where(turning[:, :, None], R @ axes[:, :, 1:], axes[:, :, 1:])
    out[:, :3, :3, 3] = moved.transpose(0, 2, 1)
    for k in range(3):
        parts = [turn[:, j] for j in range(3)]
        # d/da exp(a [e]x) = [e]x exp(a [e]x)
        parts[k] = MRAD * skew(axes[:, :, k]) @ parts[k]
        dR = parts[2] @ parts[1] @ parts[0]
        out[:, 3 + k, :3, :3], out[:, 3 + k, :3, 3] = dR, _apply(dR, arm)
    return out


def _stacked(items: Sequence[Body]) -> tuple[Array, Array, NDArray[np.bool_]]:
    return (
        np.array([body.axes for body in items]).reshape(-1, 3, 3),
        np.array([body.pivot for body in items]).reshape(-1, 3),
        np.array([body.turns_shifts for body in items], dtype=bool).reshape(-1, 1),
    )


def _turns(axes: Array, angles: Array) -> Array:
    """Give the rotations about the three axes of each body by angles (B, 3) mrad, (B, 3, 3, 3)."""
    cross = skew(axes.transpose(0, 2, 1))
    a = (angles * MRAD)[:, :, None, None]
    return np.asarray(np.eye(3) + np.sin(a) * cross + (1.0 - np.cos(a)) * (cross @ cross))


def _apply(matrices: Array, vectors: Array) -> Array:
    return np.asarray(np.einsum("bij,bj->bi", matrices, vectors))
