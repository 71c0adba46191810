"""What an indexer promises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.errors import SmaltiError
from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.rotation import rotation
from smalti.roles import Indexer
from smalti.solution import Candidate, PointCloud
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

CELL = (41.0, 52.0, 63.0, 90.0, 90.0, 90.0)
MAX_CELL = 100.0
D_MIN = 3.5
WEDGE = np.radians(20.0)


def _A() -> NDArray[np.float64]:
    axes: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    U = np.eye(3)
    for axis, angle in zip(axes, (0.3, 0.7, 1.9), strict=True):
        U = rotation(axis, angle) @ U
    return np.asarray(U @ B_from_cell(CELL))


def _cloud() -> PointCloud:
    """The points that 20 degrees of rotation about x show at 1 Angstrom, with small errors."""
    span = np.arange(-18, 19)
    hkl = np.array(np.meshgrid(span, span, span)).reshape(3, -1).T
    points = hkl[np.any(hkl != 0, axis=1)] @ _A().T
    points = points[np.linalg.norm(points, axis=1) < 1.0 / D_MIN]
    # On the Ewald sphere with s0 = -z (wavelength 1): r . r = 2 r_z after the rotation by phi about x.
    y, z = points[:, 1], points[:, 2]
    reach, target = np.hypot(y, z), 0.5 * np.einsum("ij,ij->i", points, points)
    hit = target < 0.98 * reach
    points, y, z, reach, target = points[hit], y[hit], z[hit], reach[hit], target[hit]
    angle = (np.arccos(target / reach) - np.arctan2(y, z)) % (2 * np.pi)
    seen = angle < WEDGE
    rng = np.random.default_rng(3)
    noisy = points[seen] + rng.normal(scale=1e-4, size=(int(seen.sum()), 3))
    return PointCloud(
        noisy, angle[seen], np.zeros(int(seen.sum()), dtype=np.intp), np.array([1.0, 0.0, 0.0]), 1e-4
    )


def _explained(candidate: Candidate, points: NDArray[np.float64]) -> float:
    """Fraction of points within 0.15 of an integer index in all three directions."""
    h = points @ np.linalg.inv(candidate.A).T
    return float(np.mean(np.all(np.abs(h - np.round(h)) < 0.15, axis=1)))


def _require_lattice(candidates: Sequence[Candidate], cloud: PointCloud) -> None:
    require(len(candidates) > 0, "no candidate for a lattice without flaw")
    for candidate in candidates:
        require(candidate.A.shape == (3, 3), f"A has shape {candidate.A.shape} instead of (3, 3)")
        require(bool(np.isfinite(candidate.A).all()), "A is not finite")
        require(abs(np.linalg.det(candidate.A)) > 0, "A is singular")
    best = candidates[0]
    share = _explained(best, cloud.points)
    require(share > 0.9, f"the best candidate explains {share:.0%} of the points of a lattice without flaw")
    volume = 1.0 / abs(np.linalg.det(best.A))
    expected = CELL[0] * CELL[1] * CELL[2]
    require(
        abs(volume / expected - 1.0) < 0.05,
        f"the best cell has {volume:.0f} cubic Angstrom where {expected:.0f} are right",
    )


def finds_a_lattice_of_known_cell(indexer: Indexer) -> None:
    """With the cell given, the lattice comes first."""
    cloud = _cloud()
    _require_lattice(indexer.candidates(cloud, MAX_CELL, CELL), cloud)


def finds_a_lattice_or_says_that_it_needs_the_cell(indexer: Indexer) -> None:
    """Without the cell, the lattice comes first; or the indexer refuses in words."""
    cloud = _cloud()
    try:
        candidates = indexer.candidates(cloud, MAX_CELL)
    except SmaltiError as error:
        require(error.what and error.fix, "it refuses without saying why and what to do")
        return
    _require_lattice(candidates, cloud)


def gives_its_best_first(indexer: Indexer) -> None:
    """Candidates come in order of falling score; those within 1 % of the best score count as equal."""
    scores = np.array([candidate.score for candidate in indexer.candidates(_cloud(), MAX_CELL, CELL)])
    rises = np.diff(scores)
    worst = float(rises.max(initial=0.0))
    require(worst <= 0.01 * abs(scores[0]), f"a candidate scores {worst:.3g} more than the one before it")


def bears_too_few_points(indexer: Indexer) -> None:
    """No points, or two, give no candidates or a refusal in words, nothing worse."""
    whole = _cloud()
    for n in (0, 2):
        few = PointCloud(whole.points[:n], whole.angles[:n], whole.sweeps[:n], whole.axis, whole.smear)
        try:
            indexer.candidates(few, MAX_CELL, CELL)
        except SmaltiError:
            continue


def gives_the_same_twice(indexer: Indexer) -> None:
    """The same points give the same candidates, and are left as they were."""
    cloud = _cloud()
    before = cloud.points.copy()
    first = indexer.candidates(cloud, MAX_CELL, CELL)
    second = indexer.candidates(cloud, MAX_CELL, CELL)
    same = len(first) == len(second) and all(
        np.array_equal(a.A, b.A) for a, b in zip(first, second, strict=True)
    )
    require(same, "a second call gives other candidates")
    require(np.array_equal(before, cloud.points), "it changes its input")


CHECKS = (
    finds_a_lattice_of_known_cell,
    finds_a_lattice_or_says_that_it_needs_the_cell,
    gives_its_best_first,
    bears_too_few_points,
    gives_the_same_twice,
)
