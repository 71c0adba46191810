"""What is in a pair of files, found without reading it: groups of crystals and where their rows are.

A group is what is worked on at once: some crystals that are neighbours in their file. Its bounds depend on
that file alone. Whatever is decided among neighbours (outliers) is therefore the same however groups are
dealt out to workers, and whichever other files there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.steps.mixing import mixed
from smalti.steps.streaming.pairs import Pair
from smalti.storage.experiment_parts import ExperimentParts
from smalti.storage.table_parts import TableParts

__all__ = ["Group", "Survey", "parts_of", "survey"]

Index = NDArray[np.int64]

MOST_CRYSTALS = 64
"""Crystals of one group, unless they have many reflections."""
LEAST_CRYSTALS = 8
"""Crystals of one group in a file of few: then there are about :data:`GROUPS` of them."""
GROUPS = 16
MOST_ROWS = 50_000
"""A group is full when it has so many rows."""

_AT_ONCE = 1 << 20
_OPEN = 4
_POSITIONS = ("xyzobs.px.value", "xyzobs.mm.value")
"""What tells spots apart: the former does not change as the geometry does."""


@dataclass(frozen=True)
class Group:
    """Experiments ``start`` to ``stop`` of a pair, whose reflections are among rows ``first`` to ``last``.

    ``number`` counts the groups of the pair, ``size`` the reflections.
    """

    pair: Pair
    number: int
    start: int
    stop: int
    first: int
    last: int
    size: int


@dataclass(frozen=True)
class Survey:
    """What there is in a pair.

    Attributes
    ----------
    pair : Pair
    bounds : (n, 5) int64
        First experiment and the one after the last, first row and the one after the last, and number of
        rows, of each group.
    marks : (n_experiments,) uint64
        What tells the spots of each experiment from those of any other; 0 where there are none.
    columns : tuple of str
        Of the table.
    n_rows : int
    n_strays : int
        Rows that belong to no experiment.
    """

    pair: Pair
    bounds: Index
    marks: NDArray[np.uint64]
    columns: tuple[str, ...]
    n_rows: int
    n_strays: int

    @property
    def n_experiments(self) -> int:
        """Number of experiments."""
        return len(self.marks)

    def groups(self) -> Iterator[Group]:
        """Give the groups one after the other."""
        for number, bounds in enumerate(self.bounds.tolist()):
            yield Group(self.pair, number, *bounds)


@lru_cache(maxsize=_OPEN)
def parts_of(pair: Pair) -> tuple[ExperimentParts, TableParts]:
    """Open a pair, or give it again as it was opened before."""
    return ExperimentParts.of(pair.experiments), TableParts.of(pair.reflections)


def survey(pair: Pair) -> Survey:
    """Look through a pair of files.

    Raises
    ------
    InputError
        A file is damaged.
    DataError
        The table is not sorted by experiment, or does not fit the experiments.
    """
    models, table = parts_of(pair)
    count = len(models)
    rows, marks = _rows(pair, table, count)
    crystal = np.concatenate(
        [
            models.pointers(a, min(a + _AT_ONCE, count), ("crystal",))["crystal"]
            for a in range(0, count, _AT_ONCE)
        ]
        or [np.zeros(0, dtype=np.intp)]
    )
    groups = _divided(crystal, rows)
    strays = table.n_rows - int(rows[:, 2].sum())
    return Survey(pair, groups, marks, tuple(table.places), table.n_rows, strays)


def _rows(pair: Pair, table: TableParts, count: int) -> tuple[Index, NDArray[np.uint64]]:
    """Give the first row of each experiment, the one after the last and how many there are, (count, 3).

    Rows of an experiment must be together, but for strays among them. Also the mark of each, (count,).
    """
    place = next((name for name in _POSITIONS if name in table.places), "")
    bounds, marks, previous = np.zeros((count, 3), dtype=np.int64), np.zeros(count, dtype=np.uint64), -1
    for start in range(0, table.n_rows, _AT_ONCE):
        part = table.rows(start, min(start + _AT_ONCE, table.n_rows), ("id", place))
        part.require("id", place or _POSITIONS[-1])
        rows = np.flatnonzero(part["id"] >= 0)
        if not len(rows):
            continue
        number = part["id"][rows].astype(np.intp)
        if number.max() >= count:
            raise _beyond(pair, int(number.max()), count)
        first = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1])
        of, sizes = number[first], np.diff([*first, len(number)])
        known = (bounds[of, 2] > 0) & ((of != previous) | (np.arange(len(of)) > 0))
        twice = np.sort(of)[1:][np.diff(np.sort(of)) == 0]
        if known.any() or len(twice):
            raise _unsorted(pair, int([*of[known], *twice][0]))
        new = bounds[of, 2] == 0
        bounds[of[new], 0] = start + rows[first[new]]
        bounds[of, 1] = start + rows[first + sizes - 1] + 1
        bounds[of, 2] += sizes
        with np.errstate(over="ignore"):
            marks[of] += np.add.reduceat(_mark(part[place][rows]), first)
        previous = int(number[-1])
    return bounds, marks


def _mark(positions: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Give each spot a number that its observed position (N, 3) makes, to the last bit, (N,)."""
    return mixed(np.ascontiguousarray(positions).view(np.uint64))


def _beyond(pair: Pair, number: int, count: int) -> DataError:
    return DataError(
        f"'{pair.reflections}' speaks of experiment {number}, counted from 0.",
        f"'{pair.experiments}' has {count}: they do not belong together.",
        "Give the pair of files that one command wrote.",
    )


def _unsorted(pair: Pair, number: int) -> DataError:
    return DataError(
        f"'{pair.reflections}' is not sorted by experiment.",
        f"The reflections of experiment {number} are not together; a stream reads them in one go.",
        f"Sort it with: smalti combine {pair.experiments} {pair.reflections} -o sorted",
    )


def _divided(crystal: NDArray[np.intp], rows: Index) -> Index:
    """Divide experiments into groups, (n, 5); experiments of one crystal are in one group."""
    count = len(crystal)
    if count == 0:
        return np.zeros((0, 5), dtype=np.int64)
    most = int(np.clip(len(np.unique(crystal)) // GROUPS, LEAST_CRYSTALS, MOST_CRYSTALS))
    _, where = np.unique(crystal, return_inverse=True)
    last = np.zeros(int(where.max()) + 1, dtype=np.intp)
    last[where] = np.arange(count)  # of equal numbers the last assignment stays
    free = np.maximum.accumulate(last[where]) == np.arange(count)  # no crystal goes on after this one
    size = rows[:, 2]
    bounds, begin, crystals, taken, known = [], 0, 0, 0, -1
    for k in range(count):
        crystals += int(crystal[k] != known)
        known, taken = int(crystal[k]), taken + int(size[k])
        if free[k] and (crystals >= most or taken >= MOST_ROWS or k == count - 1):
            bounds.append((begin, k + 1))
            begin, crystals, taken = k + 1, 0, 0
    return np.array([(a, b, *_span(rows[a:b], size[a:b])) for a, b in bounds], dtype=np.int64)


def _span(rows: Index, size: NDArray[np.int64]) -> tuple[int, int, int]:
    """Rows of a group from the first to the last, and how many they are."""
    used = rows[size > 0]
    return (int(used[:, 0].min()), int(used[:, 1].max()), int(size.sum())) if len(used) else (0, 0, 0)
