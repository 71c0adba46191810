r"""Prediction of rotation data and stills, and its derivatives by what is local to a panel and an experiment.

A reflection feels only the frame of its own panel and the beam, crystal and goniometer of its own
experiment. Its residuals are therefore differentiated with respect to 24 local coordinates,

======  =====================================================================================
0-8     the panel's frame: fast, slow, origin in the laboratory, one after the other
9-11    the incident wave vector s0
12-20   the matrix F A = F U B, row by row; of stills A
21-23   a small rotation vector (rad) of the setting rotation, in the laboratory
======  =====================================================================================

and a parameterisation is only the matrix that turns its parameters into these. The equations are those
of Waterman et al. 2016 (Acta Cryst. D72, 558): with r = S R(e, phi) F A h, s1 = s0 + r,
(u, v, w) = D s1, X = u/w, Y = v/w and V = (e x r).s0,

    dphi = -(s1.dr + r.ds0) / V,     ds1 = dr + ds0 + (e x r) dphi,
    dX = G_X.ds1 / w - G_X.(X dfast + Y dslow + dorigin),    G_X = D_0 - X D_2   (rows of D = d^-1).

A still has DeltaPsi in the place of phi, observed as 0, and equations of its own: geometry/stills.py. What
holds the crystal does not turn, and A is that of the crystal as it was exposed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.prediction import nearest_turn
from smalti.geometry.rotation import rotation
from smalti.geometry.stills import StillPlane

__all__ = [
    "BEAM",
    "CRYSTAL",
    "N_LOCAL",
    "PANEL",
    "SETTING",
    "RotationState",
    "Spots",
    "crossings",
    "differentiate",
    "predict",
]

Array = NDArray[np.float64]

PANEL, BEAM, CRYSTAL, SETTING = slice(0, 9), slice(9, 12), slice(12, 21), slice(21, 24)
N_LOCAL = 24


@dataclass(frozen=True, slots=True)
class RotationState:
    """All models of a set of experiments as arrays.

    Attributes
    ----------
    FA : (E, 3, 3) 1/Angstrom
        Of stills A.
    S : (E, 3, 3)
    axis : (E, 3)
        Scan axis before the setting rotation, a unit vector.
    s0 : (E, 3) 1/Angstrom
    d : (P, 3, 3)
        Columns fast, slow, origin (mm).
    still : (E,) bool, optional
        Which are stills; by default none.
    """

    FA: Array
    S: Array
    axis: Array
    s0: Array
    d: Array
    still: NDArray[np.bool_] | None = None

    @property
    def stills(self) -> NDArray[np.bool_]:
        """Which are stills, (E,)."""
        return np.zeros(len(self.FA), dtype=bool) if self.still is None else self.still


@dataclass(frozen=True, slots=True)
class Spots:
    """What is needed to predict reflections.

    Attributes
    ----------
    h : (N, 3) float
        Miller indices.
    entering : (N,) bool
        Which of the two crossings of the Ewald sphere.
    angle : (N,) rad
        Observed angle, to choose the turn.
    experiment, panel : (N,) int
        Rows of the arrays of :class:`RotationState`.
    """

    h: Array
    entering: NDArray[np.bool_]
    angle: Array
    experiment: NDArray[np.intp]
    panel: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Spots:
        """Give some of them, by index or mask."""
        return Spots(*(getattr(self, item.name)[rows] for item in fields(self)))


def predict(state: RotationState, spots: Spots) -> tuple[Array, Array]:
    """Predict reflections.

    Returns
    -------
    xyz : (N, 3) mm, mm, rad
        X, Y and phi or, of stills, DeltaPsi; nan where the point does not cross the Ewald sphere or the ray
        misses the panel's plane.
    s1 : (N, 3) 1/Angstrom
    """
    third, s1 = np.empty(len(spots.h)), np.empty((len(spots.h), 3))
    turning, still = _by_kind(state, spots)
    if turning.size:
        third[turning], s1[turning] = crossings(state, spots.take(turning))
    if still.size:
        plane = _still_planes(state, spots.take(still))
        third[still], s1[still] = plane.delta_psi, plane.s1
    uvw = np.einsum("nij,nj->ni", np.linalg.inv(state.d)[spots.panel], s1)
    with np.errstate(invalid="ignore"):
        w = np.where(uvw[:, 2] > 0.0, uvw[:, 2], np.nan)
    return np.column_stack([uvw[:, 0] / w, uvw[:, 1] / w, np.where(np.isnan(w), np.nan, third)]), s1


def differentiate(state: RotationState, spots: Spots, xyz: Array, s1: Array) -> Array:
    """Give the derivatives of predictions (as :func:`predict` gave them) by the local coordinates.

    Returns
    -------
    (N, 3, 24)
        Rows X (mm), Y (mm), phi or DeltaPsi (rad).
    """
    n = len(spots.h)
    D = np.linalg.inv(state.d)[spots.panel]
    w = np.einsum("ni,ni->n", D[:, 2], s1)
    G = D[:, :2] - xyz[:, :2, None] * D[:, None, 2]  # (N, 2, 3)
    by_s1 = G / w[:, None, None]
    by_s0, by_q, by_turn = np.empty((n, 3, 3)), np.empty((n, 3, 3)), np.zeros((n, 3, 3))
    turning, still = _by_kind(state, spots)
    if turning.size:
        by_s0[turning], by_q[turning], by_turn[turning] = _slopes_of_crossings(
            state, spots.take(turning), xyz[turning, 2], s1[turning], by_s1[turning]
        )
    if still.size:
        plane = _still_planes(state, spots.take(still))
        by_s0[still, :2], by_s0[still, 2] = plane.by_s0(by_s1[still]), plane.delta_psi_by_s0
        by_q[still, :2], by_q[still, 2] = plane.by_q(by_s1[still]), plane.delta_psi_by_q
    out = np.zeros((n, 3, N_LOCAL))
    on_panel = np.stack([xyz[:, 0], xyz[:, 1], np.ones(n)], axis=1)
    out[:, :2, PANEL] = -(on_panel[:, None, :, None] * G[:, :, None, :]).reshape(-1, 2, 9)
    out[:, :, BEAM] = by_s0
    out[:, :, CRYSTAL] = (by_q[:, :, :, None] * spots.h[:, None, None, :]).reshape(-1, 3, 9)
    out[:, :, SETTING] = by_turn
    return out


def _by_kind(state: RotationState, spots: Spots) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which reflections are those of rotating crystals, and which of stills."""
    still = state.stills[spots.experiment]
    return np.flatnonzero(~still), np.flatnonzero(still)


def _still_planes(state: RotationState, spots: Spots) -> StillPlane:
    q = np.einsum("nij,nj->ni", state.FA[spots.experiment], spots.h)
    return StillPlane.of(q, state.s0[spots.experiment])


def crossings(state: RotationState, spots: Spots) -> tuple[Array, Array]:
    """Give the angles phi (N,) of rotating crystals, nan where a point does not cross, and s1 (N, 3)."""
    e = spots.experiment
    axis, s0 = state.axis[e], state.s0[e]
    q = np.einsum("nij,nj->ni", state.FA[e], spots.h)
    beam = np.einsum("nji,nj->ni", state.S[e], s0)
    along = np.einsum("ni,ni->n", q, axis)
    across = np.cross(axis, q)
    flat = q - along[:, None] * axis
    a, b = np.einsum("ni,ni->n", flat, beam), np.einsum("ni,ni->n", across, beam)
    c = -0.5 * np.einsum("ni,ni->n", q, q) - along * np.einsum("ni,ni->n", axis, beam)
    radius = np.hypot(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.arccos(np.where(np.abs(c) <= radius, c / radius, np.nan))
    phi = nearest_turn(np.arctan2(b, a) + np.where(spots.entering, half, -half), spots.angle)
    turned = along[:, None] * axis + np.cos(phi)[:, None] * flat + np.sin(phi)[:, None] * across
    return phi, s0 + np.einsum("nij,nj->ni", state.S[e], turned)


def _slopes_of_crossings(
    state: RotationState, spots: Spots, phi: Array, s1: Array, by_s1: Array
) -> tuple[Array, Array, Array]:
    """Derivatives of X, Y, phi of rotating crystals by s0, F A h and a turn of S, (N, 3, 3) each."""
    e = spots.experiment
    s0, S = state.s0[e], state.S[e]
    r = s1 - s0
    tangent = np.cross(np.einsum("nij,nj->ni", S, state.axis[e]), r)
    V = np.einsum("ni,ni->n", tangent, s0)
    slope = np.einsum("nki,ni->nk", by_s1, tangent) / V[:, None]
    by_r, by_s0 = np.empty((len(r), 3, 3)), np.empty((len(r), 3, 3))
    by_r[:, :2] = by_s1 - slope[:, :, None] * s1[:, None]
    by_s0[:, :2] = by_s1 - slope[:, :, None] * r[:, None]
    by_r[:, 2], by_s0[:, 2] = -s1 / V[:, None], -r / V[:, None]
    SR = S @ rotation(state.axis[e], phi)  # dr = S R dM h for a change dM of F A
    return by_s0, by_r @ SR, np.cross(r[:, None], by_r)
