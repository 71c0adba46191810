"""Items of an HDF5 file by name, with errors that say where in which file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError

__all__ = [
    "attribute",
    "children",
    "damaged",
    "lengths",
    "maybe_text",
    "number",
    "numbers",
    "text",
    "to_unit",
]

Array = NDArray[np.float64]

_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), ("mm", 1e3)),
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters"), ("mm", 1.0)),
    **dict.fromkeys(("um", "µm", "micron", "microns", "micrometer", "micrometre"), ("mm", 1e-3)),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), ("mm", 1e-6)),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), ("mm", 10.0)),
    **dict.fromkeys(("angstrom", "angstroms", "a", "å"), ("mm", 1e-7)),
    **dict.fromkeys(("deg", "degree", "degrees"), ("rad", np.pi / 180.0)),
    **dict.fromkeys(("rad", "radian", "radians"), ("rad", 1.0)),
    **dict.fromkeys(("mrad", "milliradian"), ("rad", 1e-3)),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("s", 1.0)),
    **dict.fromkeys(("ms", "millisecond"), ("s", 1e-3)),
    **dict.fromkeys(("us", "µs", "microsecond"), ("s", 1e-6)),
    **dict.fromkeys(("ev",), ("eV", 1.0)),
    **dict.fromkeys(("kev",), ("eV", 1e3)),
}


def damaged(item: h5py.HLObject | str, file: Path, why: str) -> InputError:
    """Say what is wrong with one item of a file."""
    place = item if isinstance(item, str) else item.name
    return InputError(
        f"{file} cannot be understood at {place}.",
        f"{why}.",
        "Correct the file, or copy it again from where it was measured.",
    )


def children(group: h5py.Group, kind: str) -> Iterator[h5py.Group]:
    """Give the groups of one NX_class, by name; links that lead nowhere are passed over."""
    for name in sorted(group):
        item = group.get(name)
        if isinstance(item, h5py.Group) and maybe_text(item.attrs.get("NX_class")) == kind:
            yield item


def maybe_text(value: Any) -> str:
    """Give a string however HDF5 stored it; "" for what is none."""
    if isinstance(value, h5py.Dataset):
        value = value[()]
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    return value if isinstance(value, str) else ""


def text(group: h5py.Group, *names: str) -> str:
    """Give the first of these datasets that is there as a string, else ""."""
    return next((maybe_text(group[name]) for name in names if isinstance(group.get(name), h5py.Dataset)), "")


def attribute(item: h5py.HLObject, name: str, file: Path) -> Array:
    """Give an attribute as numbers, (n,)."""
    if name not in item.attrs:
        raise damaged(item, file, f"It has no attribute '{name}'")
    return as_numbers(item.attrs[name], item, file)


def numbers(item: h5py.Dataset, unit: str, file: Path) -> Array:
    """Give all values of a dataset in mm, rad, s or eV, (n,).

    A dataset without units is taken to be in the unit asked for: mm of a length and degrees of an angle
    are what files without units mean, s of a time.
    """
    given = maybe_text(item.attrs.get("units"))
    return as_numbers(item[()], item, file) * to_unit(
        given or {"rad": "deg"}.get(unit, unit), unit, item, file
    )


def number(group: h5py.Group, name: str, unit: str, file: Path) -> float | None:
    """Give the first value of a dataset, None where there is no such dataset; unit "" takes it as it is."""
    item = group.get(name)
    if not isinstance(item, h5py.Dataset):
        return None
    values = numbers(item, unit, file) if unit else as_numbers(item[()], item, file)
    if not values.size or not np.isfinite(values[0]):
        raise damaged(item, file, "It holds no number")
    return float(values[0])


def lengths(item: h5py.Dataset, name: str, units: str, file: Path) -> Array:
    """Give an attribute of three lengths in mm; zeros where it is missing."""
    if name not in item.attrs:
        return np.zeros(3)
    values = attribute(item, name, file)
    if values.shape != (3,):
        raise damaged(item, file, f"Its attribute '{name}' holds {values.size} numbers, not 3")
    given = maybe_text(item.attrs.get(units))
    return values * (to_unit(given, "mm", item, file) if given else 1.0)


def to_unit(given: str, unit: str, item: h5py.HLObject, file: Path) -> float:
    """Give the factor from a unit as written to mm, rad, s or eV."""
    kind, factor = _UNITS.get(given.strip().lower(), ("", 0.0))
    if kind != unit:
        raise damaged(item, file, f"Its unit is '{given}', where one of {unit} is needed")
    return factor


def as_numbers(value: Any, item: h5py.HLObject, file: Path) -> Array:
    """Give values as (n,) numbers."""
    try:
        return np.atleast_1d(np.asarray(value, dtype=float)).ravel()
    except (TypeError, ValueError):
        raise damaged(item, file, "It holds no numbers") from None
