"""The comment lines of a Pilatus miniCBF header, in the dialects of several beamlines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smalti.errors import InputError

__all__ = ["MiniHeader", "parse_minicbf"]

_LINE = re.compile(r"^#[ \t]*([A-Za-z][\w/]*)[ \t]*[:=]?[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_DATE = re.compile(
    r"^#[ \t]*(\d{4})[-/](\d\d|[A-Za-z]{3})[-/](\d\d)[T ](\d\d):(\d\d):(\d\d(?:\.\d+)?)", re.MULTILINE
)
_FIGURE = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SENSOR = re.compile(
    rf"^#[ \t]*(\w+)[ \t]+sensor,[ \t]*thickness[ \t]+({_FIGURE.pattern})[ \t]*m", re.MULTILINE
)
_SERIAL = re.compile(r"\b(\d+-\d{4})\b")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MATERIALS = {"silicon": "Si", "si": "Si", "cdte": "CdTe", "cadmium": "CdTe", "gaas": "GaAs"}


@dataclass(frozen=True, slots=True)
class MiniHeader:
    """What a miniCBF header says; lengths mm, angles degrees, times s.

    Attributes
    ----------
    detector : str
        The whole line: model, serial number, place.
    serial : str
        Serial number as ``60-0119``, "" where it is not given.
    epoch : float
        Seconds since 1970, the time stamp taken as UTC; 0 where there is none.
    pixel_size : (fast, slow)
    material, thickness
        Of the sensor; "" and 0 where not given.
    wavelength, distance : float
        0 where the header says nothing.
    beam : (fast, slow) px
        Where the beam meets the detector with the 2-theta arm at zero.
    cutoff : float
        Highest trusted count.
    angles : (alpha, kappa, phi, chi, omega)
    axis : str
        The oscillation axis, as written.
    """

    detector: str
    serial: str
    date: str
    epoch: float
    pixel_size: tuple[float, float]
    material: str
    thickness: float
    wavelength: float
    distance: float
    beam: tuple[float, float]
    cutoff: float
    exposure: float
    period: float
    flux: float
    start: float
    width: float
    two_theta: float
    kappa: float
    phi: float
    chi: float
    omega: float
    axis: str


def parse_minicbf(text: str, path: Path) -> MiniHeader:
    """Parse the header of a miniCBF file.

    Raises
    ------
    InputError
        The pixel size is missing, or a number cannot be read; names file and line.
    """
    lines = dict(_LINE.findall(text))
    # Old writers put "Detector: PILATUS 2M SN: 24-0107"; all begin alike.
    detector = lines.get("Detector", "").strip()
    serial = _SERIAL.search(detector)
    date, epoch = _time(text)
    sensor = _SENSOR.search(text)
    beam = _numbers(lines, "Beam_xy", 2, path, default=(0.0, 0.0))
    pixel = _numbers(lines, "Pixel_size", 2, path)

    def number(name: str, default: float = 0.0) -> float:
        return _numbers(lines, name, 1, path, default=(default,))[0]

    start = number("Start_angle")
    return MiniHeader(
        detector=detector,
        serial=serial.group(1) if serial else "",
        date=date,
        epoch=epoch,
        pixel_size=(pixel[0] * 1e3, pixel[1] * 1e3),
        material=_MATERIALS.get(sensor.group(1).lower(), "") if sensor else "",
        thickness=float(sensor.group(2)) * 1e3 if sensor else 0.0,
        wavelength=number("Wavelength"),
        distance=number("Detector_distance") * 1e3,
        beam=(beam[0], beam[1]),
        cutoff=number("Count_cutoff", 1048575.0),
        exposure=number("Exposure_time"),
        period=number("Exposure_period"),
        flux=number("Flux"),
        start=start,
        width=number("Angle_increment"),
        two_theta=number("Detector_2theta"),
        kappa=number("Kappa"),
        phi=number("Phi"),
        chi=number("Chi"),
        omega=number("Omega", start),
        axis=lines.get("Oscillation_axis", ""),
    )


def _numbers(
    lines: Mapping[str, str], name: str, count: int, path: Path, default: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    value = lines.get(name)
    if value is None and default is not None:
        return default
    found = _FIGURE.findall(value or "")
    if len(found) < count:
        raise InputError(
            f"The header of {path} does not give {name}.",
            f"Its line reads: '# {name} {value}'." if value is not None else "There is no such line.",
            "Correct the header, or ask the beamline how it should read.",
        )
    return tuple(float(item) for item in found[:count])


def _time(text: str) -> tuple[str, float]:
    """Give the time stamp as written and in seconds since 1970 (taken as UTC, as headers tell no zone)."""
    found = _DATE.search(text)
    if not found:
        return "", 0.0
    year, month, day, hour, minute, second = found.groups()
    whole, fraction = divmod(float(second), 1.0)
    try:
        number = int(month) if month.isdigit() else _MONTHS.index(month.lower()) + 1
        moment = datetime(int(year), number, int(day), int(hour), int(minute), int(whole), tzinfo=UTC)
    except ValueError:
        return "", 0.0
    return moment.isoformat()[:19], moment.timestamp() + round(fraction, 6)
