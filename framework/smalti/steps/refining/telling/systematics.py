"""What no parameter describes: residuals that neighbouring spots have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.solving.rounds import Fit
from smalti.steps.refining.telling.components import Components, Groups, components
from smalti.units import UM

__all__ = ["Systematics", "clearly", "systematics"]

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

_CELLS = 20
"""Of fewer cells in all, and of fewer of a single panel, chance is not known well enough."""
_CELLS_OF_PANEL = 4

_PER_CELL = 20
"""So many spots a cell of a panel should have."""

_BLOCK = 5.0
"""Degrees of rotation that are taken together, and the least and the most number of blocks of a sweep."""
_BLOCKS = (4, 72)

_GRID = 12
"""At most so many cells along each side of a panel."""

_CLEARLY = 5.0
"""By so many standard deviations chi-squared must exceed what chance makes of residuals without pattern."""


@dataclass(frozen=True)
class Systematics:
    """What neighbours have in common.

    Attributes
    ----------
    whole : dict
        ``scan`` and ``face``: None where there are too few cells, or ``n_cells``, ``um`` and ``px`` (RMS
        of the common part in x and y), ``ratio`` (the larger of its ratios to the random part, of x and of
        y), ``chi_squared`` and ``freedom``.
    panels : list of dict
        For each panel ``scan_um``, ``scan_ratio``, ``face_um`` and ``face_ratio`` of its own; None where
        there are too few cells, and 0 where chance explains what is seen.
    """

    whole: dict[str, Any]
    panels: list[dict[str, float | None]]


def systematics(fit: Fit, n_panels: int) -> Systematics:
    """Compare the means of neighbours with their chance, over the scan and over the faces of panels.

    Neighbours are spots of a panel in a block of rotation, or in a cell of the panel's face. What differs
    from cell to cell of the face is taken away before blocks of rotation are compared, and what differs from
    block to block before cells are: spots wander over a panel while the crystal turns. The mean of each panel
    is in neither; it tells of its place (:func:`smalti.steps.refining.telling.between.between_panels`). What
    two halves of the reflections have in common cannot be seen by comparing them; this test does see it.

    Parameters
    ----------
    fit : Fit
    n_panels : int
        Of all detectors.
    """
    data, working = fit.source.observations, fit.working
    spots, pixel = data.spots, data.traits.unit[:, :2].min(initial=np.inf)
    panel = spots.panel[working].astype(np.intp)
    experiment = spots.experiment[working].astype(np.intp)
    values, turning = fit.residuals[working, :2], ~data.traits.still[working]
    # In a sweep a panel has a mean of its own: crystals that are placed amiss are none of its business.
    scan = Groups.of(experiment * n_panels + panel, _blocks(spots.angle[working], experiment))
    face = Groups.of(panel, _faces(data.observed[working, :2], panel))
    everything = np.zeros(len(panel), dtype=np.intp)
    by_scan = (values[turning], scan.where(turning), face.where(turning))
    by_face = (values, face, scan)
    in_scan = components(*by_scan, panel[turning], n_panels)
    in_face = components(*by_face, panel, n_panels, apart=turning)
    return Systematics(
        {
            "scan": _whole(components(*by_scan, everything[turning], 1), pixel),
            "face": _whole(components(*by_face, everything, 1, apart=turning), pixel),
        },
        [_own("scan", in_scan, k) | _own("face", in_face, k) for k in range(n_panels)],
    )


def _blocks(angle: Array, experiment: Labels) -> Labels:
    """Number blocks of rotation of each experiment, from 0, (N,)."""
    size = int(experiment.max(initial=0)) + 1
    low, span = _spans(angle, experiment, size)
    count = np.clip(np.degrees(span) / _BLOCK, *_BLOCKS).astype(np.intp)
    return _parts(angle, low[experiment], span[experiment], count[experiment])


def _faces(place: Array, own: Labels) -> Labels:
    """Number cells of the face of each panel, as fine as its spots allow, (N,)."""
    size = int(own.max(initial=0)) + 1
    count = np.clip(np.sqrt(np.bincount(own, minlength=size) / _PER_CELL), 1, _GRID).astype(np.intp)
    across = []
    for values in place.T:
        low, span = _spans(values, own, size)
        across.append(_parts(values, low[own], span[own], count[own]))
    return np.asarray(across[0] * _GRID + across[1], dtype=np.intp)


def _spans(values: Array, label: Labels, size: int) -> tuple[Array, Array]:
    """Lowest value and width of the range of each label; a width of 1 where there is none."""
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, label, values)
    np.maximum.at(high, label, values)
    wide = high > low
    return low, np.subtract(high, low, out=np.ones(size), where=wide)


def _parts(values: Array, low: Array, span: Array, count: Labels) -> Labels:
    """Number of the part of a range, of so many equal ones, in which each value lies."""
    return np.minimum(((values - low) / span * count).astype(np.intp), count - 1)


def _whole(found: Components, pixel: float) -> dict[str, Any] | None:
    if found.freedom[0] < _CELLS:
        return None
    size = math.sqrt(float(found.common[0].sum()))
    return {
        "n_cells": int(found.cells[0]),
        "um": size / UM,
        "px": size / pixel,
        "ratio": float(found.ratio[0]),
        "chi_squared": float(found.chi_squared[0]),
        "freedom": 2 * int(found.freedom[0]),
    }


def _own(name: str, found: Components, panel: int) -> dict[str, float | None]:
    """What is common to the spots of cells of one panel."""
    freedom = float(found.freedom[panel])
    if freedom < _CELLS_OF_PANEL:
        return {f"{name}_um": None, f"{name}_ratio": None}
    seen = clearly(float(found.chi_squared[panel]), 2.0 * freedom)
    return {
        f"{name}_um": seen * math.sqrt(float(found.common[panel].sum())) / UM,
        f"{name}_ratio": seen * float(found.ratio[panel]),
    }


def clearly(chi_squared: float, freedom: float) -> bool:
    """Whether chi-squared is further from its expectation than chance takes it."""
    return chi_squared - freedom > _CLEARLY * math.sqrt(2.0 * freedom)
