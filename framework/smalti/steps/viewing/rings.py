"""Rings of one resolution as lines on the panels: cones about the beam, met with every panel."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, find_panels, to_px, wave_vectors
from smalti.models import Crystal, Experiment
from smalti.steps.finding.filters import HEXAGONAL_ICE

__all__ = ["RING_KINDS", "Ring", "ring_lines", "ring_resolutions", "widest_resolution"]

Array = NDArray[np.float64]
RING_KINDS = ("resolution", "ice", "cell")
STEPS = 720
"""Points of a full ring."""
MOST = 60
"""Most rings of a cell: beyond this they fill the picture."""


@dataclass(frozen=True)
class Ring:
    """One ring: its resolution (Angstrom) and its pieces, each panel (n,) and pixel positions (n, 2)."""

    d: float
    name: str
    pieces: tuple[tuple[int, Array], ...]


def widest_resolution(experiment: Experiment) -> float:
    """Resolution of the corner of the detector that is farthest from the beam, Angstrom."""
    arrays = PanelArrays.of(experiment.detector)
    size = arrays.image_size * arrays.pixel_size
    unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    panel = np.repeat(np.arange(len(size)), 4)
    mm = np.tile(unit, (len(size), 1)) * size[panel]
    q = wave_vectors(mm, panel, arrays, experiment.beam.wavelength) - experiment.beam.s0
    return float(1.0 / np.linalg.norm(q, axis=1).max())


def ring_resolutions(
    kind: str, experiment: Experiment, crystal: Crystal | None = None
) -> tuple[tuple[float, str], ...]:
    """Give the resolutions of the rings of a kind with their names, widest first.

    "resolution" has round numbers evenly spread over the detector; "ice" the powder rings of hexagonal
    ice; "cell" those of a crystal's cell and space group.
    """
    d_min = widest_resolution(experiment)
    if kind == "ice":
        cell, group = HEXAGONAL_ICE
        return _powder(cell, gemmi.SpaceGroup(group), d_min)
    if kind == "cell":
        if crystal is None:
            return ()
        return _powder(gemmi.UnitCell(*crystal.cell), _group(crystal), d_min)
    half = np.arcsin(min(1.0, experiment.beam.wavelength / (2.0 * d_min)))
    angles = half * np.linspace(0.2, 1.0, 6)
    rounded = dict.fromkeys(float(f"{experiment.beam.wavelength / (2.0 * np.sin(a)):.2g}") for a in angles)
    return tuple((d, f"{d:g} Å") for d in rounded if d >= d_min)


def _group(crystal: Crystal) -> gemmi.SpaceGroup:
    found = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(crystal.space_group.strip()))
    return found or gemmi.SpaceGroup("P 1")


def _powder(cell: gemmi.UnitCell, group: gemmi.SpaceGroup, d_min: float) -> tuple[tuple[float, str], ...]:
    """The first rings of a powder; reflections of one resolution are one ring."""
    limit = max(d_min, float((cell.volume / (4.0 * MOST * 20)) ** (1.0 / 3.0)))
    hkl = gemmi.make_miller_array(cell, group, limit)
    d = 1.0 / np.sqrt(np.asarray(cell.calculate_1_d2_array(hkl)))
    order = np.argsort(-d)
    rings: list[tuple[float, str]] = []
    for row in order.tolist():
        if not rings or d[row] < rings[-1][0] * (1.0 - 1e-4):
            rings.append((float(d[row]), f"{' '.join(map(str, hkl[row]))}  {d[row]:.2f} Å"))
    return tuple(rings[:MOST])


def ring_lines(resolutions: tuple[tuple[float, str], ...], experiment: Experiment) -> tuple[Ring, ...]:
    """Draw rings on the panels; where a ring leaves a panel its line is broken."""
    arrays = PanelArrays.of(experiment.detector)
    beam = experiment.beam
    sine = np.array([beam.wavelength / (2.0 * d) for d, _ in resolutions])
    seen = [(d, name) for (d, name), s in zip(resolutions, sine, strict=True) if s < 1.0]
    if not seen:
        return ()
    two_theta = 2.0 * np.arcsin(sine[sine < 1.0])
    along = beam.unit_s0
    right = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    right /= np.linalg.norm(right)
    up = np.cross(along, right)
    azimuth = np.linspace(0.0, 2.0 * np.pi, STEPS + 1)
    around = np.outer(np.cos(azimuth), right) + np.outer(np.sin(azimuth), up)
    rays = np.cos(two_theta)[:, None, None] * along + np.sin(two_theta)[:, None, None] * around
    panel, mm = find_panels(rays.reshape(-1, 3), arrays)
    px = np.full(mm.shape, np.nan)
    hit = panel >= 0
    px[hit] = to_px(mm[hit], panel[hit], arrays)
    on, at = panel.reshape(len(seen), -1), px.reshape(len(seen), -1, 2)
    return tuple(Ring(d, name, _pieces(on[k], at[k])) for k, (d, name) in enumerate(seen))


def _pieces(panel: NDArray[np.intp], px: Array) -> tuple[tuple[int, Array], ...]:
    """Divide a line where it passes to another panel or to none."""
    cuts = np.flatnonzero(np.diff(panel) != 0) + 1
    runs = np.split(np.arange(len(panel)), cuts)
    return tuple((int(panel[run[0]]), px[run]) for run in runs if panel[run[0]] >= 0 and len(run) > 1)
