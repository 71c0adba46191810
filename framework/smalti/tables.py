"""Reflection tables: named contiguous columns that keep a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.errors import DataError

if TYPE_CHECKING:
    import pandas

__all__ = ["SCHEMA", "Column", "Flag", "Opaque", "Reflections"]


class Flag(IntFlag):
    """Bits of the ``flags`` column, with the values that DIALS gives them."""

    PREDICTED = 1 << 0
    OBSERVED = 1 << 1
    INDEXED = 1 << 2
    USED_IN_REFINEMENT = 1 << 3
    STRONG = 1 << 5
    REFERENCE_SPOT = 1 << 6
    DONT_INTEGRATE = 1 << 7
    INTEGRATED_SUM = 1 << 8
    INTEGRATED_PRF = 1 << 9
    OVERLOADED = 1 << 10
    OVERLAPPED_BG = 1 << 11
    OVERLAPPED_FG = 1 << 12
    IN_POWDER_RING = 1 << 13
    FOREGROUND_INCLUDES_BAD_PIXELS = 1 << 14
    BACKGROUND_INCLUDES_BAD_PIXELS = 1 << 15
    USED_IN_MODELLING = 1 << 16
    CENTROID_OUTLIER = 1 << 17
    FAILED_DURING_BACKGROUND_MODELLING = 1 << 18
    FAILED_DURING_SUMMATION = 1 << 19
    FAILED_DURING_PROFILE_FITTING = 1 << 20
    BAD_REFERENCE = 1 << 21
    USER_EXCLUDED_IN_SCALING = 1 << 22
    OUTLIER_IN_SCALING = 1 << 23
    EXCLUDED_FOR_SCALING = 1 << 24
    EXCLUDED_FOR_REFINEMENT = 1 << 25
    SCALED = 1 << 26


@dataclass(frozen=True, slots=True)
class Column:
    """What the schema says of a column: type, trailing shape, unit, meaning."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    unit: str
    meaning: str


SCHEMA: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("id", "i4", (), "", "row of the experiment list; -1 is not indexed"),
        Column("imageset_id", "i4", (), "", "image set in which the spot was found"),
        Column("miller_index", "i4", (3,), "", "h k l; 0 0 0 when not indexed"),
        Column("panel", "u8", (), "", "flat number of the panel"),
        Column("flags", "u8", (), "", "bits of Flag"),
        Column("entering", "?", (), "", "whether the spot moves into the Ewald sphere as the angle grows"),
        Column("free", "?", (), "", "whether refinements hold the spot out, to be predicted and not fitted"),
        Column("bbox", "i4", (6,), "px, px, image", "x0 x1 y0 y1 z0 z1, half-open"),
        Column("xyzobs.px.value", "f8", (3,), "px, px, image", "observed centroid"),
        Column("xyzobs.px.variance", "f8", (3,), "px^2, px^2, image^2", "its variance"),
        Column(
            "xyzobs.mm.value", "f8", (3,), "mm, mm, rad", "observed centroid on the panel, parallax corrected"
        ),
        Column("xyzobs.mm.variance", "f8", (3,), "mm^2, mm^2, rad^2", "its variance"),
        Column("xyzobs.mm.weights", "f8", (3,), "1/mm^2, 1/mm^2, 1/rad^2", "1/sigma^2 in a refinement"),
        Column("xyzcal.px", "f8", (3,), "px, px, image", "predicted centroid"),
        Column("xyzcal.mm", "f8", (3,), "mm, mm, rad", "predicted centroid"),
        Column("s1", "f8", (3,), "1/Angstrom", "diffracted wave vector, length 1/wavelength"),
        Column("rlp", "f8", (3,), "1/Angstrom", "reciprocal-lattice point at rotation angle 0"),
        Column("intensity.sum.value", "f8", (), "counts", "summed intensity"),
        Column("intensity.sum.variance", "f8", (), "counts^2", "its variance"),
        Column("n_signal", "i4", (), "", "pixels in the spot"),
        Column("significance", "f8", (), "", "standard deviations by which a spot exceeds its background"),
        Column(
            "truncated",
            "i4",
            (),
            "",
            "1: beside a gap, edge or dead pixel; 2: at an end of the scan; or both",
        ),
        Column("d", "f8", (), "Angstrom", "resolution"),
        Column("delpsical.rad", "f8", (), "rad", "angle from the Ewald sphere (stills)"),
    )
}
"""The columns whose type and meaning are fixed; others are carried with the type they came with."""


@runtime_checkable
class Opaque(Protocol):
    """A column that smalti does not look into, but can subset and carry: shoeboxes."""

    @property
    def type_name(self) -> str:
        """Name of the type in the file."""

    def __len__(self) -> int:
        """Number of rows."""

    def take(self, rows: NDArray[np.intp]) -> Opaque:
        """Give the rows with these indices, in this order."""


class Reflections(Mapping[str, NDArray[Any]]):
    """A reflection table: a mapping of name to contiguous array, one row per reflection.

    Tables do not change: :meth:`where`, :meth:`take`, :meth:`with_columns` and :meth:`without` give new
    ones that share the untouched arrays. The arrays are marked read-only.

    Parameters
    ----------
    columns : Mapping
        Name to array-like of N rows. Columns of the schema are converted to its type; a wrong shape
        or a lossy conversion is an error.
    identifiers : Mapping
        Value of the ``id`` column to identifier of the experiment.
    opaque : Mapping
        Columns that are carried but not looked into.
    history : tuple
        Records of the commands that led here, oldest first.
    """

    __slots__ = ("_columns", "_n", "history", "identifiers", "opaque")

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        identifiers: Mapping[int, str] | None = None,
        opaque: Mapping[str, Opaque] | None = None,
        history: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        self.identifiers = dict(identifiers or {})
        self.opaque = dict(opaque or {})
        self.history = tuple(history)
        self._columns = {name: _conform(name, values) for name, values in columns.items()}
        sizes = {name: len(values) for name, values in self._columns.items()}
        sizes.update({name: len(values) for name, values in self.opaque.items()})
        if len(set(sizes.values())) > 1:
            raise DataError(
                "The columns of a reflection table differ in length.",
                ", ".join(f"{name}: {size}" for name, size in sizes.items()),
                "Give every column one row per reflection.",
            )
        self._n = next(iter(sizes.values()), 0)

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self._columns[name]
        except KeyError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        """Number of columns (a table is a mapping); see :attr:`n_rows`."""
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Reflections({self._n} rows: {', '.join((*self._columns, *self.opaque))})"

    @property
    def n_rows(self) -> int:
        """Number of reflections."""
        return self._n

    def require(self, *names: str) -> None:
        """Check that these columns are there.

        Raises
        ------
        DataError
            Names every missing column.
        """
        missing = [name for name in names if name not in self._columns]
        if missing:
            raise DataError(
                f"The reflection table has no column{'s' * (len(missing) > 1)} {', '.join(missing)}.",
                f"It has: {', '.join(self._columns) or 'no columns at all'}.",
                "Use the table that the previous step wrote (strong, then indexed, then refined).",
            )

    def where(self, mask: NDArray[np.bool_]) -> Reflections:
        """Give the rows where a boolean mask (N,) is true."""
        return self.take(np.flatnonzero(np.asarray(mask, dtype=bool)))

    def take(self, rows: NDArray[np.intp]) -> Reflections:
        """Give the rows with these indices, in this order."""
        return Reflections(
            {name: values[rows] for name, values in self._columns.items()},
            self.identifiers,
            {name: values.take(rows) for name, values in self.opaque.items()},
            self.history,
        )

    def with_columns(self, columns: Mapping[str, ArrayLike] | None = None, **changes: Any) -> Reflections:
        """Give a table with columns added or replaced; ``identifiers``, ``opaque``, ``history`` likewise."""
        return Reflections(
            {**self._columns, **(columns or {})},
            changes.get("identifiers", self.identifiers),
            changes.get("opaque", self.opaque),
            changes.get("history", self.history),
        )

    def without(self, *names: str) -> Reflections:
        """Give a table without these columns (plain or opaque); missing ones are no error."""
        return Reflections(
            {name: values for name, values in self._columns.items() if name not in names},
            self.identifiers,
            {name: values for name, values in self.opaque.items() if name not in names},
            self.history,
        )

    def flagged(self, flag: Flag) -> NDArray[np.bool_]:
        """Tell for each reflection whether all bits of a flag are set, (N,)."""
        wanted = np.uint64(int(flag))
        return np.asarray((self._columns["flags"] & wanted) == wanted)

    def to_pandas(self) -> pandas.DataFrame:
        """Give the plain columns as a pandas data frame; (N, k) columns become k numbered ones."""
        import pandas

        flat: dict[str, NDArray[Any]] = {}
        for name, values in self._columns.items():
            if values.ndim == 1:
                flat[name] = values
            else:
                parts = values.reshape(self._n, int(np.prod(values.shape[1:])))
                flat.update({f"{name}.{k}": parts[:, k] for k in range(parts.shape[1])})
        return pandas.DataFrame(flat)

    @classmethod
    def concatenate(cls, tables: list[Reflections]) -> Reflections:
        """Join tables row by row; only columns that all of them have are kept."""
        if not tables:
            return cls({})
        names = [name for name in tables[0] if all(name in table for table in tables)]
        identifiers: dict[int, str] = {}
        for table in tables:
            identifiers.update(table.identifiers)
        return cls({name: np.concatenate([table[name] for table in tables]) for name in names}, identifiers)


def _conform(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    column = SCHEMA.get(name)
    if column is not None:
        if array.shape[1:] != column.shape:
            expected = "(" + ", ".join(["N", *map(str, column.shape)]) + ")"
            raise DataError(
                f"Column '{name}' has shape {array.shape}.",
                f"It must be {expected}: {column.meaning}.",
                "Check what made this table.",
            )
        if array.dtype != np.dtype(column.dtype):
            if array.dtype.kind == "f" and np.dtype(column.dtype).kind != "f":
                raise DataError(
                    f"Column '{name}' holds {array.dtype} where {np.dtype(column.dtype)} is needed.",
                    f"It is: {column.meaning}.",
                    "Check what made this table.",
                )
            _refuse_overflow(column, array)
            array = array.astype(column.dtype)
    array = np.ascontiguousarray(array)
    if array.flags.writeable and array.base is None and array is not values:
        array.flags.writeable = False
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _refuse_overflow(column: Column, array: NDArray[Any]) -> None:
    """Refuse whole numbers that the column cannot hold: a panel of -1 would become 2^64 - 1."""
    wanted = np.dtype(column.dtype)
    if array.size == 0 or array.dtype.kind not in "iu" or wanted.kind not in "iu":
        return
    low, high, limits = int(array.min()), int(array.max()), np.iinfo(wanted)
    if low < limits.min or high > limits.max:
        raise DataError(
            f"Column '{column.name}' holds values from {low} to {high}.",
            f"It is {wanted}: {column.meaning}.",
            "Check what made this table.",
        )
