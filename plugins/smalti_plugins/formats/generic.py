"""Any image that fabio reads, as one flat panel placed by general header words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import radians
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.files import read_whole
from smalti.hookspecs import API, hookimpl
from smalti.models import NO_COUNT, Beam, Detector, Goniometer, Panel, single
from smalti.options import option
from smalti.solution import FrameHeader, Match
from smalti_plugins.formats._dialects import DIALECTS, Facts, dialect_of
from smalti_plugins.formats._placing import Frame, perpendicular, tilted

SMALTI_API = API

_HEAD = 4096

# fabio complains of many a sound file; that belongs in a log where one is kept, not on the screen.
logging.getLogger("fabio").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class FabioGeneric:
    """Reads what fabio reads: SMV, mar345, MarCCD, Bruker, Oxford, Nonius, EDF, TIFF; flat detectors."""

    name: ClassVar[str] = "fabio_generic"

    pixel_size: float | None = option(None, "Size of a pixel, instead of the header's.", unit="mm", gt=0)
    two_theta: float | None = option(
        None, "Angle of the detector arm about the rotation axis, instead of the header's.", unit="deg"
    )

    def match(self, path: Path, head: bytes) -> Match:
        """Claim files that begin like a format fabio knows, always below a reader made for the format."""
        return Match.CONTAINER if dialect_of(head) else Match.NO

    def open(self, paths: Sequence[Path]) -> GenericSeries:
        """Open images in order; reads nothing yet."""
        return GenericSeries(tuple(paths), self)


@dataclass(frozen=True)
class GenericSeries:
    """Images of one series. Keeps no state: safe to use from several threads."""

    paths: tuple[Path, ...]
    reader: FabioGeneric

    def __len__(self) -> int:
        return len(self.paths)

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame; wavelength and distance are 0 where the header lacks them."""
        path = self.paths[index]
        head, words, counts = image_of(path)
        size = (counts.shape[1], counts.shape[0])
        facts = _facts(words, head, size, path)
        return _header(facts, size, self.reader, path)

    def read(self, index: int) -> NDArray[np.int32]:
        """Give the counts of one frame, (slow, fast) int32."""
        return counts_of(self.paths[index])

    def mask(self) -> None:
        """Give no mask: these formats do not tell their bad pixels."""
        return None


def counts_of(path: Path) -> NDArray[np.int32]:
    """Give the counts of a file, (slow, fast) int32."""
    _, _, counts = image_of(path)
    # Counts beyond 32 bits are saturated anyway; they must not wrap to small ones.
    limit = np.iinfo(np.int32).max
    narrow = counts.dtype.kind in "iu" and counts.dtype.itemsize < 4
    return np.ascontiguousarray(counts if narrow else np.minimum(counts, limit), dtype=np.int32)


def image_of(path: Path) -> tuple[bytes, dict[str, str], NDArray[Any]]:
    """Give the first bytes, header words and pixels of a file."""
    # fabio is imported here because discovery imports every plugin, also for commands without images.
    import fabio
    from fabio.fabioutils import BytesIO  # some formats, EDF among them, ask more than Python's

    data = read_whole(path)
    try:
        # The bytes are handed over undone from compression, for fabio's own undoing prints to the screen.
        image = fabio.open(path if dialect_of(data) == "HDF5" else BytesIO(data))
        counts = np.asarray(image.data)
        words = {str(key): str(value) for key, value in image.header.items()}
        frames = int(image.nframes)
    except Exception as error:  # fabio raises anything on damaged files, often for a symptom far away
        raise _unread(path, dialect_of(data), error) from None
    if counts.ndim != 2 or frames != 1 or counts.dtype.kind not in "iu":
        raise InputError(
            f"{path} does not hold one image of counts.",
            f"It holds {frames} frames of shape {counts.shape}, {counts.dtype}.",
            "Use a reader made for this format, or convert it to CBF images.",
        )
    return data[:_HEAD], words, counts


def _unread(path: Path, dialect: str, error: Exception) -> InputError:
    if dialect == "HDF5":
        return InputError(
            f"{path} is an HDF5 file that does not say where the detector was.",
            "It may be one of the data files of a series: they hold pixels only.",
            "Name the master file of the series; without one, describe the detector: import --detector.",
        )
    return InputError(
        f"{path} looks like {dialect}, but fabio cannot read it.",
        f"It says: {type(error).__name__}: {str(error).rstrip('.')}.",
        "Copy the file again, with all files that belong to it; if it is whole, it is a variant of the "
        "format that needs a reader of its own.",
    )


def _facts(words: dict[str, str], head: bytes, size: tuple[int, int], path: Path) -> Facts:
    dialect = dialect_of(head)
    try:
        return DIALECTS[dialect](words, head, size)
    except ValueError as error:
        raise InputError(
            f"The header of {path} cannot be understood.",
            f"It is that of a {dialect} image, but: {error}.",
            "Correct the header, or copy the file again.",
        ) from None


def _header(facts: Facts, size: tuple[int, int], reader: FabioGeneric, path: Path) -> FrameHeader:
    pixel = reader.pixel_size or facts.pixel
    if not pixel:
        raise InputError(
            f"The header of {path} does not give the pixel size.",
            "Without it no geometry can be made.",
            "Tell it in mm: --set fabio_generic.pixel_size=...",
        )
    arm = facts.two_theta if reader.two_theta is None else reader.two_theta
    beam = facts.beam or (size[0] / 2.0, size[1] / 2.0)
    frame = perpendicular(facts.distance, beam, (pixel, pixel))
    if arm:
        frame = tilted(frame, (1.0, 0.0, 0.0), radians(arm))
    back = facts.width < 0.0
    axis = (-1.0, 0.0, 0.0) if back else (1.0, 0.0, 0.0)
    sign = -1.0 if back else 1.0
    return FrameHeader(
        Beam(wavelength=facts.wavelength),
        _detector(frame, size, pixel, facts.saturation, facts.type, facts.identifier),
        Goniometer(axis),
        sign * radians(facts.start),
        sign * radians(facts.width),
        facts.exposure,
        facts.epoch,
        size,
        _notes(facts, arm),
    )


@lru_cache(maxsize=256)
def _detector(
    frame: Frame, size: tuple[int, int], pixel: float, saturation: float, kind: str, identifier: str
) -> Detector:
    return single(
        Panel(
            "Panel",
            *frame,
            size,
            (pixel, pixel),
            trusted_range=(NO_COUNT, saturation),
            type=kind,
            identifier=identifier,
        )
    )


def _notes(facts: Facts, arm: float) -> tuple[str, ...]:
    notes = [
        "read by the generic reader: the detector is taken as flat, its fast axis along +x, the rotation "
        "axis along +x; check beam centre and sense of rotation",
        *facts.notes,
    ]
    if facts.beam is None:
        notes.append("the header does not give the beam centre: the middle of the image is taken")
    if arm:
        notes.append(f"the detector arm ({arm:g} deg) is taken to turn about +x")
    return tuple(notes)


@hookimpl
def smalti_readers() -> Sequence[type[FabioGeneric]]:
    """Bring the reader for everything else."""
    return [FabioGeneric]
