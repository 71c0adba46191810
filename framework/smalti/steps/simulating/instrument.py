"""The instrument of a simulation: the detector as it is and as the headers have it, beam, axis and scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smalti.errors import UsageError
from smalti.geometry.attenuation import attenuation_coefficient
from smalti.geometry.panels import panel_bases, panel_centres
from smalti.geometry.rotation import rotation
from smalti.models import (
    LAYOUTS,
    NO_COUNT,
    Beam,
    Detector,
    Experiment,
    Goniometer,
    ModuleLayout,
    Panel,
    Scan,
    modular,
    single,
)
from smalti.options import suggest
from smalti.steps.simulating.cspad import CSPAD, SENSOR_LEVEL, cspad
from smalti.steps.simulating.options import SimulateOptions
from smalti.units import MRAD, radians

__all__ = [
    "COUNT_CUTOFF",
    "displaced",
    "displaced_nodes",
    "find_layout",
    "flat_detector",
    "is_cspad",
    "nominal",
    "true",
]

Triple = tuple[float, float, float]

_ON_A_SENSOR = 0.1
"""Tiles that are bonded to one sensor are out of place by this part of what sensors are."""

COUNT_CUTOFF = 1048500
"""Largest count that the 20-bit counters of a PILATUS are trusted with."""


def find_layout(name: str) -> ModuleLayout:
    """Give a known module layout by name, e.g. "PILATUS 6M".

    Raises
    ------
    UsageError
        There is no such layout.
    """
    for item in LAYOUTS:
        if item.name.lower() == name.strip().lower():
            return item
    raise UsageError(
        f"Unknown detector layout '{name}'.",
        "A layout says how a frame divides into modules.",
        suggest(name, [*(item.name for item in LAYOUTS), CSPAD]),
    )


def flat_detector(
    layout: ModuleLayout,
    distance: float,
    beam_centre: tuple[float, float] | None = None,
    *,
    modules: bool = True,
    thickness: float = 0.32,
    mu: float = 3.96,
) -> Detector:
    """Make a flat silicon detector perpendicular to a beam along -z: fast along +x, slow along -y.

    Parameters
    ----------
    distance : float
        mm.
    beam_centre : (fast, slow) px, optional
        Default: the middle of the frame.
    modules : bool
        Whether to divide it into its modules.
    thickness, mu : float
        Of the sensor, mm and 1/mm.
    """
    size, pixel = layout.frame, layout.pixel_size
    x, y = beam_centre or (size[0] / 2, size[1] / 2)
    whole = Panel(
        "Panel", (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (-x * pixel, y * pixel, -distance), size, (pixel, pixel),
        trusted_range=(NO_COUNT, float(COUNT_CUTOFF)), thickness=thickness, material="Si", mu=mu,
        parallax=True,
    )  # fmt: skip
    return modular(whole, layout.windows(), layout.module) if modules else single(whole)


def displaced(
    detector: Detector,
    rng: np.random.Generator,
    shift: Triple = (0.05, 0.05, 0.05),
    turn: Triple = (0.15e-3, 0.15e-3, 0.3e-3),
) -> Detector:
    """Displace every panel at random about its centre, in its own frame.

    Parameters
    ----------
    shift : (fast, slow, normal) mm, RMS
    turn : about (fast, slow, normal) rad, RMS
    """
    d = detector.stacked()
    centres = panel_centres(d, [panel.size_mm for panel in detector.panels])
    for k, (basis, centre) in enumerate(zip(panel_bases(d), centres, strict=True)):
        vector = basis @ (rng.normal(size=3) * turn)
        angle = float(np.linalg.norm(vector))
        R = rotation(vector, angle) if angle > 0 else np.eye(3)
        d[k, :, :2] = R @ d[k, :, :2]
        d[k, :, 2] = centre + R @ (d[k, :, 2] - centre) + basis @ (rng.normal(size=3) * shift)
    return detector.with_panel_frames(d)


def displaced_nodes(
    detector: Detector, rng: np.random.Generator, level: int, shift: Triple, turn: Triple
) -> Detector:
    """Displace every node of a level as :func:`displaced` does panels, with all that hangs below it."""
    centres = panel_centres(detector.stacked(), [panel.size_mm for panel in detector.panels])
    motions = {}
    for node in detector.nodes(level):
        centre = centres[list(node.panels)].mean(axis=0)
        vector = node.rotation @ (rng.normal(size=3) * turn)
        angle = float(np.linalg.norm(vector))
        R = rotation(vector, angle) if angle > 0 else np.eye(3)
        motions[node.path] = R, centre - R @ centre + node.rotation @ (rng.normal(size=3) * shift)
    return detector.moved(motions)


def nominal(options: SimulateOptions) -> Experiment:
    """Give the experiment as the image headers state it: flat, and to the digits of a header."""
    centre = options.beam_centre or _middle(options)
    stated = (
        round(centre[0] + options.header_beam_error[0], 2),
        round(centre[1] + options.header_beam_error[1], 2),
    )
    distance = round(options.distance + options.header_distance_error, 2)
    return _experiment(options, _detector(options, distance, stated))


def true(options: SimulateOptions) -> Experiment:
    """Give the experiment as it is: panels misplaced; no crystal yet."""
    flat = _detector(options, options.distance, options.beam_centre)
    seed = options.seed if options.detector_seed is None else options.detector_seed
    rng = np.random.default_rng([seed, 1])
    turn = (options.turn[0] * MRAD, options.turn[1] * MRAD, options.turn[2] * MRAD)
    if not is_cspad(options):
        return _experiment(options, displaced(flat, rng, options.shift, turn))
    sensors = displaced_nodes(flat, rng, SENSOR_LEVEL, options.shift, turn)
    little = (
        _ON_A_SENSOR * options.shift[0],
        _ON_A_SENSOR * options.shift[1],
        _ON_A_SENSOR * options.shift[2],
    )
    least = (_ON_A_SENSOR * turn[0], _ON_A_SENSOR * turn[1], _ON_A_SENSOR * turn[2])
    return _experiment(options, displaced(sensors, rng, little, least))


def is_cspad(options: SimulateOptions) -> bool:
    """Tell whether the detector is no grid of modules on one frame but the quadrants of a CS-PAD."""
    return options.layout.strip().lower() == CSPAD.lower()


def _middle(options: SimulateOptions) -> tuple[float, float]:
    """Beam centre (px) when nothing else is said."""
    if is_cspad(options):
        return 0.0, 0.0
    layout = find_layout(options.layout)
    return layout.frame[0] / 2, layout.frame[1] / 2


def _detector(options: SimulateOptions, distance: float, beam_centre: tuple[float, float] | None) -> Detector:
    mu, thickness = attenuation_coefficient("Si", round(options.wavelength, 5)), options.sensor_thickness
    if is_cspad(options):
        return cspad(distance, beam_centre, thickness, mu)
    return flat_detector(find_layout(options.layout), distance, beam_centre, thickness=thickness, mu=mu)


def _experiment(options: SimulateOptions, detector: Detector) -> Experiment:
    beam = Beam(wavelength=round(options.wavelength, 5), polarization_fraction=0.99)
    if options.stills:
        return Experiment(beam, detector, identifier=f"simulated-{options.seed}")
    # Rounded as in a header, so that the files and the models say the same.
    width, start = round(options.width, 4), round(options.start, 4)
    scan = Scan(
        (1, options.n_images),
        (radians(start), radians(width)),
        (0.1,) * options.n_images,
        tuple(round(0.1 * k, 3) for k in range(options.n_images)),
    )
    return replace(Experiment(beam, detector, Goniometer(), scan), identifier=f"simulated-{options.seed}")
