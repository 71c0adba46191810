"""Which motions the parameters can make, on their own or with crystals that follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.geometry.derivatives import PANEL, SETTING
from smalti.steps.refining.certainty.gauges import Motion, about_spindles, gauge_motions
from smalti.steps.refining.problem.layout import N_SHARED, Layout
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.slopes import slopes_of

__all__ = ["Reach", "Seen", "reach_of"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_EXACT = 1e-6
"""A direction that parameters reproduce to this part of its length is one of theirs."""


class Seen(NamedTuple):
    """What has reflections: panels (P,), counted over all detectors, and experiments (E,)."""

    panels: Mask
    experiments: Mask


def reach_of(layout: Layout, partition: Partition, p: Array, seen: Seen) -> tuple[Reach, list[Motion]]:
    """Tell which motions the shared parameters can make, and give those of everything.

    Parameters
    ----------
    seen : Seen
        What has no reflections may do what it likes.

    Returns
    -------
    reach : Reach
    motions : list of Motion
        Motions that no data see, in the local coordinates of the reach.
    """
    state, n_panels = layout.state(p), PANEL.stop * layout.n_panels
    motions, spare = gauge_motions(layout, state), about_spindles(state)
    if partition.eliminates:
        tangent, everything = _followed(layout, partition, p, motions, spare, seen.experiments)
        motions = [Motion(item.name, local) for item, local in zip(motions, everything, strict=True)]
        redundant = sparse.csr_array((0, tangent.shape[0]))
    else:
        tangent = sparse.csr_array(layout.tangent(p)[: n_panels + N_SHARED * len(spare)])
        turning = np.flatnonzero(spare.any(axis=1))
        columns = n_panels + N_SHARED * turning[:, None] + np.arange(N_SHARED)
        rows = np.repeat(np.arange(len(turning)), N_SHARED)
        shape = (len(turning), tangent.shape[0])
        redundant = sparse.csr_array((spare[turning].ravel(), (rows, columns.ravel())), shape=shape)
    felt = np.ones(tangent.shape[0], dtype=bool)
    felt[:n_panels] = np.repeat(seen.panels, PANEL.stop)
    if not partition.eliminates:
        felt[n_panels:] = np.repeat(seen.experiments, N_SHARED)
        # a setting rotation of a still does nothing
        at = n_panels + N_SHARED * np.flatnonzero(state.stills)[:, None] - PANEL.stop
        felt[at + np.arange(SETTING.start, SETTING.stop)] = False
    return Reach.of(tangent, redundant, felt), motions


def _followed(
    layout: Layout, partition: Partition, p: Array, motions: Sequence[Motion], spare: Array, seen: Mask
) -> tuple[sparse.csr_array, Array]:
    """Derivatives by shared parameters, and motions, without what crystals make up for.

    Of every crystal the part of its local coordinates is taken that its own parameters cannot make. What is
    left of all experiments is turned into as few rows as there are columns: lengths and angles stay.

    Returns
    -------
    tangent : (L, g), sparse
    motions : (k, L)
    """
    n_panels, g = PANEL.stop * layout.n_panels, len(partition.shared)
    panels = layout.tangent(p)[:n_panels][:, partition.shared]
    slopes = slopes_of(layout, partition, p, panels=False)
    columns = np.unique(slopes.shared_columns[slopes.shared_columns >= 0])
    local: Array = np.array([item.local for item in motions])
    others = local[:, n_panels:].reshape(len(local), -1, N_SHARED)
    parts = []
    for members in _alike(partition):
        k, n = members.shape
        own = slopes.own[members].transpose(0, 1, 3, 2).reshape(k, n * N_SHARED, -1)
        turns = np.zeros((k, n, N_SHARED, n))
        turns[:, np.arange(n), :, np.arange(n)] = spare[members].transpose(1, 0, 2)
        basis = _basis(np.concatenate([own, turns.reshape(k, n * N_SHARED, n)], axis=2))
        wide = np.zeros((k, n, len(columns) + 1, N_SHARED))
        place = np.searchsorted(columns, slopes.shared_columns[members])
        place[slopes.shared_columns[members] < 0] = len(columns)
        e, i, j = np.indices(place.shape)
        wide[e, i, place] = slopes.shared[members]
        wide = np.concatenate([wide[:, :, :-1], others[:, members].transpose(1, 2, 0, 3)], axis=2)
        wide *= seen[members][:, :, None, None]
        rows = wide.transpose(0, 1, 3, 2).reshape(k, n * N_SHARED, -1)
        parts.append((rows - basis @ (basis.transpose(0, 2, 1) @ rows)).reshape(-1, rows.shape[2]))
    few: Array = np.asarray(np.linalg.qr(np.concatenate(parts), mode="r"))
    shape = (len(few), g)
    row, place = np.divmod(np.arange(len(few) * len(columns)), max(len(columns), 1))
    by_shared = sparse.csr_array((few[:, : len(columns)].ravel(), (row, columns[place])), shape=shape)
    tangent = sparse.csr_array(sparse.vstack([panels, by_shared]))
    return tangent, np.hstack([local[:, :n_panels], few[:, len(columns) :].T])


def _alike(partition: Partition) -> Iterator[NDArray[np.intp]]:
    """Give the experiments of all crystals that have equally many, (K', n) at a time."""
    order = np.argsort(partition.crystal, kind="stable")
    counts = np.bincount(partition.crystal)
    first = np.cumsum(counts) - counts
    for n in np.unique(counts):
        yield order[first[counts == n][:, None] + np.arange(n)]


def _basis(columns: Array) -> Array:
    """Orthonormal columns (k, r, c) that span columns (k, r, c); zeros where these depend on one another.

    Stills' setting rotations do nothing and are in none.
    """
    length = np.linalg.norm(columns, axis=1, keepdims=True)
    u, values, _ = np.linalg.svd(columns / np.where(length > 0.0, length, 1.0), full_matrices=False)
    return np.asarray(u * (values > _EXACT)[:, None])


def _lengths(columns: sparse.csr_array) -> Array:
    """Lengths of columns, 1 for nothing."""
    length = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)))
    return np.where(length > 0.0, length, 1.0)


@dataclass(frozen=True)
class Reach:
    """What local motions the free parameters can make: one factorisation for many questions.

    Attributes
    ----------
    system : (L, n + k), sparse
        Derivatives of local coordinates by the parameters and k redundant directions, of unit length.
    scale : (n,)
        What the lengths of the derivatives were.
    values : (n + k,)
    vectors : (n + k, n + k)
        Eigenvectors of the squared system.
    felt : (L,) bool
        Local coordinates that any reflection depends on; the others may do what they like.
    """

    system: sparse.csr_array
    scale: Array
    values: Array
    vectors: Array
    felt: NDArray[np.bool_]

    def by_some(self, columns: NDArray[np.intp]) -> Reach:
        """Give what some of the parameters can make on their own."""
        spare = np.arange(self.n, self.system.shape[1])
        system = sparse.csr_array(self.system[:, np.concatenate([columns, spare])])
        values, vectors = np.linalg.eigh((system.T @ system).toarray())
        return Reach(system, self.scale[columns], values, vectors, self.felt)

    @classmethod
    def of(cls, tangent: sparse.csr_array, redundancies: sparse.csr_array, felt: NDArray[np.bool_]) -> Reach:
        """Factorise (L, n) derivatives, with directions (k, L) that may be added at will."""
        tangent = sparse.csr_array(sparse.diags_array(felt.astype(float)) @ tangent)
        scale, spare = _lengths(tangent), _lengths(sparse.csr_array(redundancies.T))
        columns = tangent / scale, sparse.csr_array(redundancies.T) / spare
        system = sparse.csr_array(sparse.hstack(columns))
        values, vectors = np.linalg.eigh((system.T @ system).toarray())
        return cls(system, scale, values, vectors, felt)

    def parameters(self, motions: Array) -> Array:
        """Find the smallest parameters that make motions (k, L), (k, n); zeros for those that they cannot."""
        felt = motions * self.felt
        length = np.linalg.norm(felt, axis=1)
        unit = felt / np.where(length > 0.0, length, 1.0)[:, None]
        known = self.values > _EXACT**2
        basis = self.vectors[:, known]
        pulls = (self.system.T @ sparse.csr_array(unit.T)).toarray().T  # most motions are of one panel
        found = (pulls @ basis / self.values[known]) @ basis.T
        made = np.linalg.norm((self.system @ found.T).T - unit, axis=1) <= _EXACT
        return np.asarray(found[:, : len(self.scale)] / self.scale * (made & (length > 0.0))[:, None])

    @property
    def n(self) -> int:
        """Number of parameters."""
        return len(self.scale)

    @property
    def idle(self) -> Array:
        """Directions of the parameters that move nothing: parents against their children, (z, n)."""
        null = self.vectors[: len(self.scale), self.values <= _EXACT**2].T
        moving = np.linalg.norm(self.system[:, : len(self.scale)] @ null.T, axis=0)
        return np.asarray(null[moving <= 10.0 * _EXACT] / self.scale)
