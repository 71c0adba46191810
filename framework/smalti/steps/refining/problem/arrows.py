r"""Normal equations in the form of an arrow: blocks of crystals, which meet in shared parameters only.

With the shared parameters first, and K crystals,

    N = ( N_ss    N_s1   N_s2  ...  )
        ( N_1s    N_11              )
        ( N_2s           N_22       )
        ( ...                  ...  )

No block joins two crystals: a reflection is of one. The blocks are formed for some crystals at a time
from the sums by chunk that the kernels make, so that memory does not grow with the number of crystals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.geometry.derivatives import PANEL
from smalti.steps.refining.problem.batches import Batch, batches_of
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.passes import models_of
from smalti.steps.refining.problem.slopes import slopes_of
from smalti.steps.refining.problem.source import RotationSource
from smalti_ext import arrow, normal

__all__ = ["Arrow", "Piece", "Tally", "held_arrow", "pieces_of"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Arrow:
    """The blocks of a symmetric matrix of g shared parameters and K times m of crystals, and a right side.

    Attributes
    ----------
    shared : (g, g)
    slope : (g,)
    own : (K, m, m)
        Rows and columns that a crystal does not have are 0.
    own_slope : (K, m)
    cross : (K, m, g)
    """

    shared: Array
    slope: Array
    own: Array
    own_slope: Array
    cross: Array

    def plus(self, other: Arrow, factor: float = 1.0) -> Arrow:
        """Add a multiple of another one; of one without ``cross`` that is 0."""
        return Arrow(
            self.shared + factor * other.shared,
            self.slope + factor * other.slope,
            self.own + factor * other.own,
            self.own_slope + factor * other.own_slope,
            self.cross + factor * other.cross if other.cross.size else self.cross,
        )

    def times(self, factor: float) -> Arrow:
        """Give a multiple."""
        parts = (self.shared, self.slope, self.own, self.own_slope, self.cross)
        return Arrow(*(factor * part for part in parts))

    def with_own(self, own: Array) -> Arrow:
        """Give the same with other blocks (K, m, m) of crystals."""
        return replace(self, own=own)

    def of(self, crystals: Index) -> Arrow:
        """Give the blocks of some crystals; what is shared is left out."""
        nothing, zero = np.zeros_like(self.shared), np.zeros_like(self.slope)
        cross = self.cross[crystals] if len(self.cross) else self.cross
        return Arrow(nothing, zero, self.own[crystals], self.own_slope[crystals], cross)


@dataclass(frozen=True)
class Tally:
    """What reflections add up to beside their normal equations.

    Attributes
    ----------
    objective : (K,)
        1/2 sum w r^2 of each crystal.
    used, impossible : (K,)
        Reflections with weight that can be predicted, or cannot.
    panel_used : (P,)
    panel_squares : (P, 3) mm^2, mm^2, rad^2
        Sums of the squared residuals of the used ones.
    """

    objective: Array
    used: Array
    impossible: Array
    panel_used: Array
    panel_squares: Array


@dataclass(frozen=True)
class Piece:
    """What the reflections of some crystals tell, without priors and restraints."""

    crystals: Index
    arrow: Arrow
    tally: Tally


def pieces_of(
    source: RotationSource,
    partition: Partition,
    p: Array,
    which: Index | None = None,
    weights: Array | None = None,
    *,
    cross: bool = True,
) -> Iterator[Piece]:
    """Linearise at p (n,), some crystals at a time.

    Parameters
    ----------
    which : (k,) intp, optional
        Only these crystals, ascending.
    weights : (N, 3), optional
        In place of those of the source.
    cross : bool
        Whether the shared parameters are wanted: without them only crystals' own blocks are formed.
    """
    models, count = models_of(source.layout.state(p)), len(partition.shared)
    slopes = slopes_of(source.layout, partition, p, panels=cross)
    weights = source.weights if weights is None else weights
    for batch in batches_of(source.observations, partition, which):
        sums = _sums(source, batch, models, weights)
        blocks = arrow.by_crystal(
            sums.matrix, sums.gradient, batch.bounds, batch.experiment, batch.panel, slopes,
            count, source.n_threads, cross=cross,
        )  # fmt: skip
        shared, slope = np.zeros((count, count)), np.zeros(count)
        if cross:
            shared, slope = _shared(sums, batch, slopes, count, source.n_threads)
        parts = Arrow(shared, slope, blocks.matrix, blocks.gradient, blocks.cross)
        yield Piece(batch.crystals, parts, _tally(sums, batch, source.layout.n_panels))


def held_arrow(source: RotationSource, partition: Partition, p: Array) -> tuple[Arrow, float, Array]:
    """What priors and restraints hold the parameters with at p (n,).

    Returns
    -------
    arrow : Arrow
        With an empty ``cross``: no restraint joins a crystal's own parameters and shared ones.
    energy : float
        1/2 the sum of squares of what holds shared parameters.
    own_energy : (K,)
    """
    prior, (g, (count, m)) = source.prior, (len(partition.shared), partition.own.shape)
    away = p - prior.mean
    own = np.zeros((count, m, m))
    own[:, np.arange(m), np.arange(m)] = partition.of_crystals(prior.precision)
    shared = np.diag(prior.precision[partition.shared])
    slope = prior.precision * away
    energy = 0.5 * slope * away
    known, by_p = source.known(p)
    slope = slope + by_p.T @ known
    square = sparse.coo_array(by_p.T @ by_p)
    i, j = square.coords
    owner, place = partition.owner, partition.place
    mine = owner[i] >= 0
    np.add.at(own, (owner[i[mine]], place[i[mine]], place[j[mine]]), square.data[mine])
    np.add.at(shared, (place[i[~mine]], place[j[~mine]]), square.data[~mine])
    of_row = _row_owners(by_p, owner)
    own_energy = partition.of_crystals(energy).sum(axis=1)
    np.add.at(own_energy, of_row[of_row >= 0], 0.5 * known[of_row >= 0] ** 2)
    total = float(energy[partition.shared].sum() + 0.5 * np.sum(known[of_row < 0] ** 2))
    found = Arrow(
        shared, slope[partition.shared], own, partition.of_crystals(slope), np.zeros((0, m, g))
    )  # fmt: skip
    return found, total, own_energy


def _row_owners(by_p: sparse.csr_array, owner: Index) -> Index:
    """The crystal that each restraint is of, -1 where it is of shared parameters."""
    out = np.full(by_p.shape[0], -1, dtype=np.intp)
    filled = np.flatnonzero(np.diff(by_p.indptr) > 0)
    out[filled] = owner[by_p.indices[by_p.indptr[filled]]]
    return out


def _sums(source: RotationSource, batch: Batch, models: normal.Models, weights: Array) -> normal.Sums:
    spots, rows = source.observations.spots, batch.rows
    return normal.accumulate(
        spots.h[rows], spots.entering[rows], source.observations.observed[rows], weights[rows],
        batch.chunks, batch.experiment, batch.panel, models, source.n_threads, setting=source.setting,
    )  # fmt: skip


def _tally(sums: normal.Sums, batch: Batch, n_panels: int) -> Tally:
    of = np.repeat(np.arange(len(batch.crystals)), np.diff(batch.bounds))
    objective, used, impossible = (
        np.bincount(of, values, minlength=len(batch.crystals)).astype(float)
        for values in (sums.objective, sums.used, sums.impossible)
    )
    squares = np.array([np.bincount(batch.panel, x, minlength=n_panels) for x in sums.squares.T]).T
    counts = np.bincount(batch.panel, sums.used, minlength=n_panels).astype(float)
    return Tally(objective, used, impossible, counts, squares)


def _shared(
    sums: normal.Sums, batch: Batch, slopes: arrow.Slopes, count: int, n_threads: int
) -> tuple[Array, Array]:
    """What chunks tell of shared parameters, (g, g) and (g,)."""
    found = arrow.by_panel(
        sums.matrix, sums.gradient, batch.experiment, batch.panel, slopes, count, n_threads
    )
    matrix, gradient = np.zeros((count + 1, count + 1)), np.zeros(count + 1)  # place -1 takes what is nothing
    by, at = slopes.panel, slopes.panel_columns
    _scatter(matrix, gradient, at, by @ found.matrix @ by.transpose(0, 2, 1), by @ found.gradient[:, :, None])
    if slopes.shared.shape[1]:
        mixed = np.zeros((count + 1, count))
        np.add.at(mixed, at, by @ found.cross)
        matrix[:count, :count] += mixed[:count] + mixed[:count].T
        _add_experiments(matrix, gradient, sums, batch, slopes)
    return matrix[:count, :count], gradient[:count]


def _add_experiments(
    matrix: Array, gradient: Array, sums: normal.Sums, batch: Batch, slopes: arrow.Slopes
) -> None:
    """Add what experiments tell of the shared parameters that they depend on themselves."""
    first = np.concatenate([[0], np.flatnonzero(np.diff(batch.experiment)) + 1])
    e = batch.experiment[first]
    by, at = slopes.shared[e], slopes.shared_columns[e]
    block = np.add.reduceat(sums.matrix[:, PANEL.stop :, PANEL.stop :], first, axis=0)
    slope = np.add.reduceat(sums.gradient[:, PANEL.stop :], first, axis=0)
    _scatter(matrix, gradient, at, by @ block @ by.transpose(0, 2, 1), by @ slope[:, :, None])


def _scatter(matrix: Array, gradient: Array, at: NDArray[np.int64], blocks: Array, slopes: Array) -> None:
    np.add.at(matrix, (at[:, :, None], at[:, None, :]), blocks)
    np.add.at(gradient, at, slopes[:, :, 0])
