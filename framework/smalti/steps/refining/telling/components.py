"""Components of variance: how much of their scatter the members of a cell share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Components", "Groups", "components"]

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

_LEAST = 8
"""A cell with fewer members has no mean worth comparing."""


@dataclass(frozen=True)
class Groups:
    """One way of dividing N values: into owners, and each of these into cells.

    Attributes
    ----------
    owner, cell : (N,) int
        Numbers, in no order; a cell belongs to one owner.
    """

    owner: Labels
    cell: Labels

    @classmethod
    def of(cls, owner: Labels, part: Labels) -> Groups:
        """Make cells of the parts (N,), numbered from 0, of owners (N,)."""
        return cls(owner, owner * (int(part.max(initial=0)) + 1) + part)

    def where(self, mask: NDArray[np.bool_]) -> Groups:
        """Divide those of a mask (N,) alone."""
        return Groups(self.owner[mask], self.cell[mask])


@dataclass(frozen=True)
class Components:
    """Of each of G groups of cells.

    Attributes
    ----------
    cells, freedom : (G,) int
        How many, and less one for each owner, whose mean is not compared.
    common, random : (G, 2)
        Variances between the cells of an owner, chance taken away, and within cells.
    chi_squared : (G,)
        Of the means of cells, x and y together: twice the freedom is expected.
    """

    cells: Labels
    freedom: Labels
    common: Array
    random: Array
    chi_squared: Array

    @property
    def ratio(self) -> Array:
        """Common over random part, the larger of x and y, (G,); 0 where there are too few cells."""
        return np.asarray(np.sqrt(_per(self.common, self.random)).max(axis=1))


def components(
    values: Array,
    way: Groups,
    other: Groups,
    group: Labels,
    n_groups: int,
    *,
    apart: NDArray[np.bool_] | None = None,
) -> Components:
    """Estimate the variances of cells within owners, and of members within cells.

    One-way analysis of variance with random effects for cells of unequal size [Searle, Casella & McCulloch
    1992, Variance Components, ch. 3], after the means of the cells of another way were taken away.

    Parameters
    ----------
    values : (N, 2)
    way, other : Groups
        What is compared, and what is taken away first.
    group : (N,) int
        What to estimate apart; all values of an owner are in one group.
    n_groups : int
    apart : (N,) bool, optional
        Of what the other way is taken away; default: of all.
    """
    enough = _sizes(way.cell) >= _LEAST
    values, way, other, group = values[enough], way.where(enough), other.where(enough), group[enough]
    cleared = _sizes(other.cell) >= _LEAST
    if apart is not None:
        cleared &= apart[enough]
    other_cell = np.unique(other.cell[cleared], return_inverse=True)[1]
    values = values.copy()
    values[cleared] -= _means(values[cleared], other_cell)[other_cell]
    cell, owner = (np.unique(label, return_inverse=True)[1] for label in (way.cell, way.owner))
    values -= _means(values, owner)[owner]
    of_cell, of_owner, of_other = (
        _label_of(*pair) for pair in ((cell, group), (owner, group), (other_cell, group[cleared]))
    )
    counts, means = np.bincount(cell), _means(values, cell)
    total, cells, owners, lost = (
        np.bincount(label, minlength=n_groups) for label in (group, of_cell, of_owner, of_other)
    )
    freedom = cells - owners
    within = _per(_sums((values - means[cell]) ** 2, group, n_groups), total - cells - lost)
    between = _per(_sums(counts[:, None] * means**2, of_cell, n_groups), freedom)
    # Members of a cell, on the average that makes the estimate unbiased where cells are of unequal size.
    shares = counts**2 / np.bincount(owner)[_label_of(cell, owner)]
    size = _per(total - np.bincount(of_cell, weights=shares, minlength=n_groups), freedom)
    known = (within > 0.0).all(axis=1)
    return Components(
        cells,
        np.where(known, freedom, 0),
        _per(np.maximum(between - within, 0.0), size),
        within,
        _per(between, within).sum(axis=1) * freedom,
    )


def _sizes(label: Labels) -> Labels:
    """How many have the label of each, (N,)."""
    number, counts = np.unique(label, return_inverse=True, return_counts=True)[1:]
    return np.asarray(counts[number])


def _label_of(part: Labels, whole: Labels) -> Labels:
    """What each part, numbered from 0 without gaps, belongs to."""
    found = np.zeros(int(part.max(initial=-1)) + 1, dtype=np.intp)
    found[part] = whole
    return found


def _sums(values: Array, label: Labels, size: int = 0) -> Array:
    return np.column_stack([np.bincount(label, weights=column, minlength=size) for column in values.T])


def _means(values: Array, label: Labels) -> Array:
    return _per(_sums(values, label), np.bincount(label))


def _per(values: NDArray[Any], number: NDArray[Any]) -> Array:
    """Divide values (G,) or (G, 2) by numbers (G,) or (G, 2); 0 where these are not positive."""
    below = np.asarray(number, dtype=np.float64)
    below = np.broadcast_to(below if below.ndim == values.ndim else below[:, None], values.shape)
    return np.asarray(np.divide(values, below, out=np.zeros(values.shape), where=below > 0.0))
