"""Ledgers: what runs told of one detector, as sums that can be put together without the data.

One HDF5 file: what is common to all runs as a JSON text, and below ``runs`` one group for each run, of
arrays and of what else is known of it, as a JSON text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.storage.atomic import write_whole
from smalti.storage.places import open_binary

__all__ = ["SUMS_SUFFIX", "LedgerFile", "StoredRun", "read_ledger", "write_ledger"]

SUMS_SUFFIX = ".sums.h5"
"""How the name of the file ends in which a refinement leaves what it told."""

_FORMAT, _VERSION = "smalti ledger", 1


@dataclass(frozen=True)
class StoredRun:
    """One run: arrays by name, and facts that JSON can hold."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class LedgerFile:
    """What is in a ledger.

    Attributes
    ----------
    problem : Mapping
        What is common to all runs.
    runs : Mapping
        Name to run, in the order in which they were added.
    """

    problem: Mapping[str, Any]
    runs: Mapping[str, StoredRun] = field(default_factory=dict)


def write_ledger(path: str | os.PathLike[str], ledger: LedgerFile) -> None:
    """Write a ledger, whole or not at all."""
    # In memory, as a disk that fills up leaves the library beyond repair.
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        file.attrs.update(format=_FORMAT, version=_VERSION)
        file["problem"] = json.dumps(ledger.problem)
        runs = file.create_group("runs", track_order=True)
        for number, (name, run) in enumerate(ledger.runs.items()):
            group = runs.create_group(f"{number:06d}")
            group.attrs["name"] = name
            group["facts"] = json.dumps(run.facts)
            for key, values in run.arrays.items():
                group.create_dataset(key, data=values)
        file.flush()
        image = file.id.get_file_image()
    write_whole(path, image)


def read_ledger(path: str | os.PathLike[str]) -> LedgerFile:
    """Read a ledger.

    Raises
    ------
    InputError
    """
    path = Path(path)
    open_binary(path).close()
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != _FORMAT:
                raise ValueError("the file does not say that it is a ledger")
            if file.attrs["version"] != _VERSION:
                raise ValueError(f"version {file.attrs['version']} of the format is not known")
            runs = {str(item.attrs["name"]): _run(item) for item in file["runs"].values()}
            return LedgerFile(json.loads(file["problem"][()]), runs)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"'{path}' is damaged or not a ledger of smalti.",
            f"{str(error)[:200]}.",
            f"Give what smalti ledger or smalti refine --stream wrote (NAME{SUMS_SUFFIX}).",
        ) from None


def _run(item: Any) -> StoredRun:
    arrays = {key: np.asarray(item[key][()]) for key in item if key != "facts"}
    return StoredRun(arrays, dict(json.loads(item["facts"][()])))
