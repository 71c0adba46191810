"""Master files of EIGER detectors from before NXmx: a distance, a beam centre and one set of angles."""

from __future__ import annotations

from math import radians
from pathlib import Path

import h5py
import numpy as np

from smalti.models import Detector, Goniometer
from smalti_plugins.formats._placing import SensorFacts, flat, perpendicular, tilted
from smalti_plugins.formats.nexus._items import damaged, number, numbers
from smalti_plugins.formats.nexus._sensor import Sensor
from smalti_plugins.formats.nexus._turning import Turning, width_beside

__all__ = ["eiger_detector", "eiger_shape", "eiger_turning"]

_AXIS = (1.0, 0.0, 0.0)


def eiger_shape(detector: h5py.Group, file: Path) -> tuple[int, int]:
    """Give (slow, fast) pixels as the master file says, for when no data file is there."""
    home = detector.get("detectorSpecific")
    sizes = [
        number(home, f"{side}_pixels_in_detector", "", file) if isinstance(home, h5py.Group) else None
        for side in "yx"
    ]
    if not sizes[0] or not sizes[1]:
        raise damaged(detector, file, "It names no data file that is there, and no size of the images")
    return int(sizes[0]), int(sizes[1])


def eiger_detector(
    group: h5py.Group, sensor: Sensor, shape: tuple[int, ...], wavelength: float, parallax: bool, file: Path
) -> Detector:
    """Place a detector across the beam, on its two-theta arm where it has one."""
    pixel = tuple(number(group, f"{side}_pixel_size", "mm", file) or 0.0 for side in "xy")
    if min(pixel) <= 0.0:
        raise damaged(group, file, "It gives no size of its pixels, and no modules")
    distance = number(group, "detector_distance", "mm", file) or number(group, "distance", "mm", file) or 0.0
    beam = tuple(number(group, f"beam_center_{side}", "", file) for side in "xy")
    centre = (
        (beam[0], beam[1])
        if beam[0] is not None and beam[1] is not None
        else (shape[-1] / 2.0, shape[-2] / 2.0)
    )
    frame = perpendicular(distance, centre, (pixel[0], pixel[1]))
    arm = group.get("goniometer/two_theta")
    angle = numbers(arm, "rad", file) if isinstance(arm, h5py.Dataset) else np.zeros(1)
    if angle.size and angle[0]:
        frame = tilted(frame, _AXIS, float(angle[0]))
    facts = SensorFacts(
        sensor.name,
        (shape[-1], shape[-2]),
        (pixel[0], pixel[1]),
        sensor.trusted[1],
        sensor.material,
        sensor.thickness,
        wavelength,
        parallax,
    )
    return flat(facts, frame)


def eiger_turning(sample: h5py.Group | None, n_frames: int, file: Path) -> Turning:
    """Read the angle omega; these files do not say how the axes lie."""
    home = sample.get("goniometer") if sample is not None else None
    item = home.get("omega") if isinstance(home, h5py.Group) else None
    if not isinstance(home, h5py.Group) or not isinstance(item, h5py.Dataset):
        return Turning(None, np.zeros(n_frames), np.zeros(n_frames))
    starts = numbers(item, "rad", file)
    width = width_beside(home, "omega", starts, file)
    if len(starts) > 1 and not width:
        width = float(np.median(np.diff(starts)))
    if len(starts) < n_frames:
        starts = starts[0] + np.arange(n_frames) * width
    notes = [
        "the header gives no vectors of axes: omega is taken along +x; check the sense of rotation",
        *(
            f"the header gives {name} {np.degrees(value):g} deg but not how the axis lies; it is left out"
            for name, value in _set_apart(home, file)
        ),
    ]
    axis = _AXIS
    if width < 0.0:
        axis, starts, width = (-1.0, 0.0, 0.0), -starts, -width
    return Turning(Goniometer(axis), starts[:n_frames], np.full(n_frames, width), tuple(notes))


def _set_apart(home: h5py.Group, file: Path) -> list[tuple[str, float]]:
    found = []
    for name in ("kappa", "chi", "phi"):
        item = home.get(name)
        values = numbers(item, "rad", file) if isinstance(item, h5py.Dataset) else np.zeros(0)
        if values.size and abs(values[0]) > radians(1e-3):
            found.append((name, float(values[0])))
    return found
