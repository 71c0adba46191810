"""How panels moved between two geometries, with or without the move of the detector as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.panels import panel_bases
from smalti.geometry.rotation import rotation, rotation_vector, skew

__all__ = ["ALONG_RAY", "Motions", "panel_motions", "rigid_motion", "rigid_motion_across_rays"]

Array = NDArray[np.float64]

ALONG_RAY = 0.3
"""What a distance along the ray counts when a common motion is found, against one across it. Spots tell
places along the rays five to twenty times worse; with so small a value, though, a flat detector would be
tilted as a whole to make up for the shifts of its panels, so this lies between that and 1."""


@dataclass(frozen=True, slots=True)
class Motions:
    """Motions of P panels, each in its own frame before.

    Attributes
    ----------
    shift : (P, 3) mm
        Of the panel's centre along fast, slow and normal.
    turn : (P, 3) rad
        Rotation vector about fast, slow and normal.
    centre : (P, 3) mm
        Motion of the centre in the laboratory.
    corners : (P, 4) mm
        How far each corner moved.
    R : (3, 3)
    t : (3,) mm
        The common motion x -> R x + t that was taken away; identity and zero where none was.
    """

    shift: Array
    turn: Array
    centre: Array
    corners: Array
    R: Array
    t: Array


def rigid_motion(
    before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Find R and t that bring R before + t closest to after [Kabsch 1976, Acta Cryst. A32, 922].

    Parameters
    ----------
    before, after : (N, 3)
    weights : (N,), optional
        Least-squares weights.

    Returns
    -------
    R : (3, 3)
    t : (3,)
    """
    old, new = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    w = np.ones(len(old)) if weights is None else np.asarray(weights, dtype=float)
    a, b = w @ old / w.sum(), w @ new / w.sum()
    u, _, vt = np.linalg.svd((w[:, None] * (old - a)).T @ (new - b))
    # The points of a flat detector leave the sign of the third direction free: forbid the mirror.
    sign = np.sign(np.linalg.det(u @ vt))
    R = vt.T @ np.diag([1.0, 1.0, sign]) @ u.T
    return R, b - R @ a


def rigid_motion_across_rays(
    before: ArrayLike, after: ArrayLike, weights: ArrayLike | None = None, along: float = ALONG_RAY
) -> tuple[Array, Array]:
    """Find R and t that bring R before + t closest to after, as seen from the sample.

    Diffraction tells places across the rays from the sample (at the origin) far better than along them, and
    a fit that trusted both alike would put the errors along the rays into the places across them. So
    distances along the rays count ``along`` times. They are measured where the points were before, from
    after taken back by R and t, so that what is left does not depend on the common motion itself.
    Gauss-Newton from :func:`rigid_motion`; each step solves for a small rotation w and shift v in
    x -> x + w x x + v of the points taken back.

    Parameters
    ----------
    before, after : (N, 3)
    weights : (N,), optional
    along : float
        1 gives :func:`rigid_motion` again.
    """
    old, new = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    w = np.ones(len(old)) if weights is None else np.asarray(weights, dtype=float)
    back, shift = rigid_motion(new, old, w)
    ray = old / np.linalg.norm(old, axis=1)[:, None]
    scale = np.sqrt(w)[:, None, None] * (np.eye(3) - (1.0 - along) * ray[:, :, None] * ray[:, None, :])
    for _ in range(3):
        x = new @ back.T + shift
        design = scale @ np.concatenate([-skew(x), np.broadcast_to(np.eye(3), (len(x), 3, 3))], axis=2)
        target = np.einsum("nij,nj->ni", scale, old - x)
        step = np.linalg.lstsq(design.reshape(-1, 6), target.reshape(-1), rcond=None)[0]
        angle = float(np.linalg.norm(step[:3]))
        turn = rotation(step[:3], angle) if angle > 0.0 else np.eye(3)
        back, shift = turn @ back, turn @ shift + step[3:]
    return back.T, -back.T @ shift


def panel_motions(
    before: ArrayLike,
    after: ArrayLike,
    size: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    rigid: bool = True,
) -> Motions:
    """Compare two placements of the same panels.

    Parameters
    ----------
    before, after : (P, 3, 3) mm
        d matrices: columns fast, slow, origin.
    size : (P, 2) mm
        Width and height.
    weights : (P,), optional
        How much each panel counts for the common motion; at least one must be above 0.
    rigid : bool
        Whether to take the common motion away, as :func:`rigid_motion_across_rays` finds it.
    """
    old, new = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    extent = np.asarray(size, dtype=float)
    was, now = _points(old, extent), _points(new, extent)
    R, t = np.eye(3), np.zeros(3)
    if rigid:
        w = np.ones(len(old)) if weights is None else np.asarray(weights, dtype=float)
        R, t = rigid_motion_across_rays(was[:, 1:].reshape(-1, 3), now[:, 1:].reshape(-1, 3), np.repeat(w, 4))
    moved = (now - t) @ R - was
    own = panel_bases(old)
    shift = np.einsum("pji,pj->pi", own, moved[:, 0])
    # R^T takes the common rotation back; what is left of the panel's own is seen in its old frame.
    turn = np.einsum("pji,jk,pkl->pil", own, R.T, panel_bases(new))
    corners = np.linalg.norm(moved[:, 1:], axis=2)
    return Motions(shift, rotation_vector(turn), moved[:, 0], corners, R, t)


def _points(d: Array, size: Array) -> Array:
    """Centre and four corners of each panel, (P, 5, 3) mm."""
    unit = np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    flat = np.concatenate([unit * size[:, None], np.ones((len(size), 5, 1))], axis=2)
    return np.asarray(np.einsum("pij,pcj->pci", d, flat))
