"""CBF canonical-code compression, behind a wrapper that reads its table and puts failures in words."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from smalti_ext import _canonical
from smalti_ext.checking import check
from smalti_ext.decoding import DecodingError

__all__ = ["decode"]

_PREAMBLE = struct.Struct("<Q3q2B")  # elements; smallest, largest, reserved; bits direct, bits at most
_LONGEST = 64  # bits of a code, and of a difference; the kernel holds either in a word


_REASONS = {
    1: "the data end in byte {byte}, at element {element} of {total}",
    2: "the bits at byte {byte}, for element {element} of {total}, are no code of its table",
    3: "the data say that they end at element {element} of {total}",
}


def decode(payload: bytes | bytearray | memoryview, out: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Decode canonical-code data into an array of bit patterns.

    Any input is safe: no byte beyond the payload is read, none beyond ``out`` written. Bytes left over
    are ignored, since writers pad. Releases the interpreter lock. Elements narrower than 64 bits are in
    the low bits; what stands above them has no meaning.

    Parameters
    ----------
    payload : bytes
        The compressed data with their table.
    out : (N,) uint64
        Takes the elements.

    Returns
    -------
    NDArray
        ``out``.

    Raises
    ------
    DecodingError
        The payload ends too early, or its table or its codes are wrong.
    """
    check("out", out, (out.size,), np.uint64)
    view = memoryview(payload)
    if len(view) < _PREAMBLE.size:
        raise DecodingError("the data end within their preamble", len(view), 0)
    elements, _, _, _, direct, most = _PREAMBLE.unpack(view[: _PREAMBLE.size])
    if elements != out.size:
        raise DecodingError(f"they are {elements} elements instead of {out.size}", 0, 0)
    if not 0 < direct <= 15 or not direct <= most <= _LONGEST:
        raise DecodingError(f"{direct} direct bits of {most} make no table", 32, 0)
    begin = _PREAMBLE.size
    n_symbols = (1 << direct) + 1 + most - direct
    lengths = np.frombuffer(view[begin : begin + n_symbols], dtype=np.uint8)
    if lengths.size < n_symbols:
        raise DecodingError("the data end within their table", len(view), 0)
    if lengths.max() > _LONGEST:
        raise DecodingError(f"a code of {lengths.max()} bits is too long", begin, 0)
    data = view[begin + n_symbols :]
    status, element, bit = _canonical.decode(data, direct, *_numbering(lengths), out)
    if status:
        byte = begin + n_symbols + bit // 8
        reason = _REASONS[status].format(byte=byte, element=element, total=out.size)
        raise DecodingError(reason, byte, element)
    return out


def _numbering(
    lengths: NDArray[np.uint8],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint16], NDArray[np.uint16]]:
    """Number the codes: (first code, how many, where in the order) of each length, and the ordered symbols.

    Within a length symbols ascend; the first code of a length follows from those of the next longer one,
    cut by a bit.
    """
    count = np.bincount(lengths, minlength=_LONGEST + 1).astype(np.uint64)
    count[0] = 0  # no code at all
    first = [0] * (_LONGEST + 1)
    for length in range(_LONGEST - 1, 0, -1):
        first[length] = (first[length + 1] + int(count[length + 1]) + 1) // 2
    place = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.uint16)
    used = np.flatnonzero(lengths)
    ordered = used[np.argsort(lengths[used], kind="stable")].astype(np.uint16)
    return np.array(first, dtype=np.uint64), count, place, ordered
