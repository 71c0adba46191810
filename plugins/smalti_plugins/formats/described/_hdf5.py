"""Images and header values of an HDF5 file whose layout a description tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti_plugins.formats.described._description import Description
from smalti_plugins.formats.nexus._frames import Piece, open_file
from smalti_plugins.formats.nexus._items import guarded, maybe_text, names_in, values_of

__all__ = ["hdf5_mask", "hdf5_piece", "hdf5_words"]


def hdf5_piece(path: Path, told: Description) -> Piece:
    """Say where the images are."""
    with open_file(path) as file, guarded(path):
        item = _dataset(file, told.images.data, path)
        shape = item.shape if item.ndim > 2 else (1, *item.shape)
        if item.ndim not in (2, 3) or shape[1:] != told.size[::-1] or item.dtype.kind not in "iuf":
            raise InputError(
                f"{path} does not hold the images that are described.",
                f"{told.images.data} has shape {item.shape}, {item.dtype}; described are frames of "
                f"{told.size[0]} x {told.size[1]} pixels.",
                "Correct the description of the detector.",
            )
        return Piece(path, told.images.data, 0, shape[0], shape[1:])


def hdf5_words(path: Path, told: Description, frame: int) -> dict[str, Any]:
    """Give the values of all datasets that the description names; of one for each frame that of this."""
    found: dict[str, Any] = {}
    with open_file(path) as file, guarded(path):
        for name in told.header:
            item = told.field_of(name)
            dataset = file.get(item.key) if item is not None else None
            if item is None or not isinstance(dataset, h5py.Dataset):
                continue  # what is missing is told where it is asked for
            values = np.ravel(values_of(dataset, path))
            if values.size:
                value = values[frame] if values.size > frame and values.size > 1 else values[0]
                found[item.key] = maybe_text(value) or value
    return found


def hdf5_mask(path: Path, told: Description) -> NDArray[np.bool_] | None:
    """Give the mask that is described: 0 is good, as in NeXus; None where none is."""
    if not told.images.mask:
        return None
    with open_file(path) as file, guarded(path):
        item = _dataset(file, told.images.mask, path)
        if item.shape != told.size[::-1]:
            raise InputError(
                f"The mask {told.images.mask} of {path} does not fit the images.",
                f"It has shape {item.shape}, the images {told.size[::-1]}.",
                "Correct the description of the detector.",
            )
        return np.asarray(values_of(item, path) == 0)


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    item = file.get(name or "/")
    if isinstance(item, h5py.Dataset):
        return item
    raise InputError(
        f"{path} has no dataset {name}.",
        f"It has: {', '.join(names_in(file)) or 'nothing'}.",
        "Correct the description of the detector.",
    )
