"""Directions of the parameters that the data see badly or not at all, by physical name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.steps.refining.certainty.naming import Motions, Shares, groups_of, in_words
from smalti.steps.refining.certainty.reaching import Reach, Seen, reach_of
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.uncertainty import unit_scale

__all__ = ["NULL", "WEAK", "Determination", "Mode", "determination"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

NULL = 1e-9
"""Eigenvalues of the scaled normal matrix of the data below this are directions that no data see."""

WEAK = 1e-3
"""Below this they are listed; a good experiment has a few between this and 1e-4."""

MOST = 6
"""Weak modes that are listed, of the whole and of single panels each."""

_SEARCHED = 100
"""So many of the weakest are looked at: panels with few reflections have six each."""


@dataclass(frozen=True)
class Mode:
    """A direction of the parameters.

    Attributes
    ----------
    name : str
        What moves against what.
    kind : str
        "gauge" (everything moves together), "unseen" (panels without data), "weak" (data tell it badly).
    eigenvalue : float
        Of the normal matrix of the data alone, scaled to a unit diagonal.
    held : float
        Share of priors and restraints in the variance along it, from 0 (data) to 1.
    shares : tuple of (str, float)
        Which motions take part in it, largest first.
    direction : (n,)
        In the units of the parameters.
    of_panels : bool
        Whether most of it is motions of single panels, or parts of the detector are needed to make it.
    """

    name: str
    kind: str
    eigenvalue: float
    held: float
    shares: Shares
    direction: Array
    of_panels: bool

    @property
    def null(self) -> bool:
        """Whether no data see it."""
        return self.eigenvalue < NULL


@dataclass(frozen=True)
class Determination:
    """How well the parameters are determined.

    Attributes
    ----------
    condition : float
        Condition number of the normal matrix, priors and restraints included, scaled to a unit diagonal.
    smallest : float
        Smallest eigenvalue of the normal matrix of the data alone, scaled so.
    modes : tuple of Mode
        Null ones first, then the weakest.

    What parents and children of a detector's tree do against one another moves nothing and is left out of
    all three, and what no reflection depends on is left out of the two numbers.
    """

    condition: float
    smallest: float
    modes: tuple[Mode, ...]


@dataclass(frozen=True)
class _Space:
    """Coordinates c (m,) of directions that move something: seen parameters = scale * (basis @ c).

    Attributes
    ----------
    scale : (s,)
        Of the parameters that are seen: one over the root of the diagonal.
    basis : (s, m)
        Orthonormal columns.
    seen : (n,) bool
    data, held : (m, m)
        Normal matrices in these coordinates; the diagonal of the parameters' data was scaled to 1.
    motions : Motions
        By name, in these coordinates.
    """

    scale: Array
    basis: Array
    seen: Mask
    data: Array
    held: Array
    motions: Motions

    def of_parameters(self, directions: Array) -> Array:
        """Give unit directions (k, m) of directions of the parameters (k, n), without what moves nothing."""
        c = (directions[:, self.seen] / self.scale) @ self.basis
        length = np.linalg.norm(c, axis=1)
        return np.asarray(c / np.where(length > 0.0, length, 1.0)[:, None])

    def back(self, c: Array) -> Array:
        """Give a direction (m,) in the units of the parameters, (n,)."""
        out = np.zeros(len(self.seen))
        out[self.seen] = self.scale * (self.basis @ c)
        return out

    def solved(self, c: Array) -> Array:
        """Solve the whole normal equations for a right side (m,); what nothing holds is enormous."""
        scale, factor = self._factor
        return np.asarray(scale * linalg.lu_solve(factor, scale * c, check_finite=False))

    @cached_property
    def _factor(self) -> tuple[Array, Any]:
        matrix = self.data + self.held
        scale = unit_scale(np.diag(matrix))
        unit = matrix * np.outer(scale, scale) + 1e-13 * np.eye(len(scale))
        return scale, linalg.lu_factor(unit, check_finite=False)

    def mode(self, c: Array, kind: str, name: str = "") -> Mode:
        """Describe a unit direction."""
        value, answer = float(c @ self.data @ c), self.solved(c)
        (shares,), (panels,) = self.motions.shares(c[None]), self.motions.of_panels(c[None])
        share = float(answer @ self.held @ answer) / max(float(c @ answer), 1e-300)
        return Mode(
            name or in_words(shares), kind, max(value, 0.0), share, shares, self.back(c), bool(panels > 0.5)
        )


def determination(
    layout: Layout, partition: Partition, p: Array, data: Array, held: Array, felt: Seen
) -> Determination:
    """Analyse what holds the shared parameters at p (n,); crystals that were eliminated follow them.

    The motions of everything (:mod:`smalti.steps.refining.certainty.gauges`) are taken out by their names
    before the rest is divided into eigenvectors: these mix several null directions at will.

    Parameters
    ----------
    data, held : (g, g)
        Normal matrix of the data, and what priors and restraints add to it.
    felt : Seen
        Panels and experiments that have reflections.
    """
    seen = np.diag(data) > 0.0
    unseen = _unseen(layout, partition, seen, held)
    if not seen.any():
        return Determination(1.0, 0.0 if len(seen) else 1.0, tuple(unseen))
    reach, motions = reach_of(layout, partition, p, felt)
    space = _space(layout, partition, p, data, held, reach, seen)
    modes, taken = [], np.zeros((0, len(space.data)))
    local: Array = np.array([motion.local for motion in motions])
    found = space.of_parameters(reach.parameters(local))
    alone = reach.by_some(_of_the_whole(layout, partition)).parameters(local)
    for motion, c, whole in zip(motions, found, alone, strict=True):
        if c.any():
            taken = np.vstack([taken, c])
            modes.append(replace(space.mode(c, "gauge", motion.name), of_panels=not whole.any()))
    rest = _complement(taken.T)
    modes += [space.mode(c, "weak") for c in _weakest(space, rest)]
    values = linalg.eigvalsh(space.data + space.held)
    smallest = min((mode.eigenvalue for mode in modes), default=1.0)
    condition = min(float(values[-1]) / max(float(values[0]), 1e-300), 1e300)
    modes.sort(key=lambda mode: (not mode.null, mode.eigenvalue))
    return Determination(condition, smallest, (*modes, *unseen))


def _of_the_whole(layout: Layout, partition: Partition) -> NDArray[np.intp]:
    """Which shared parameters are not of parts of a detector, which tolerances hold among one another."""
    sizes = {len(layout.detector_block(number).detector) for number in layout.panel_offset}
    parameters = [layout.parameters[k] for k in partition.shared]
    return np.array(
        [k for k, item in enumerate(parameters) if not item.panels or len(item.panels) in sizes],
        dtype=np.intp,
    )


def _weakest(space: _Space, rest: Array) -> Array:
    """Find the weakest directions (k, m) among those that columns (m, r) span, the weakest of all first.

    The weakest one of the whole is always among them.
    """
    if not rest.shape[1]:
        return np.zeros((0, len(rest)))
    last = min(_SEARCHED, rest.shape[1]) - 1
    values, vectors = linalg.eigh(rest.T @ space.data @ rest, subset_by_index=(0, last))
    found = (rest @ vectors).T
    mostly = space.motions.of_panels(found) > 0.5
    weak = values < WEAK
    kept = {*np.flatnonzero(weak & mostly)[:MOST], *np.flatnonzero(weak & ~mostly)[:MOST]}
    kept |= {*np.flatnonzero(~mostly)[:1]} or {0}
    return np.asarray(found[sorted(kept)])


def _space(
    layout: Layout, partition: Partition, p: Array, data: Array, held: Array, reach: Reach, seen: Mask
) -> _Space:
    scale = unit_scale(np.diag(data))[seen]
    idle = (reach.idle[:, seen] / scale).T
    basis = _complement(idle)
    ridge = np.outer(scale, scale)
    unit, K = data[np.ix_(seen, seen)] * ridge, held[np.ix_(seen, seen)] * ridge
    if idle.size:  # priors act along what costs them least: parents and children share a motion out
        Z = np.linalg.qr(idle)[0]
        K = K - K @ Z @ linalg.pinvh(Z.T @ K @ Z) @ Z.T @ K
    motions = Motions.of(groups_of(layout, partition, p, reach), lambda rows: (rows[:, seen] / scale) @ basis)
    return _Space(scale, basis, seen, basis.T @ unit @ basis, basis.T @ K @ basis, motions)


def _complement(columns: Array) -> Array:
    """An orthonormal basis (n, n - k) of what is orthogonal to columns (n, k)."""
    if not columns.size:
        return np.eye(len(columns))
    return np.asarray(linalg.null_space(columns.T, rcond=1e-10))


def _unseen(layout: Layout, partition: Partition, seen: Mask, held: Array) -> list[Mode]:
    """One mode for each set of panels whose own parameters no reflection depends on."""
    found: dict[tuple[int, ...], list[int]] = {}
    parameters = [layout.parameters[k] for k in partition.shared]
    for k in np.flatnonzero(~seen):
        found.setdefault(parameters[k].panels, []).append(int(k))
    modes = []
    for panels, places in found.items():
        direction = np.zeros(len(seen))
        direction[places] = 1.0
        words = ", ".join(parameters[k].label for k in places)
        name = (
            f"panel {panels[0]}: no reflection"
            if len(panels) == 1
            else f"{words} (no reflection depends on it)"
        )
        share = float(np.mean(np.diag(held)[places] > 0.0))
        modes.append(Mode(name, "unseen", 0.0, share, ((name, 1.0),), direction, bool(panels)))
    return modes
