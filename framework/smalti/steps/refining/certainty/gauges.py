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
from scipy import sparse

from smalti.geometry.derivatives import BEAM, CRYSTAL, PANEL, SETTING, RotationState
from smalti.geometry.panels import panel_centres
from smalti.geometry.rotation import skew
from smalti.steps.refining.problem.layout import N_SHARED, Layout

__all__ = ["Motion", "Reach", "detector_motions", "gauge_motions"]

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
        across = np.cross(spindle, beam)
        for name, axis in (
            (f"rotation of everything{of} about the spindle", spindle),
            (f"rotation of everything{of} about the beam, spindle and all", beam),
            (f"tilt of everything{of}, spindle and all", across / np.linalg.norm(across)),
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


@dataclass(frozen=True)
class Reach:
    """What local motions the free parameters can make: one factorisation for many questions.

    Attributes
    ----------
    system : (L, n + k), sparse
        Derivatives of local coordinates by the parameters and k redundant directions, of unit length.
    scale : (n,)
        What the lengths of the derivatives were.
    values : (n + k,)
    vectors : (n + k, n + k)
        Eigenvectors of the squared system.
    felt : (L,) bool
        Local coordinates that any reflection depends on; the others may do what they like.
    """

    system: sparse.csr_array
    scale: Array
    values: Array
    vectors: Array
    felt: NDArray[np.bool_]

    @classmethod
    def of(cls, tangent: Array, redundancies: Array, felt: NDArray[np.bool_]) -> Reach:
        """Factorise (L, n) derivatives, with directions (k, L) that may be added at will."""
        tangent = tangent * felt[:, None]
        length = np.linalg.norm(tangent, axis=0)
        scale = np.where(length > 0.0, length, 1.0)
        spare = redundancies.T / np.maximum(np.linalg.norm(redundancies, axis=1), 1e-300)
        system = sparse.csr_array(np.hstack([tangent / scale, spare]))
        values, vectors = np.linalg.eigh((system.T @ system).toarray())
        return cls(system, scale, values, vectors, felt)

    def parameters(self, motions: Array) -> Array:
        """Find the smallest parameters that make motions (k, L), (k, n); zeros for those that they cannot."""
        felt = motions * self.felt
        length = np.linalg.norm(felt, axis=1)
        unit = felt / np.where(length > 0.0, length, 1.0)[:, None]
        known = self.values > _EXACT**2
        basis = self.vectors[:, known]
        pulls = (self.system.T @ sparse.csr_array(unit.T)).toarray().T  # most motions are of one panel
        found = (pulls @ basis / self.values[known]) @ basis.T
        made = np.linalg.norm((self.system @ found.T).T - unit, axis=1) <= _EXACT
        return np.asarray(found[:, : len(self.scale)] / self.scale * (made & (length > 0.0))[:, None])

    @property
    def idle(self) -> Array:
        """Directions of the parameters that move nothing: parents against their children, (z, n)."""
        null = self.vectors[: len(self.scale), self.values <= _EXACT**2].T
        moving = np.linalg.norm(self.system[:, : len(self.scale)] @ null.T, axis=0)
        return np.asarray(null[moving <= 10.0 * _EXACT] / self.scale)


def detector_motions(layout: Layout, number: int, state: RotationState) -> list[tuple[str, Array]]:
    """Give motions of one detector by name, as (k, L) each.

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
    place = partial(_moved, len(_empty(layout)), first, d)
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
