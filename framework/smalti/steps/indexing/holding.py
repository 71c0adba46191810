"""Narrow sweeps: the distance is not moved to mend what a cell mends as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smalti.models import Experiment
from smalti.steps.indexing.cycles import Cycle, Task, refine_or_why
from smalti.steps.indexing.freeing import refine_options
from smalti.steps.indexing.mapping import rotation_models
from smalti.steps.refining.telling.result import Refined

__all__ = ["CLEARLY", "NARROW", "misfit_of", "with_header_distance"]

NARROW = 10.0
"""Degrees that a detector has seen: from more, the angles at which spots appear tell cell from distance."""

CLEARLY = 1.5
"""Median square residual with the distance held over that with it free, from which the free one is believed.
What freeing it mends is then half as large as all other errors together."""


def with_header_distance(started: Sequence[Experiment], cycles: Sequence[Cycle], task: Task) -> Cycle | None:
    """Put distance and tilts of the detector back where they were, if that explains the spots as well.

    In a narrow sweep a longer cell and a longer distance put spots at nearly the same places. What tells
    them apart are tenths of a pixel, of which systematic errors of centroids and of panels have as many. So
    the last refinement is made once more with distance and tilts as they were before the first; the freed
    ones stay only where they are clearly better.

    Parameters
    ----------
    started : sequence of Experiment
        The sweeps as they were before the first macrocycle.
    cycles : sequence of Cycle
    task : Task

    Returns
    -------
    Cycle or None
        The refinement with distance and tilts held; None where those that were freed are kept.
    """
    free = cycles[-1].refined if cycles else None
    if not isinstance(free, Refined) or cycles[-1].indexed < task.options.min_to_refine_detector:
        return None
    if _widest(started) > NARROW:
        return None
    items = [
        replace(now, detector=before.detector)
        for now, before in zip(free.experiments, started, strict=True)
    ]  # fmt: skip
    options = refine_options(cycles[-1].indexed, True, task.options, hold_distance=True)
    held = refine_or_why(items, free.reflections, task.refinery, options)
    if not isinstance(held, Refined) or misfit_of(held, free) > CLEARLY:
        return None
    return replace(
        cycles[-1],
        number=cycles[-1].number + 1,
        refined=held,
        note="distance and tilts as before: others fit no better",
    )


def misfit_of(held: Refined, free: Refined) -> float:
    """Mean over x, y and phi of the median square residuals of one refinement over those of another.

    Of all indexed spots: those that one of them rejects are not left out of the other's, and medians do not
    mind them.
    """
    squares = []
    for table in (held.reflections, free.reflections):
        indexed = table["id"] >= 0
        away = table["xyzcal.mm"][indexed] - table["xyzobs.mm.value"][indexed]
        squares.append(np.median(away**2, axis=0))
    return float(np.mean(squares[0] / np.maximum(squares[1], np.finfo(float).tiny)))


def _widest(experiments: Sequence[Experiment]) -> float:
    """Rotation (deg) that the detector with most of it has seen."""
    total: dict[int, float] = {}
    for item in experiments:
        begin, end = rotation_models(item)[1].angle_range
        total[id(item.detector)] = total.get(id(item.detector), 0.0) + abs(end - begin)
    return float(np.degrees(max(total.values())))
