"""What the user tells instead of the headers: wavelength, distance, beam centre, axis, angles."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, UsageError
from smalti.geometry.attenuation import attenuation_coefficient
from smalti.models import Beam, Detector, Goniometer, Panel, vector
from smalti.solution import FrameHeader
from smalti.steps.importing.options import ImportOptions

__all__ = ["Overrides", "angles", "with_beam_centre", "with_distance", "with_wavelength"]

Array = NDArray[np.float64]

_FLAT = 1e-6  # mm, rad: panels closer than this to one plane make a flat detector


class Overrides:
    """Applies the options to headers, each distinct detector once, so that equal ones stay one object."""

    def __init__(self, options: ImportOptions) -> None:
        self.options = options
        self._done: dict[tuple[int, Beam], tuple[Detector, Detector]] = {}

    def apply(self, header: FrameHeader, path: Path) -> FrameHeader:
        """Give a header with the options applied and nothing missing.

        Raises
        ------
        InputError
            The header lacks wavelength or distance and no option tells them.
        """
        options = self.options
        beam, goniometer = header.beam, header.goniometer
        if options.wavelength is not None:
            beam = replace(beam, wavelength=options.wavelength)
        if beam.wavelength <= 0.0:
            raise _missing(path, "the wavelength", "wavelength", "in Angstrom")
        if options.axis is not None:
            if not any(options.axis):
                raise UsageError("import.axis is 0, 0, 0.", "A rotation axis has a direction.", "Try 1,0,0.")
            goniometer = Goniometer(vector(np.array(options.axis) / np.linalg.norm(options.axis)))
        detector = self._detector(header.detector, beam, path)
        return replace(header, beam=beam, detector=detector, goniometer=goniometer)

    def _detector(self, detector: Detector, beam: Beam, path: Path) -> Detector:
        key = (id(detector), beam)
        if key not in self._done:
            # The original is kept beside the result, so that its id is not given to another object.
            self._done[key] = (detector, self._placed(detector, beam, path))
        return self._done[key][1]

    def _placed(self, detector: Detector, beam: Beam, path: Path) -> Detector:
        options = self.options
        if options.wavelength is not None:
            detector = with_wavelength(detector, options.wavelength)
        plane = _plane(detector)
        if (options.distance or options.beam_centre) and plane is None:
            raise InputError(
                f"Distance and beam centre of the detector in {path} cannot be told by options.",
                "It is not flat.",
                "Correct the header, or leave import.distance and import.beam_centre out.",
            )
        if options.distance is not None:
            detector = with_distance(detector, beam, options.distance)
        elif plane is not None and abs(float(plane[:, 2] @ np.cross(plane[:, 0], plane[:, 1]))) < _FLAT:
            raise _missing(path, "the distance of the detector", "distance", "in mm")
        if options.beam_centre is not None:
            normal = np.cross(*detector.stacked()[0, :, :2].T)
            if abs(float(normal @ beam.unit_s0)) < _FLAT:
                raise InputError(
                    f"The beam never meets the detector in {path}: import.beam_centre has no meaning.",
                    "It is parallel to the detector.",
                    "Leave import.beam_centre out, or correct the angle of the arm.",
                )
            detector = with_beam_centre(detector, beam, options.beam_centre)
        return detector


def with_wavelength(detector: Detector, wavelength: float) -> Detector:
    """Give a detector whose sensors attenuate as they do at another wavelength (Angstrom)."""

    def changed(panel: Panel) -> Panel:
        mu = attenuation_coefficient(panel.material, wavelength)
        return replace(panel, mu=mu, parallax=panel.parallax or bool(mu and panel.thickness and not panel.mu))

    return replace(detector, panels=tuple(changed(panel) for panel in detector.panels))


def with_distance(detector: Detector, beam: Beam, distance: float) -> Detector:
    """Give a flat detector moved along its normal to a distance (mm) from the sample."""
    d = detector.stacked()[0]
    normal = np.cross(d[:, 0], d[:, 1])
    now = float(normal @ d[:, 2])
    # Where the header gave no distance, the detector is put on the side to which the beam goes.
    side = np.sign(now) if abs(now) > _FLAT else np.sign(normal @ beam.unit_s0)
    return _moved(detector, normal * (side * distance - now))


def with_beam_centre(detector: Detector, beam: Beam, centre: tuple[float, float]) -> Detector:
    """Give a flat detector moved in its plane until the beam meets it at a pixel (fast, slow)."""
    d, panel = detector.stacked()[0], detector.panels[0]
    normal, s0 = np.cross(d[:, 0], d[:, 1]), beam.unit_s0
    meets = s0 * float(normal @ d[:, 2]) / float(normal @ s0)
    local = (np.array(centre) - np.array(panel.window)) * np.array(panel.pixel_size)
    return _moved(detector, meets - d @ np.array([*local, 1.0]))


def _moved(detector: Detector, shift: Array) -> Detector:
    if len(detector) == 1:
        d = detector.stacked()
        d[0, :, 2] += shift
        return detector.with_panel_frames(d)
    root = replace(detector.root, origin=vector(np.array(detector.root.origin) + shift))
    return replace(detector, root=root)


def _plane(detector: Detector) -> Array | None:
    """The frame of the first panel, (3, 3), when all panels lie in its plane."""
    frames = detector.stacked()
    first = frames[0]
    normal = np.cross(first[:, 0], first[:, 1])
    heights = np.abs((frames[:, :, 2] - first[:, 2]) @ normal)
    slopes = np.abs(np.einsum("i,pij->pj", normal, frames[:, :, :2]))
    return first if max(heights.max(), slopes.max()) < _FLAT else None


def _missing(path: Path, what: str, name: str, unit: str) -> InputError:
    return InputError(
        f"The header of {path} does not give {what}.",
        "Without it no geometry can be made.",
        f"Tell it {unit}: --set import.{name}=...",
    )


def angles(
    options: ImportOptions, starts: tuple[float, ...], widths: tuple[float, ...], numbers: tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give starts and widths (radians) of the images of a template, as the options have them."""
    if options.start is None and options.width is None:
        return starts, widths
    width = widths[0] if options.width is None else radians(options.width)
    start = starts[0] if options.start is None else radians(options.start)
    return tuple(start + width * (number - numbers[0]) for number in numbers), (width,) * len(numbers)
