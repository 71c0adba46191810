"""Lattices from vectors in real space: bases of which all the others are integer combinations."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import same_lattice, shortest_vectors
from smalti.solution import Candidate

__all__ = ["lattices", "spanning"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


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
    """
    v, p = vectors, power
    found: list[tuple[float, float, Array]] = []
    for triple in combinations(spanning(v), 3):
        basis = v[list(triple)]
        volume = abs(float(np.linalg.det(basis)))
        if volume < 0.1 * float(np.prod(np.linalg.norm(basis, axis=1))):
            continue
        fractional = v @ np.linalg.inv(basis)
        integer = np.all(np.abs(fractional - np.rint(fractional)) < tolerance, axis=1)
        explained = float(p[integer].sum() / p.sum())
        found.append(
            (explained, volume, _polished(np.rint(fractional[integer]), v[integer], p[integer], basis))
        )
    found.sort(key=lambda item: (-round(item[0], 2), item[1]))
    return _different(found, count)


def _polished(coordinates: Array, vectors: Array, power: Array, basis: Array) -> Array:
    """Fit the basis (3, 3) to all vectors (K, 3) with these integer coordinates, weighted by power."""
    weight = np.sqrt(power)[:, None]
    fitted = np.linalg.lstsq(coordinates * weight, vectors * weight, rcond=None)
    return np.asarray(fitted[0]) if fitted[2] == 3 else basis


def _different(found: list[tuple[float, float, Array]], count: int) -> list[Candidate]:
    """Keep one basis of each lattice, reduced, the best ``count``."""
    chosen: list[Candidate] = []
    bases: list[Array] = []
    for explained, _, basis in found:
        if len(chosen) == count:
            break
        reduced, _ = shortest_vectors(basis)
        if not any(same_lattice(reduced, other) for other in bases):
            bases.append(reduced)
            chosen.append(Candidate(np.asarray(np.linalg.inv(reduced)), explained))
    return chosen
