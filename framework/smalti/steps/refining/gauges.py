"""What moves together: motions of everything that no data see, and motions of one model, by name.

All are directions in the local coordinates of :mod:`smalti.geometry.derivatives` (9 of every panel, then
15 of every experiment), from where the tangent of the layout leads to the space of the free parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import BEAM, CRYSTAL, PANEL, SETTING, RotationState
from smalti.geometry.panels import panel_centres
from smalti.steps.refining.layout import N_SHARED, Layout

__all__ = ["Motion", "detector_motions", "gauge_motions", "in_parameters", "redundant"]

Array = NDArray[np.float64]

_EXACT = 1e-6
"""A direction that parameters reproduce to this part of its length is one of theirs."""


@dataclass(frozen=True)
class Motion:
    """A named direction.

    Attributes
    ----------
    name : str
        For people.
    local : (L,)
        In local coordinates, per radian, mm, or part.
    """

    name: str
    local: Array


def gauge_motions(layout: Layout, p: Array) -> tuple[list[Motion], Array]:
    """Give the motions of everything that leave all predictions of rotation experiments as they are.

    Turning the laboratory: panels, beams and spindles with it, which carry the crystals. Scaling all wave
    vectors and reciprocal cells by one factor. About the spindle the crystal may turn as well as the setting
    rotation: these redundancies of local coordinates are given apart.

    Returns
    -------
    motions : list of Motion
        Three rotations for each set of experiments that shares detectors, one scale.
    redundant : (E, L)
        Setting rotation about the spindle against the crystal.
    """
    state = layout.state(p)
    sets = sorted({use["detector"] for use in layout.uses})
    found = []
    for number in sets:
        of = "" if len(sets) == 1 else f" of detector {layout.detector_block(number).number}"
        members = [e for e, use in enumerate(layout.uses) if use["detector"] == number]
        spindle = state.S[members[0]] @ state.axis[members[0]]
        beam = state.s0[members[0]] / np.linalg.norm(state.s0[members[0]])
        along = beam - (beam @ spindle) * spindle
        along /= np.linalg.norm(along)
        for name, axis in (
            (f"rotation of everything{of} about the spindle", spindle),
            (f"rotation of everything{of} about the beam, spindle and all", along),
            (f"tilt of everything{of}, spindle and all", np.cross(spindle, along)),
        ):
            found.append(Motion(name, _turned(layout, state, number, members, axis)))
    scale = _empty(layout)
    for e in range(len(layout.uses)):
        first = _shared(layout, e)
        scale[first + BEAM.start : first + BEAM.stop] = state.s0[e]
        scale[first + CRYSTAL.start : first + CRYSTAL.stop] = state.FA[e].ravel()
    found.append(Motion("scale of all lengths: wavelength with cell", scale))
    return found, _about_spindles(layout, state)


def _empty(layout: Layout) -> Array:
    return np.zeros(PANEL.stop * layout.n_panels + N_SHARED * len(layout.uses))


def _shared(layout: Layout, experiment: int) -> int:
    """Where coordinate 0 of an experiment would be, counted as in derivatives.py."""
    return PANEL.stop * layout.n_panels + N_SHARED * experiment - PANEL.stop


def _turned(layout: Layout, state: RotationState, number: int, members: list[int], axis: Array) -> Array:
    out = _empty(layout)
    first = layout.panel_offset[number]
    for k in range(first, first + len(layout.detector_block(number).detector)):
        out[PANEL.stop * k : PANEL.stop * (k + 1)] = np.cross(axis, state.d[k].T).ravel()
    for e in members:
        at = _shared(layout, e)
        out[at + BEAM.start : at + BEAM.stop] = np.cross(axis, state.s0[e])
        out[at + SETTING.start : at + SETTING.stop] = axis
    return out


def _about_spindles(layout: Layout, state: RotationState) -> Array:
    rows = np.zeros((len(layout.uses), len(_empty(layout))))
    for e, row in enumerate(rows):
        first = _shared(layout, e)
        row[first + SETTING.start : first + SETTING.stop] = state.S[e] @ state.axis[e]
        turned = np.cross(state.axis[e], state.FA[e].T).T
        row[first + CRYSTAL.start : first + CRYSTAL.stop] = -turned.ravel()
    return rows


def in_parameters(tangent: Array, motion: Array, redundancies: Array) -> Array | None:
    """Find free parameters (n,) that make a motion; None where they cannot.

    Parameters
    ----------
    tangent : (L, n)
    motion : (L,)
    redundancies : (k, L)
        Directions that may be added to it.
    """
    scale = _lengths(tangent)
    spare = redundancies.T / np.maximum(np.linalg.norm(redundancies, axis=1), 1e-300)
    system = np.hstack([tangent / scale, spare])
    unit = motion / np.linalg.norm(motion)
    found = np.linalg.lstsq(system, unit, rcond=1e-10)[0]
    if np.linalg.norm(system @ found - unit) > _EXACT:
        return None
    return np.asarray(found[: tangent.shape[1]] / scale)


def redundant(tangent: Array) -> Array:
    """Give the directions of the parameters that move nothing: parents against their children, (z, n)."""
    scale = _lengths(tangent)
    unit = tangent / scale
    values, vectors = np.linalg.eigh(unit.T @ unit)
    return np.asarray((vectors[:, values < _EXACT**2] / scale[:, None]).T)


def _lengths(tangent: Array) -> Array:
    length = np.linalg.norm(tangent, axis=0)
    return np.where(length > 0.0, length, 1.0)


def detector_motions(layout: Layout, number: int, state: RotationState) -> list[tuple[str, Array]]:
    """Give the motions of one detector as a whole, and the spread of its panels, as (k, L) each, by name."""
    first = layout.panel_offset[number]
    detector = layout.detector_block(number).detector
    panels = range(first, first + len(detector))
    d = state.d[first : first + len(detector)]
    centres = panel_centres(d, [panel.size_mm for panel in detector.panels])
    middle = centres.mean(axis=0)
    normal = np.cross(d[:, :, 0], d[:, :, 1]).mean(axis=0)
    normal /= np.linalg.norm(normal)
    fast = d[0, :, 0] - (d[0, :, 0] @ normal) * normal
    fast /= np.linalg.norm(fast)
    slow = np.cross(normal, fast)

    def moved(shift: Array, turn: Array) -> Array:
        out = _empty(layout)
        for k, frame in zip(panels, d, strict=True):
            changed = np.cross(turn, frame.T)
            changed[2] = shift + np.cross(turn, frame[:, 2] - middle)
            out[PANEL.stop * k : PANEL.stop * (k + 1)] = changed.ravel()
        return out

    none = np.zeros(3)
    spread = _empty(layout)
    for k, centre in zip(panels, centres, strict=True):
        arm = centre - middle
        spread[PANEL.stop * k + 6 : PANEL.stop * (k + 1)] = arm - (arm @ normal) * normal
    found = [
        ("distance", np.array([moved(normal, none)])),
        ("place across the beam", np.array([moved(fast, none), moved(slow, none)])),
        ("tilt", np.array([moved(none, fast), moved(none, slow)])),
        ("turn in its plane", np.array([moved(none, normal)])),
    ]
    return [*found, ("spread of the panels", spread[None])] if len(detector) > 1 else found
