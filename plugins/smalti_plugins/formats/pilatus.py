"""Pilatus images in CBF: miniCBF headers of many beamlines, and full CBF headers of the same family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.models import Beam, Detector, Goniometer
from smalti.options import option
from smalti.solution import FrameHeader, Match
from smalti_plugins.formats._cbf import MAGIC, read_cbf_counts, read_cbf_head
from smalti_plugins.formats._fullcbf import FullHeader, has_axes, parse_fullcbf
from smalti_plugins.formats._instruments import Instrument, instrument_of
from smalti_plugins.formats._minicbf import MiniHeader, parse_minicbf
from smalti_plugins.formats._placing import SensorFacts, barrel, flat, perpendicular, tilted

SMALTI_API = API


@dataclass(frozen=True)
class PilatusCbf:
    """Reads Pilatus (and Eiger) images in CBF: byte-offset compression, PILATUS or SLS header."""

    name: ClassVar[str] = "pilatus_cbf"

    parallax: bool = option(True, "Correct positions for the depth at which the sensor absorbs.")
    full_header: bool = option(True, "Use the axes of a full CBF header where there is one.")
    instruments: bool = option(True, "Use what is known of single instruments by their serial numbers.")
    check_md5: bool = option(False, "Compare every frame read with the check sum in its header.")

    def match(self, path: Path, head: bytes) -> Match:
        """Tell a CBF with the header convention of DECTRIS from anything else."""
        conventions = (b'header_convention "PILATUS', b'header_convention "SLS')
        known = head.startswith(MAGIC) and any(item in head for item in conventions)
        return Match.FORMAT if known else Match.NO

    def open(self, paths: Sequence[Path]) -> PilatusSeries:
        """Open images in order; reads nothing yet."""
        return PilatusSeries(tuple(paths), self)


@dataclass(frozen=True)
class PilatusSeries:
    """Images of one series. Keeps no state: safe to use from several threads."""

    paths: tuple[Path, ...]
    reader: PilatusCbf

    def __len__(self) -> int:
        return len(self.paths)

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame."""
        path = self.paths[index]
        head = read_cbf_head(path)
        mini = parse_minicbf(head.text, path)
        full = parse_fullcbf(head.text, path) if self.reader.full_header and has_axes(head.text) else None
        known = instrument_of(mini.serial, mini.detector, mini.date) if self.reader.instruments else None
        goniometer, start, width = _rotation(mini, full, known)
        return FrameHeader(
            Beam(wavelength=mini.wavelength, flux=mini.flux),
            _detector(mini, full, known, head.size, self.reader.parallax),
            goniometer,
            start,
            width,
            mini.exposure if full else mini.period,
            mini.epoch,
            head.size,
            _notes(mini, full, known),
        )

    def read(self, index: int) -> NDArray[np.int32]:
        """Give the counts of one frame, (slow, fast) int32; gaps are -1, bad pixels -2."""
        return read_cbf_counts(self.paths[index], self.reader.check_md5)

    def mask(self) -> NDArray[np.bool_]:
        """Give the pixels that the first frame holds a measurement of: neither gap nor known bad.

        The first frame is also compared with its check sum, so that a damaged copy is seen early.
        """
        return np.asarray(read_cbf_counts(self.paths[0], check=True) >= 0)


def _detector(
    mini: MiniHeader, full: FullHeader | None, known: Instrument | None, size: tuple[int, int], parallax: bool
) -> Detector:
    facts = SensorFacts(
        mini.detector,
        size,
        mini.pixel_size,
        mini.cutoff,
        mini.material,
        mini.thickness,
        mini.wavelength,
        parallax,
    )
    if known is not None and known.barrel and full is None:
        return barrel(facts, mini.distance, mini.beam)
    if full is not None:
        return flat(facts, (full.fast, full.slow, full.origin))
    frame = perpendicular(mini.distance, mini.beam, mini.pixel_size)
    if mini.two_theta:
        frame = tilted(frame, known.axis if known else (1.0, 0.0, 0.0), radians(mini.two_theta))
    return flat(facts, frame)


def _rotation(
    mini: MiniHeader, full: FullHeader | None, known: Instrument | None
) -> tuple[Goniometer | None, float, float]:
    """Goniometer, start and width (radians)."""
    if full is not None and full.goniometer is not None:
        return full.goniometer, full.start, full.width
    axis = known.axis if known else (1.0, 0.0, 0.0)
    start, width = radians(mini.start), radians(mini.width)
    if width < 0.0:
        # A sweep backwards is a sweep forwards about the reversed axis: widths stay positive.
        x, y, z = axis
        axis, start, width = (0.0 - x, 0.0 - y, 0.0 - z), -start, -width
    if known is None or not known.inner:
        return Goniometer(axis), start, width
    angles = {"PHI": mini.phi, "KAPPA": mini.kappa, "CHI": mini.chi}
    goniometer = Goniometer.multi_axis(
        (*(direction for _, direction in known.inner), axis),
        (*(radians(angles[name]) for name, _ in known.inner), start),
        (*(f"GON_{name}" for name, _ in known.inner), "GON_OMEGA"),
        len(known.inner),
    )
    return goniometer, start, width


def _notes(mini: MiniHeader, full: FullHeader | None, known: Instrument | None) -> tuple[str, ...]:
    """Say what had to be assumed."""
    notes = []
    if full is None and mini.two_theta:
        notes.append(
            f"the 2-theta arm ({mini.two_theta:g} deg) is taken to turn about the rotation axis, "
            "which the header does not say"
        )
    set_apart = mini.kappa or mini.chi or (mini.phi and "PHI" not in mini.axis.upper())
    if full is None and set_apart and not (known and known.inner):
        notes.append(
            f"the header gives kappa {mini.kappa:g}, chi {mini.chi:g}, phi {mini.phi:g} deg but not how "
            "these axes lie; they are left out, so that sweeps at different settings are not related"
        )
    if full is None and "CCW" in mini.axis.upper():
        notes.append(
            f"the oscillation axis is '{mini.axis}'; it is taken along +x as for all headers that do not "
            "give a vector, so check the sense of rotation"
        )
    if not mini.material:
        notes.append("the header does not tell the material of the sensor, so parallax is not corrected")
    return tuple(notes)


@hookimpl
def smalti_readers() -> Sequence[type[PilatusCbf]]:
    """Bring the reader of Pilatus CBF."""
    return [PilatusCbf]
