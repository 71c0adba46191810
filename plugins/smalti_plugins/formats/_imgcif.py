"""What an imgCIF header says of detector, beam, goniometer and pixels, for any number of arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smalti.errors import InputError
from smalti.models import NO_COUNT, Beam, Detector, Goniometer, Panel
from smalti_plugins.formats._axes import (
    HeaderAxis,
    goniometer_of,
    header_block,
    number,
    place,
    read_axes,
    rows,
    told,
)
from smalti_plugins.formats._elements import Element, read_elements
from smalti_plugins.formats._placing import modules_of
from smalti_plugins.formats._raw_frames import on_one_frame
from smalti_plugins.formats._trees import Axis, Hung, hang

if TYPE_CHECKING:
    from gemmi import cif

__all__ = ["ImgCif", "Placed", "parse_imgcif"]

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)[:Z]*(\d\d(?:\.\d+)?)?")
_SATURATED = 65535.0  # where no overload is told
_COUNTERS = re.compile(r"pilatus|eiger|medipix|timepix", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Placed:
    """An array of pixels and where it goes on the frame.

    Attributes
    ----------
    name : str
        The ``array_id``.
    binary : str
        The ``binary_id`` of its section; "" where sections are taken in order.
    window : (fast, slow) px
        Its first pixel on the frame.
    size : (fast, slow) px
    """

    name: str
    binary: str
    window: tuple[int, int]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ImgCif:
    """An image as its header describes it.

    Attributes
    ----------
    detector : Detector
        Panels with their windows on one frame.
    arrays : tuple of Placed
        What is put together to that frame.
    size : (fast, slow)
        Pixels of the frame that holds all panels.
    start, width : float
        Radians.
    exposure, epoch : float
        Seconds; seconds since 1970.
    """

    detector: Detector
    arrays: tuple[Placed, ...]
    size: tuple[int, int]
    beam: Beam
    goniometer: Goniometer | None
    start: float
    width: float
    exposure: float
    epoch: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """Which arrays make one frame, and where each is in the file."""

    name: str
    binaries: Mapping[str, str]


def parse_imgcif(text: str, path: Path) -> ImgCif:
    """Parse an imgCIF header; its laboratory frame is ours, z towards the source [Int. Tables G, 3.7].

    Raises
    ------
    InputError
        A category, an item or an axis is missing or makes no sense; names the file and which.
    """
    try:
        block = header_block(text)
        frame = _frame(block)
        axes = read_axes(block, frame.name)
        elements = _elements(block, axes, frame)
        detector, size, windows = _detector(block, elements)
        goniometer, start, width = goniometer_of(axes)
        exposure, epoch = _time(block)
        beam = _beam(block, axes)
    except KeyError as error:
        raise _incomplete(path, f"It lacks {error.args[0]}.") from None
    except (ValueError, RuntimeError) as error:
        raise _incomplete(path, f"{str(error).rstrip('.')}.") from None
    arrays = tuple(
        Placed(item.array, frame.binaries.get(item.array, ""), window, item.size)
        for item, window in zip(elements, windows, strict=True)
    )
    return ImgCif(detector, arrays, size, beam, goniometer, start, width, exposure, epoch)


def _incomplete(path: Path, why: str) -> InputError:
    return InputError(
        f"The header of {path} does not describe its detector completely.",
        why,
        "Correct the header, or copy the image again.",
    )


def _frame(block: cif.Block) -> _Frame:
    if not told(block, "diffrn_data_frame"):
        return _Frame("", {})
    names, binaries = [], {}
    for row in rows(block, "diffrn_data_frame", "id", "array_id"):
        names.append(row["id"])
        binaries[row["array_id"]] = row.get("binary_id", "")
    if len(set(names)) > 1:
        raise ValueError(f"It describes {len(set(names))} frames, {names[0]} and others, where one is needed")
    if len(binaries) < len(names):
        raise ValueError("Several elements of the detector share an array, which is not understood")
    return _Frame(names[0], binaries)


def _elements(block: cif.Block, axes: Mapping[str, HeaderAxis], frame: _Frame) -> list[Element]:
    """Give the arrays of the frame, in its order; all where the header names no frame."""
    found = {element.array: element for element in read_elements(block, axes)}
    missing = [name for name in frame.binaries if name not in found]
    if missing:
        raise KeyError(f"the array {missing[0]} in _array_structure_list")
    elements = [found[name] for name in frame.binaries] if frame.binaries else list(found.values())
    for element in elements:
        if not all(0.0 < item < 10.0 for item in element.pixel_size):
            raise ValueError(f"The pixels of {element.array} are {element.pixel_size} mm")
        if not all(0 < item <= 65536 for item in element.size):
            raise ValueError(f"The array {element.array} has {element.size} pixels")
    return elements


def _detector(
    block: cif.Block, elements: list[Element]
) -> tuple[Detector, tuple[int, int], list[tuple[int, int]]]:
    """Make the detector; give the size of its frame and the first pixel of each array there too.

    Panels hang on their axes, and the innermost axis that all share gives the root its name and frame.
    One array that is the frame of a known detector is divided into that detector's modules.
    """
    intensities = {
        row["array_id"]: row
        for row in (rows(block, "array_intensities", "array_id") if told(block, "array_intensities") else ())
    }
    identifier = _identifier(block)
    panels = [_panel(item, intensities.get(item.array, {}), identifier) for item in elements]
    if len(panels) == 1:
        return modules_of(panels[0]), panels[0].image_size, [(0, 0)]
    hung = [Hung(panel, _carrying(element.carriers)) for panel, element in zip(panels, elements, strict=True)]
    chains = ([axis.name for axis in element.carriers[::-1]] for element in elements)
    shared = [names[0] for names in zip(*chains, strict=False) if len(set(names)) == 1]
    detector, size = on_one_frame(hang(hung, shared[-1] if shared else "Detector"))
    return detector, size, [panel.window for panel in detector.panels]


def _carrying(carriers: tuple[HeaderAxis, ...]) -> tuple[Axis, ...]:
    """Give axes placed in the laboratory, laboratory side first."""
    placed = []
    for k, axis in enumerate(carriers):
        R, t = place(list(carriers[k:]))
        placed.append(Axis(axis.name, axis.name, R, t))
    return tuple(placed[::-1])


def _panel(element: Element, facts: Mapping[str, str], identifier: str) -> Panel:
    """Make a panel, placed in the laboratory; the window follows."""
    undefined = facts.get("undefined_value", "")
    overload = number(facts.get("overload"))
    # Half a count above what stands for no count: the same to programs that include the limit and to
    # those that leave it out.
    low = number(undefined) + 0.5 if undefined not in {"", ".", "?"} else NO_COUNT
    return Panel(
        element.array,
        element.fast,
        element.slow,
        element.origin,
        element.size,
        element.pixel_size,
        trusted_range=(low, overload if overload > 0.0 else _SATURATED),
        # Of a detector that does not count photons one by one, spots are to have more pixels.
        type="SENSOR_PAD" if _COUNTERS.search(identifier) else "SENSOR_UNKNOWN",
        gain=number(facts.get("gain")) or 1.0,
        identifier=identifier,
    )


def _identifier(block: cif.Block) -> str:
    if not told(block, "diffrn_detector"):
        return ""
    row = next(iter(rows(block, "diffrn_detector")))
    return " ".join(word for word in (row.get("type", ""), row.get("id", "")) if word not in {"", ".", "?"})


def _beam(block: cif.Block, axes: Mapping[str, HeaderAxis]) -> Beam:
    """Give the beam: of several wavelengths the one of greatest weight; 0 where none is told."""
    wavelength, most = 0.0, -1.0
    if told(block, "diffrn_radiation_wavelength"):
        for row in rows(block, "diffrn_radiation_wavelength"):
            weight = number(row.get("wt", "1"))
            if weight > most:
                wavelength, most = number(row.get("wavelength")), weight
    if wavelength < 0.0:
        raise ValueError(f"The wavelength is {wavelength:g} Angstrom")
    source = next((axis.vector for axis in axes.values() if axis.equipment == "source"), (0.0, 0.0, 1.0))
    return Beam(source if np.linalg.norm(source) else (0.0, 0.0, 1.0), wavelength)


def _time(block: cif.Block) -> tuple[float, float]:
    """Exposure (s) and start (s since 1970); 0 where they are not told."""
    if not told(block, "diffrn_scan_frame"):
        return 0.0, 0.0
    row = next(iter(rows(block, "diffrn_scan_frame")))
    exposure = number(row.get("integration_time"))
    # The day as imgCIF has it, and with the Z before the seconds, as the CS-PAD images do.
    found = _DATE.search(row.get("date", ""))
    if not found:
        return exposure, 0.0
    year, month, day, hour, minute = (int(part) for part in found.groups()[:5])
    begin = datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
    return exposure, begin + float(found.group(6) or 0.0)
