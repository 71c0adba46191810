"""Trying candidate lattices: where the beam must be, what they explain, whether they are primitive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.lattice import cell_of, finer_lattice, niggli, odd_fraction, residue_classes
from smalti.models import Experiment
from smalti.solution import Candidate
from smalti.steps.indexing.assigning import assign, fit_growing
from smalti.steps.indexing.centre import CentreShift, centre_shifts, moved_detectors
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.mapping import MappedSpots, map_spots
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.sharpness import sharpness_of
from smalti.steps.indexing.superlattice import FACTORS, Superlattice, enlarged
from smalti.tables import Reflections

__all__ = ["Reduction", "Trial", "primitive_lattice", "ranked", "sample", "try_candidate", "untried"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

LEAST_AXIS = 2.0
"""Angstrom: no crystal has a shorter axis, and cells of about that size explain any spots."""

LEAST_ODD = 4
"""Spots that need a larger cell, at least: of thirty, two or three may be spurious."""

LEAST_SHARPNESS = 0.3
"""Spots strewn about by chance have 1/8, and lattices fitted to them up to 0.27."""


UNFIT = "does not fit the given "
"""How the refusal of a lattice begins that is not the known one."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """A cell that was made smaller because hardly any spot needed the larger one.

    Attributes
    ----------
    factor : int
        By which the volume was divided.
    odd : float
        Measured fraction of spots that only the larger cell explains.
    """

    factor: int
    odd: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate after it was tried.

    Attributes
    ----------
    A : (3, 3) 1/Angstrom
        Reduced, primitive; at the shifted beam.
    power : float
        The indexer's own score.
    indexed : float
        Fraction of the spots tried.
    rmsd : float
        RMS distance of the indexed spots from their lattice points, 1/Angstrom.
    shifts : tuple of CentreShift
        One per distinct detector.
    reductions : tuple of Reduction
    larger : tuple of Superlattice
        Larger cells that were taken because enough spots need them.
    least_odd : float
        Smallest fraction of spots that a smaller cell would leave unexplained.
    most_odd : float
        Largest such fraction. A lattice puts half (two thirds) of its spots there; all of them mean
        that the origin is off.
    sharpness : float
        Part of the spots near lattice points that are within half of that distance; an eighth by chance.
    by_chance : bool
        Whether spots that have nothing to do with one direction of the lattice would lie as close.
    score : float
        Lower is better; 0 is best in everything.
    refused : str
        Why it cannot be the lattice; "" if it can.
    """

    A: Array
    power: float
    indexed: float
    rmsd: float
    shifts: tuple[CentreShift, ...]
    reductions: tuple[Reduction, ...]
    larger: tuple[Superlattice, ...]
    least_odd: float
    most_odd: float
    sharpness: float
    score: float = np.inf
    refused: str = ""
    by_chance: bool = False

    @property
    def basis(self) -> Array:
        """Rows a, b, c, (3, 3) Angstrom."""
        return np.asarray(np.linalg.inv(self.A))

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """Reduced primitive cell."""
        return cell_of(self.basis)

    def explains(self, part: float) -> bool:
        """Whether it may be the lattice and explains such a part of the spots, not by chance."""
        return not self.refused and self.indexed >= part and not self.by_chance

    @property
    def misfit_to_known(self) -> bool:
        """Whether it explains most of the spots and is refused for what was said of the cell alone."""
        return self.refused.startswith(UNFIT) and self.indexed > 0.5

    @property
    def volume(self) -> float:
        """Of the primitive cell, cubic Angstrom."""
        return abs(float(np.linalg.det(self.basis)))


def sample(points: Array, low: int = 3000, spread: int = 2000) -> Index:
    """Choose rows to try candidates on: those of lowest resolution, and some from everywhere."""
    order = np.argsort(np.linalg.norm(points, axis=1), kind="stable")
    far = order[low:]
    stride = max(1, int(np.ceil(len(far) / spread)))
    return np.sort(np.concatenate([order[:low], far[::stride]]))


def try_candidate(
    candidate: Candidate,
    experiments: Sequence[Experiment],
    spots: Reflections,
    mapped: MappedSpots,
    known: KnownLattice,
    options: IndexOptions,
) -> Trial:
    """Fit beam and lattice of one candidate to a sample of spots, and measure what it explains."""
    basis, _ = niggli(np.linalg.inv(candidate.A))
    shifts: tuple[CentreShift, ...] = ()
    if options.search_beam:
        low = np.argsort(np.linalg.norm(mapped.rlp, axis=1), kind="stable")[:800]
        shifts = centre_shifts(experiments, spots, mapped, basis, low, options.search_range)
        if any(np.any(shift.shift) for shift in shifts):
            mapped = map_spots(moved_detectors(experiments, shifts), spots, mapped.sweep)
    A = fit_growing(np.asarray(np.linalg.inv(basis)), mapped.rlp)
    A, reductions, (least, most) = primitive_lattice(A, mapped.rlp, options)
    A, larger = enlarged(A, mapped.rlp, options.odd_fraction)
    if larger:
        # Enlarged one way, it may be too large in another.
        A, again, (_, most) = primitive_lattice(A, mapped.rlp, options)
        reductions, least = (*reductions, *again), min(item.odd for item in larger)
    found = assign(A, mapped.rlp, options.tolerance)
    misfit = mapped.rlp[found.indexed] - found.h[found.indexed] @ A.T
    sharp = sharpness_of(found.misfit)
    rmsd = float(np.sqrt(np.mean(np.sum(misfit**2, axis=1)))) if len(misfit) else np.inf
    trial = Trial(
        A,
        candidate.score,
        float(found.indexed.mean()),
        rmsd,
        shifts,
        reductions,
        larger,
        least,
        most,
        sharp.part,
        by_chance=sharp.by_chance(options.least_sharpness),
    )
    return replace(trial, refused=_refusal(trial, int(found.indexed.sum()), known, options))


def untried(candidate: Candidate, why: str) -> Trial:
    """Record a candidate that was not tried to the end: needless, or impossible."""
    basis, _ = niggli(np.linalg.inv(candidate.A))
    return Trial(
        np.asarray(np.linalg.inv(basis)),
        candidate.score,
        0.0,
        np.inf,
        (),
        (),
        (),
        0.0,
        0.0,
        0.0,
        refused=why,
    )


def primitive_lattice(
    A: Array, points: Array, options: IndexOptions
) -> tuple[Array, tuple[Reduction, ...], tuple[float, float]]:
    """Make the cell smaller as long as hardly any spot needs the larger one, and it is one of a crystal.

    Returns
    -------
    A : (3, 3) 1/Angstrom, reduced
    reductions : tuple of Reduction
    odd : (least, most)
        The smallest fraction of spots left unexplained by a cell of a half, a third or a fifth of the
        volume, and the largest by one of a half or a third.
    """
    reductions: list[Reduction] = []
    while True:
        basis, _ = niggli(np.linalg.inv(A))
        A = np.asarray(np.linalg.inv(basis))
        found = assign(A, points, 0.2)
        good = points[found.indexed]
        if len(good) < 10:
            return A, tuple(reductions), (1.0, 0.0)
        classes = [(n, h) for n in FACTORS for h in residue_classes(n)]
        odd = [odd_fraction(h, basis, good, n) for n, h in classes]
        k = int(np.argmin(odd))
        threshold = max(options.odd_fraction, LEAST_ODD / len(good))
        if odd[k] >= threshold or np.linalg.norm(basis, axis=1).min() < 2.0 * LEAST_AXIS:
            most = max(q for q, (n, _) in zip(odd, classes, strict=True) if n < 5)
            return A, tuple(reductions), (odd[k], most)
        n, h = classes[k]
        reductions.append(Reduction(n, odd[k]))
        A = fit_growing(np.asarray(np.linalg.inv(finer_lattice(h, basis, n))), points)


def _refusal(trial: Trial, count: int, known: KnownLattice, options: IndexOptions) -> str:
    if count < 10:
        return "fewer than ten spots indexed"
    if trial.indexed < options.min_indexed:
        return f"explains only {100 * trial.indexed:.0f} % of the spots"
    if min(trial.cell[:3]) < LEAST_AXIS:
        return "has an axis too short for any crystal"
    if trial.sharpness < LEAST_SHARPNESS:
        return f"its {100 * trial.indexed:.0f} % of the spots lie about its points as if by chance"
    if trial.most_odd > 0.93:
        return "no spot has an index divisible by 2 or 3: the beam is off by part of a row"
    if known.space_group or known.cell:
        if known.fitting(trial.basis, options.lattice_tolerance, options.cell_tolerance) is None:
            return UNFIT + ("cell" if known.cell else "space group")
    return ""


def ranked(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Score trials against one another, best first; those that fit by chance come later, those refused last.

    score = log2(f_max/f) + log2(V/V_min) + log2(rmsd/rmsd_min): a doubled cell has to index twice as
    many spots, or fit twice as well. The best of each term is taken among those not refused.
    """
    fit = [trial for trial in trials if not trial.refused] or list(trials)
    if not fit:
        return ()
    f = max(max(trial.indexed for trial in fit), 1e-6)
    V, rmsd = min(trial.volume for trial in fit), max(min(trial.rmsd for trial in fit), 1e-9)
    scored = [
        replace(
            trial,
            score=float(
                np.log2(f / max(trial.indexed, 1e-6)) + np.log2(trial.volume / V) + np.log2(trial.rmsd / rmsd)
            ),
        )
        for trial in trials
    ]
    return tuple(sorted(scored, key=lambda trial: (bool(trial.refused), trial.by_chance, trial.score)))
