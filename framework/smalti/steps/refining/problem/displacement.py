"""How far panels moved, with the detector as a whole and on top of that, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import PANEL
from smalti.geometry.panels import panel_bases, panel_centres
from smalti.geometry.rotation import rotation_vector, skew
from smalti.geometry.superposition import ALONG_RAY, panel_motions
from smalti.models import Detector

__all__ = ["Displacements", "displacements"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Displacements:
    """Motions of the P panels of a detector, each in the axes fast, slow, normal of its panel.

    The motion of the whole is the rigid motion that best carries the corners of the panels that have
    data (:mod:`smalti.geometry.superposition`); what a panel did on top of it does not depend on how
    the parameters share the motion out between panels and detector.

    Attributes
    ----------
    whole : (6,) mm, rad
        Displacement of the centre of the detector and its rotation vector, laboratory.
    whole_covariance : (6, 6)
    own : (P, 6) mm, rad
        Displacement of the panel's centre and its rotation vector.
    own_covariance : (P, 6, 6)
    laboratory : (P, 6) mm, rad
        Displacement of the panel's centre and its rotation vector, that of the whole included,
        laboratory axes.
    own_slopes, laboratory_slopes : (6 P, n)
        Derivatives of ``own`` and ``laboratory`` by the parameters.
    covariance : (n, n)
        Of the parameters.
    """

    whole: Array
    whole_covariance: Array
    own: Array
    own_covariance: Array
    laboratory: Array
    own_slopes: Array
    laboratory_slopes: Array
    covariance: Array

    @property
    def own_joint(self) -> Array:
        """Covariance of all of ``own`` together, (6 P, 6 P)."""
        return np.asarray(self.own_slopes @ self.covariance @ self.own_slopes.T)

    @property
    def laboratory_joint(self) -> Array:
        """Covariance of all of ``laboratory`` together, (6 P, 6 P)."""
        return np.asarray(self.laboratory_slopes @ self.covariance @ self.laboratory_slopes.T)


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
    size = np.array([panel.size_mm for panel in before.panels])
    use = with_data if with_data.any() else ~with_data
    moved = panel_motions(start, end, size, use)
    centre = panel_centres(start, size).mean(axis=0)
    whole = np.concatenate([moved.R @ centre + moved.t - centre, rotation_vector(moved.R)])
    # To first order, all motions are linear in the parameters: their covariances follow.
    chain = np.array([_motion_by_frame(d, half) for d, half in zip(end, size / 2.0, strict=True)])
    by_p = np.einsum("pij,pjn->pin", chain, tangent.reshape(len(start), PANEL.stop, tangent.shape[1]))
    # What panels did of their own is seen after the common motion is taken back. A turn of everything that no
    # data see must leave it alone to the last bit: a milliradian of it is a tenth of a micrometre on panels
    # that are 0.1 mm away from where they were.
    back = moved.R.T @ end
    back[:, :, 2] -= moved.R.T @ moved.t
    back_by_p = _turned(moved.R.T) @ by_p
    rigid, fit = _superposition(back, start, size / 2.0, centre, use)
    common = fit @ back_by_p.reshape(6 * len(start), tangent.shape[1])
    own_by_p = back_by_p - (rigid @ common).reshape(by_p.shape)
    own_by_p = _turned(panel_bases(start).transpose(0, 2, 1)) @ own_by_p
    whole_by_p = _turned(moved.R) @ common
    return Displacements(
        whole,
        whole_by_p @ covariance @ whole_by_p.T,
        np.concatenate([moved.shift, moved.turn], axis=1),
        own_by_p @ covariance @ own_by_p.transpose(0, 2, 1),
        _in_laboratory(start, end, size),
        own_by_p.reshape(6 * len(start), -1),
        by_p.reshape(6 * len(start), -1),
        covariance,
    )


def _turned(R: Array) -> Array:
    """Give what turns a displacement and a rotation vector, one after the other, (..., 6, 6)."""
    out = np.zeros((*R.shape[:-2], 6, 6))
    out[..., :3, :3] = out[..., 3:, 3:] = R
    return out


def _in_laboratory(start: Array, end: Array, size: Array) -> Array:
    """Displacements of centres (mm) and rotation vectors (rad) of panels, (P, 6)."""
    shifts = panel_centres(end, size) - panel_centres(start, size)
    turned = panel_bases(end) @ panel_bases(start).transpose(0, 2, 1)
    return np.concatenate([shifts, [rotation_vector(R) for R in turned]], axis=1)


def _motion_by_frame(d: Array, half: Array) -> Array:
    """Derivatives of a panel's centre and rotation vector by the nine elements of its frame, (6, 9).

    A small rotation omega of a frame e_i is omega = 1/2 sum_i e_i x de_i, with dn = df x s + f x ds.
    """
    fast, slow = d[:, 0], d[:, 1]
    normal = np.cross(fast, slow)
    out = np.zeros((6, PANEL.stop))
    out[:3] = np.hstack([half[0] * np.eye(3), half[1] * np.eye(3), np.eye(3)])
    out[3:, 0:3] = 0.5 * (skew(fast) - skew(normal) @ skew(slow))
    out[3:, 3:6] = 0.5 * (skew(slow) + skew(normal) @ skew(fast))
    return out


def _superposition(
    d: Array, start: Array, half: Array, centre: Array, use: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """The superposition of the corners of the panels in use, linearised.

    Parameters
    ----------
    d : (P, 3, 3)
        Panels after the common motion is taken back.
    start : (P, 3, 3)
        Where they were; distances along the rays are measured there.
    half : (P, 2)
        Half the sizes of the panels.

    Returns
    -------
    rigid : (6 P, 6)
        Motions of all panels that go with a motion of the whole about its centre.
    fit : (6, 6 P)
        The motion of the whole that fits motions of the panels best.
    """
    count, axes, middles = len(d), panel_bases(d), panel_centres(d, 2.0 * half)
    began, first = panel_bases(start), panel_centres(start, 2.0 * half)
    rigid = np.zeros((count, 6, 6))
    rigid[:, :3, :3] = rigid[:, 3:, 3:] = np.eye(3)
    rigid[:, :3, 3:] = -skew(middles - centre)
    seen = np.zeros((count, 4, 3, 6))  # displacement of the corners by motion of their panel, weighted
    for k, (a, b) in enumerate(((-1, -1), (1, -1), (-1, 1), (1, 1))):
        arm = a * half[:, :1] * axes[:, :, 0] + b * half[:, 1:] * axes[:, :, 1]
        ray = first + a * half[:, :1] * began[:, :, 0] + b * half[:, 1:] * began[:, :, 1]
        ray /= np.linalg.norm(ray, axis=1)[:, None]
        weight = np.eye(3) - (1.0 - ALONG_RAY) * ray[:, :, None] * ray[:, None, :]
        seen[:, k] = weight @ np.concatenate([np.broadcast_to(np.eye(3), (count, 3, 3)), -skew(arm)], axis=2)
    seen = seen.reshape(count, 12, 6) * use[:, None, None]
    fit = np.linalg.pinv((seen @ rigid).reshape(-1, 6)).reshape(6, count, 12)
    return rigid.reshape(-1, 6), np.einsum("ipk,pkj->ipj", fit, seen).reshape(6, -1)
