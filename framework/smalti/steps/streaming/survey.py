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


@dataclass(frozen=True)
class Group:
    """Experiments ``start`` to ``stop`` of a pair, whose reflections are rows ``first`` to ``last``.

    ``number`` counts the groups of the pair.
    """

    pair: Pair
    number: int
    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Survey:
    """What there is in a pair.

    Attributes
    ----------
    pair : Pair
    bounds : (n, 4) int64
        First experiment and the one after the last, first row and the one after the last, of each group.
    n_experiments, n_rows : int
    n_strays : int
        Rows that belong to no experiment.
    """

    pair: Pair
    bounds: Index
    n_experiments: int
    n_rows: int
    n_strays: int

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
    rows = _rows(pair, table, count)
    crystal = np.concatenate(
        [models.pointers(a, min(a + _AT_ONCE, count), "crystal") for a in range(0, count, _AT_ONCE)]
        or [np.zeros(0, dtype=np.intp)]
    )
    groups = _divided(crystal, rows)
    strays = table.n_rows - int((rows[:, 1] - rows[:, 0]).sum())
    return Survey(pair, groups, count, table.n_rows, strays)


def _rows(pair: Pair, table: TableParts, count: int) -> Index:
    """First row and the one after the last of each experiment, (count, 2); rows must be together."""
    out = np.zeros((count, 2), dtype=np.int64)
    seen = np.zeros(count, dtype=bool)
    previous = -1
    for start in range(0, table.n_rows, _AT_ONCE):
        stop = min(start + _AT_ONCE, table.n_rows)
        part = table.rows(start, stop, ("id",))
        part.require("id")
        number = part["id"]
        edges = np.concatenate([[0], np.flatnonzero(np.diff(number)) + 1, [stop - start]])
        values = number[edges[:-1]].astype(np.intp)
        if values.max(initial=-1) >= count:
            raise DataError(
                f"'{pair.reflections}' speaks of experiment {int(values.max())}, counted from 0.",
                f"'{pair.experiments}' has {count}: they do not belong together.",
                "Give the pair of files that one command wrote.",
            )
        for k, a, b in zip(values.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            if k < 0:
                previous = -1
                continue
            if seen[k] and previous != k:
                raise _unsorted(pair, k)
            if not seen[k]:
                out[k, 0] = start + a
            seen[k], previous, out[k, 1] = True, k, start + b
    return out


def _unsorted(pair: Pair, number: int) -> DataError:
    return DataError(
        f"'{pair.reflections}' is not sorted by experiment.",
        f"The reflections of experiment {number} are not together; a stream reads them in one go.",
        f"Sort it with: smalti combine {pair.experiments} {pair.reflections} -o sorted",
    )


def _divided(crystal: NDArray[np.intp], rows: Index) -> Index:
    """Divide experiments into groups, (n, 4); experiments of one crystal are in one group."""
    count = len(crystal)
    if count == 0:
        return np.zeros((0, 4), dtype=np.int64)
    most = int(np.clip(len(np.unique(crystal)) // GROUPS, LEAST_CRYSTALS, MOST_CRYSTALS))
    _, where = np.unique(crystal, return_inverse=True)
    last = np.zeros(int(where.max()) + 1, dtype=np.intp)
    last[where] = np.arange(count)  # of equal numbers the last assignment stays
    free = np.maximum.accumulate(last[where]) == np.arange(count)  # no crystal goes on after this one
    size = rows[:, 1] - rows[:, 0]
    bounds, begin, crystals, taken, known = [], 0, 0, 0, -1
    for k in range(count):
        crystals += int(crystal[k] != known)
        known, taken = int(crystal[k]), taken + int(size[k])
        if free[k] and (crystals >= most or taken >= MOST_ROWS or k == count - 1):
            bounds.append((begin, k + 1))
            begin, crystals, taken = k + 1, 0, 0
    return np.array([(a, b, *_span(rows[a:b], size[a:b])) for a, b in bounds], dtype=np.int64)


def _span(rows: Index, size: NDArray[np.int64]) -> tuple[int, int]:
    """Rows of a group from the first to the last."""
    used = rows[size > 0]
    return (int(used[:, 0].min()), int(used[:, 1].max())) if len(used) else (0, 0)
