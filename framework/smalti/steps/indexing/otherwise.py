"""Whether spots that show no lattice would show one if the experiment were another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.models.frames import vector
from smalti.roles import Indexer
from smalti.solution import PointCloud
from smalti.steps.indexing.attempts import Attempt, convincing, searched
from smalti.steps.indexing.mapping import map_spots, rotation_models
from smalti.steps.indexing.trials import Trial

__all__ = ["further_off", "reversed_axis", "stretched"]

USUAL = 40.0
"""Pixels that a beam may be off for the wedges of an indexer to be as narrow as they have to be."""

FURTHER = 120.0
"""Pixels within which a beam is looked for where none was found nearby."""


def stretched(cloud: PointCloud, search_range: float) -> PointCloud:
    """Make wedges of rotation narrower by stretching angles, where the beam may be far off.

    Within a wedge of width w a shift of the beam turns by w, so that w times the shift has to stay small.
    """
    return replace(cloud, angles=cloud.angles * max(1.0, search_range / USUAL))


def reversed_axis(indexer: Indexer, reaches: Sequence[float], attempt: Attempt) -> Trial | None:
    """What a crystal turning the other way would make of the spots; None if that does not help."""
    turned = [
        replace(item, goniometer=replace(goniometer, rotation_axis=vector(-goniometer.axis)))
        for item, (goniometer, _) in ((item, rotation_models(item)) for item in attempt.experiments)
    ]
    mapped = map_spots(turned, attempt.spots, attempt.mapped.sweep)
    return _best(indexer, reaches, replace(attempt, experiments=turned, mapped=mapped))


def further_off(indexer: Indexer, reaches: Sequence[float], attempt: Attempt) -> tuple[Trial, float] | None:
    """What a beam further off would make of the spots, and how far was searched (px); None if nothing."""
    options = attempt.options
    if options.search_beam and options.search_range >= FURTHER:
        return None
    wider = replace(options, search_beam=True, search_range=FURTHER)
    found = _best(indexer, reaches, replace(attempt, options=wider))
    return (found, FURTHER) if found else None


def _best(indexer: Indexer, reaches: Sequence[float], attempt: Attempt) -> Trial | None:
    rows: NDArray[np.intp] = np.arange(attempt.spots.n_rows)
    cloud = stretched(attempt.mapped.cloud(attempt.experiments, rows), attempt.options.search_range)
    trials, _ = searched(indexer, cloud, reaches, attempt)
    return trials[0] if convincing(trials) else None
