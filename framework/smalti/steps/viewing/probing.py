"""What is under the cursor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smalti.geometry.panels import PanelArrays, to_mm, wave_vectors
from smalti.geometry.reciprocal import map_to_reciprocal
from smalti.models import Detector, Experiment, Experiments
from smalti.steps.reporting.numbers import listed, significant
from smalti.steps.viewing.scene import Scene, Shot
from smalti.steps.viewing.spots import KINDS, Spots

__all__ = ["count_at", "panel_at", "probe"]

NEAR = 12.0
"""px: spots farther from the cursor are not named."""


@dataclass(frozen=True)
class _Place:
    """A position on a panel: its number, pixel and mm along fast and slow."""

    panel: int
    px: tuple[float, float]


def panel_at(detector: Detector, x: float, y: float) -> int:
    """Give the panel of a position on the raw frame; -1 between panels."""
    for number, panel in enumerate(detector.panels):
        (fast, slow), (width, height) = panel.window, panel.image_size
        if fast <= x < fast + width and slow <= y < slow + height:
            return number
    return -1


def count_at(scene: Scene, shot: Shot, x: int, y: int) -> float | str:
    """Give the count of a pixel of the raw frame as it is shown, or a word for what it is instead."""
    stack, ground = scene.stack(shot), scene.ground(scene.roll(shot))
    n_slow, n_fast = stack.total.shape
    if not (0 <= x < n_fast and 0 <= y < n_slow):
        return "outside"
    flat = y * n_fast + x
    if not ground.usable[y, x]:
        return "no pixel" if _holds(ground.gaps, flat) else "masked"
    if _holds(stack.over, flat):
        return "above the trusted range"
    if _holds(stack.missing, flat):
        return "no measurement"
    return float(stack.total[y, x]) / stack.divisor


def _holds(index: Any, flat: int) -> bool:
    at = int(np.searchsorted(index, flat))
    return at < len(index) and int(index[at]) == flat


def probe(
    scene: Scene, shot: Shot, x: float, y: float, spots: Spots, experiments: Experiments
) -> dict[str, Any]:
    """Tell everything about a position on the raw frame.

    Parameters
    ----------
    x, y : float
        Position (fast, slow) on the raw frame, px.
    spots : Spots
        Those on the frames shown.
    experiments : Experiments
        The geometry to tell it by.

    Returns
    -------
    dict
        ``value`` a number or a word; on a panel also panel, name, px, mm, d (Angstrom), two_theta, angle
        (degrees), hkl_here (where the cursor is in each lattice) and the nearest ``spot``.
    """
    roll = scene.roll(shot)
    experiment = experiments[roll.members[0]]
    told: dict[str, Any] = {"value": count_at(scene, shot, int(np.floor(x)), int(np.floor(y)))}
    number = panel_at(experiment.detector, x, y)
    if number < 0:
        return told
    panel = experiment.detector.panels[number]
    place = _Place(number, (x - panel.window[0], y - panel.window[1]))
    arrays = PanelArrays.of(experiment.detector)
    index = np.array([number])
    mm = to_mm(np.array([place.px]), index, arrays)
    s1 = wave_vectors(mm, index, arrays, experiment.beam.wavelength)
    q = s1[0] - experiment.beam.s0
    cosine = float(s1[0] @ experiment.beam.s0 * experiment.beam.wavelength**2)
    length = float(np.linalg.norm(q))
    angle = _angle(scene, shot)
    told |= {
        "panel": number,
        "name": panel.name,
        "px": listed(place.px, 6),
        "mm": listed(mm[0], 6),
        "d": significant(1.0 / length, 5) if length > 0.0 else None,
        "two_theta": significant(float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))), 5),
        "angle": None if angle is None else significant(float(np.degrees(angle)), 6),
        "hkl_here": [
            {"experiment": k, "hkl": listed(h, 4)}
            for k in roll.members
            if (h := _index(experiments[k], s1, angle)) is not None
        ],
        "spot": _nearest(spots, place),
    }
    return told


def _angle(scene: Scene, shot: Shot) -> float | None:
    """Middle of the rotation of the frames shown, rad."""
    roll, index = scene.gallery.find(shot.frame)
    first, last = roll.angles(index), roll.angles(index + shot.n - 1)
    return None if first is None or last is None else 0.5 * (first[0] + last[1])


def _index(experiment: Experiment, s1: Any, angle: float | None) -> Any:
    """Miller indices, not whole, of a direction; None where there is no crystal."""
    crystal, goniometer = experiment.crystal, experiment.goniometer
    if crystal is None:
        return None
    if goniometer is None or angle is None:
        r = s1[0] - experiment.beam.s0
    else:
        F, S = goniometer.F, goniometer.S
        r = map_to_reciprocal(s1, np.array([angle]), experiment.beam.s0, goniometer.axis, F, S)[0]
    return np.array(crystal.real_space) @ r


def _nearest(spots: Spots, place: _Place) -> dict[str, Any] | None:
    """Describe the spot nearest to a place on its panel, if one is near."""
    rows = np.flatnonzero(spots.panel == place.panel)
    if rows.size == 0:
        return None
    distance = np.linalg.norm(spots.observed[rows] - np.array(place.px), axis=1)
    k = int(np.argmin(distance))
    if distance[k] > NEAR:
        return None
    row = rows[k]
    return {
        "kind": KINDS[spots.kind[row]],
        "hkl": spots.hkl[row].tolist(),
        "observed": listed(spots.observed[row], 6),
        "residual": listed(spots.predicted[row] - spots.observed[row], 3),
        "away": significant(float(distance[k]), 3),
    }
