"""Reflections of some crystals at a time: what is formed of all of them is never there at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.partition import Partition

__all__ = ["Batch", "batches_of"]

Index = NDArray[np.int64]

MOST_CHUNKS = 4096
"""A batch has about so many chunks: 19 MB of sums."""

MOST_CROSS = 4_000_000
"""... and so many products of own and shared parameters: 32 MB."""


@dataclass(frozen=True)
class Batch:
    """Reflections of K crystals.

    Attributes
    ----------
    crystals : (K,) intp
        Their numbers in the partition.
    rows : slice or (n,) intp
        Their reflections among all, crystal by crystal.
    chunks : (C + 1,) int64
        Where chunks begin among these rows.
    experiment, panel : (C,) int64
        Of each chunk.
    bounds : (K + 1,) int64
        Where the chunks of each crystal begin.
    """

    crystals: NDArray[np.intp]
    rows: slice | NDArray[np.intp]
    chunks: Index
    experiment: Index
    panel: Index
    bounds: Index


def batches_of(
    data: Observations, partition: Partition, which: NDArray[np.intp] | None = None
) -> Iterator[Batch]:
    """Divide the reflections of all crystals, or of those in ``which`` (ascending), into batches.

    The division depends on the reflections only, so that sums over batches are always the same.
    """
    crystal = partition.crystal[data.chunk_experiment]
    order = np.argsort(crystal, kind="stable")
    count = len(partition.own)
    bounds = np.searchsorted(crystal[order], np.arange(count + 1))
    which = np.arange(count) if which is None else which
    size = np.diff(bounds)[which]
    most = max(MOST_CROSS // max(partition.own.shape[1] * len(partition.shared), 1), 1)
    number = np.maximum(np.cumsum(size) // MOST_CHUNKS, np.arange(len(which)) // most)
    for crystals in np.split(which, np.flatnonzero(np.diff(number)) + 1):
        if len(crystals):
            parts = [order[bounds[k] : bounds[k + 1]] for k in crystals]
            yield _batch(data, crystals, np.concatenate(parts), np.array([len(part) for part in parts]))


def _batch(
    data: Observations, crystals: NDArray[np.intp], numbers: NDArray[np.intp], sizes: NDArray[np.intp]
) -> Batch:
    """Gather the chunks with these numbers, crystal by crystal."""
    lengths = np.diff(data.chunks)[numbers]
    chunks = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows: slice | NDArray[np.intp] = slice(0, 0)
    if len(numbers) and (np.diff(numbers) == 1).all():
        rows = slice(int(data.chunks[numbers[0]]), int(data.chunks[numbers[-1] + 1]))
    elif len(numbers):
        rows = np.repeat(data.chunks[numbers] - chunks[:-1], lengths) + np.arange(chunks[-1])
    return Batch(
        crystals,
        rows,
        chunks,
        data.chunk_experiment[numbers],
        data.chunk_panel[numbers],
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )
