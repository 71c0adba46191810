"""CBF as a container: header text, description of the binary section, compressed payload."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.files import COMPRESSED, read_head, read_whole
from smalti_ext.byte_offset import ByteOffsetError, decode

__all__ = ["CbfHead", "read_cbf_counts", "read_cbf_head"]

MAGIC = b"###CBF"
_START = b"--CIF-BINARY-FORMAT-SECTION--"
_PAYLOAD = b"\x0c\x1a\x04\xd5"  # ends the description of the binary section [CBFlib manual]
_FIELD = re.compile(r"^([A-Za-z][\w-]*):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_COPY = "Copy the file again from where it was measured."


@dataclass(frozen=True, slots=True)
class CbfHead:
    """What stands before the pixels of a CBF file.

    Attributes
    ----------
    text : str
        The header, up to the binary section.
    section : Mapping
        Fields of the binary section, as written.
    payload : int
        Position of the first compressed byte in the file.
    size : (fast, slow)
        Pixels.
    """

    text: str
    section: Mapping[str, str]
    payload: int
    size: tuple[int, int]


def read_cbf_head(path: Path) -> CbfHead:
    """Read the header of a CBF file, and no more of the file than it takes.

    Raises
    ------
    InputError
        The file is no CBF, ends within its header, or does not describe its pixels.
    """
    for size in (16 * 1024, 1024 * 1024):
        data = read_head(path, size)
        if _PAYLOAD in data or len(data) < size:
            break
    head = _head(data, path)
    end = head.payload + int(head.section.get("X-Binary-Size", 0))
    if path.suffix.lower() not in COMPRESSED and (size := path.stat().st_size) < end:
        raise InputError(
            f"{path} is cut short.",
            f"It ends after {size} bytes; its pixels reach to byte {end}.",
            _COPY,
        )
    return head


def read_cbf_counts(path: Path, check_md5: bool = False) -> NDArray[np.int32]:
    """Read and decode the pixels of a CBF file: (slow, fast) int32.

    Raises
    ------
    InputError
        The file is damaged; says at which byte and pixel.
    """
    data = read_whole(path)
    head = _head(data, path)
    conversion = head.section.get("Content-Type", "")
    if "x-CBF_BYTE_OFFSET" not in conversion:
        raise InputError(
            f"The pixels of {path} are compressed in a way that is not understood.",
            f"Its header says: {conversion or 'nothing'}; x-CBF_BYTE_OFFSET is understood.",
            "Convert the image with CBFlib: cif2cbf -c byte_offset.",
        )
    payload = memoryview(data)[head.payload :]
    length = int(head.section.get("X-Binary-Size", len(payload)))
    if check_md5:
        _check_md5(payload[:length], head, path)
    fast, slow = head.size
    try:
        return decode(payload[:length], np.empty((slow, fast), dtype=np.int32))
    except ByteOffsetError as error:
        raise InputError(
            f"{path} is damaged: its pixels cannot be decoded.",
            f"At byte {head.payload + error.byte} of the file {error}.",
            _COPY,
        ) from None


def _head(data: bytes, path: Path) -> CbfHead:
    if not data.startswith(MAGIC):
        what = f"{path} is empty." if not data else f"{path} is not a CBF image."
        raise InputError(what, f"It does not begin with {MAGIC.decode()}.", "Name image files only.")
    start, payload = data.find(_START), data.find(_PAYLOAD)
    if start < 0 or payload < 0:
        raise InputError(
            f"{path} is not a complete CBF image.",
            f"It ends after {len(data)} bytes, before the pixels begin.",
            _COPY,
        )
    section = dict(_FIELD.findall(_text(data[start:payload])))
    # The type of the data stands on a continued line of its own: conversions="x-CBF_BYTE_OFFSET".
    section["Content-Type"] = " ".join(re.findall(r'conversions="([^"]*)"', _text(data[start:payload])))
    try:
        size = (
            int(section["X-Binary-Size-Fastest-Dimension"]),
            int(section["X-Binary-Size-Second-Dimension"]),
        )
        if "X-Binary-Size" in section and int(section["X-Binary-Size"]) < 0:
            raise ValueError("negative size")
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} does not say how large its image is.",
            f"The description of the binary section (at byte {start}) is incomplete: {error}.",
            _COPY,
        ) from None
    if not (0 < size[0] <= 65536 and 0 < size[1] <= 65536):
        raise InputError(
            f"{path} cannot be a detector image.", f"It claims {size[0]} x {size[1]} pixels.", _COPY
        )
    return CbfHead(_text(data[:start]), section, payload + len(_PAYLOAD), size)


def _text(data: bytes) -> str:
    return data.decode("latin-1").replace("\r\n", "\n")


def _check_md5(payload: memoryview, head: CbfHead, path: Path) -> None:
    """Compare the payload with the check sum in the header, where there is one."""
    told = head.section.get("Content-MD5", "")
    if not told:
        return
    found = base64.b64encode(hashlib.md5(payload, usedforsecurity=False).digest()).decode()
    if found != told:
        raise InputError(
            f"{path} is damaged: its pixels are not those that were written.",
            f"The check sum of the {len(payload)} bytes from byte {head.payload} on is {found}, "
            f"the header says {told}.",
            _COPY,
        )
