"""Items of an HDF5 file by name, with errors that say where in which file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError

__all__ = [
    "as_numbers",
    "attribute",
    "check_sources",
    "children",
    "damaged",
    "guarded",
    "lengths",
    "maybe_text",
    "names_in",
    "number",
    "numbers",
    "text",
    "to_unit",
    "values_of",
]

Array = NDArray[np.float64]

_MOST_VALUES = 10_000_000
"""Of a table in a header: a few for each of a million images. A damaged size would ask for all memory."""

_LONGEST_TEXT = 1000

_DEEPEST = 8
"""Virtual datasets one within the other."""

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


@contextmanager
def guarded(file: Path) -> Iterator[None]:
    """Turn what h5py raises on a damaged file, which can be anything, into an error that names the file.

    Raises
    ------
    InputError
    """
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, MemoryError) as error:
        raise InputError(
            f"{file} is damaged, or not laid out as NeXus is.",
            f"HDF5 says: {str(error).rstrip('.') or type(error).__name__}.",
            "Copy the file again from where it was measured.",
        ) from error


def names_in(group: h5py.Group) -> list[str]:
    """Give the names in a group in order; damaged ones, which h5py gives as bytes, are left out."""
    return sorted(name for name in group if isinstance(name, str))


def children(group: h5py.Group, kind: str) -> Iterator[h5py.Group]:
    """Give the groups of one NX_class, by name; links that lead nowhere are passed over."""
    for name in names_in(group):
        item = group.get(name)
        if isinstance(item, h5py.Group) and maybe_text(item.attrs.get("NX_class")) == kind:
            yield item


def maybe_text(value: Any) -> str:
    """Give a string however HDF5 stored it; "" for what is none."""
    if isinstance(value, h5py.Dataset):
        value = value[()] if (value.size or 0) <= _LONGEST_TEXT and not value.is_virtual else ""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip("\0 ")
    return value if isinstance(value, str) else ""


def values_of(item: h5py.Dataset, file: Path) -> Any:
    """Read a whole dataset, once it is known to end."""
    check_sources(item, file)
    return item[()]


def check_sources(item: h5py.Dataset, file: Path, above: tuple[tuple[str, str], ...] = ()) -> None:
    """See that a virtual dataset is not put together of itself: HDF5 follows that until the stack is full.

    Raises
    ------
    InputError
    """
    if not item.is_virtual:
        return
    own = (os.path.realpath(item.file.filename), str(item.name))
    if own in above or len(above) > _DEEPEST:
        raise damaged(item, file, "It is put together of itself")
    for name, path in {(source.file_name, source.dset_name) for source in item.virtual_sources()}:
        where = Path(own[0]).parent / name if name != "." else Path(own[0])
        if where.exists():
            with h5py.File(where, "r", locking=False) as other:
                below = other.get(path)
                if isinstance(below, h5py.Dataset):
                    check_sources(below, file, (*above, own))


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
    return as_numbers(item, item, file) * to_unit(given or {"rad": "deg"}.get(unit, unit), unit, item, file)


def number(group: h5py.Group, name: str, unit: str, file: Path) -> float | None:
    """Give the first value of a dataset, None where there is no such dataset; unit "" takes it as it is."""
    item = group.get(name)
    if not isinstance(item, h5py.Dataset):
        return None
    values = numbers(item, unit, file) if unit else as_numbers(item, item, file)
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
    """Give the values of a dataset or of an attribute of ``item`` as (n,) numbers."""
    if isinstance(value, h5py.Dataset):
        if (value.size or 0) > _MOST_VALUES:
            raise damaged(item, file, f"It holds {value.size} values, where a few for each image are meant")
        value = values_of(value, file)
    try:
        if not np.iscomplexobj(value):
            return np.atleast_1d(np.asarray(value, dtype=float)).ravel()
    except (TypeError, ValueError):
        pass
    raise damaged(item, file, "It holds no numbers")
