"""What a frame shows without spots: background, shadow, gaps, dead and hot pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment
from smalti.steps.simulating.instrument import find_layout
from smalti.steps.simulating.options import SimulateOptions

__all__ = ["DEAD", "GAP", "Scene", "make_scene"]

Frame = NDArray[np.float32]

GAP = -1
"""What a PILATUS writes where there is no pixel."""
DEAD = -2
"""What a PILATUS writes for a pixel that is excluded."""

_HOT = 5000.0  # mean counts of a hot pixel
_LEAK = 0.02  # part of the scatter that reaches the detector behind the beam stop
_WATER = (3.3, 0.03)  # position (Angstrom) and width (1/Angstrom) of the broad ring of water and glass
_AIR = 0.05  # angle (rad) over which scatter by air near the beam falls off


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything of a frame that does not change from image to image.

    Attributes
    ----------
    mean : (slow, fast) float32
        Mean background counts; GAP and DEAD where there is nothing to count.
    at_zero : (slow, fast) float32
        exp(-mean).
    transmission : (slow, fast) float32
        Part of the photons that the beam stop lets through.
    dead, hot : (n, 2) int
        Fast and slow pixel of the dead and the hot pixels.
    """

    mean: Frame
    at_zero: Frame
    transmission: Frame
    dead: NDArray[np.intp]
    hot: NDArray[np.intp]


def make_scene(truth: Experiment, options: SimulateOptions) -> Scene:
    """Paint the static part of the frames of a true experiment."""
    layout = find_layout(options.layout)
    fast, slow = layout.frame
    centre = options.beam_centre or (fast / 2, slow / 2)
    x = (np.arange(fast, dtype=np.float32) + 0.5 - centre[0]) * layout.pixel_size
    y = (np.arange(slow, dtype=np.float32) + 0.5 - centre[1]) * layout.pixel_size
    radius = np.hypot(x[None, :], y[:, None])
    real = np.zeros((slow, fast), dtype=bool)
    for panel in truth.detector.panels:
        (f, s), (nf, ns) = panel.window, panel.image_size
        real[s : s + ns, f : f + nf] = True
    transmission = _shadow(radius, x, y, options.beam_stop)
    shape = _scatter(radius, options.distance, truth.beam.wavelength)
    mean = np.asarray(shape * (options.background / shape[real].mean()) * transmission, dtype=np.float32)
    dead, hot = _bad_pixels(real, options)
    mean[hot[:, 1], hot[:, 0]] = _HOT
    mean[~real] = GAP
    mean[dead[:, 1], dead[:, 0]] = DEAD
    return Scene(mean, np.exp(-np.maximum(mean, 0.0)), transmission, dead, hot)


def _scatter(radius: Frame, distance: float, wavelength: float) -> Frame:
    """Relative background at a distance (mm) from the beam: flat, air near the beam, a ring of water."""
    angle = np.arctan2(radius, np.float32(distance))
    s = 2.0 * np.sin(angle / 2.0) / wavelength
    # A pixel subtends less of the sphere the further out it is: cos^3.
    solid = np.cos(angle) ** 3
    ring = np.exp(-0.5 * ((s - 1.0 / _WATER[0]) / _WATER[1]) ** 2)
    return np.asarray(solid * (0.6 + 3.0 * np.exp(-angle / _AIR) + 0.6 * ring), dtype=np.float32)


def _shadow(radius: Frame, x: Frame, y: Frame, size: float) -> Frame:
    """Part of the photons that pass a beam stop (mm) on an arm that comes in along +fast."""
    if size == 0.0:
        return np.ones_like(radius)
    arm = (np.abs(y)[:, None] < size / 4.0) & (x[None, :] > 0.0)
    return np.where((radius < size) | arm, np.float32(_LEAK), np.float32(1.0))


def _bad_pixels(
    real: NDArray[np.bool_], options: SimulateOptions
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rng = np.random.default_rng([options.seed, 2])
    places = np.flatnonzero(real)
    number = min(options.dead_pixels + options.hot_pixels, len(places))
    chosen = rng.choice(places, number, replace=False)
    slow, fast = np.unravel_index(chosen, real.shape)
    both = np.column_stack([fast, slow]).astype(np.intp)
    return both[: options.dead_pixels], both[options.dead_pixels :]
