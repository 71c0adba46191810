"""The outer loop: the noise and a first detector from a sample, then the detector from everything."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.roles import Minimiser
from smalti.solution import Prior, Solution
from smalti.steps.answers import solution_of
from smalti.steps.refining.solving.learning import learn, settled
from smalti.steps.streaming.common import Common
from smalti.steps.streaming.knowing import Known
from smalti.steps.streaming.law import law_of_classes, law_of_many
from smalti.steps.streaming.passing import Runner
from smalti.steps.streaming.reducing import Order, first_law, typical_intensity
from smalti.steps.streaming.source import StreamSource
from smalti.steps.streaming.sums import Sums

__all__ = ["Fitted", "fit", "first_order", "linearise"]

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

_LAWS = 16
"""So many groups say what the noise is before anything is refined."""
_SAME_LAW = 0.05
_NEAR = 0.5
"""px; outliers that were judged with panels no further away than this need not be judged again."""


@dataclass(frozen=True)
class Fitted:
    """Where a fit ended.

    Attributes
    ----------
    order : Order
        Of the last passes; ``at`` is the end.
    prior : Prior
        Of the shared parameters, with the widths that were learnt.
    sums : Sums
        At the end.
    before : Sums
        At the beginning.
    solutions : tuple of Solution
        One for each round.
    curvature : float
        How fast the normal equations change: see :func:`_curvature`.
    """

    order: Order
    prior: Prior
    sums: Sums
    before: Sums
    solutions: tuple[Solution, ...]
    curvature: float

    @property
    def p(self) -> Array:
        """The shared parameters, (g,)."""
        return self.order.at

    def next_order(self) -> Order:
        """Give an order that goes on from here, with the noise that the sums tell."""
        law = law_of_classes(self.sums.classes, self.order.law, self.sums.share)
        return replace(self.order, law=law, judged_at=self.p)

    @property
    def known(self) -> Known:
        """What is known at the end."""
        return Known(self.order.common, self.prior, self.sums, self.p)


def first_order(common: Common, runner: Runner) -> Order:
    """Find out what the noise is like, from a few groups as they came.

    Raises
    ------
    DataError
        Nothing can be used of any of them.
    """
    groups = list(runner.files.groups())
    some = groups[:: max(len(groups) // _LAWS, 1)]
    typical = runner.pool.ordered(partial(typical_intensity, common), some)
    known = [value for value in typical if np.isfinite(value)]
    if not known:
        raise DataError(
            "Nothing in these files can be refined.",
            f"Of {len(some)} groups of crystals that were looked at none has spots that could be used.",
            "Look at one of them with: smalti show; index the data first if they are not.",
        )
    law_of = partial(first_law, common, float(np.median(known)))
    laws = [law for law in runner.pool.ordered(law_of, some) if law is not None]
    start = np.zeros(len(common.parameters))
    return Order(common, law_of_many(laws), start, start)


def fit(order: Order, prior: Prior, runner: Runner, minimiser: Minimiser, rounds: int) -> Fitted:
    """Judge and minimise in turn, until neither noise nor judgement would change.

    Within a round outliers stay those of its beginning, and so do the variances: it is a problem of least
    squares, which any minimiser may solve.
    """
    solutions: list[Solution] = []
    before: Sums | None = None
    for number in range(rounds):
        seen = _Seeing(order, runner)
        source = StreamSource(order.common, prior, seen)
        solution = solution_of(minimiser, source, order.at)
        solutions.append(solution)
        sums = source.sums_at(solution.parameters)
        before = before or seen.sums[0]
        order = replace(order, at=solution.parameters)
        done = Fitted(order, prior, sums, before, tuple(solutions), seen.curvature())
        following = done.next_order()
        learnt = learn(done.known.equations, prior, order.common.prior).prior
        log.info("%s, round %d: %d used, %s", runner.stage, number + 1, sums.n_used, solution.ended.value)
        same = following.law.differs(order.law) < _SAME_LAW and settled(prior, learnt)
        if (same and _near(order)) or number == rounds - 1:
            return done
        order, prior = following, learnt
    raise AssertionError("there is at least one round")


def linearise(order: Order, prior: Prior, runner: Runner) -> Fitted:
    """Make one pass at a point that is given, and nothing else."""
    sums = runner.run(order)
    return Fitted(order, prior, sums, sums, (), 0.0)


def _near(order: Order) -> bool:
    """Whether outliers were judged with panels nearly where they are now."""
    common = order.common
    moved = np.abs(common.frames(order.at)[:, :, 2] - common.frames(order.judged_at)[:, :, 2]).max(axis=1)
    pixel = np.array([max(panel.pixel_size) for panel in common.detector.panels])
    return bool((moved < _NEAR * pixel).all())


@dataclass
class _Seeing:
    """Makes passes at points (g,) for a source, and keeps what they say of the curvature."""

    order: Order
    runner: Runner

    def __post_init__(self) -> None:
        self.points: list[Array] = []
        self.sums: list[Sums] = []

    def __call__(self, p: Array) -> Sums:
        sums = self.runner.run(replace(self.order, at=np.array(p, dtype=float)))
        self.points.append(np.array(p, dtype=float))
        self.sums = [*self.sums[:1], *self.sums[-1:], sums][-3:]
        return sums

    def curvature(self) -> float:
        """Tell how wrong the first linearisation was at the second point, over the squared distance.

        Both in standard deviations of the parameters: a step of d of them from where normal equations
        were made ends about ``curvature`` d^2 of them beside the minimum.
        """
        if len(self.points) < 2 or len(self.sums) < 2:
            return 0.0
        step = self.points[1] - self.points[0]
        first, second = self.sums[0], self.sums[1]
        expected = first.gradient.sum(axis=0) + first.matrix.sum(axis=0) @ step
        off = second.gradient.sum(axis=0) - expected
        matrix = second.matrix.sum(axis=0)
        beside = float(off @ np.linalg.lstsq(matrix, off, rcond=1e-10)[0]) ** 0.5
        squared = float(step @ matrix @ step)
        return beside / squared if squared > 0.0 else 0.0
