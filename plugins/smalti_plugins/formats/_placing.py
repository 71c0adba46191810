"""From header words to a detector in the laboratory: flat frames with modules, and the I23 barrel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import cos, radians, sin

import numpy as np

from smalti.geometry.attenuation import attenuation_coefficient
from smalti.geometry.rotation import rotation
from smalti.models import NO_COUNT, Detector, Group, Panel, Vector, layout_of, modular, single, vector

__all__ = ["SensorFacts", "barrel", "flat", "modules_of", "perpendicular", "tilted"]

Frame = tuple[Vector, Vector, Vector]
"""Fast axis, slow axis, outer corner of the first pixel (mm), laboratory."""


@dataclass(frozen=True, slots=True)
class SensorFacts:
    """What a header says of the pixels: everything but where they are.

    Attributes
    ----------
    detector : str
        Model and serial number, as written.
    size : (fast, slow) px
    pixel_size : (fast, slow) mm
    cutoff : float
        Highest trusted count.
    material, thickness : str, mm
    wavelength : float
        Angstrom, for the attenuation.
    parallax : bool
        Whether to correct for the depth of absorption, where the sensor is known.
    """

    detector: str
    size: tuple[int, int]
    pixel_size: tuple[float, float]
    cutoff: float
    material: str
    thickness: float
    wavelength: float
    parallax: bool

    def panel(self, frame: Frame) -> Panel:
        """Make one panel of the whole frame, placed in the laboratory."""
        mu = attenuation_coefficient(self.material, self.wavelength)
        return Panel(
            "Panel",
            *frame,
            self.size,
            self.pixel_size,
            trusted_range=(NO_COUNT, self.cutoff),
            thickness=self.thickness,
            material=self.material,
            mu=mu,
            parallax=self.parallax and mu > 0.0 and self.thickness > 0.0,
            identifier=self.detector,
        )


def perpendicular(distance: float, beam: tuple[float, float], pixel: tuple[float, float]) -> Frame:
    """Place a frame perpendicular to a beam along -z: fast along +x, slow along -y.

    Parameters
    ----------
    distance : float
        mm.
    beam : (fast, slow) px
    pixel : (fast, slow) mm
    """
    return (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (-beam[0] * pixel[0], beam[1] * pixel[1], -distance)


def tilted(frame: Frame, axis: Vector, angle: float) -> Frame:
    """Turn a frame about an axis through the sample, by an angle in radians: a 2-theta arm."""
    fast, slow, origin = (vector(rotation(axis, angle) @ np.array(item)) for item in frame)
    return fast, slow, origin


# Detectors compare equal by identity first, so that one object for all frames of a sweep keeps
# grouping a thousand headers quick.
@lru_cache(maxsize=256)
def flat(facts: SensorFacts, frame: Frame) -> Detector:
    """Make a flat detector, divided into its modules where their layout is known."""
    return modules_of(facts.panel(frame))


def modules_of(panel: Panel) -> Detector:
    """Divide a panel, placed in the laboratory, into modules where it is a frame of a known detector."""
    layout = layout_of(panel.image_size, panel.pixel_size[0])
    if layout is None or layout.grid == (1, 1):
        return single(panel)
    return modular(panel, layout.windows(), layout.module)


# The barrel of I23: 24 rows of five modules on a cylinder of 250 mm about the x axis. Angles and
# offsets as in what dxtbx 3.12 makes of these images, fitted to 1 nm; its papers: Wagner et al. 2016,
# Acta Cryst. D72, 430.
_RADIUS, _STEP, _FIRST = 250.0, 8.344, -8.2485
_CORNER, _HALF = -184.9, 16.8
_BEAM = (1075.0, 2594.0)
_MODULE, _GAP, _GRID = (487, 195), (7, 17), (5, 24)


@lru_cache(maxsize=256)
def barrel(facts: SensorFacts, distance: float, beam: tuple[float, float]) -> Detector:
    """Make the Pilatus 12M barrel of I23: rows of modules, each row flat.

    The axis of the barrel lies at ``distance`` behind the sample, as its headers say (10 mm).

    Parameters
    ----------
    facts : SensorFacts
    distance : float
        mm.
    beam : (fast, slow) px
    """
    a, b = facts.pixel_size
    # Fast and slow stand in for the rows' frames, which are filled in below.
    template = facts.panel(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)))
    panels: list[Panel] = []
    rows: list[Group] = []
    for j in range(_GRID[1]):
        angle = radians(_FIRST + _STEP * j)
        slow, normal = np.array([0.0, sin(angle), cos(angle)]), np.array([0.0, -cos(angle), sin(angle)])
        origin = _RADIUS * normal - _HALF * slow + np.array([_CORNER, 0.0, 0.0])
        first = len(panels)
        for i in range(_GRID[0]):
            window = (i * (_MODULE[0] + _GAP[0]), j * (_MODULE[1] + _GAP[1]))
            panels.append(
                replace(
                    template,
                    name=f"row-{j:02d}-col-{i:02d}",
                    origin=(window[0] * a, 0.0, 0.0),
                    image_size=_MODULE,
                    window=window,
                )
            )
        children = tuple(range(first, len(panels)))
        rows.append(Group(f"row-{j:02d}", (1.0, 0.0, 0.0), vector(slow), vector(origin), children))
    shift = ((beam[0] - _BEAM[0]) * a, (_BEAM[1] - beam[1]) * b, -distance)
    return Detector(tuple(panels), Group("Detector", (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), shift, tuple(rows)))
