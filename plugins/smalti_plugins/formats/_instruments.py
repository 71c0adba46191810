"""What is known of single instruments and does not stand in their headers: one table.

miniCBF headers give goniometer angles, but not how the axes lie. This table tells it for detectors
whose place is known, by serial number. Where a full CBF header gives the axes, the header wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

from smalti.models import Vector

__all__ = ["INSTRUMENTS", "Instrument", "instrument_of"]

_X: Vector = (1.0, 0.0, 0.0)
_REVERSED: Vector = (-1.0, 0.0, 0.0)
_VERTICAL: Vector = (0.0, 1.0, 0.0)
_ALPHA = radians(50.0)


def _kappa(axis: Vector) -> tuple[tuple[str, Vector], ...]:
    """Phi along omega, on a kappa axis that lies so at omega 0."""
    return (("PHI", _X), ("KAPPA", axis))


_MINI_KAPPA = _kappa((0.914, 0.279, -0.297))
_SMARGON: tuple[tuple[str, Vector], ...] = (("PHI", _X), ("CHI", (0.0, 0.0, -1.0)))


@dataclass(frozen=True, slots=True)
class Instrument:
    """One detector at one place.

    Attributes
    ----------
    serial : str
        Serial number of the detector.
    place : str
        Beamline, for people.
    axis : Vector
        The rotation axis omega in the laboratory.
    inner : tuple of (name, Vector)
        The axes between crystal and omega, crystal side first, as they lie at zero; the header tells
        their angles under these names.
    since : str
        The first date for which this holds (ISO), "" from the beginning.
    words : str
        Must stand in the header's line on the detector.
    barrel : bool
        Whether the modules lie on a barrel (see ``_barrel``) instead of in a plane.
    source : str
        Where this is known from.
    """

    serial: str
    place: str
    source: str
    axis: Vector = _X
    inner: tuple[tuple[str, Vector], ...] = ()
    since: str = ""
    words: str = ""
    barrel: bool = False


_DXTBX = "what dxtbx 3.12 makes of headers with this serial number"
_DXTBX_NEW = "dxtbx format classes of 2026, as listed by the field"

INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("60-0100", "Diamond I04", _DXTBX, inner=_MINI_KAPPA, words="Diamond"),
    Instrument("60-0126", "Diamond I03", _DXTBX, inner=_MINI_KAPPA),
    Instrument("60-0114", "Diamond VMXi", _DXTBX, axis=_VERTICAL, since="2017-01-01"),
    Instrument("60-0119", "Diamond I24", _DXTBX, axis=_VERTICAL, since="2015-01-01"),
    Instrument("60-0115", "PETRA III P14", _DXTBX_NEW, axis=_VERTICAL),
    Instrument("60-0123", "SSRF", _DXTBX_NEW, axis=_REVERSED),
    Instrument("60-0125", "SPring-8", _DXTBX, axis=_REVERSED),
    Instrument("60-0127", "CHESS", _DXTBX, axis=_REVERSED),
    Instrument("60-0132", "APS 19-ID", _DXTBX, axis=_REVERSED),
    Instrument(
        "60-0106", "SOLEIL PROXIMA 1", _DXTBX, inner=_kappa((cos(_ALPHA), 0.0, sin(_ALPHA))), words="Soleil"
    ),
    Instrument(
        "120-0100", "Diamond I23", _DXTBX, inner=_kappa((cos(_ALPHA), -sin(_ALPHA), 0.0)), barrel=True
    ),
    Instrument("160-0001", "Diamond I04 (Eiger 16M)", _DXTBX, inner=_SMARGON),
)


def instrument_of(serial: str, detector: str, date: str) -> Instrument | None:
    """Find the instrument of a header: serial number, line on the detector, ISO date."""
    for instrument in INSTRUMENTS:
        known = instrument.serial == serial and instrument.words.lower() in detector.lower()
        if known and (date or "9999") >= instrument.since:
            return instrument
    return None
