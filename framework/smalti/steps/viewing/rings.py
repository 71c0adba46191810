"""Rings of one resolution as lines on the panels: cones about the beam, met with every panel."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, find_panels, to_px, wave_vectors
from smalti.models import Crystal, Experiment
from smalti.steps.finding.filters import HEXAGONAL_ICE
from smalti.steps.viewing.seeing import MOST, Band

__all__ = ["RING_KINDS", "Ring", "ring_lines", "ring_resolutions", "widest_resolution"]

Array = NDArray[np.float64]
RING_KINDS = ("resolution", "ice", "cell")
STEPS = 720
"""Points of a full ring."""
SAME = 1e-5
"""Relative difference of 1/d below which reflections make one ring."""
CROWD = 6
"""So many rings on top of one another are none: out there a large cell has a ring everywhere."""
MOST_COUNTED = 1_000_000
"""Most unique reflections of a cell that are looked at."""


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
    kind: str, experiment: Experiment, crystal: Crystal | None = None, band: Band | None = None
) -> tuple[tuple[float, str], ...]:
    """Give the resolutions of the rings of a kind with their names, widest first.

    "resolution" has round numbers evenly spread over what is seen; "ice" the powder rings of hexagonal
    ice; "cell" those of a crystal's cell and space group. Powder rings that would lie closer together than
    the band says are one, named by the widest with the number of the others; where many are, none is drawn.
    """
    top = 1.0 / widest_resolution(experiment)
    seen = band or Band(0.0, top, top / MOST)
    seen = Band(seen.low, min(seen.high, top), seen.apart)
    if kind == "ice":
        cell, group = HEXAGONAL_ICE
        return _powder(cell, gemmi.SpaceGroup(group), seen)
    if kind == "cell":
        return () if crystal is None else _powder(gemmi.UnitCell(*crystal.cell), _group(crystal), seen)
    return _round_numbers(experiment, seen)


def _round_numbers(experiment: Experiment, seen: Band) -> tuple[tuple[float, str], ...]:
    """Even steps of the angle, as round resolutions; with more digits, the narrower the band is."""
    wavelength = experiment.beam.wavelength
    # The first ring of a whole detector is not at its middle, and the last not at its corner.
    low, high = (np.arcsin(min(1.0, 0.5 * wavelength * q)) for q in (seen.low, seen.high))
    angles = low + (high - low) * np.linspace(0.2, 1.0, 6)
    d = wavelength / (2.0 * np.sin(angles))
    digits = max(2, 1 + int(np.ceil(np.log10(d[-1] / (d[-2] - d[-1])))))
    rounded = dict.fromkeys(float(f"{value:.{digits}g}") for value in d)
    return tuple((d, f"{d:g} Å") for d in rounded if d * seen.high >= 1.0)


def _group(crystal: Crystal) -> gemmi.SpaceGroup:
    found = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(crystal.space_group.strip()))
    return found or gemmi.SpaceGroup("P 1")


def _powder(cell: gemmi.UnitCell, group: gemmi.SpaceGroup, seen: Band) -> tuple[tuple[float, str], ...]:
    """The rings of a powder within a band; reflections of one resolution are one ring."""
    # A shell holds about 4/3 pi V (q2^3 - q1^3) / 2 unique reflections over the order of the group.
    volume = 4.0 / 3.0 * np.pi * cell.volume / (2.0 * max(1, len(group.operations().sym_ops)))
    high = min(seen.high, float(np.cbrt(seen.low**3 + MOST_COUNTED / volume)))
    hkl = gemmi.make_miller_array(cell, group, 1.0 / high, 1.0 / max(seen.low, 1e-9))
    q = np.sqrt(np.asarray(cell.calculate_1_d2_array(hkl)))
    # Steps of log q and not gaps in it: where reflections are dense there are no gaps.
    _, first = np.unique(np.floor(np.log(q) / SAME), return_index=True)
    rings: list[tuple[float, str, int]] = []
    for row in first.tolist():
        if rings and q[row] - 1.0 / rings[-1][0] < seen.apart:
            d, name, others = rings[-1]
            rings[-1] = d, name, others + 1
        else:
            rings.append((1.0 / float(q[row]), f"{' '.join(map(str, hkl[row]))}  {1.0 / q[row]:.2f} Å", 0))
    return tuple(
        (d, name + (f"  +{others}" if others else "")) for d, name, others in rings if others < CROWD
    )


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
