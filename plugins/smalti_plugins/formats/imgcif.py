"""CBF images with full imgCIF headers, of detectors with any number of arrays: CS-PAD and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.files import read_whole
from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import FrameHeader, Match
from smalti_plugins.formats._cbf import MAGIC, read_cbf_head
from smalti_plugins.formats._imgcif import ImgCif, parse_imgcif
from smalti_plugins.formats._sections import COPY, Section, check_md5, decoded, sections_of

SMALTI_API = API

_NO_PIXEL = np.iinfo(np.int32).min  # between panels; below any trusted range


@dataclass(frozen=True)
class ImgCifReader:
    """Reads CBF images whose header lays out the axes of the detector, with one or many arrays of pixels."""

    name: ClassVar[str] = "imgcif"

    scale: float = option(
        1.0, "Multiply pixels that are real numbers by this before they are rounded to counts.", gt=0
    )
    check_md5: bool = option(False, "Compare every frame read with the check sums in its header.")

    def match(self, path: Path, head: bytes) -> Match:
        """Tell a CBF with imgCIF categories from one that only has the comment lines of DECTRIS."""
        own = b"\n_diffrn" in head or b"\n_axis." in head
        return (
            Match.FORMAT if head.startswith(MAGIC) and own and b"header_convention" not in head else Match.NO
        )

    def open(self, paths: Sequence[Path]) -> ImgCifSeries:
        """Open images in order; reads nothing yet."""
        return ImgCifSeries(tuple(paths), self)


@dataclass(frozen=True)
class ImgCifSeries:
    """Images of one series. Keeps no state: safe to use from several threads."""

    paths: tuple[Path, ...]
    reader: ImgCifReader

    def __len__(self) -> int:
        return len(self.paths)

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame."""
        path = self.paths[index]
        found = parse_imgcif(read_cbf_head(path).text, path)
        return FrameHeader(
            found.beam,
            found.detector,
            found.goniometer,
            found.start,
            found.width,
            found.exposure,
            found.epoch,
            found.size,
        )

    def read(self, index: int) -> NDArray[np.int32]:
        """Give the counts of one frame, (slow, fast) int32, each array in the window of its panel."""
        return _read(self.paths[index], self.reader.scale, self.reader.check_md5)

    def mask(self) -> None:
        """Give no mask: such headers do not tell bad pixels.

        The first frame is compared with its check sums, so that a damaged copy is seen early.
        """
        _read(self.paths[0], self.reader.scale, check=True)


def _read(path: Path, scale: float, check: bool) -> NDArray[np.int32]:
    data = read_whole(path)
    found = parse_imgcif(read_cbf_head(path).text, path)
    sections = _of_arrays(found, list(sections_of(data, path)), path)
    fast, slow = found.size
    frame = np.full((slow, fast), _NO_PIXEL, dtype=np.int32)
    for array, section in zip(found.arrays, sections, strict=True):
        if section.size != array.size:
            raise InputError(
                f"The pixels of {path} are not those that its header describes.",
                f"The array {array.name} is {_times(array.size)} in the header, {_times(section.size)} in "
                f"the binary section at byte {section.begin}.",
                COPY,
            )
        if check:
            check_md5(section.data, section.fields, section.begin, path)
        (x, y), (width, height) = array.window, array.size
        frame[y : y + height, x : x + width] = decoded(section, path, scale)
    return frame


def _of_arrays(found: ImgCif, sections: list[Section], path: Path) -> list[Section]:
    """Give the section of each array: by its number where the header tells it, else in order."""
    by_number = {section.fields.get("X-Binary-ID", ""): section for section in sections}
    told = [array.binary for array in found.arrays]
    numbered = len(by_number) == len(sections) and not {"", ".", "?"}.intersection(told)
    if numbered:
        sections = [by_number[item] for item in told if item in by_number]
    if len(sections) < len(told):
        raise InputError(
            f"{path} does not hold the pixels of all panels.",
            f"Its header describes {len(told)} arrays; {len(sections)} of them are in the file.",
            COPY,
        )
    return sections[: len(told)]


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"


@hookimpl
def smalti_readers() -> Sequence[type[ImgCifReader]]:
    """Bring the reader of imgCIF."""
    return [ImgCifReader]
