"""Which symmetric lattices a primitive basis is close to, and in which settings.

Nothing is looked up in tables of reduced forms: lattice vectors short enough to be axes are listed, and
triples that obey the metric of a crystal system are tried. The determinant of a triple's coordinates is
the number of lattice points in its cell, and where those lie says how it is centred.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.lattice import cell_of, niggli
from smalti.geometry.reciprocal import B_from_cell

__all__ = ["BRAVAIS", "SYSTEMS", "Setting", "bravais_lattices", "constrained_cell", "settings", "symmetrised"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "hexagonal", "cubic")
"""Metric systems; trigonal cells in hexagonal axes have the metric "hexagonal"."""

BRAVAIS = {
    "aP": ("triclinic", "P"),
    "mP": ("monoclinic", "P"),
    "mC": ("monoclinic", "C"),
    "oP": ("orthorhombic", "P"),
    "oC": ("orthorhombic", "C"),
    "oI": ("orthorhombic", "I"),
    "oF": ("orthorhombic", "F"),
    "tP": ("tetragonal", "P"),
    "tI": ("tetragonal", "I"),
    "hP": ("hexagonal", "P"),
    "hR": ("hexagonal", "R"),
    "cP": ("cubic", "P"),
    "cI": ("cubic", "I"),
    "cF": ("cubic", "F"),
}
"""The fourteen Bravais lattices: metric system and centring of the conventional setting."""

_CENTRING = {
    "P": frozenset(),
    "A": frozenset({(0, 6, 6)}),
    "B": frozenset({(6, 0, 6)}),
    "C": frozenset({(6, 6, 0)}),
    "I": frozenset({(6, 6, 6)}),
    "F": frozenset({(0, 6, 6), (6, 0, 6), (6, 6, 0)}),
    "R": frozenset({(8, 4, 4), (4, 8, 8)}),
}
"""Lattice points inside the cell, in twelfths; R obverse."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A choice of axes for a lattice.

    Attributes
    ----------
    bravais : str
        "tI", ...
    change : (3, 3) int
        axes = change @ primitive basis.
    cell : tuple of six float
        Of the axes as they are, Angstrom and degrees.
    distortion : float
        Largest deviation from the ideal metric, degrees; lengths count as the angle that would
        distort as much.
    """

    bravais: str
    change: Integers
    cell: tuple[float, float, float, float, float, float]
    distortion: float


def constrained_cell(cell: ArrayLike, system: str) -> tuple[float, float, float, float, float, float]:
    """The nearest cell that has the metric of a system; monoclinic is unique axis b."""
    a, b, c, alpha, beta, gamma = np.asarray(cell, dtype=float).tolist()
    if system == "triclinic":
        return a, b, c, alpha, beta, gamma
    if system == "monoclinic":
        return a, b, c, 90.0, beta, 90.0
    if system == "orthorhombic":
        return a, b, c, 90.0, 90.0, 90.0
    if system == "cubic":
        a = b = c = (a + b + c) / 3.0
        return a, b, c, 90.0, 90.0, 90.0
    mean = (a + b) / 2.0
    return mean, mean, c, 90.0, 90.0, 120.0 if system == "hexagonal" else 90.0


def distortion(cell: ArrayLike, system: str) -> float:
    """Largest deviation of a cell from the metric of a system, degrees."""
    real, ideal = np.asarray(cell, dtype=float), np.array(constrained_cell(cell, system))
    stretch = np.degrees(np.abs(real[:3] / ideal[:3] - 1.0))
    return float(max(stretch.max(), np.abs(real[3:] - ideal[3:]).max()))


def symmetrised(basis: ArrayLike, system: str) -> Array:
    """The basis nearest to this one with the metric of a system: same orientation, constrained cell."""
    axes = np.asarray(basis, dtype=float)
    ideal = np.linalg.inv(B_from_cell(constrained_cell(cell_of(axes), system)))
    # U from the polar decomposition of (axes^T ideal): the rotation that brings ideal onto axes best
    u, _, vt = np.linalg.svd(axes.T @ ideal)
    R = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return np.asarray(ideal @ R.T)


def settings(basis: ArrayLike, system: str, centring: str, tolerance: float = 5.0) -> list[Setting]:
    """All right-handed settings of a lattice within a tolerance of a metric, least distorted first.

    Parameters
    ----------
    basis : (3, 3) Angstrom
        Primitive, rows a b c.
    system : str
        One of :data:`SYSTEMS`.
    centring : str
        P A B C I F or R (obverse, hexagonal axes).
    tolerance : float
        Largest distortion, degrees.
    """
    reduced, to_reduced = niggli(basis)
    triples = _triples(reduced, system, tolerance)
    triples = triples[np.abs(np.rint(np.linalg.det(triples))).astype(int) == len(_CENTRING[centring]) + 1]
    found = []
    bravais = next((k for k, v in BRAVAIS.items() if v == (system, centring)), system[0] + centring)
    for triple in triples:
        coordinates = triple if np.linalg.det(triple) > 0 else -triple
        if system == "hexagonal":
            coordinates = _obverse(coordinates, centring)
        if _centring_points(coordinates) != _CENTRING[centring]:
            continue
        cell = cell_of(coordinates @ reduced)
        amount = distortion(cell, system)
        if amount <= tolerance:
            found.append(Setting(bravais, coordinates @ to_reduced, cell, amount))
    least = min((setting.distortion for setting in found), default=0.0)
    return sorted(found, key=lambda setting: _preference(setting, least))


def bravais_lattices(basis: ArrayLike, tolerance: float = 5.0) -> tuple[Setting, ...]:
    """The least distorted conventional setting of each Bravais lattice within a tolerance, highest last."""
    found = []
    for name, (system, centring) in BRAVAIS.items():
        if name == "aP":
            reduced, change = niggli(basis)
            found.append(Setting("aP", change, cell_of(reduced), 0.0))
            continue
        best = settings(basis, system, centring, tolerance)
        if best:
            found.append(best[0])
    return tuple(found)


def _preference(setting: Setting, least: float) -> tuple[float, ...]:
    """Order settings: little distorted first, then short axes, a <= b <= c, beta little above 90 degrees.

    Settings of one lattice differ a little in distortion by chance: half a degree is no difference.
    """
    a, b, c, _, beta, _ = setting.cell
    worse = float(setting.distortion > least + 0.5)
    short = round(sum(setting.cell[:3]), 1)
    if setting.bravais.startswith("m"):
        return (worse, short, float(beta < 89.999), abs(beta - 90.0), a)
    return (worse, short, float(a > b * 1.0001) + float(b > c * 1.0001), setting.distortion, a)


@lru_cache
def _coefficients(span: int) -> Integers:
    """Coordinates of lattice vectors up to ``span``, primitive ones, one of each pair +-v."""
    rows = [h for h in product(range(-span, span + 1), repeat=3) if h > (0, 0, 0) and np.gcd.reduce(h) == 1]
    return np.array(rows, dtype=np.int64)


def _triples(reduced: Array, system: str, tolerance: float) -> Integers:
    """Triples of lattice vectors (K, 3, 3) whose angles fit the metric of a system."""
    h = _coefficients(3)
    v = h @ reduced
    order = np.argsort(np.linalg.norm(v, axis=1), kind="stable")[:120]
    h, v = h[order], v[order]
    unit = v / np.linalg.norm(v, axis=1)[:, None]
    angle = np.degrees(np.arccos(np.clip(unit @ unit.T, -1.0, 1.0)))
    square = np.abs(angle - 90.0) <= tolerance
    if system == "triclinic":
        return _signed(h[:13], permutations(range(min(13, len(h))), 3))
    if system == "monoclinic":
        return _monoclinic(h, v, square)
    if system == "hexagonal":
        return _hexagonal(h, v, angle, square, tolerance)
    found: list[tuple[int, int, int]] = []
    for i in range(len(h)):
        for j in np.flatnonzero(square[i]):
            if j > i:
                found.extend((i, int(j), int(k)) for k in np.flatnonzero(square[i] & square[j]) if k > j)
    return _rows(h, (p for triple in found for p in permutations(triple)))


def _rows(h: Integers, triples: Iterable[tuple[int, ...]]) -> Integers:
    picked = np.array(list(triples), dtype=np.intp).reshape(-1, 3)
    return h[picked]


def _signed(h: Integers, triples: Iterable[tuple[int, ...]]) -> Integers:
    """Triples with all relative signs of their vectors."""
    rows = _rows(h, triples)
    signs = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)])
    return np.concatenate([rows * s[None, :, None] for s in signs])


def _monoclinic(h: Integers, v: Array, square: NDArray[np.bool_]) -> Integers:
    """For each possible b the shortest vectors across it, as a and c."""
    length = np.linalg.norm(v, axis=1)
    found: list[tuple[int, int, int]] = []
    for j in range(len(h)):
        across = np.flatnonzero(square[j])
        across = across[np.argsort(length[across], kind="stable")][:6]
        found.extend((int(i), j, int(k)) for i, k in permutations(across, 2))
    rows = _rows(h, found)
    flipped = rows * np.array([1, 1, -1])[None, :, None]
    return np.concatenate([rows, flipped])


def _hexagonal(h: Integers, v: Array, angle: Array, square: NDArray[np.bool_], tolerance: float) -> Integers:
    """Pairs at 120 degrees and about equally long, with a vector across both."""
    length = np.linalg.norm(v, axis=1)
    found = []
    for i in range(len(h)):
        similar = np.abs(length / length[i] - 1.0) < 2.0 * np.radians(tolerance)
        for sign, target in ((1, 120.0), (-1, 60.0)):
            for j in np.flatnonzero(similar & (np.abs(angle[i] - target) <= tolerance)):
                if j != i:
                    for k in np.flatnonzero(square[i] & square[j]):
                        found.append(np.stack([h[i], sign * h[j], h[k]]))
    return np.array(found, dtype=np.int64).reshape(-1, 3, 3)


def _obverse(coordinates: Integers, centring: str) -> Integers:
    """Turn a reverse rhombohedral setting by 180 degrees about c."""
    if centring == "R" and _centring_points(coordinates) == frozenset({(4, 8, 4), (8, 4, 8)}):
        return np.asarray(coordinates * np.array([[-1], [-1], [1]]))
    return coordinates


def _centring_points(coordinates: Integers) -> frozenset[tuple[int, int, int]]:
    """Lattice points inside the cell whose axes have these coordinates, in twelfths of the axes."""
    inverse = np.linalg.inv(coordinates.astype(float))
    n = range(abs(round(float(np.linalg.det(coordinates)))))
    points = np.array(list(product(n, repeat=3))) @ inverse
    twelfths = np.rint(points * 12.0).astype(int) % 12
    return frozenset(map(tuple, twelfths.tolist())) - {(0, 0, 0)}
