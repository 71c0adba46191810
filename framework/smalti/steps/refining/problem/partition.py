"""Which parameters are a crystal's own, and which are shared: these stay when crystals are eliminated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.solution import Prior
from smalti.steps.refining.problem.blocks import CrystalBlock
from smalti.steps.refining.problem.layout import Layout

__all__ = ["MANY", "Partition", "partition_of"]

Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

MANY = 30
"""With so many crystals it is quicker to eliminate them than to solve for all parameters together."""


@dataclass(frozen=True)
class Partition:
    """The n free parameters of a layout, divided into g shared ones and those of K crystals.

    Attributes
    ----------
    n : int
    shared : (g,) intp
        Places of the shared parameters among all; all of them where no crystal is eliminated.
    own : (K, m) intp
        Places of each crystal's own; -1 where it has fewer than others.
    crystal : (E,) intp
        Number of the crystal of each experiment, below K.
    """

    n: int
    shared: Index
    own: Index
    crystal: Index

    @classmethod
    def joint(cls, n: int, n_experiments: int = 0) -> Partition:
        """Share all n parameters: no crystal is eliminated."""
        nobody, nothing = np.zeros(n_experiments, dtype=np.intp), np.zeros((0, 0), dtype=np.intp)
        return cls(n, np.arange(n), nothing, nobody)

    @property
    def eliminates(self) -> bool:
        """Whether there are crystals to eliminate."""
        return len(self.own) > 0

    @cached_property
    def owner(self) -> Index:
        """Number of the crystal that each parameter is of, (n,); -1 for shared ones."""
        out = np.full(self.n, -1, dtype=np.intp)
        crystal, place = np.nonzero(self.own >= 0)
        out[self.own[crystal, place]] = crystal
        return out

    @cached_property
    def place(self) -> Index:
        """Place of each parameter among the shared ones, or among its crystal's own, (n,)."""
        out = np.empty(self.n, dtype=np.intp)
        out[self.shared] = np.arange(len(self.shared))
        crystal, place = np.nonzero(self.own >= 0)
        out[self.own[crystal, place]] = place
        return out

    def of_crystals(self, values: NDArray[np.float64], empty: float = 0.0) -> NDArray[np.float64]:
        """Give those of n values that belong to crystals, (K, m)."""
        return np.where(self.own >= 0, np.append(values, empty)[self.own], empty)

    def with_crystals(self, p: NDArray[np.float64], own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give parameters (n,) with those of crystals replaced by (K, m)."""
        out = p.copy()
        out[self.own[self.own >= 0]] = own[self.own >= 0]
        return out

    def prior_of_shared(self, prior: Prior) -> Prior:
        """Give the prior of the shared parameters alone."""
        groups = tuple(prior.groups[k] for k in self.shared) if prior.groups else ()
        return replace(
            prior, mean=prior.mean[self.shared], precision=prior.precision[self.shared], groups=groups
        )

    def with_prior_of_shared(self, prior: Prior, shared: Prior) -> Prior:
        """Give a prior with that of the shared parameters replaced."""
        precision = self.with_shared(prior.precision, shared.precision)
        return replace(prior, mean=self.with_shared(prior.mean, shared.mean), precision=precision)

    def with_shared(self, p: NDArray[np.float64], shared: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give parameters (n,) with the shared ones replaced by (g,)."""
        out = p.copy()
        out[self.shared] = shared
        return out


def partition_of(
    layout: Layout,
    coupling: Sequence[sparse.csr_array] = (),
    always_shared: Collection[str] = (),
    *,
    eliminate: bool,
) -> Partition:
    """Divide the parameters of a layout.

    A crystal's own are those of its block and of the beams and goniometers that only its experiments
    use, unless they are tied to parameters of others or restrained together with them. A cell of
    which anything is shared is shared whole: its constants depend on parameters of one kind.

    Parameters
    ----------
    layout : Layout
    coupling : sequence of (r, n)
        Derivatives of restraints: what a row joins is shared unless it is all of one crystal.
    always_shared : collection of str
        Kinds of models that are shared whoever uses them here: "beam", "goniometer". (Others may elsewhere.)
    eliminate : bool
        Without it all parameters are shared.
    """
    joint = Partition.joint(layout.n, len(layout.uses))
    if not eliminate or layout.sample_offset:
        return joint
    numbers = np.array([use["crystal"] for use in layout.uses], dtype=np.intp)
    _, first, where = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    crystal = rank[where]
    owner = _owners(layout, crystal, always_shared)
    for rows in coupling:
        owner[_joined(rows, owner)] = -1
    for cell in _cells(layout):
        if (owner[cell] < 0).any():
            owner[cell] = -1
    own = _table(owner, len(first))
    return Partition(layout.n, np.flatnonzero(owner < 0), own, crystal) if own.size else joint


def _owners(layout: Layout, crystal: Index, always_shared: Collection[str]) -> Index:
    """The crystal whose blocks alone hold each parameter, (n,); -1 where it is several or none."""
    none = len(layout.uses)
    lowest, highest = np.full(len(layout.blocks), none), np.full(len(layout.blocks), -1)
    for kind in ("beam", "crystal", "goniometer"):
        users = [(use[kind], k) for use, k in zip(layout.uses, crystal, strict=True) if kind in use]
        if users and kind not in always_shared:
            block, k = np.array(users, dtype=np.intp).T
            np.minimum.at(lowest, block, k)
            np.maximum.at(highest, block, k)
    single = np.where(lowest == highest, lowest, -1)
    sizes = np.diff([*layout.offsets, layout.n_full])
    of_full, free = np.repeat(single, sizes), layout.column >= 0
    low, high = np.full(layout.n, none), np.full(layout.n, -2)
    np.minimum.at(low, layout.column[free], of_full[free])
    np.maximum.at(high, layout.column[free], of_full[free])
    return np.where(low == high, low, -1).astype(np.intp)


def _joined(rows: sparse.csr_array, owner: Index) -> Mask:
    """Which parameters a row of a restraint joins with those of others, (n,)."""
    filled = np.flatnonzero(np.diff(rows.indptr) > 0)
    of = owner[rows.indices]
    low = np.minimum.reduceat(of, rows.indptr[filled]) if len(filled) else np.zeros(0)
    high = np.maximum.reduceat(of, rows.indptr[filled]) if len(filled) else np.zeros(0)
    mixed = np.zeros(rows.shape[0], dtype=bool)
    mixed[filled] = low != high
    out = np.zeros(len(owner), dtype=bool)
    out[rows.indices[np.repeat(mixed, np.diff(rows.indptr))]] = True
    return out


def _cells(layout: Layout) -> list[Index]:
    """Free parameters of the cell of each crystal."""
    found = []
    for block, offset in zip(layout.blocks, layout.offsets, strict=True):
        if isinstance(block, CrystalBlock):
            columns = layout.column[offset + 3 : offset + 3 + len(block.basis.places)]
            found.append(columns[columns >= 0])
    return found


def _table(owner: Index, count: int) -> Index:
    """Places of each crystal's parameters, (count, m); -1 fills up."""
    places = np.flatnonzero(owner >= 0)
    places = places[np.argsort(owner[places], kind="stable")]
    sizes = np.bincount(owner[places], minlength=count)
    out = np.full((count, int(sizes.max(initial=0))), -1, dtype=np.intp)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    out[owner[places], np.arange(len(places)) - first] = places
    return out
