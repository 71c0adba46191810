"""From the headers of the images of one template to sweeps and stills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import degrees, radians
from pathlib import Path

import numpy as np

from smalti.errors import InputError
from smalti.models import Detector, Goniometer, Scan
from smalti.solution import FrameHeader
from smalti.steps.importing.naming import Numbered
from smalti.text import plural

__all__ = ["Sweep", "divide"]

_WAVELENGTH = 1e-5  # relative; headers give four to five decimals
_PLACE = 1e-3  # mm, by which detector frames may differ within a sweep
_DIRECTION = 1e-5  # by which components of directions and rotations may
_ANGLE = 0.03  # of an image width, by which a start may miss the end of the image before
_LEAST = radians(1e-4)  # headers give angles to four decimals


@dataclass(frozen=True, slots=True)
class Sweep:
    """Consecutive images that belong together, or one still.

    Attributes
    ----------
    template : str
    paths : tuple of Path
    header : FrameHeader
        Of the first image.
    scan : Scan or None
        None for a still.
    indices : tuple of int
        Where one file holds many images: the place of each in it, from 0.
    """

    template: str
    paths: tuple[Path, ...]
    header: FrameHeader
    scan: Scan | None
    indices: tuple[int, ...] = ()


def divide(
    series: Numbered,
    headers: Sequence[FrameHeader],
    starts: Sequence[float],
    widths: Sequence[float],
    stills: bool,
) -> tuple[list[Sweep], list[str]]:
    """Divide the images of one template into sweeps.

    A new sweep begins where a number is missing, where the rotation does not go on from the image
    before, and where beam, detector or goniometer change. Images of zero width are stills.

    Parameters
    ----------
    series : Numbered
    headers : sequence of FrameHeader
    starts, widths : sequence of float
        Radians; those of the headers, or what the user told.
    stills : bool
        Whether all are stills.

    Returns
    -------
    sweeps, warnings

    Raises
    ------
    InputError
        The images come from different detectors.
    """
    _one_detector(series, headers)
    warnings: list[str] = []
    missing = _missing(series.numbers)
    if missing:
        several = "" if missing.isdecimal() else "s"
        warnings.append(f"{series.name}: image{several} {missing} missing")
    if stills or all(width == 0.0 for width in widths):
        # Without a goniometer nothing can have turned: the images say that they are stills.
        if not stills and any(header.goniometer is not None for header in headers):
            warnings.append(_stills_told(series, starts))
        return [
            Sweep(series.template, (path,), header, None, _indices(series, k, k + 1))
            for k, (path, header) in enumerate(zip(series.paths, headers, strict=True))
        ], warnings
    cuts = [0]
    for k in range(1, len(headers)):
        why = _break(series, headers, starts, widths, k)
        if why:
            cuts.append(k)
            if why != "missing":
                warnings.append(f"{series.name}: a new sweep begins at image {series.numbers[k]}: {why}")
    sweeps = [
        _sweep(series, headers, starts, widths, a, b)
        for a, b in zip(cuts, [*cuts[1:], len(headers)], strict=True)
    ]
    return sweeps, warnings


def _missing(numbers: Sequence[int]) -> str:
    """Write the numbers that ascending numbers leave out; gaps may be wide, so that they are not listed."""
    return ", ".join(
        f"{before + 1}" if after == before + 2 else f"{before + 1}-{after - 1}"
        for before, after in pairwise(numbers)
        if after > before + 1
    )


def _sweep(
    series: Numbered,
    headers: Sequence[FrameHeader],
    starts: Sequence[float],
    widths: Sequence[float],
    begin: int,
    end: int,
) -> Sweep:
    part = headers[begin:end]
    indices = _indices(series, begin, end)
    if widths[begin] == 0.0:
        return Sweep(series.template, series.paths[begin:end], part[0], None, indices)
    scan = Scan(
        (series.numbers[begin], series.numbers[end - 1]),
        (starts[begin], widths[begin]),
        tuple(header.exposure for header in part),
        tuple(header.epoch for header in part),
    )
    return Sweep(series.template, series.paths[begin:end], part[0], scan, indices)


def _indices(series: Numbered, begin: int, end: int) -> tuple[int, ...]:
    return tuple(number - 1 for number in series.numbers[begin:end]) if series.in_one_file else ()


def _break(
    series: Numbered,
    headers: Sequence[FrameHeader],
    starts: Sequence[float],
    widths: Sequence[float],
    k: int,
) -> str:
    """Say why image k does not go on with the sweep of the one before; "" when it does."""
    if series.numbers[k] != series.numbers[k - 1] + 1:
        return "missing"
    if widths[k] == 0.0:
        return "the image is a still"
    tolerance = _ANGLE * abs(widths[k]) + _LEAST
    if abs(widths[k] - widths[k - 1]) > tolerance:
        return f"the image width changes to {degrees(widths[k]):g} deg"
    expected = starts[k - 1] + widths[k - 1]
    # Headers may begin again after a full turn.
    apart = (starts[k] - expected + np.pi) % (2.0 * np.pi) - np.pi
    if abs(apart) > tolerance:
        return f"it starts at {degrees(starts[k]):g} deg, not at {degrees(expected):g} deg"
    return _changed(headers[k - 1], headers[k])


def _changed(a: FrameHeader, b: FrameHeader) -> str:
    if abs(a.beam.wavelength - b.beam.wavelength) > _WAVELENGTH * a.beam.wavelength:
        return f"the wavelength changes to {b.beam.wavelength:g} Angstrom"
    if a.detector is not b.detector and not _same_place(a.detector, b.detector):
        return "the detector has moved"
    if not _same_setting(a.goniometer, b.goniometer):
        return "the goniometer has moved"
    return ""


def _same_place(a: Detector, b: Detector) -> bool:
    da, db = a.stacked(), b.stacked()
    return bool(
        np.abs(da[:, :, :2] - db[:, :, :2]).max() < _DIRECTION
        and np.abs(da[:, :, 2] - db[:, :, 2]).max() < _PLACE
    )


def _same_setting(a: Goniometer | None, b: Goniometer | None) -> bool:
    """Whether two goniometers are the same but for the angle of the scan axis."""
    if a is None or b is None:
        return a is b
    pairs = ((a.F, b.F), (a.S, b.S), (a.axis, b.axis))
    return a.names == b.names and all(np.abs(x - y).max() < _DIRECTION for x, y in pairs)


def _one_detector(series: Numbered, headers: Sequence[FrameHeader]) -> None:
    first = headers[0]
    for path, header in zip(series.paths, headers, strict=True):
        if _kind(header) != _kind(first):
            raise InputError(
                f"{path} comes from another detector than {series.paths[0].name}.",
                f"{_words(header)}, not {_words(first)}.",
                "Import the two series apart.",
            )


def _kind(header: FrameHeader) -> tuple[object, ...]:
    panel = header.detector.panels[0]
    return header.size, len(header.detector), panel.pixel_size, panel.identifier


def _words(header: FrameHeader) -> str:
    fast, slow = header.size
    name = header.detector.panels[0].identifier
    return f"{name + ', ' if name else ''}{fast} x {slow} px"


def _stills_told(series: Numbered, starts: Sequence[float]) -> str:
    count = plural(len(starts), "image")
    steps = np.diff(starts)
    told = f"{series.name}: {count} of zero rotation taken as stills"
    if len(steps) and np.all(np.abs(steps - steps[0]) < _LEAST) and abs(steps[0]) > _LEAST:
        told += f", though they start {degrees(steps[0]):g} deg apart"
    return told + "; tell the rotation with --set import.width=..., if they are a sweep"
