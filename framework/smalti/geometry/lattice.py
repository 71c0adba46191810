"""Lattices: reduction, sublattices, fitting an orientation matrix to indexed points.

A basis is a (3, 3) array with the real-space vectors a, b, c (Angstrom) as *rows*; A = U B has the
reciprocal vectors as columns, so that basis = A^-1.
"""

from __future__ import annotations

from itertools import product

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.models import cell_of_axes

__all__ = [
    "cell_of",
    "fit_A",
    "finer_lattice",
    "multiple",
    "niggli",
    "odd_fraction",
    "primitive",
    "residue_classes",
    "same_lattice",
    "shortest_vectors",
]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def cell_of(basis: ArrayLike) -> tuple[float, float, float, float, float, float]:
    """Cell (a b c in Angstrom, alpha beta gamma in degrees) of a basis (3, 3), rows a b c."""
    a, b, c, alpha, beta, gamma = cell_of_axes(basis).tolist()
    return a, b, c, alpha, beta, gamma


def niggli(basis: ArrayLike) -> tuple[Array, Integers]:
    """Reduce a primitive basis (rows a b c) to its Niggli basis, right-handed.

    Returns
    -------
    reduced : (3, 3) Angstrom
    change : (3, 3) int
        reduced = change @ basis.
    """
    axes = np.asarray(basis, dtype=float)
    change = np.eye(3, dtype=np.int64)
    if np.linalg.det(axes) < 0:
        axes, change = -axes, -change
    # A first, Minkowski-like reduction keeps gemmi's well away from its limit of iterations.
    vectors, _ = shortest_vectors(axes)
    first = np.rint(vectors @ np.linalg.inv(axes)).astype(np.int64)
    axes, change = first @ axes, first @ change
    gruber = gemmi.GruberVector(gemmi.UnitCell(*cell_of(axes)), "P", track_change_of_basis=True)
    gruber.niggli_reduce(1e-5)
    step = np.rint(np.array(gruber.change_of_basis.rot) / gemmi.Op.DEN).astype(np.int64).T
    if round(float(np.linalg.det(step))) < 0:
        step = -step
    return np.asarray(step @ axes), step @ change


def shortest_vectors(basis: ArrayLike, span: int = 2) -> tuple[Array, Integers]:
    """Find three successive minima that form a basis: a Minkowski-reduced basis, right-handed.

    Pairs and triples are reduced until nothing shrinks, which in three dimensions gives the three
    shortest independent vectors [Semaev 2001, Lect. Notes Comput. Sci. 2146, 181].

    Returns
    -------
    vectors : (3, 3) Angstrom, rows in order of length
    coefficients : (3, 3) int
        vectors = coefficients @ basis.
    """
    axes = np.array(basis, dtype=float)
    total = np.eye(3, dtype=np.int64)
    steps = np.array(list(product(range(-span, span + 1), repeat=2)))
    while True:
        order = np.argsort(np.linalg.norm(axes, axis=1), kind="stable")
        axes, total = axes[order], total[order]
        changed = False
        for k, (i, j) in ((1, (0, 0)), (2, (0, 1))):
            pairs = steps if k == 2 else steps[steps[:, 1] == 0]
            trial = axes[k] + pairs @ axes[[i, j]]
            lengths = np.linalg.norm(trial, axis=1)
            m = int(np.argmin(lengths))
            if lengths[m] < np.linalg.norm(axes[k]) * (1.0 - 1e-9):
                axes[k] = trial[m]
                total[k] = total[k] + pairs[m] @ total[[i, j]]
                changed = True
        if not changed:
            break
    if np.linalg.det(axes) < 0:
        axes, total = -axes, -total
    return axes, total


def fit_A(points: Array, indices: ArrayLike, weights: Array | None = None) -> Array:
    """Least-squares A with points (N, 3) = A h, indices (N, 3); needs three independent indices."""
    h = np.asarray(indices, dtype=float)
    w = np.ones(len(h)) if weights is None else weights
    normal = (h * w[:, None]).T @ h
    return np.asarray(np.linalg.solve(normal, (h * w[:, None]).T @ points).T)


_PRIMITIVE = {
    "P": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "A": ((1, 0, 0), (0, 1 / 2, 1 / 2), (0, -1 / 2, 1 / 2)),
    "B": ((1 / 2, 0, 1 / 2), (0, 1, 0), (-1 / 2, 0, 1 / 2)),
    "C": ((1 / 2, 1 / 2, 0), (-1 / 2, 1 / 2, 0), (0, 0, 1)),
    "I": ((-1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (1 / 2, 1 / 2, -1 / 2)),
    "F": ((0, 1 / 2, 1 / 2), (1 / 2, 0, 1 / 2), (1 / 2, 1 / 2, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (-1 / 3, 1 / 3, 1 / 3), (-1 / 3, -2 / 3, 1 / 3)),
}
"""Primitive vectors in conventional axes (International Tables A, table 5.1.3.1); R obverse."""


def primitive(basis: ArrayLike, centring: str) -> Array:
    """A primitive, reduced basis of a centred lattice with conventional axes ``basis`` (rows a b c)."""
    return niggli(np.array(_PRIMITIVE[centring]) @ np.asarray(basis, dtype=float))[0]


def residue_classes(n: int) -> tuple[Integers, ...]:
    """Integer vectors h modulo a prime n, one of each line: with h.(basis)/n a lattice is n times finer."""
    found: list[Integers] = []
    for h in product(range(n), repeat=3):
        leading = next((x for x in h if x), 0)
        if leading == 1:
            # the representative nearest to zero has the shortest vector
            found.append(np.array([x - n if 2 * x > n else x for x in h], dtype=np.int64))
    return tuple(found)


def odd_fraction(h: ArrayLike, basis: ArrayLike, points: Array, n: int) -> float:
    """Fraction q of points that a lattice made finer by the vector u = h.basis/n does not explain.

    At points that it explains cos 2 pi u.r is 1, at the others it is -1 (n = 2) or averages to -1/(n - 1),
    so that coherence(u) = (1 - q n/(n - 1)) coherence(n u). Noise cancels in the ratio.
    """
    u = np.asarray(h, dtype=float) @ np.asarray(basis, dtype=float) / n
    phase = 2.0 * np.pi * (points @ u)
    whole = float(np.cos(n * phase).mean())
    if whole <= 0.05:
        return 1.0
    return float(np.clip((1.0 - np.cos(phase).mean() / whole) * (n - 1) / n, 0.0, 1.0))


def finer_lattice(h: Integers, basis: ArrayLike, n: int) -> Array:
    """A basis of the lattice spanned by ``basis`` and h.basis/n, n prime."""
    axes = np.array(basis, dtype=float)
    k = int(np.flatnonzero(h % n)[0])
    inverse = pow(int(h[k]), -1, n)
    axes[k] = ((h * inverse) % n) @ axes / n
    return np.asarray(shortest_vectors(axes)[0])


def same_lattice(one: ArrayLike, other: ArrayLike, tolerance: float = 0.1) -> bool:
    """Tell whether two primitive bases (rows a b c) span one lattice, within a fraction of a vector."""
    return multiple(one, other, tolerance) == 1


def multiple(one: ArrayLike, other: ArrayLike, tolerance: float = 0.1) -> int:
    """How many cells of ``other`` make one of ``one``, if ``one`` spans a sublattice of it; else 0."""
    change = np.asarray(one, dtype=float) @ np.linalg.inv(np.asarray(other, dtype=float))
    near = np.rint(change)
    return abs(round(float(np.linalg.det(near)))) if np.max(np.abs(change - near)) < tolerance else 0
