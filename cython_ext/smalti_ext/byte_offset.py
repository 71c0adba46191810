"""CBF byte-offset compression, behind a wrapper that checks types and puts failures in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _byte_offset
from smalti_ext.decoding import DecodingError

__all__ = ["decode", "encode"]


_REASONS = {
    1: "the data end in byte {byte}, at pixel {pixel} of {total}",
    2: "the value of pixel {pixel} of {total} (byte {byte}) does not fit 32 bits",
}


def decode(
    payload: bytes | bytearray | memoryview | NDArray[np.uint8], out: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Decode byte-offset data into an array.

    Any input is safe: no byte beyond the payload is read, none beyond ``out`` written. Bytes left over
    after the last pixel are ignored, since writers pad. Releases the interpreter lock.

    Parameters
    ----------
    payload : bytes or (n,) uint8
        The compressed data.
    out : (N,) or (slow, fast) int32, C-contiguous
        Takes the counts.

    Returns
    -------
    NDArray
        ``out``.

    Raises
    ------
    DecodingError
        The payload ends too early or holds a value that needs more than 32 bits.
    """
    _check(out, writable=True)
    if isinstance(payload, np.ndarray) and (payload.dtype != np.uint8 or payload.ndim != 1):
        raise TypeError(
            f"payload must be one-dimensional uint8, not {payload.ndim}-dimensional {payload.dtype}"
        )
    status, pixel, byte = _byte_offset.decode(payload, out.reshape(-1))
    if status:
        reason = _REASONS[status].format(byte=byte, pixel=pixel, total=out.size)
        raise DecodingError(reason, byte, pixel)
    return out


def encode(counts: NDArray[np.int32]) -> bytes:
    """Compress counts, (N,) or (slow, fast) int32, to byte-offset data."""
    _check(counts)
    flat = counts.reshape(-1)
    out = np.empty(_byte_offset.encoded_size(flat), dtype=np.uint8)
    _byte_offset.encode(flat, out)
    return out.tobytes()


def _check(array: NDArray[np.int32], *, writable: bool = False) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.int32:
        raise TypeError(f"an int32 array is needed, not {getattr(array, 'dtype', type(array).__name__)}")
    if not array.flags.c_contiguous or (writable and not array.flags.writeable):
        raise ValueError("the array must be C-contiguous" + (" and writeable" if writable else ""))
