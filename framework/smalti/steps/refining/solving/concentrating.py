"""A start for few reflections: models that fit the better half of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.roles import Minimiser
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.solving.projecting import minimise

__all__ = ["FEW", "concentrate"]

Array = NDArray[np.float64]

FEW = 200
"""With fewer reflections than this no stratum holds enough to tell its outliers from bad models."""

_MOST_STEPS = 20
_MUCH_BETTER = 0.5


def concentrate(
    source: RotationSource, partition: Partition, minimiser: Minimiser, p: Array, variance: Array, least: int
) -> Array:
    """Refine against the half that fits best, until it is the same half.

    The concentration steps of least trimmed squares (Rousseeuw & Van Driessen 2006, Data Min. Knowl.
    Discov. 12, 29): the sum over the best half falls with each step. Wrongly indexed spots, which may
    be a third where images are few, then no longer decide where the models go; whether they fit these is
    judged afterwards, of all.

    Parameters
    ----------
    source : RotationSource
        Its weights are not used.
    partition : Partition
    p : (n,)
        Where to begin.
    variance : (N, 3) mm^2, mm^2, rad^2
    least : int
        The half has at least so many reflections.

    Returns
    -------
    (n,)
        ``p`` itself unless most reflections fit much better than in a refinement against all of them:
        on good data half of them tells less than all.
    """
    everything = replace(source, weights=np.isfinite(_misfits(source, p, variance))[:, None] / variance)
    plain = minimise(everything, partition, minimiser, p).p
    q, half = p, np.zeros(len(variance), dtype=bool)
    for _ in range(_MOST_STEPS):
        misfit = _misfits(source, q, variance)
        possible = int(np.isfinite(misfit).sum())
        count = min(max(-(-possible // 2), least), possible)
        before, half = half, np.zeros_like(half)
        half[np.argsort(misfit, kind="stable")[:count]] = True  # what is not predicted is nan: last
        if (half == before).all():
            break
        q = minimise(replace(source, weights=half[:, None] / variance), partition, minimiser, q).p
    typical, concentrated = (np.nanmedian(_misfits(source, trial, variance)) for trial in (plain, q))
    return q if concentrated < _MUCH_BETTER * typical else p


def _misfits(source: RotationSource, p: Array, variance: Array) -> Array:
    return np.asarray(np.sum(source.calc_minus_obs(p) ** 2 / variance, axis=1))
