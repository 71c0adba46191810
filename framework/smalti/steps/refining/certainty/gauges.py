"""What moves together: motions of everything that no data see, and motions of one model, by name.

All are directions in the local coordinates of :mod:`smalti.geometry.derivatives` (9 of every panel, then
15 of every experiment), from where the tangent of the layout leads to the space of the free parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import BEAM, CRYSTAL, PANEL, SETTING, RotationState
from smalti.geometry.panels import panel_centres
from smalti.geometry.rotation import skew
from smalti.steps.refining.problem.layout import N_SHARED, Layout

__all__ = ["Motion", "about_spindles", "detector_motions", "gauge_motions", "tied_detectors"]

Array = NDArray[np.float64]


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


def gauge_motions(layout: Layout, state: RotationState) -> list[Motion]:
    """Give the motions of everything that leave all predictions as they are.

    Turning the laboratory: panels and beams with it, the spindles of sweeps, which carry their crystals, and
    the crystals of stills. Scaling all wave vectors and reciprocal cells by one factor.

    Returns
    -------
    list of Motion
        Three rotations for each set of experiments that shares detectors, and for each that shares tiles of
        them; one scale.
    """
    sets = sorted({use["detector"] for use in layout.uses})
    found = []
    for number in sets:
        of = "" if len(sets) == 1 else f" of detector {layout.detector_block(number).number}"
        members = [e for e, use in enumerate(layout.uses) if use["detector"] == number]
        for name, axis in _axes(state, members, of):
            found.append(Motion(name, _turned(layout, state, number, members, axis)))
    for group in tied_detectors(layout):
        everyone = [e for e, use in enumerate(layout.uses) if use["detector"] in group]
        of = "" if len(group) == len(sets) else " of detectors that share tiles"
        for name, axis in _axes(state, everyone, of):
            parts = [
                _turned(layout, state, n, [e for e in everyone if layout.uses[e]["detector"] == n], axis)
                for n in group
            ]
            found.append(Motion(name, np.sum(parts, axis=0)))
    scale = _empty(layout)
    for e in range(len(layout.uses)):
        first = _shared(layout, e)
        scale[first + BEAM.start : first + BEAM.stop] = state.s0[e]
        scale[first + CRYSTAL.start : first + CRYSTAL.stop] = state.FA[e].ravel()
    found.append(Motion("scale of all lengths: wavelength with cell", scale))
    return found


def tied_detectors(layout: Layout) -> list[list[int]]:
    """Give groups of detectors (numbers of blocks) that are tied to one another by any parameters."""
    groups: list[tuple[list[int], set[int]]] = []
    for number in layout.panel_offset:
        first = layout.offsets[number]
        own = layout.column[first : first + len(layout.detector_block(number).parameters)]
        columns = set(own[own >= 0].tolist())
        joined = [group for group in groups if group[1] & columns]
        groups = [group for group in groups if not group[1] & columns]
        members = [k for group in joined for k in group[0]]
        groups.append(([*members, number], columns.union(*(group[1] for group in joined))))
    return [sorted(members) for members, _ in groups if len(members) > 1]


def _axes(state: RotationState, members: list[int], of: str) -> list[tuple[str, Array]]:
    """Names and axes of three rotations of everything that shares a detector."""
    turning = [e for e in members if not state.stills[e]]
    first = (turning or members)[0]
    beam = state.s0[first] / np.linalg.norm(state.s0[first])
    if not turning:
        across = np.cross(beam, np.eye(3)[np.argmin(np.abs(beam))])
        across /= np.linalg.norm(across)
        return [
            (f"rotation of everything{of} about the beam", beam),
            (f"tilt of everything{of} with the beam", across),
            (f"tilt of everything{of} with the beam, the other way", np.cross(beam, across)),
        ]
    spindle = state.S[first] @ state.axis[first]
    across = np.cross(spindle, beam)
    return [
        (f"rotation of everything{of} about the spindle", spindle),
        (f"rotation of everything{of} about the beam, spindle and all", beam),
        (f"tilt of everything{of}, spindle and all", across / np.linalg.norm(across)),
    ]


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
        if state.stills[e]:
            out[at + CRYSTAL.start : at + CRYSTAL.stop] = np.cross(axis, state.FA[e].T).T.ravel()
        else:
            out[at + SETTING.start : at + SETTING.stop] = axis
    return out


def about_spindles(state: RotationState) -> Array:
    """Give what is redundant among the local coordinates of each experiment, (E, 15).

    About its spindle a crystal may turn as well as the setting rotation: one against the other does
    nothing. Zeros for stills.
    """
    out = np.zeros((len(state.FA), N_SHARED))
    spindle = np.einsum("eij,ej->ei", state.S, state.axis)
    turned = np.cross(state.axis[:, None], state.FA.transpose(0, 2, 1)).transpose(0, 2, 1)
    out[:, SETTING.start - PANEL.stop : SETTING.stop - PANEL.stop] = spindle
    out[:, CRYSTAL.start - PANEL.stop : CRYSTAL.stop - PANEL.stop] = -turned.reshape(-1, 9)
    out[state.stills] = 0.0
    return out


def detector_motions(layout: Layout, number: int, state: RotationState, size: int) -> list[tuple[str, Array]]:
    """Give motions of one detector by name, as (k, size) each: panels come first among the local coordinates.

    First those of the whole and the spread of its panels, then those of single panels.
    """
    first = layout.panel_offset[number]
    detector = layout.detector_block(number).detector
    d = state.d[first : first + len(detector)]
    centres = panel_centres(d, [panel.size_mm for panel in detector.panels])
    middle = centres.mean(axis=0)
    normal = np.cross(d[:, :, 0], d[:, :, 1]).mean(axis=0)
    normal /= np.linalg.norm(normal)
    whole = range(len(detector))
    place = partial(_moved, size, first, d)
    fast = d[0, :, 0] - (d[0, :, 0] @ normal) * normal
    found = _six("the detector", normal, fast / np.linalg.norm(fast), partial(place, whole, middle))
    found[0] = ("distance of the detector", found[0][1])
    if len(detector) == 1:
        return found
    arms = centres - middle
    arms -= (arms @ normal)[:, None] * normal
    spread = sum(place([k], middle, arms[k], np.zeros(3)) for k in whole)
    found.append(("spread of the panels", np.array([spread])))
    for k in whole:
        ray = centres[k] / np.linalg.norm(centres[k])
        across = np.cross(d[k, :, 1], ray)
        found += _six(f"panel {k}", ray, across / np.linalg.norm(across), partial(place, [k], centres[k]))
    return found


def _six(
    called: str, along: Array, across: Array, moved: Callable[[Array, Array], Array]
) -> list[tuple[str, Array]]:
    """Six motions about one direction and one across it."""
    other, none = np.cross(along, across), np.zeros(3)
    return [
        (f"{called} along its ray", np.array([moved(along, none)])),
        (f"place of {called}", np.array([moved(across, none), moved(other, none)])),
        (f"tilt of {called}", np.array([moved(none, across), moved(none, other)])),
        (f"turn of {called}", np.array([moved(none, along)])),
    ]


def _moved(
    size: int, first: int, d: Array, panels: Sequence[int], centre: Array, shift: Array, turn: Array
) -> Array:
    """Local coordinates (L,) of a shift of some panels and a turn about a centre."""
    out, moved, spin = np.zeros(size), np.asarray(panels), skew(turn)
    changed = (spin @ d[moved]).transpose(0, 2, 1)
    changed[:, 2] += shift - spin @ centre
    out[PANEL.stop * (first + moved)[:, None] + np.arange(PANEL.stop)] = changed.reshape(-1, PANEL.stop)
    return out
