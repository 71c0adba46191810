"""Compressed chunks undone by the filters of hdf5plugin, called directly.

HDF5 holds one lock for the whole process while a filter works. The filter of a plugin is an ordinary C
function, and what ctypes calls runs beside other threads: chunks are read as they lie in the file, and
decoded here. The function's form is H5Z_func_t of H5Zpublic.h.
"""

from __future__ import annotations

import ctypes
import struct
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
_REVERSE = 0x0100
_SIZES, _SIZE = struct.Struct(">QI"), struct.Struct(">I")


class _Plugin(ctypes.Structure):
    """H5Z_class2_t: what a plugin tells of itself."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder", ctypes.c_uint),
        ("decoder", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("filter", ctypes.c_void_p),
    )


_Filter = ctypes.CFUNCTYPE(
    ctypes.c_size_t,
    ctypes.c_uint,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_uint),
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.POINTER(ctypes.c_void_p),
)


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
        if not self._whole(raw, out.nbytes, out.itemsize):
            return False
        c = _c_library()
        # The filter frees what it is given and gives what it has allocated.
        buffer = ctypes.c_void_p(c.malloc(max(len(raw), 1)))
        ctypes.memmove(buffer, raw, len(raw))
        size = ctypes.c_size_t(len(raw))
        values = (ctypes.c_uint * len(self.values))(*self.values)
        decode = _filter(self.number)
        try:
            got = decode(_REVERSE, len(values), values, len(raw), ctypes.byref(size), ctypes.byref(buffer))
            if got != out.nbytes:
                return False
            ctypes.memmove(out.ctypes.data, buffer, got)
        finally:
            c.free(buffer)
        return True

    def _whole(self, raw: bytes, size: int, item: int) -> bool:
        """Tell whether the blocks of a chunk fill it, so that the filter finds no end where it reads on.

        Filters are not told where the chunk ends. Both formats have the same frame: 8 bytes size of the
        values, 4 bytes size of a block, then for each block 4 bytes its compressed size and its bytes, all
        big-endian; bitshuffle leaves what is less than eight values as it is, at the end.
        """
        if self.number == _ZSTD:
            return True  # zstd is told its size
        if self.number == _BITSHUFFLE and (len(self.values) < 5 or self.values[4] not in (2, 3)):
            return len(raw) == size  # shuffled, not compressed
        if len(raw) < 12:
            return False
        told, block = _SIZES.unpack_from(raw)
        if told != size or block <= 0 or block % item:
            return False
        rest = size % (8 * item) if self.number == _BITSHUFFLE else 0
        at, length = 12, _SIZE.size
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
    return Pipeline(number, tuple(values)) if count == 1 and number in _LIBRARIES else None


@lru_cache(maxsize=8)
def _filter(number: int) -> Any:
    library = ctypes.CDLL(str(_folder() / f"libh5{_LIBRARIES[number]}{_suffix()}"))
    library.H5PLget_plugin_info.restype = ctypes.POINTER(_Plugin)
    return _Filter(library.H5PLget_plugin_info().contents.filter)


def _folder() -> Path:
    return Path(hdf5plugin.PLUGIN_PATH)


def _suffix() -> str:
    return next(path.suffix for path in _folder().glob("libh5bshuf.*"))


@lru_cache(maxsize=1)
def _c_library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    return library
