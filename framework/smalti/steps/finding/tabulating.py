"""Measured spots become rows of a reflection table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, to_mm, wave_vectors
from smalti.geometry.reciprocal import map_to_reciprocal
from smalti.models import Experiment
from smalti.steps.finding.completing import SECOND, WEIGHT
from smalti.steps.finding.measuring import Spots
from smalti.tables import Flag

__all__ = ["resolutions", "rows"]

Columns = Mapping[str, NDArray[Any]]
Array = NDArray[np.float64]


def on_panel(spots: Spots, experiment: Experiment) -> Array:
    """Centroids on their panels: (S, 2) px."""
    window = np.array([panel.window for panel in experiment.detector.panels], dtype=float)
    return np.asarray(spots.centroid[:, :2] - window[spots.panel])


def resolutions(spots: Spots, experiment: Experiment, arrays: PanelArrays) -> Array:
    """Resolution of the centroids, (S,) Angstrom."""
    mm = to_mm(on_panel(spots, experiment), spots.panel, arrays)
    q = wave_vectors(mm, spots.panel, arrays, experiment.beam.wavelength) - experiment.beam.s0
    return np.asarray(1.0 / np.maximum(np.linalg.norm(q, axis=1), 1e-12))


def rows(
    spots: Spots,
    number: int,
    experiment: Experiment,
    shift: NDArray[np.int64],
    arrays: PanelArrays,
    ends: NDArray[np.bool_],
) -> Columns:
    """Give the columns of the spots of one experiment, the same as DIALS's and those we add.

    The ``id`` is the number of the experiment, as DIALS has it before indexing; ``imageset_id`` is the
    same number. ``intensity.sum.value`` is the sum of the strong pixels less the background under them
    where one could be measured, with the variance of Leslie (1999), Acta Cryst. D55, 1696:
    G (I + B (1 + m/n)), m strong and n background pixels, B background counts under the spot.

    Parameters
    ----------
    shift : (S,)
        What to add to the position in the run to make it an array index of the scan.
    ends : (S,) bool
        Whether the image before or after the spot is missing.
    """
    px = np.column_stack([on_panel(spots, experiment), spots.centroid[:, 2] + shift])
    mm = to_mm(px[:, :2], spots.panel, arrays)
    angle, width = _angles(px[:, 2], experiment)
    window = np.array([panel.window for panel in experiment.detector.panels])[spots.panel]
    scale = np.column_stack([arrays.pixel_size[spots.panel], np.full(len(px), width)])
    box = spots.box + np.column_stack([np.repeat(-window, 2, axis=1), shift, shift])
    return {
        "id": np.full(len(px), number, dtype=np.int32),
        "imageset_id": np.full(len(px), number, dtype=np.int32),
        "panel": spots.panel.astype(np.uint64),
        "flags": _flags(spots),
        "bbox": box.astype(np.int32),
        "xyzobs.px.value": px,
        "xyzobs.px.variance": spots.variance,
        "xyzobs.mm.value": np.column_stack([mm, angle]),
        "xyzobs.mm.variance": spots.variance * scale**2,
        **_rays(mm, angle, spots, experiment, arrays),
        **_intensities(spots, experiment),
        "significance": spots.significance,
        "truncated": spots.cut * np.int32(1) + (ends & (not experiment.is_still)) * np.int32(2),
        WEIGHT: spots.weight,
        SECOND: spots.second,
    }


def _angles(z: Array, experiment: Experiment) -> tuple[Array, float]:
    """Angles at positions in the scan and the width of an image, rad; 0 where nothing turns."""
    scan = experiment.scan
    if experiment.is_still or scan is None:
        return np.zeros(len(z)), 0.0
    return np.asarray(scan.angle(z)), scan.oscillation[1]


def _flags(spots: Spots) -> NDArray[np.uint64]:
    flags = np.full(len(spots.size), int(Flag.STRONG), dtype=np.uint64)
    flags[spots.overloaded] |= np.uint64(int(Flag.OVERLOADED))
    return flags


def _rays(mm: Array, angle: Array, spots: Spots, experiment: Experiment, arrays: PanelArrays) -> Columns:
    """Diffracted wave vectors, and the points of reciprocal space that they come from."""
    s0, goniometer = experiment.beam.s0, experiment.goniometer
    s1 = wave_vectors(mm, spots.panel, arrays, experiment.beam.wavelength)
    if experiment.is_still or goniometer is None:
        return {"s1": s1, "rlp": s1 - s0}
    rlp = map_to_reciprocal(s1, angle, s0, goniometer.axis, goniometer.F, goniometer.S)
    return {"s1": s1, "rlp": rlp}


def _intensities(spots: Spots, experiment: Experiment) -> Columns:
    under = spots.background * spots.size
    gain = np.array([panel.gain for panel in experiment.detector.panels])[spots.panel]
    noise = spots.total + under * spots.size / np.maximum(spots.support, 1.0)
    return {
        "intensity.sum.value": spots.total - under,
        "intensity.sum.variance": gain * noise,
        "background.mean": spots.background,
        "n_signal": spots.size.astype(np.int32),
    }
