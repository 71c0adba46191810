"""What the headers of older formats say, each in its own words, as one set of facts."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

__all__ = ["DIALECTS", "MAGIC", "Facts", "dialect_of"]

Header = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says; 0 where it says nothing. Lengths mm, angles degrees.

    Attributes
    ----------
    pixel : float
        Size of a pixel.
    beam : (fast, slow) px or None
    saturation : float
        Highest trusted count.
    notes : tuple of str
        What is assumed.
    """

    pixel: float = 0.0
    distance: float = 0.0
    wavelength: float = 0.0
    beam: tuple[float, float] | None = None
    two_theta: float = 0.0
    start: float = 0.0
    width: float = 0.0
    exposure: float = 0.0
    epoch: float = 0.0
    saturation: float = 65535.0
    type: str = "SENSOR_UNKNOWN"
    identifier: str = ""
    notes: tuple[str, ...] = ()


def _number(header: Header, *names: str, default: float = 0.0) -> float:
    """The first number of the first of these words that is there."""
    for name in names:
        found = re.search(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", str(header.get(name, "")))
        if found:
            return float(found.group())
    return default


def _epoch(text: str, form: str) -> float:
    try:
        return datetime.strptime(" ".join(text.split()), form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def smv(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """SMV, of ADSC and many others. The beam centre counts x down and y across, as MOSFLM does.

    It is in mm; headers whose numbers would lie off the detector in mm give pixels (fast, slow).
    """
    pixel = _number(header, "PIXEL_SIZE")
    x, y = _number(header, "BEAM_CENTER_X"), _number(header, "BEAM_CENTER_Y")
    notes = []
    beam: tuple[float, float] | None = None
    if x and y and pixel:
        in_mm = x < size[1] * pixel and y < size[0] * pixel
        beam = (y / pixel, x / pixel) if in_mm else (x, y)
        notes.append(
            f"the beam centre {x:g}, {y:g} is taken as "
            + ("mm in the order of MOSFLM (x down, y across)" if in_mm else "pixels (fast, slow)")
        )
    return Facts(
        pixel,
        _number(header, "DISTANCE"),
        _number(header, "WAVELENGTH"),
        beam,
        _number(header, "TWOTHETA"),
        _number(header, "OSC_START", "PHI"),
        _number(header, "OSC_RANGE"),
        _number(header, "TIME"),
        _epoch(header.get("DATE", ""), "%a %b %d %H:%M:%S %Y"),
        _number(header, "CCD_IMAGE_SATURATION", default=65535.0),
        "SENSOR_CCD",
        f"SMV {header.get('DETECTOR_SN', '').strip()}".strip(),
        tuple(notes),
    )


def mar345(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """mar345 image plates."""
    start, end = _number(header, "PHI_START"), _number(header, "PHI_END")
    centre = (
        _number(header, "CENTER_X", default=size[0] / 2),
        _number(header, "CENTER_Y", default=size[1] / 2),
    )
    return Facts(
        _number(header, "PIXEL_LENGTH") / 1000.0,
        _number(header, "DISTANCE"),
        _number(header, "WAVELENGTH"),
        centre,
        _number(header, "TWOTHETA"),
        start,
        end - start,
        _number(header, "TIME"),
        _epoch(header.get("DATE", ""), "%a %b %d %H:%M:%S %Y"),
        250000.0,
        "SENSOR_IMAGE_PLATE",
        f"mar345 {header.get('SCANNER', '').strip()}".strip(),
    )


def marccd(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """MarCCD and Rayonix: a block of integers behind the TIFF header [the MarCCD header document]."""

    def word(offset: int) -> int:
        place = 1024 + offset
        return int(struct.unpack("<i", head[place : place + 4])[0]) if len(head) >= place + 4 else 0

    distance, pixel = word(640) / 1000.0, word(772) / 1e6
    omega, phi = (word(672), word(704)), (word(684), word(716))
    start, end = phi if word(732) == 4 else omega
    return Facts(
        pixel,
        distance,
        word(908) / 1e5,
        (word(644) / 1000.0, word(648) / 1000.0) if word(644) else None,
        word(668) / 1000.0,
        start / 1000.0,
        (end - start) / 1000.0,
        word(656) / 1000.0,
        0.0,
        65535.0,
        "SENSOR_CCD",
        "MarCCD",
    )


def bruker(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """Bruker 86 and 100: distance in cm, centre in pixels from below, pixels per cm of a 512 frame.

    The distance is that of the detector's face. DETTYPE says how dense pixels are, and how many cm behind the
    face they lie, in the plane of the grid by which the detector was calibrated.
    """
    told = [
        float(word) for word in re.findall(r"\d+\.?\d*", str(header.get("DETTYPE", "")).split(" ", 1)[-1])
    ]
    density, behind = (*told, 0.0, 0.0)[:2]
    density *= size[0] / 512.0
    x, y = (float(item) for item in (*str(header.get("CENTER", "0 0")).split(), "0", "0")[:2])
    step = _number(header, "INCREME", default=1.0)
    return Facts(
        10.0 / density if density else 0.0,
        10.0 * (_number(header, "DISTANC") + behind),
        _number(header, "WAVELEN"),
        (x, size[1] - y) if x and y else None,
        _number(header, "ANGLES"),
        _number(header, "START"),
        _number(header, "RANGE") * (-1.0 if step < 0.0 else 1.0),
        _number(header, "CUMULAT"),
        0.0,
        1e6,
        "SENSOR_CCD",
        f"Bruker {header.get('DETTYPE', '').split(' ')[0]}",
        (
            *(
                (f"the pixels are taken to lie {10.0 * behind:g} mm behind the face of the detector",)
                * bool(behind)
            ),
            "only the axis that turns is modelled, not the setting of the other axes of the goniometer",
        ),
    )


def oxford(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """Oxford Diffraction: centre in pixels without binning; the detector arm is called theta."""
    spans = {
        name: (_number(header, f"{name} start in deg"), _number(header, f"{name} end in deg"))
        for name in ("Omega", "Phi")
    }
    start, end = max(spans.values(), key=lambda span: abs(span[1] - span[0]))
    binning = _number(header, "Binning in x", default=1.0)
    centre = _number(header, "Beam center x") / binning, _number(header, "Beam center y") / binning
    return Facts(
        _number(header, "Real pixel size x (mm)"),
        _number(header, "Distance in mm"),
        _number(header, "Wavelength alpha"),
        centre if all(centre) else None,
        _number(header, "Theta start in deg"),
        start,
        end - start,
        _number(header, "Exposure time in sec"),
        _epoch(header.get("Time", ""), "%a %b %d %H:%M:%S %Y"),
        _number(header, "Overflow threshold", default=65535.0),
        "SENSOR_CCD",
        header.get("Detector type", "").split("-")[0],
        ("only the axis that turns is modelled, not the setting of the other axes of the goniometer",),
    )


def nonius(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """Nonius KappaCCD: its header does not tell the beam centre."""
    span = _number(header, "Phi scan range")
    return Facts(
        _number(header, "pixel X-size (um)") / 1000.0,
        _number(header, "Dx start"),
        _number(header, "Alpha1"),
        None,
        _number(header, "Theta start"),
        _number(header, "Phi start"),
        span,
        _number(header, "Exposure time"),
        0.0,
        65535.0,
        "SENSOR_CCD",
        f"KappaCCD {header.get('Detector ID', '').strip()}".strip(),
        ("only the axis that turns is modelled, not the setting of the other axes of the goniometer",),
    )


def silent(header: Header, head: bytes, size: tuple[int, int]) -> Facts:
    """A format whose header has no geometry that is understood."""
    return Facts()


DIALECTS: Final[Mapping[str, Callable[[Header, bytes, tuple[int, int]], Facts]]] = {
    "SMV": smv,
    "mar345": mar345,
    "MarCCD or TIFF": marccd,
    "Bruker": bruker,
    "Oxford Diffraction": oxford,
    "Nonius": nonius,
    "EDF": silent,
    "CBF": silent,
    "R-AXIS": silent,
    "Esperanto": silent,
    "HDF5": silent,
}

# The first bytes of each format; fabio tells by its own, wider table, which takes any text in braces.
MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (rb"\{\r?\nHEADER_BYTES", "SMV"),
    (rb"-\x04|\xd2\x04\x00\x00|\x04-|\x04\xd2", "mar345"),
    (rb"II\*\x00|MM\x00\*", "MarCCD or TIFF"),
    (rb"FORMAT :", "Bruker"),
    (rb"OD SAPPHIRE", "Oxford Diffraction"),
    (rb"No\d", "Nonius"),
    (rb"[\r\n]*\{\s*(EDF_|HeaderID)", "EDF"),
    (rb"###CBF", "CBF"),
    (rb"R-AXIS|RAXIS", "R-AXIS"),
    (rb"ESPERANTO FORMAT", "Esperanto"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5"),
)


def dialect_of(head: bytes) -> str:
    """Name the format that a file begins like; "" for none that is known."""
    return next((name for magic, name in MAGIC if re.match(magic, head)), "")
