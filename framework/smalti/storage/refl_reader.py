"""Reading ``.refl`` files: a reflection table in MessagePack, taken apart piece by piece.

The pieces are read one after another, not in one go, so that an error can say in which column and at
which byte a file breaks off.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgpack
import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.storage.columns import SHOEBOX, STRING, TYPES
from smalti.storage.opaque import FixedRows, OpaqueColumn, Shoeboxes
from smalti.storage.places import open_binary
from smalti.storage.records import HISTORY_KEY, HISTORY_MARK, Record, read_records
from smalti.tables import SCHEMA, Reflections

__all__ = ["MAGIC", "PICKLE", "VERSIONS", "TableReader", "read_refl", "refuse_pickle"]

MAGIC = "dials::af::reflection_table"
VERSIONS = (1, 2)
"""Versions of the format: 2 differs from 1 in the masks of shoeboxes only."""

PICKLE = b"\x80"
"""How pickles of protocol 2 and later begin; a reflection table begins with 0x93."""

_CHUNK = 1 << 20
_KEYS = {"identifiers", "nrows", "data"}
_log = logging.getLogger(__name__)
T = TypeVar("T")


def read_refl(path: Path) -> Reflections:
    """Read a ``.refl`` file.

    Raises
    ------
    InputError
        Names the file, and the column and byte where it breaks off or makes no sense.
    """
    with open_binary(path) as file:
        first = file.read(1)
        if not first:
            raise InputError(f"'{path}' is empty.", "", "Make it again with the step that wrote it.")
        if first == PICKLE:
            refuse_pickle(path)
        file.seek(0)
        # From the file and not from its bytes, so that memory holds the columns and little besides.
        return TableReader(path, file).table()


def refuse_pickle(path: Path) -> NoReturn:
    """Say why a pickle is not read, and how to convert it."""
    target = f"{path.stem}_converted.refl" if path.suffix == ".refl" else f"{path.stem}.refl"
    raise InputError(
        f"'{path}' is a Python pickle, which is never read because loading one can run any program hidden "
        'in it; where you trust it, convert it with: dials.python -c "from dials.array_family import flex; '
        f"flex.reflection_table.from_file('{path}').as_file('{target}')\""
    )


class TableReader:
    """One pass through the bytes of one file, or through a part of them."""

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.version = VERSIONS[0]
        self.place = "the beginning of the file"
        self.go_to(0)

    def go_to(self, offset: int, ahead: int = _CHUNK) -> None:
        """Go on at a byte of the file, reading so many bytes ahead."""
        self.file.seek(offset)
        self.begin = offset
        # Without a limit of its own the unpacker refuses columns of more than 100 MB.
        self.unpacker = msgpack.Unpacker(
            self.file, read_size=min(self.size, ahead), strict_map_key=False, max_buffer_size=self.size
        )

    @property
    def offset(self) -> int:
        """The byte of the file that comes next."""
        return int(self.begin + self.unpacker.tell())

    def fail(self, why: str) -> InputError:
        """Make the error that names the place."""
        return InputError(
            f"'{self.path}' is damaged or not a reflection table.",
            f"In {self.place}, at byte {self.offset} of {self.size}: {why}.",
            "Make it again with the step that wrote it.",
        )

    def next(self, take: Callable[[], T]) -> T:
        """Take one piece, whatever may be wrong with it."""
        try:
            return take()
        except msgpack.OutOfData:
            raise self.fail("the file is cut off") from None
        except (ValueError, TypeError, OverflowError, MemoryError, RecursionError, OSError) as error:
            # ValueError is the parent of all complaints of msgpack and of bad UTF-8.
            reason = str(error)[:120] or type(error).__name__
            raise self.fail(f"this is not what a reflection table holds ({reason})") from None

    def value(self, kind: type[T], what: str) -> T:
        """Take one value of a type."""
        value = self.next(self.unpacker.unpack)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.fail(f"{what} is needed")
        return value

    def array(self, length: int) -> None:
        """Take the head of a list of so many items."""
        if self.next(self.unpacker.read_array_header) != length:
            raise self.fail(f"a list of {length} is needed")

    def parts(self) -> int:
        """Read what a table begins with; give the number of its parts."""
        self.array(3)
        if self.value(str, "the name of the format") != MAGIC:
            raise self.fail("the file does not say that it is a reflection table")
        self.version = self.value(int, "the version of the format")
        if self.version not in VERSIONS:
            raise self.fail(f"version {self.version} of the format is not known, only {VERSIONS}")
        return int(self.next(self.unpacker.read_map_header))

    def table(self) -> Reflections:
        """Read the whole table."""
        found = self.named_parts(self.columns)
        if rest := self.size - self.offset:
            _log.warning("%s: %d bytes after the table are not read.", self.path, rest)
        return self.assemble(found)

    def named_parts(self, columns: Callable[[], Any]) -> dict[str, Any]:
        """Step through the parts of the file; ``columns`` reads that of the columns."""
        found: dict[str, Any] = {}
        for _ in range(self.parts()):
            key = self.value(str, "the name of a part")
            self.place = f"the part '{key}'"
            if key == "identifiers":
                found[key] = self.identifiers()
            elif key == "nrows":
                found[key] = self.value(int, "the number of rows")
            elif key == "data":
                found[key] = columns()
            else:
                raise self.fail(f"only {', '.join(sorted(_KEYS))} are known")
        if set(found) != _KEYS:
            raise self.fail(f"the part {', '.join(sorted(_KEYS - set(found)))} is missing")
        return found

    def identifiers(self) -> tuple[dict[int, str], tuple[Record, ...]]:
        """Read the map of experiment identifiers, and the history that may be packed into it."""
        names: dict[int, str] = {}
        history: tuple[Record, ...] = ()
        for _ in range(self.next(self.unpacker.read_map_header)):
            key = self.value(int, "the number of an experiment")
            name = self.value(str, "the identifier of an experiment")
            if name.startswith(HISTORY_MARK):
                history = self.history(name)
            else:
                names[key] = name
        # Where there were no identifiers the history came with an empty one for experiment 0.
        return ({} if history and names == {0: ""} else names), history

    def history(self, text: str) -> tuple[Record, ...]:
        """Take the history out of the text that holds it."""
        try:
            value = json.loads(text)[HISTORY_KEY]
        except (ValueError, KeyError, RecursionError):
            raise self.fail("the history is damaged") from None
        return read_records(value, self.path)

    def columns(self) -> dict[str, NDArray[Any] | OpaqueColumn]:
        """Read all columns; those that cannot be carried are skipped with a warning."""
        columns: dict[str, NDArray[Any] | OpaqueColumn] = {}
        for _ in range(self.next(self.unpacker.read_map_header)):
            name, kind, count = self.column_head()
            blob = self.value(bytes, "the data of the column")
            column = self.column(name, kind, count, blob)
            if column is not None:
                columns[name] = column
        return columns

    def column_head(self) -> tuple[str, str, int]:
        """Read name, type and number of rows of a column; its data follow."""
        name = self.value(str, "the name of a column")
        self.place = f"column '{name}'"
        self.array(2)
        kind = self.value(str, "the type of the column")
        self.array(2)
        count = self.value(int, "the number of rows of the column")
        if count < 0:
            raise self.fail(f"a column cannot have {count} rows")
        return name, kind, count

    def column(self, name: str, kind: str, count: int, blob: bytes) -> NDArray[Any] | OpaqueColumn | None:
        """Make a column of its bytes; None of what cannot be carried."""
        if kind == STRING:
            # Such columns hold addresses in the memory of the program that wrote them, not text.
            _log.warning(
                "%s: column '%s' holds texts, which .refl files lose; it is left out.", self.path, name
            )
            return None
        if kind == SHOEBOX:
            return self.shoeboxes(count, blob)
        if kind in TYPES:
            return self.numbers(name, kind, count, blob)
        if (count == 0 and blob) or (count and len(blob) % count):
            _log.warning("%s: column '%s' of unknown type '%s' is left out.", self.path, name, kind)
            return None
        rows = np.frombuffer(blob, np.uint8).reshape(count, len(blob) // count if count else 0)
        return FixedRows(kind, rows)

    def shoeboxes(self, count: int, blob: bytes) -> Shoeboxes:
        """Make the column of shoeboxes."""
        column = Shoeboxes(blob, count, source=f"'{self.path}'", version=self.version)
        try:
            column.check()
        except ValueError as error:
            raise self.fail(str(error)) from None
        return column

    def numbers(self, name: str, kind: str, count: int, blob: bytes) -> NDArray[Any]:
        """Make a column of numbers."""
        form = TYPES[kind]
        if len(blob) != count * form.row_bytes:
            raise self.fail(
                f"{count} rows of {kind} take {count * form.row_bytes} bytes, but there are {len(blob)}"
            )
        values = np.frombuffer(blob, form.dtype).reshape(count, *form.shape)
        if form.dtype == "?" and np.any(np.frombuffer(blob, np.uint8) > 1):
            raise self.fail("a truth value that is neither 0 nor 1")
        return self.conforming(name, values)

    def conforming(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Check what the schema would otherwise convert with a loss, or refuse without naming the file."""
        column = SCHEMA.get(name)
        if column is None:
            return values
        wanted = np.dtype(column.dtype)
        if values.shape[1:] != column.shape or (values.dtype.kind == "f" and wanted.kind != "f"):
            raise self.fail(
                f"the column holds {values.dtype} of shape {values.shape[1:]}, not {column.meaning}"
            )
        if values.size and wanted.kind in "iu" and values.dtype.kind in "iub":
            limits = np.iinfo(wanted)
            low, high = int(values.min()), int(values.max())
            if low < limits.min or high > limits.max or (name == "id" and low < -1):
                raise self.fail(f"values from {low} to {high} are out of the range of {column.meaning}")
        return values

    def assemble(self, found: dict[str, Any]) -> Reflections:
        """Make the table of its parts."""
        n, columns = found["nrows"], found["data"]
        for name, values in columns.items():
            if len(values) != n:
                self.place = f"column '{name}'"
                raise self.fail(f"it has {len(values)} rows and the table {n}")
        names, history = found["identifiers"]
        plain = {name: values for name, values in columns.items() if isinstance(values, np.ndarray)}
        opaque = {name: values for name, values in columns.items() if name not in plain}
        return Reflections(plain, names, opaque, history)
