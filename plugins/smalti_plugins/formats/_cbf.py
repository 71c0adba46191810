"""CBF as a container: header text, description of the first binary section, its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.files import COMPRESSED, as_stored, read_head, read_whole
from smalti_ext.byte_offset import decode
from smalti_ext.decoding import DecodingError
from smalti_plugins.formats._sections import COPY, PAYLOAD, START, check_md5, fields_of, size_of

__all__ = ["MAGIC", "CbfHead", "cbf_head", "read_cbf_counts", "read_cbf_head"]

MAGIC = b"###CBF"


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
        if PAYLOAD in data or len(data) < size:
            break
    head = cbf_head(data, path)
    end = head.payload + int(head.section.get("X-Binary-Size", 0))
    stored = as_stored(path)
    if stored.suffix.lower() not in COMPRESSED and (size := stored.stat().st_size) < end:
        raise InputError(
            f"{path} is cut short.",
            f"It ends after {size} bytes; its pixels reach to byte {end}.",
            COPY,
        )
    return head


def read_cbf_counts(path: Path, check: bool = False) -> NDArray[np.int32]:
    """Read and decode the pixels of a CBF file: (slow, fast) int32.

    Parameters
    ----------
    path : Path
    check : bool
        Compare them with their check sum.

    Raises
    ------
    InputError
        The file is damaged; says at which byte and pixel.
    """
    data = read_whole(path)
    head = cbf_head(data, path)
    conversion = head.section["conversions"]
    if "x-CBF_BYTE_OFFSET" not in conversion:
        raise InputError(
            f"The pixels of {path} are compressed in a way that is not understood.",
            f"Its header says: {conversion or 'nothing'}; x-CBF_BYTE_OFFSET is understood.",
            "Convert the image with CBFlib: cif2cbf -c byte_offset.",
        )
    payload = memoryview(data)[head.payload :]
    length = int(head.section.get("X-Binary-Size", len(payload)))
    if check:
        check_md5(payload[:length], head.section, head.payload, path)
    fast, slow = head.size
    try:
        return decode(payload[:length], np.empty((slow, fast), dtype=np.int32))
    except DecodingError as error:
        raise InputError(
            f"{path} is damaged: its pixels cannot be decoded.",
            f"At byte {head.payload + error.byte} of the file {error}.",
            COPY,
        ) from None


def cbf_head(data: bytes, path: Path) -> CbfHead:
    """Take a header from the bytes of a file, at least up to the first pixels.

    Raises
    ------
    InputError
        As :func:`read_cbf_head`.
    """
    if not data.startswith(MAGIC):
        what = f"{path} is empty." if not data else f"{path} is not a CBF image."
        raise InputError(what, f"It does not begin with {MAGIC.decode()}.", "Name image files only.")
    start, payload = data.find(START), data.find(PAYLOAD)
    if start < 0 or payload < 0:
        raise InputError(
            f"{path} is not a complete CBF image.",
            f"It ends after {len(data)} bytes, before the pixels begin.",
            COPY,
        )
    fields = fields_of(data[start:payload])
    size = size_of(fields, path, start)
    text = data[:start].decode("latin-1").replace("\r\n", "\n")
    return CbfHead(text, fields, payload + len(PAYLOAD), size)
