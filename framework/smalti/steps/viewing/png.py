"""Pictures as PNG files [ISO/IEC 15948], with nothing but zlib."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["png_bytes"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR = 2


def png_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """Write a picture (height, width, 3) as a PNG of 8 bits a channel.

    Each row is stored as the difference from the one above ("Up"), which suits pictures with broad areas
    of one colour.
    """
    height, width, _ = rgb.shape
    rows = rgb.reshape(height, width * 3)
    up = rows.copy()
    up[1:] -= rows[:-1]
    filtered = np.empty((height, width * 3 + 1), dtype=np.uint8)
    filtered[:, 0] = 2
    filtered[:, 1:] = up
    header = struct.pack(">IIBBBBB", width, height, 8, _TRUE_COLOUR, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 9)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
