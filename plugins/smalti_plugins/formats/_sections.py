"""The binary sections of a CBF file: one array of pixels each, in any of three compressions."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti_ext import byte_offset, canonical
from smalti_ext.decoding import DecodingError

__all__ = [
    "COPY",
    "PAYLOAD",
    "START",
    "Section",
    "check_md5",
    "decoded",
    "fields_of",
    "sections_of",
    "size_of",
]

Counts = NDArray[np.int32]

START = b"--CIF-BINARY-FORMAT-SECTION--"
PAYLOAD = b"\x0c\x1a\x04\xd5"  # ends the description of the binary section [CBFlib manual]
COPY = "Copy the file again from where it was measured."

_FIELD = re.compile(r"^([A-Za-z][\w-]*):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_CONVERSION = re.compile(r'conversions="([^"]*)"')
_MOST = 65536  # pixels along a side

# What X-Binary-Element-Type says, as NumPy types.
_TYPES: Mapping[str, str] = {
    "unsigned 8-bit integer": "u1",
    "signed 8-bit integer": "i1",
    "unsigned 16-bit integer": "u2",
    "signed 16-bit integer": "i2",
    "unsigned 32-bit integer": "u4",
    "signed 32-bit integer": "i4",
    "signed 32-bit real IEEE": "f4",
    "signed 64-bit real IEEE": "f8",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One binary section.

    Attributes
    ----------
    fields : Mapping
        Its description, as written; ``conversions`` is how it is compressed.
    begin : int
        Position of its first compressed byte in the file.
    data : memoryview
        The compressed bytes.
    size : (fast, slow)
        Pixels.
    """

    fields: Mapping[str, str]
    begin: int
    data: memoryview
    size: tuple[int, int]


def fields_of(description: bytes) -> dict[str, str]:
    """Read the description of a section, name to value.

    The compression stands on a continued line of its own: it is given as ``conversions``.
    """
    text = description.decode("latin-1").replace("\r\n", "\n")
    return {**dict(_FIELD.findall(text)), "conversions": " ".join(_CONVERSION.findall(text))}


def size_of(fields: Mapping[str, str], path: Path, place: int) -> tuple[int, int]:
    """Fast and slow size of the array that a section holds.

    Raises
    ------
    InputError
        The description does not tell, or tells what no detector has.
    """
    try:
        fast, slow = (int(fields[f"X-Binary-Size-{side}-Dimension"]) for side in ("Fastest", "Second"))
        third = int(fields.get("X-Binary-Size-Third-Dimension") or 1)
        if int(fields.get("X-Binary-Size", 0)) < 0:
            raise ValueError("negative size")
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} does not say how large its image is.",
            f"The description of the binary section (at byte {place}) is incomplete: {error}.",
            COPY,
        ) from None
    if not (0 < fast <= _MOST and 0 < slow <= _MOST):
        raise InputError(f"{path} cannot be a detector image.", f"It claims {fast} x {slow} pixels.", COPY)
    if third > 1:
        raise InputError(
            f"{path} holds a stack of images.",
            f"Its binary section at byte {place} has {fast} x {slow} x {third} elements.",
            "Write each image, or each module, as an array of its own.",
        )
    return fast, slow


def sections_of(data: bytes, path: Path) -> Iterator[Section]:
    """Give the binary sections of a file, in order.

    Raises
    ------
    InputError
        The file ends within a section, or one is not described.
    """
    at = 0
    while (start := data.find(START, at)) >= 0:
        mark = data.find(PAYLOAD, start)
        if mark < 0:
            raise _short(path, len(data), "before the pixels of a section begin")
        fields = fields_of(data[start:mark])
        size = size_of(fields, path, start)
        begin = mark + len(PAYLOAD)
        end = begin + int(fields.get("X-Binary-Size") or len(data) - begin)
        if end > len(data):
            raise _short(path, len(data), f"its pixels reach to byte {end}")
        yield Section(fields, begin, memoryview(data)[begin:end], size)
        # The line that closes the section begins like the one that opened it.
        at = data.find(START + b"--", end) + len(START) if data.find(START + b"--", end) >= 0 else end


def _short(path: Path, size: int, why: str) -> InputError:
    return InputError(f"{path} is cut short.", f"It ends after {size} bytes, {why}.", COPY)


def decoded(section: Section, path: Path, scale: float = 1.0) -> Counts:
    """Decode the pixels of a section, (slow, fast) int32.

    Real numbers are multiplied by ``scale`` and rounded; what does not fit 32 bits, and what is no
    number, is held at the limits, far out of any trust.

    Raises
    ------
    InputError
        The section is damaged, or written in a way that is not understood.
    """
    kind = section.fields.get("X-Binary-Element-Type", "signed 32-bit integer").strip('"')
    conversion = section.fields["conversions"] or "x-CBF_NONE"
    decoder = next((f for name, f in _DECODERS.items() if name in conversion), None)
    dtype = np.dtype(_TYPES.get(kind, "O"))
    # CBFlib takes the differences of real numbers in byte-offset from patterns of other sizes.
    if decoder is None or dtype.kind == "O" or (decoder is _byte_offset and dtype.kind == "f"):
        raise InputError(
            f"The pixels of {path} are written in a way that is not understood.",
            f"Its header says: {conversion}, {kind}. Understood are {', '.join(_DECODERS)} for integers "
            "of up to 32 bits, and all but the first for real numbers.",
            "Convert it with CBFlib: cif2cbf -c byte_offset for integers, -c canonical for real numbers.",
        )
    fast, slow = section.size
    try:
        values = decoder(section, dtype).reshape(slow, fast)
    except (DecodingError, _ShortError) as error:
        raise InputError(
            f"{path} is damaged: its pixels cannot be decoded.",
            f"At byte {section.begin + error.byte} of the file {error}.",
            COPY,
        ) from None
    return _whole(values, scale)


class _ShortError(ValueError):
    """Too few bytes for the pixels."""

    byte = 0


def _byte_offset(section: Section, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    out = byte_offset.decode(section.data, np.empty(section.size[0] * section.size[1], dtype=np.int32))
    return out.astype(f"u{dtype.itemsize}").view(dtype)  # narrower elements wrap around


def _canonical(section: Section, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    out = canonical.decode(section.data, np.empty(section.size[0] * section.size[1], dtype=np.uint64))
    return out.astype(f"u{dtype.itemsize}").view(dtype)


def _plain(section: Section, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    big = "BIG" in section.fields.get("X-Binary-Element-Byte-Order", "")
    needed = section.size[0] * section.size[1] * dtype.itemsize
    if len(section.data) < needed:
        raise _ShortError(f"are {len(section.data)} bytes where {needed} are needed")
    return np.frombuffer(section.data[:needed], dtype=dtype.newbyteorder(">" if big else "<"))


_DECODERS: Mapping[str, Callable[[Section, np.dtype[np.generic]], NDArray[np.generic]]] = {
    "x-CBF_BYTE_OFFSET": _byte_offset,
    "x-CBF_CANONICAL": _canonical,
    "x-CBF_NONE": _plain,
}


def _whole(values: NDArray[np.generic], scale: float) -> Counts:
    limits = np.iinfo(np.int32)
    if values.dtype.kind == "f":
        real = np.nan_to_num(values.astype(np.float64) * scale, nan=float(limits.min))
        values = np.rint(np.clip(real, limits.min, limits.max))
    elif values.dtype.kind == "u" and values.dtype.itemsize == 4:
        values = np.minimum(values, np.uint32(limits.max))
    return np.ascontiguousarray(values, dtype=np.int32)


def check_md5(data: memoryview, fields: Mapping[str, str], begin: int, path: Path) -> None:
    """Compare the bytes of a section with the check sum in its description, where there is one.

    Raises
    ------
    InputError
    """
    told = fields.get("Content-MD5", "")
    if not told:
        return
    found = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    if found != told:
        raise InputError(
            f"{path} is damaged: its pixels are not those that were written.",
            f"The check sum of the {len(data)} bytes from byte {begin} on is {found}, "
            f"the header says {told}.",
            COPY,
        )
