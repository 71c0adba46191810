"""JSON values that know where they stand, so that every complaint can name the place.

A :class:`Place` is a value with its path in the file (``detector[0].panels[3].fast_axis``);
:class:`Fields` reads the keys of an object by type and remembers which were read, so that the rest
can be carried through untouched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

from smalti.errors import InputError
from smalti.options import suggest

__all__ = ["REQUIRED", "Fields", "Place", "load_json", "open_binary", "read_bytes"]

REQUIRED: Final = object()
"""Default of a key that must be there."""


def read_bytes(path: Path) -> bytes:
    """Read a whole file, or say in words why not."""
    with open_binary(path) as file:
        return file.read()


def open_binary(path: Path) -> BufferedReader:
    """Open a file for reading bytes, or say in words why not."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"There is no file '{path}'.", *_near(path)) from None
    except OSError as error:
        raise InputError(f"Cannot read '{path}'.", f"{error.strerror or error}.", "Check the file.") from None


def _near(path: Path) -> tuple[str, str]:
    """Say what is missing, the folder or the file, and which files have a name like it."""
    if not path.parent.is_dir():
        return f"There is no folder '{path.parent}'.", "Check the path."
    names = sorted(found.name for found in path.parent.iterdir() if found.suffix == path.suffix)
    return "", suggest(path.name, names[:20]) or "Check the name and the folder."


def load_json(path: Path) -> Any:
    """Read a JSON file; a broken one is an error that names line and column."""
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"'{path}' is empty.", "", "Make it again with the step that wrote it.")
    strange: list[str] = []

    def note(word: str) -> float:
        strange.append(word)
        return float(word)

    try:
        value = json.loads(data, parse_constant=note)
    except json.JSONDecodeError as error:
        raise InputError(
            f"'{path}' is not complete, correct JSON.",
            f"Line {error.lineno}, column {error.colno}: {error.msg}.",
            "It was cut off or edited; make it again with the step that wrote it.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"'{path}' is not a JSON text file.",
            f"{str(error)[:200]}.",
            "Give an experiment list (.expt), as smalti or DIALS writes it.",
        ) from None
    if strange:
        raise Place(None, _not_finite(value, "") or "", path).fail(f"{strange[0]} is not a number in JSON")
    return value


def _not_finite(value: Any, path: str) -> str | None:
    """Find the path of the first NaN or Infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return path
    if isinstance(value, dict):
        inner = ((item, f"{path}.{key}" if path else key) for key, item in value.items())
    elif isinstance(value, list):
        inner = ((item, f"{path}[{k}]") for k, item in enumerate(value))
    else:
        return None
    return next((found for item, at in inner if (found := _not_finite(item, at)) is not None), None)


@dataclass(frozen=True, slots=True)
class Place:
    """A JSON value, its path inside the file and the file."""

    value: Any
    path: str
    file: Path

    def fail(self, why: str, fix: str = "") -> InputError:
        """Make the error that names this place."""
        return InputError(
            f"'{self.file}' is not a valid experiment list.",
            f"{self.path or 'top level'}: {why}.",
            fix or "Correct the file, or make it again with the step that wrote it.",
        )

    def shown(self) -> str:
        """Give the value in a few words, for a message."""
        if isinstance(self.value, (dict, list)):
            return "an object" if isinstance(self.value, dict) else f"a list of {len(self.value)}"
        return json.dumps(self.value)[:60]

    def number(self) -> float:
        """Take a finite number."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(f"a number is needed, not {self.shown()}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.fail(f"a finite number is needed, not {self.shown()}")
        return number

    def integer(self) -> int:
        """Take a whole number that fits 32 bits (written as 3 or as 3.0)."""
        number = self.number()
        if number != int(number) or abs(number) >= 2**31:
            raise self.fail(f"a whole number is needed, not {self.shown()}")
        return int(number)

    def text(self) -> str:
        """Take a text."""
        if not isinstance(self.value, str):
            raise self.fail(f"a text is needed, not {self.shown()}")
        return self.value

    def items(self, length: int | None = None) -> tuple[Place, ...]:
        """Take a list, each item with its own place."""
        if not isinstance(self.value, list) or length not in (None, len(self.value)):
            needed = "a list" if length is None else f"a list of {length}"
            raise self.fail(f"{needed} is needed, not {self.shown()}")
        return tuple(Place(item, f"{self.path}[{k}]", self.file) for k, item in enumerate(self.value))

    def numbers(self, length: int | None = None) -> tuple[float, ...]:
        """Take a list of finite numbers."""
        return tuple(item.number() for item in self.items(length))

    def integers(self, length: int | None = None) -> tuple[int, ...]:
        """Take a list of whole numbers."""
        return tuple(item.integer() for item in self.items(length))

    def texts(self, length: int | None = None) -> tuple[str, ...]:
        """Take a list of texts."""
        return tuple(item.text() for item in self.items(length))

    def fields(self) -> Fields:
        """Take an object, to be read key by key."""
        if not isinstance(self.value, dict):
            raise self.fail(f"an object is needed, not {self.shown()}")
        return Fields(self)


class Fields:
    """The keys of a JSON object, read by type; what was not read is :meth:`rest`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._values: dict[str, Any] = place.value
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def at(self, key: str) -> Place:
        """Give the place of a key that must be there."""
        self._read.add(key)
        path = f"{self.place.path}.{key}" if self.place.path else key
        if key not in self._values:
            raise self.place.fail(f"there is no '{key}'")
        return Place(self._values[key], path, self.place.file)

    def maybe(self, key: str) -> Place | None:
        """Give the place of a key, or None where it is absent or null."""
        self._read.add(key)
        return self.at(key) if self._values.get(key) is not None else None

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """Read a finite number."""
        place = self._find(key, default)
        return float(default) if place is None else place.number()

    def integer(self, key: str, default: Any = REQUIRED) -> int:
        """Read a whole number."""
        place = self._find(key, default)
        return int(default) if place is None else place.integer()

    def text(self, key: str, default: Any = REQUIRED) -> str:
        """Read a text."""
        place = self._find(key, default)
        return str(default) if place is None else place.text()

    def numbers(self, key: str, length: int, default: Any = REQUIRED) -> tuple[float, ...]:
        """Read a list of ``length`` finite numbers."""
        place = self._find(key, default)
        return tuple(default) if place is None else place.numbers(length)

    def integers(self, key: str, length: int, default: Any = REQUIRED) -> tuple[int, ...]:
        """Read a list of ``length`` whole numbers."""
        place = self._find(key, default)
        return tuple(default) if place is None else place.integers(length)

    def rest(self) -> dict[str, Any]:
        """Give the keys that were not read, with their values."""
        return {key: value for key, value in self._values.items() if key not in self._read}

    def _find(self, key: str, default: Any) -> Place | None:
        return self.at(key) if default is REQUIRED else self.maybe(key)
