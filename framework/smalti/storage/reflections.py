"""Reflection tables: ``.refl`` as DIALS writes it, ``.h5`` by suffix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.errors import UsageError
from smalti.storage.refl_reader import read_refl, refuse_pickle
from smalti.storage.refl_writer import write_refl
from smalti.tables import Reflections

__all__ = ["read_reflections", "write_reflections"]

_HDF5 = {".h5", ".hdf5"}


def read_reflections(path: str | os.PathLike[str]) -> Reflections:
    """Read a reflection table: HDF5 by its suffix (``.h5``), anything else as ``.refl``.

    Raises
    ------
    InputError
        Names the file and the place in it. Pickles are recognised and never loaded.
    """
    path = Path(path)
    if path.suffix in _HDF5:
        from smalti.storage.hdf5 import read_hdf5

        return read_hdf5(path)
    if path.suffix == ".pickle":
        refuse_pickle(path)
    return read_refl(path)


def write_reflections(
    path: str | os.PathLike[str], reflections: Reflections, record: Mapping[str, Any] | None = None
) -> None:
    """Write a reflection table, whole or not at all: ``.refl``, or HDF5 where the suffix is ``.h5``.

    Parameters
    ----------
    path : path
    reflections : Reflections
        Its history is written too.
    record : Mapping, optional
        What made this file (:func:`smalti.storage.make_record`); follows the history.
    """
    path = Path(path)
    if record:
        reflections = reflections.with_columns(history=(*reflections.history, record))
    if path.suffix in _HDF5:
        from smalti.storage.hdf5 import write_hdf5

        write_hdf5(path, reflections)
    elif path.suffix == ".refl":
        write_refl(path, reflections)
    else:
        raise UsageError(
            f"'{path}' has no ending that says what it is to be.",
            "A reflection table is written as .refl (read by DIALS too) or as .h5 (HDF5).",
            "Give the output one of these endings.",
        )
