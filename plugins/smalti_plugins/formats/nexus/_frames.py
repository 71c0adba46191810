"""Where the frames of a series lie: in one dataset, or spread over files that a master names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters with HDF5
import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti_plugins.formats.nexus._filters import pipeline
from smalti_plugins.formats.nexus._items import check_sources, damaged, names_in

__all__ = ["Piece", "files_of", "find_pieces", "forget", "open_file", "opened", "read_frame", "type_of"]

_NUMBERED = re.compile(r"data_\d+$")


@dataclass(frozen=True)
class Piece:
    """Consecutive frames in one dataset.

    Attributes
    ----------
    file : Path
    dataset : str
    first, count : int
        The frames first, first + 1, ... of the dataset.
    shape : tuple of int
        Of one frame: (slow, fast), or (modules, slow, fast).
    there : bool
        Whether the file is there; where it is not and only a link leads to it, count and shape are empty.
    """

    file: Path
    dataset: str
    first: int
    count: int
    shape: tuple[int, ...]
    there: bool = True


def find_pieces(group: h5py.Group, file: Path) -> tuple[Piece, ...]:
    """Find the frames that a group of data (``/entry/data``) names, in order.

    EIGER's master files link one dataset in each of their data files (``data_000001``, ...); NXmx has one
    dataset, ``data``, which may be put together of others (virtual).

    Raises
    ------
    InputError
        There are none, or they are no images.
    """
    names = [name for name in names_in(group) if _NUMBERED.match(name)]
    if "data" in group:
        item = group.get("data")
        if isinstance(item, h5py.Dataset) and item.ndim >= 2:
            return _of_dataset(item, file)
    if not names:
        raise damaged(group, file, "It names no images: neither 'data' nor 'data_000001'")
    return tuple(_of_link(group, name, file) for name in names)


def files_of(group: h5py.Group, file: Path) -> tuple[Path, ...]:
    """Give the files that a group of data names: by links, and as parts of virtual datasets."""
    found: list[Path] = []
    for name in names_in(group):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            found.append(file.parent / link.filename)
            continue
        item = group.get(name)
        if isinstance(item, h5py.Dataset) and item.is_virtual:
            home = Path(item.file.filename).parent
            found += [home / part.file_name for part in item.virtual_sources() if part.file_name != "."]
    return tuple(dict.fromkeys(found))


def _of_link(group: h5py.Group, name: str, file: Path) -> Piece:
    link = group.get(name, getlink=True)
    where, path = file, f"{group.name}/{name}"
    if isinstance(link, h5py.ExternalLink):
        where, path = file.parent / link.filename, link.path
        if not where.exists():
            return Piece(where, path, 0, 0, (), there=False)
    item = group.get(name)
    if not isinstance(item, h5py.Dataset) or item.ndim < 3:
        raise damaged(group, file, f"Its link '{name}' leads to no images in {where.name}")
    return Piece(where, path, 0, item.shape[0], item.shape[1:])


def _of_dataset(item: h5py.Dataset, file: Path) -> tuple[Piece, ...]:
    shape = item.shape if item.ndim > 2 else (1, *item.shape)
    own = file if os.path.samefile(item.file.filename, file) else Path(item.file.filename)
    whole = (Piece(own, str(item.name), 0, shape[0], shape[1:]),)
    if not item.is_virtual:
        return whole
    pieces: list[Piece] = []
    for source in item.virtual_sources():
        to = source.vspace.get_select_bounds()
        if source.src_space.get_select_type() == h5py.h5s.SEL_ALL:
            count = to[1][0] - to[0][0]
            of = (0, *to[0][1:]), (count, *to[1][1:])
        else:
            of = source.src_space.get_select_bounds()
        first, last = of[0][0], of[1][0]
        frames = to[0][0] == sum(piece.count for piece in pieces) and to[1][0] - to[0][0] == last - first
        plain = frames and to[0][1:] == of[0][1:] and to[1][1:] == tuple(n - 1 for n in shape[1:])
        where = own if source.file_name == "." else own.parent / source.file_name
        if not plain:
            return whole  # put together in another way: HDF5 does it
        pieces.append(
            Piece(where, source.dset_name, first, last - first + 1, shape[1:], there=where.exists())
        )
    return tuple(pieces) or whole


def read_frame(piece: Piece, index: int) -> NDArray[Any]:
    """Read one frame of a piece (index from 0 within it), as stored.

    Raises
    ------
    InputError
        The data file is missing or damaged.
    """
    if not piece.there:
        raise _gone(piece)
    try:
        dataset = _dataset(piece.file, piece.dataset, piece.file.stat().st_mtime_ns)
        return _read(dataset, piece, piece.first + index)
    except FileNotFoundError:
        raise _gone(piece) from None
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(
            f"Image {index + 1} of {piece.dataset} in {piece.file} cannot be read.",
            f"{str(error).rstrip('.')}.",
            "Copy the file again from where it was measured.",
        ) from None


def _gone(piece: Piece) -> InputError:
    return InputError(
        f"The data file {piece.file} is not there.",
        "The master file holds the geometry only, and names this file for the pixels.",
        f"Copy {piece.file.name} to {piece.file.parent}.",
    )


def _read(dataset: h5py.Dataset, piece: Piece, number: int) -> NDArray[Any]:
    if dataset.shape[-len(piece.shape) :] != piece.shape:
        raise ValueError(f"it has shape {dataset.shape}, not that of the first")
    if dataset.ndim == 2:
        return np.asarray(dataset[()])
    out = np.empty(dataset.shape[1:], dtype=dataset.dtype)
    filters = pipeline(dataset)
    # What is not compressed HDF5 reads to its place at once; a chunk would be copied.
    if filters is None or not filters.number or dataset.chunks != (1, *out.shape):
        dataset.read_direct(out, np.s_[number])
        return out
    place = (number,) + (0,) * out.ndim
    info = dataset.id.get_chunk_info_by_coord(place)
    if info.byte_offset is None:
        raise ValueError("it was never written")
    mask, raw = dataset.id.read_direct_chunk(place)
    if not filters.undo(raw, mask, out):
        raise ValueError("its compressed data are damaged")
    return out


def type_of(piece: Piece) -> np.dtype[Any]:
    """Give the type of the stored counts."""
    stored: np.dtype[Any] = _dataset(piece.file, piece.dataset, piece.file.stat().st_mtime_ns).dtype
    return stored


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file, also one that is still being written.

    Raises
    ------
    InputError
        It is no HDF5 file, or is damaged.
    """
    try:
        return opened(path)
    except OSError as error:
        if not path.exists():
            raise InputError(
                f"There is no file {path}.", fix="Check the name and the folder you are in."
            ) from None
        raise InputError(
            f"{path} cannot be opened.",
            f"HDF5 says: {str(error).rstrip('.')}.",
            "Copy the file again from where it was measured.",
        ) from None


def opened(path: Path) -> h5py.File:
    """Open an HDF5 file; what HDF5 raises passes."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError:
        # A file with a writer at work (single writer, multiple readers) opens in this way only.
        return h5py.File(path, "r", locking=False, swmr=True)


def forget() -> None:
    """Close what was kept open, for files that have grown meanwhile."""
    _dataset.cache_clear()


@lru_cache(maxsize=32)
def _dataset(path: Path, name: str, written: int) -> h5py.Dataset:
    """Keep datasets open: to open one takes longer than to read a frame; ``written`` makes changes seen."""
    item = open_file(path)[name]
    if not isinstance(item, h5py.Dataset) or item.ndim < 2:
        raise ValueError(f"'{name}' holds no images")
    check_sources(item, path)
    return item
