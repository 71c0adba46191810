"""Covariances of a refinement as HDF5."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smalti.errors import InputError
from smalti.storage.atomic import write_whole
from smalti.storage.covariances import Covariances, CrystalBlocks, Motions
from smalti.storage.places import open_binary
from smalti.storage.records import HISTORY_KEY, read_records

__all__ = ["read", "write"]

_FORMAT, _VERSION = "smalti covariances", 1

_MOTION = "centre along fast, slow, normal (mm); rotation vector about fast, slow, normal (rad)"
_LABORATORY = "centre along x, y, z (mm); rotation vector about x, y, z (rad)"
_CELL = "a, b, c (Angstrom), alpha, beta, gamma (deg), volume (Angstrom^3)"


def write(path: Path, what: Covariances, history: Sequence[Mapping[str, Any]]) -> None:
    """Write covariances."""
    # Built in memory, as tables are: a disk that fills up must not bring the process down.
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        file.attrs.update(format=_FORMAT, version=_VERSION)
        parameters = file.create_group("parameters")
        _strings(parameters, "name", what.names)
        _strings(parameters, "unit", what.units)
        for name, values in (
            ("value", what.values), ("shift", what.shifts), ("prior_share", what.prior_share),
            ("covariance", what.covariance),
        ):  # fmt: skip
            parameters[name] = values
        panels = file.create_group("panels")
        panels["detector"] = np.array([detector for detector, _, _ in what.panels], dtype=np.int64)
        panels["panel"] = np.array([panel for _, panel, _ in what.panels], dtype=np.int64)
        _strings(panels, "name", [name for _, _, name in what.panels])
        for name, motions, meaning in (
            ("relative", what.relative, _MOTION), ("laboratory", what.laboratory, _LABORATORY)
        ):  # fmt: skip
            group = panels.create_group(name)
            group.attrs["meaning"] = meaning
            group["motion"], group["covariance"] = motions.values, motions.covariance
        cells = file.create_group("cells")
        cells.attrs["meaning"] = _CELL
        cells["value"], cells["covariance"] = what.cells, what.cell_covariance
        if what.crystals is not None:
            crystals = file.create_group("crystals")
            names = np.array(what.crystals.names, dtype=object)
            crystals.create_dataset("name", data=names, dtype=h5py.string_dtype())
            crystals["value"], crystals["covariance"] = what.crystals.values, what.crystals.covariance
        file[HISTORY_KEY] = json.dumps(list(history))
        file.flush()
        image = file.id.get_file_image()
    write_whole(path, image)


def read(path: Path) -> Covariances:
    """Read covariances."""
    open_binary(path).close()
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"'{path}' is damaged or holds no covariances of smalti.",
            f"{str(error)[:200]}.",
            "Refine again: smalti refine EXPT REFL -o NAME writes NAME.covariance.h5.",
        ) from None


def _read(file: Any, path: Path) -> Covariances:
    if file.attrs.get("format") != _FORMAT:
        raise ValueError("the file does not say that it holds covariances")
    parameters, panels, cells = file["parameters"], file["panels"], file["cells"]
    numbers = zip(panels["detector"][()], panels["panel"][()], _texts(panels, "name"), strict=True)
    relative, laboratory = (
        Motions(panels[kind]["motion"][()], panels[kind]["covariance"][()])
        for kind in ("relative", "laboratory")
    )
    found = Covariances(
        _texts(parameters, "name"),
        _texts(parameters, "unit"),
        parameters["value"][()],
        parameters["shift"][()],
        parameters["prior_share"][()],
        parameters["covariance"][()],
        tuple((int(detector), int(panel), name) for detector, panel, name in numbers),
        relative,
        laboratory,
        cells["value"][()],
        cells["covariance"][()],
        _crystals(file["crystals"]) if "crystals" in file else None,
        read_records(json.loads(file[HISTORY_KEY][()]), path),
    )
    n, size = len(found.names), 6 * len(found.panels)
    shapes = [found.covariance.shape, relative.covariance.shape, laboratory.covariance.shape]
    if shapes != [(n, n), (size, size), (size, size)]:
        raise ValueError("its matrices do not fit its names")
    return found


def _crystals(group: Any) -> CrystalBlocks:
    names = tuple(tuple(str(text) for text in row) for row in group["name"].asstr()[()])
    return CrystalBlocks(names, group["value"][()], group["covariance"][()])


def _strings(group: Any, name: str, values: Sequence[str]) -> None:
    group.create_dataset(name, data=list(values), dtype=h5py.string_dtype(), shape=(len(values),))


def _texts(group: Any, name: str) -> tuple[str, ...]:
    return tuple(str(text) for text in group[name].asstr()[()])
