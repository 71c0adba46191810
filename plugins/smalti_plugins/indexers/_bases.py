"""Lattices from vectors in real space: bases of which all the others are integer combinations."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import same_lattice, shortest_vectors
from smalti.solution import Candidate

__all__ = ["lattices", "spanning"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

FLAT = 0.1
"""Volume over the product of the lengths below which three vectors lie nearly in a plane."""

NEARLY_ALL = 0.9
"""Part of the power explained by three short vectors from which no others are tried."""

STRONGEST = 60
"""Vectors of which each may be the third of a basis."""

BLOCK = 2048
"""Bases tried at a time."""


def spanning(vectors: Array, along: int = 14, across: int = 8, out: int = 8) -> Index:
    """Choose short vectors (rows of (K, 3)) that span space, however long the third axis is.

    The shortest of all, the shortest not parallel to the first, and the shortest out of the plane of the
    first two: beside an axis of 500 Angstrom, hundreds of vectors of a short-axed plane come first.
    """
    order = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
    unit = vectors[order] / np.linalg.norm(vectors[order], axis=1)[:, None]
    chosen = set(range(min(along, len(order))))
    if len(order) > 0:
        apart = np.flatnonzero(np.linalg.norm(np.cross(unit, unit[0]), axis=1) > 0.2)
        chosen.update(apart[:across].tolist())
        if apart.size:
            normal = np.cross(unit[0], unit[apart[0]])
            off = np.flatnonzero(np.abs(unit @ normal) > 0.15 * np.linalg.norm(normal))
            chosen.update(off[:out].tolist())
    return np.asarray(order[sorted(chosen)])


def lattices(vectors: Array, power: Array, count: int, tolerance: float = 0.12) -> list[Candidate]:
    """Propose bases: triples of vectors of which the others are integer combinations.

    The score of a basis is the power of the vectors that have integer coordinates in it, as a fraction of
    all power; between equal scores the smaller cell wins. A sublattice leaves vectors at halves, a
    superlattice that is not there would need a vector without power.

    Three of the short vectors are a basis of most crystals. Where none of these explains nearly all power,
    any strong vector may be the third: beside a second crystal, a long axis is not among the short vectors.

    Parameters
    ----------
    vectors : (K, 3) Angstrom
        Strongest first.
    power : (K,)
    count : int
        How many bases to propose.
    tolerance : float
        Distance from whole coordinates that still is one.
    """
    short = spanning(vectors)
    bases = _solid(vectors, np.array(list(combinations(short.tolist(), 3)), dtype=np.intp).reshape(-1, 3))
    explained = _explained(bases, vectors, power, tolerance)
    if explained.max(initial=0.0) < NEARLY_ALL:
        more = _solid(vectors, _completed(short, min(len(vectors), STRONGEST)))
        bases = np.concatenate([bases, more])
        explained = np.concatenate([explained, _explained(more, vectors, power, tolerance)])
    order = np.lexsort((np.abs(np.linalg.det(bases)), -np.round(explained, 2)))
    found = ((float(explained[k]), _polished(vectors, power, bases[k], tolerance)) for k in order)
    return _different(found, count)


def _completed(short: Index, strongest: int) -> Index:
    """Triples (T, 3) of two short vectors and one of the strongest that is not short."""
    pairs = np.array(list(combinations(short.tolist(), 2)), dtype=np.intp).reshape(-1, 2)
    others = np.setdiff1d(np.arange(strongest), short)
    return np.column_stack([np.repeat(pairs, len(others), axis=0), np.tile(others, len(pairs))])


def _solid(vectors: Array, triples: Index) -> Array:
    """Bases (T, 3, 3) of those triples of vectors that do not lie nearly in a plane."""
    bases = vectors[triples]
    volume = np.abs(np.linalg.det(bases))
    return np.asarray(bases[volume >= FLAT * np.prod(np.linalg.norm(bases, axis=2), axis=1)])


def _explained(bases: Array, vectors: Array, power: Array, tolerance: float) -> Array:
    """Part of the power at integer coordinates of each of many bases (T, 3, 3), (T,)."""
    out = np.zeros(len(bases))
    for start in range(0, len(bases), BLOCK):
        part = slice(start, start + BLOCK)
        fractional = vectors @ np.linalg.inv(bases[part])
        whole = np.all(np.abs(fractional - np.rint(fractional)) < tolerance, axis=2)
        out[part] = whole @ power
    return np.asarray(out / power.sum())


def _polished(vectors: Array, power: Array, basis: Array, tolerance: float) -> Array:
    """Fit a basis (3, 3) to all vectors (K, 3) that are integer combinations of it, weighted by power.

    Vectors of another crystal that come near one by chance leave when it is fitted again, more narrowly.
    """
    for limit in (tolerance, tolerance / 2.0):
        fractional = vectors @ np.linalg.inv(basis)
        whole = np.rint(fractional)
        near = np.all(np.abs(fractional - whole) < limit, axis=1)
        weight = np.sqrt(power[near])[:, None]
        fitted = np.linalg.lstsq(whole[near] * weight, vectors[near] * weight, rcond=None)
        if fitted[2] < 3:
            break
        basis = np.asarray(fitted[0])
    return basis


def _different(found: Iterable[tuple[float, Array]], count: int) -> list[Candidate]:
    """Keep one basis of each lattice, reduced, the best ``count``."""
    chosen: list[Candidate] = []
    bases: list[Array] = []
    for explained, basis in found:
        if len(chosen) == count:
            break
        reduced, _ = shortest_vectors(basis)
        if not any(same_lattice(reduced, other) for other in bases):
            bases.append(reduced)
            chosen.append(Candidate(np.asarray(np.linalg.inv(reduced)), explained))
    return chosen
