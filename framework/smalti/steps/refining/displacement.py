"""How far panels moved: with the detector as a whole, and on top of that each by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import PANEL
from smalti.geometry.rotation import rotation_vector, skew
from smalti.models import Detector

__all__ = ["Displacements", "displacements"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Displacements:
    """Small motions of the P panels of a detector, each in the axes fast, slow, normal of its panel.

    The motion of the whole is the rigid motion that best carries the corners of the panels that have
    data; what a panel did on top of it does not depend on how the parameters share the motion out.

    Attributes
    ----------
    whole : (6,) mm, rad
        Translation and rotation vector of the detector about the centre of its panels, laboratory.
    whole_covariance : (6, 6)
    own : (P, 6) mm, rad
        Displacement of the panel's centre and rotation vector.
    own_covariance : (P, 6, 6)
    """

    whole: Array
    whole_covariance: Array
    own: Array
    own_covariance: Array


def displacements(
    before: Detector, after: Detector, tangent: Array, covariance: Array, with_data: NDArray[np.bool_]
) -> Displacements:
    """Work out what moved.

    Parameters
    ----------
    before, after : Detector
    tangent : (9 P, n)
        Derivatives of the panel frames ``after`` by the parameters.
    covariance : (n, n)
    with_data : (P,) bool
        The panels that define the motion of the whole; all where none has data.
    """
    start, end = before.stacked(), after.stacked()
    half = np.array([panel.size_mm for panel in before.panels]) / 2.0
    axes = _axes(start)
    small = np.array([_motion(a, b, h) for a, b, h in zip(start, end, half, strict=True)])
    chain = np.array([_motion_by_frame(b, h) for b, h in zip(end, half, strict=True)])
    by_p = np.einsum("pij,pjn->pin", chain, tangent.reshape(len(start), PANEL.stop, -1))
    rigid, fit = _superposition(start, axes, half, with_data if with_data.any() else ~with_data)
    whole = fit @ small.ravel()
    whole_by_p = fit @ by_p.reshape(-1, by_p.shape[2])
    own = small - (rigid @ whole).reshape(-1, 6)
    own_by_p = by_p - (rigid @ whole_by_p).reshape(by_p.shape)
    turn = np.zeros((len(start), 6, 6))
    turn[:, :3, :3] = turn[:, 3:, 3:] = axes.transpose(0, 2, 1)
    own_by_p = turn @ own_by_p
    return Displacements(
        whole,
        whole_by_p @ covariance @ whole_by_p.T,
        np.einsum("pij,pj->pi", turn, own),
        own_by_p @ covariance @ own_by_p.transpose(0, 2, 1),
    )


def _axes(d: Array) -> Array:
    fast, slow = d[:, :, 0], d[:, :, 1]
    return np.stack([fast, slow, np.cross(fast, slow)], axis=2)


def _motion(start: Array, end: Array, half: Array) -> Array:
    """Displacement of the centre and rotation vector of one panel, (6,), laboratory."""
    middle = np.array([*half, 1.0])
    R = _axes(end[None])[0] @ _axes(start[None])[0].T
    return np.concatenate([(end - start) @ middle, rotation_vector(R)])


def _motion_by_frame(d: Array, half: Array) -> Array:
    """Derivatives of centre and rotation vector by the nine elements of the frame, (6, 9).

    A small rotation omega of a frame e_i is omega = 1/2 sum_i e_i x de_i, with dn = df x s + f x ds.
    """
    fast, slow = d[:, 0], d[:, 1]
    normal = np.cross(fast, slow)
    out = np.zeros((6, PANEL.stop))
    out[:3] = np.hstack([half[0] * np.eye(3), half[1] * np.eye(3), np.eye(3)])
    out[3:, 0:3] = 0.5 * (skew(fast) - skew(normal) @ skew(slow))
    out[3:, 3:6] = 0.5 * (skew(slow) + skew(normal) @ skew(fast))
    return out


def _superposition(d: Array, axes: Array, half: Array, use: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Best rigid motion of all corners of the panels in use.

    Returns
    -------
    rigid : (6 P, 6)
        Motions of all panels that go with a motion of the whole.
    fit : (6, 6 P)
        The motion of the whole that fits motions of the panels best.
    """
    count = len(d)
    middles = np.einsum("pij,pj->pi", d, np.column_stack([half, np.ones(count)]))
    arms = middles - middles[use].mean(axis=0)
    rigid = np.zeros((count, 6, 6))
    rigid[:, :3, :3] = rigid[:, 3:, 3:] = np.eye(3)
    rigid[:, :3, 3:] = -skew(arms)
    corners = np.zeros((count, 4, 3, 6))  # displacement of the corners by motion of the panel
    for k, (a, b) in enumerate(((-1, -1), (1, -1), (-1, 1), (1, 1))):
        arm = a * half[:, :1] * axes[:, :, 0] + b * half[:, 1:] * axes[:, :, 1]
        corners[:, k, :, :3] = np.eye(3)
        corners[:, k, :, 3:] = -skew(arm)
    corners = corners.reshape(count, 12, 6) * use[:, None, None]
    design = (corners @ rigid).reshape(-1, 6)
    fit = np.linalg.pinv(design).reshape(6, count, 12)
    return rigid.reshape(-1, 6), np.einsum("ipk,pkj->ipj", fit, corners).reshape(6, -1)
