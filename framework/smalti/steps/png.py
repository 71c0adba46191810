"""Pictures as PNG files [ISO/IEC 15948], with nothing but zlib."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["png_bytes"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR, _INDEXED = 2, 3
_PALETTE = 256
"""Most colours that a palette holds."""


def png_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """Write a picture (height, width, 3) as a PNG of 8 bits a channel, or with a palette if it is enough.

    Frames of few photons have few colours, and a palette makes a third of the file of them.
    """
    height, width, _ = rgb.shape
    wide = rgb.astype(np.uint32)
    code = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    # A place for every colour that there is: sorting those of millions of pixels takes fifteen times as long.
    place = np.zeros(1 << 24, dtype=np.uint8)
    place[code] = 1
    colours = np.flatnonzero(place)
    if colours.size <= _PALETTE:
        place[colours] = np.arange(colours.size)
        table = np.column_stack([colours >> 16, (colours >> 8) & 255, colours & 255]).astype(np.uint8)
        return _file(width, height, _INDEXED, place[code], _chunk(b"PLTE", table.tobytes()))
    return _file(width, height, _TRUE_COLOUR, rgb.reshape(height, width * 3), b"")


def _file(width: int, height: int, kind: int, rows: NDArray[np.uint8], palette: bytes) -> bytes:
    """Put the chunks together; rows are stored unfiltered, as noise does not follow its neighbours."""
    lines = np.zeros((height, rows.shape[1] + 1), dtype=np.uint8)
    lines[:, 1:] = rows
    # The highest level takes fifteen times as long for frames of few photons, and saves a twelfth.
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
    return _SIGNATURE + header + palette + body + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
