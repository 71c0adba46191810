"""Reflection tables as HDF5: one contiguous dataset per column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError, InputError
from smalti.storage.atomic import write_whole
from smalti.storage.columns import SHOEBOX
from smalti.storage.opaque import FixedRows, Shoeboxes
from smalti.storage.places import open_binary
from smalti.storage.records import HISTORY_KEY, Record, read_records
from smalti.tables import SCHEMA, Opaque, Reflections

__all__ = ["hdf5_parts", "read_hdf5", "read_hdf5_rows", "write_hdf5"]

_FORMAT, _VERSION = "smalti reflections", 1


def write_hdf5(path: Path, reflections: Reflections) -> None:
    """Write a reflection table as HDF5, whole or not at all.

    Columns are datasets of their own names below ``columns``, with ``unit`` and ``meaning`` as
    attributes; opaque columns are bytes below ``opaque``, with their ``type`` and ``rows``.
    ``identifiers`` and the history are JSON datasets.
    """
    # Built in memory: a disk that fills up while the library writes to it leaves the library beyond repair,
    # and the process dies when its objects are collected.
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        _fill(file, reflections)
        file.flush()
        image = file.id.get_file_image()
    write_whole(path, image)


def _fill(file: h5py.File, reflections: Reflections) -> None:
    """Put the columns, the identifiers and the history into a file."""
    file.attrs.update(format=_FORMAT, version=_VERSION, rows=reflections.n_rows)
    columns = file.create_group("columns")
    for name, values in reflections.items():
        if values.dtype.kind not in "biuf":
            raise DataError(f"Column '{name}' of {values.dtype} cannot be written.", "", "Leave it out.")
        dataset = columns.create_dataset(_key(name), data=values)
        dataset.attrs["name"] = name
        if (known := SCHEMA.get(name)) is not None:
            dataset.attrs.update(unit=known.unit, meaning=known.meaning)
    opaque = file.create_group("opaque")
    for name, column in reflections.opaque.items():
        if not isinstance(column, (FixedRows, Shoeboxes)):
            raise DataError(f"Column '{name}' cannot be written.", "", "Leave it out.")
        blob = opaque.create_dataset(_key(name), data=np.frombuffer(column.blob(), np.uint8))
        blob.attrs.update(name=name, type=column.type_name, rows=len(column))
        if isinstance(column, Shoeboxes):
            blob.attrs["version"] = column.version
    # As datasets, since an attribute holds 64 kB at most.
    file["identifiers"] = json.dumps({str(k): v for k, v in reflections.identifiers.items()})
    file[HISTORY_KEY] = json.dumps(list(reflections.history))


def read_hdf5(path: Path) -> Reflections:
    """Read a reflection table from HDF5."""
    with _opened(path) as file:
        return _read(file, path)


def hdf5_parts(path: Path) -> tuple[int, dict[int, str], list[str], tuple[Record, ...]]:
    """Give number of rows, identifiers, names of columns and history of a table, and not its columns."""
    with _opened(path) as file:
        _check(file)
        names = [str(item.attrs["name"]) for item in file["columns"].values()]
        return int(file.attrs["rows"]), _identifiers(file), names, _history(file, path)


def read_hdf5_rows(path: Path, names: Sequence[str], start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Read a range of rows of some columns."""
    with _opened(path) as file:
        columns = file["columns"]
        return {name: columns[_key(name)][start:stop] for name in names}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file, and say in words what is wrong with it."""
    open_binary(path).close()
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, DataError) as error:
        raise InputError(
            f"'{path}' is damaged or not a reflection table of smalti.",
            f"{str(error)[:200]}.",
            "Make it again with the step that wrote it.",
        ) from None


def _read(file: Any, path: Path) -> Reflections:
    _check(file)
    columns = {str(item.attrs["name"]): item[()] for item in file["columns"].values()}
    opaque = {str(item.attrs["name"]): _opaque(item) for item in file["opaque"].values()}
    return Reflections(columns, _identifiers(file), opaque, _history(file, path))


def _check(file: Any) -> None:
    if file.attrs.get("format") != _FORMAT:
        raise ValueError("the file does not say that it is a reflection table")


def _identifiers(file: Any) -> dict[int, str]:
    return {int(k): str(v) for k, v in json.loads(file["identifiers"][()]).items()}


def _history(file: Any, path: Path) -> tuple[Record, ...]:
    return read_records(json.loads(file[HISTORY_KEY][()]), path)


def _key(name: str) -> str:
    """Name of the dataset of a column: a slash would be a group."""
    return name.replace("/", "%2F")


def _opaque(item: Any) -> Opaque:
    data, rows, kind = item[()], int(item.attrs["rows"]), str(item.attrs["type"])
    if kind == SHOEBOX:
        boxes = Shoeboxes(
            data.tobytes(), rows, SHOEBOX, f"'{item.file.filename}'", int(item.attrs["version"])
        )
        boxes.check()
        return boxes
    return FixedRows(kind, data.reshape(rows, -1) if rows else data.reshape(0, 0))
