"""From a description and the header of a frame to models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from math import radians
from typing import Any

import numpy as np

from smalti.errors import InputError
from smalti.geometry.attenuation import HC
from smalti.models import Beam, Detector, Goniometer, Group, Panel, modular, single, vector
from smalti.solution import FrameHeader
from smalti_plugins.formats._placing import Frame, SensorFacts, perpendicular, tilted
from smalti_plugins.formats.described._description import FIELDS, Description, PanelOf

__all__ = ["header_of"]

_LARGEST = 1e9  # as in descriptions
_SHORTEST = 1e-12  # square of a length that is no direction

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def header_of(told: Description, words: Mapping[str, Any], place: str) -> FrameHeader:
    """Make the models of a frame; what the header does not say comes from the description.

    Parameters
    ----------
    told : Description
    words : Mapping
        Header words, or HDF5 paths, and their values.
    place : str
        The file (and frame), for errors.
    """
    values = {name: _value(told, name, words, place) for name in told.header}
    geometry = told.geometry
    energy = values.get("energy", 0.0)
    wavelength = values.get("wavelength") or (1e3 * HC / energy if energy else geometry.wavelength)
    centre = geometry.beam_centre or (told.size[0] / 2.0, told.size[1] / 2.0)
    centre = values.get("beam_fast", centre[0]), values.get("beam_slow", centre[1])
    frame = perpendicular(values.get("distance", geometry.distance), centre, told.pixel_size)
    arm = values.get("two_theta", geometry.two_theta)
    if arm:
        frame = tilted(frame, geometry.two_theta_axis, radians(arm))
    high = values.get("saturation", told.trusted_range[1])
    start, width = radians(values.get("start", 0.0)), radians(values.get("width", 0.0))
    axis = geometry.rotation_axis
    if width < 0.0:
        # A sweep backwards is a sweep forwards about the reversed axis: widths stay positive.
        axis, start, width = (0.0 - axis[0], 0.0 - axis[1], 0.0 - axis[2]), -start, -width
    return FrameHeader(
        Beam(wavelength=wavelength),
        _detector(told, frame, wavelength, high),
        Goniometer(axis),
        start,
        width,
        values.get("exposure", 0.0),
        0.0,
        told.size,
        _notes(told, values),
    )


def _value(told: Description, name: str, words: Mapping[str, Any], place: str) -> float:
    item = told.field_of(name)
    assert item is not None
    if item.key not in words:
        raise InputError(
            f"The header of {place} has no field '{item.key}'.",
            f"The description of {told.name} takes its {name} from there.",
            "Correct the description, or leave the field out and tell the value otherwise.",
        )
    found = _NUMBER.search(str(words[item.key]))
    if not found:
        raise InputError(
            f"The field '{item.key}' in the header of {place} holds no number.",
            f"It says '{words[item.key]}', and should be the {name}.",
            "Correct the description or the header.",
        )
    value = float(found.group()) * item.factor
    if not abs(value) <= _LARGEST:
        raise InputError(
            f"The field '{item.key}' in the header of {place} is no {name}.",
            f"It says '{words[item.key]}', which makes {value:g} {FIELDS[name]}.",
            "Correct the factor in the description, or the header.",
        )
    return value


# One object for all frames of a sweep: comparing a thousand headers stays quick.
@lru_cache(maxsize=64)
def _detector(told: Description, frame: Frame, wavelength: float, high: float) -> Detector:
    sensor = told.sensor
    facts = SensorFacts(
        told.name,
        told.size,
        told.pixel_size,
        high,
        sensor.material,
        sensor.thickness,
        wavelength,
        sensor.parallax,
    )
    whole = replace(facts.panel(frame), trusted_range=(told.trusted_range[0], high), gain=told.gain)
    if told.modules is not None:
        grid = told.modules
        step = [size + gap for size, gap in zip(grid.size, grid.gap, strict=True)]
        windows = [(i * step[0], j * step[1]) for j in range(grid.grid[1]) for i in range(grid.grid[0])]
        return modular(whole, windows, grid.size)
    return _tree(told, whole) if told.panels else single(whole)


def _tree(told: Description, whole: Panel) -> Detector:
    """Hang panels and groups into one another as described."""
    panels = tuple(_panel(item, whole) for item in told.panels)

    def inside(name: str) -> tuple[Group | int, ...]:
        groups = tuple(
            Group(item.name, *_axes(item.fast, item.slow, item.name), vector(item.origin), inside(item.name))
            for item in told.groups
            if item.parent == name
        )
        return (*groups, *(k for k, item in enumerate(told.panels) if item.group == name))

    return Detector(panels, Group("Detector", whole.fast, whole.slow, whole.origin, inside("")))


def _panel(item: PanelOf, whole: Panel) -> Panel:
    a, b = whole.pixel_size
    origin = item.origin or (item.window[0] * a, item.window[1] * b, 0.0)
    fast, slow = _axes(item.fast, item.slow, item.name)
    return replace(
        whole,
        name=item.name,
        fast=fast,
        slow=slow,
        origin=vector(origin),
        image_size=item.size,
        window=item.window,
    )


def _axes(fast: tuple[float, ...], slow: tuple[float, ...], name: str) -> tuple[Any, Any]:
    """Give two unit vectors at right angles; written numbers are rounded."""
    a, b = np.array(fast), np.array(slow)
    size = np.linalg.norm(a) * np.linalg.norm(b)
    if not size > _SHORTEST or abs(a @ b) > 1e-3 * size:
        raise InputError(
            f"The axes of '{name}' are not at right angles.",
            f"fast is {fast}, slow is {slow}.",
            "Correct them in the description of the detector.",
        )
    a /= np.linalg.norm(a)
    b -= a * (a @ b)
    return vector(a), vector(b / np.linalg.norm(b))


def _notes(told: Description, values: Mapping[str, float]) -> tuple[str, ...]:
    notes = []
    if told.geometry.beam_centre is None and "beam_fast" not in values:
        notes.append("neither header nor description give the beam centre: the middle of the frame is taken")
    if not told.sensor.material:
        notes.append("the material of the sensor is not described, so parallax is not corrected")
    return tuple(notes)
