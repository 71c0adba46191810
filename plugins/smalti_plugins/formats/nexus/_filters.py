"""Compressed chunks undone by the codecs that hdf5plugin brings, called directly.

HDF5 holds one lock for the whole process while a filter works. What ctypes calls runs beside other threads:
chunks are read as they lie in the file, and decoded here straight into the frame. The functions are those of
lz4.h, zstd.h and bitshuffle_core.h, which the filters are built on.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

__all__ = ["Pipeline", "pipeline"]

_LZ4, _BITSHUFFLE, _ZSTD = 32004, 32008, 32015  # as registered with the HDF Group
_LIBRARIES = {_LZ4: "lz4", _BITSHUFFLE: "bshuf", _ZSTD: "zstd"}
_SHUFFLED = {0: "bshuf_bitunshuffle", 2: "bshuf_decompress_lz4", 3: "bshuf_decompress_zstd"}
"""By the fifth value of the filter: nothing, LZ4 or Zstandard after the shuffling."""

_SIZES, _SIZE = struct.Struct(">QI"), struct.Struct(">I")
_P, _N = ctypes.c_void_p, ctypes.c_size_t


@dataclass(frozen=True)
class Pipeline:
    """The one filter that stands between the chunks of a dataset and its values.

    Attributes
    ----------
    number : int
        Of the filter; 0 where chunks are stored as they are.
    values : tuple of int
        What the dataset tells the filter.
    """

    number: int
    values: tuple[int, ...] = ()

    def undo(self, raw: bytes, mask: int, out: NDArray[Any]) -> bool:
        """Decode a chunk into ``out`` (C-contiguous); False where it is damaged or of another size."""
        if mask or not self.number:
            if len(raw) != out.nbytes:
                return False
            out.view(np.uint8).reshape(-1)[:] = np.frombuffer(raw, dtype=np.uint8)
            return True
        source = ctypes.cast(ctypes.c_char_p(raw), _P).value or 0
        if self.number == _ZSTD:
            decode = _function("zstd", "ZSTD_decompress", _N, _P, _N, _P, _N)
            return bool(decode(out.ctypes.data, out.nbytes, source, len(raw)) == out.nbytes)
        if self.number == _BITSHUFFLE:
            return self._undo_bitshuffle(raw, source, out)
        return _whole(raw, out.nbytes, out.itemsize) and _undo_lz4(raw, source, out)

    @property
    def known(self) -> bool:
        """Whether its codec is there; where it is not HDF5 itself must do the work."""
        if self.number == _BITSHUFFLE:
            name = _SHUFFLED.get(self._compression, "")
        else:
            name = {_LZ4: "LZ4_decompress_safe", _ZSTD: "ZSTD_decompress"}.get(self.number, "")
        return bool(name) and hasattr(_library(_LIBRARIES[self.number]), name)

    @property
    def _compression(self) -> int:
        return self.values[4] if len(self.values) > 4 else 0

    def _undo_bitshuffle(self, raw: bytes, source: int, out: NDArray[Any]) -> bool:
        item, kind = out.itemsize, self._compression
        decode = _function("bshuf", _SHUFFLED[kind], ctypes.c_int64, _P, _P, _N, _N, _N)
        if not kind:
            block = self.values[3] if len(self.values) > 3 else 0
            if len(raw) != out.nbytes:
                return False
            return bool(decode(source, out.ctypes.data, out.size, item, block) == out.nbytes)
        # Bitshuffle leaves what is less than eight values as it is, at the end.
        rest = out.nbytes % (8 * item)
        if not _whole(raw, out.nbytes, item, rest):
            return False
        block = _SIZES.unpack_from(raw)[1] // item
        used = decode(source + _SIZES.size, out.ctypes.data, out.size, item, block)
        return bool(used == len(raw) - _SIZES.size)


def _undo_lz4(raw: bytes, source: int, out: NDArray[Any]) -> bool:
    """Decode the blocks of a chunk that is known to be whole; a block of full size was left as it was.

    The filter itself would write to the standard output where one is damaged.
    """
    decode = _function("lz4", "LZ4_decompress_safe", ctypes.c_int, _P, _P, ctypes.c_int, ctypes.c_int)
    size, block = _SIZES.unpack_from(raw)
    at = _SIZES.size
    for start in range(0, size, block):
        length, room = _SIZE.unpack_from(raw, at)[0], min(block, size - start)
        at += _SIZE.size
        if length == room:
            ctypes.memmove(out.ctypes.data + start, source + at, room)
        elif decode(source + at, out.ctypes.data + start, length, room) != room:
            return False
        at += length
    return True


def _whole(raw: bytes, size: int, item: int, rest: int = 0) -> bool:
    """Tell whether the blocks of a chunk fill it, so that the codec finds no end where it reads on.

    Bitshuffle is not told where the chunk ends. Both formats have the same frame: 8 bytes size of the values,
    4 bytes size of a block, then for each block 4 bytes its compressed size and its bytes, all big-endian.
    """
    if len(raw) < _SIZES.size:
        return False
    told, block = _SIZES.unpack_from(raw)
    if told != size or block <= 0 or block % item:
        return False
    at, length = _SIZES.size, _SIZE.size
    for _ in range(-(-(size - rest) // block)):
        if at + length > len(raw):
            return False
        at += length + _SIZE.unpack_from(raw, at)[0]
    return at + rest == len(raw)


def pipeline(dataset: h5py.Dataset) -> Pipeline | None:
    """Give the filter of a dataset, None where it has several or one that only HDF5 itself can undo."""
    properties = dataset.id.get_create_plist()
    count = properties.get_nfilters()
    if count == 0:
        return Pipeline(0)
    number, _, values, _ = properties.get_filter(0)
    found = Pipeline(number, tuple(values))
    return found if count == 1 and found.known else None


@lru_cache(maxsize=8)
def _library(name: str) -> ctypes.CDLL:
    folder = Path(hdf5plugin.PLUGIN_PATH)
    suffix = next(path.suffix for path in folder.glob("libh5bshuf.*"))
    return ctypes.CDLL(str(folder / f"libh5{name}{suffix}"))


@lru_cache(maxsize=8)
def _function(library: str, name: str, result: Any, *arguments: Any) -> Callable[..., int]:
    function: Any = _library(library)[name]
    function.restype, function.argtypes = result, arguments
    return function  # type: ignore[no-any-return]
