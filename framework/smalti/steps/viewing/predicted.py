"""Where the crystals of a frame should diffract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import radians

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Experiment, Experiments, Scan
from smalti.steps.predicting import predict_sweep
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.rings import widest_resolution

__all__ = ["Predictions", "predictions_on"]

Array = NDArray[np.float64]
SPREAD = radians(0.15)
"""Half the angle over which a reflection is taken to diffract, where no profile says how long."""


@dataclass(frozen=True)
class Predictions:
    """Predicted reflections.

    Attributes
    ----------
    panel : (N,) int
    px : (N, 2) px on the panel
    hkl : (N, 3) int
    experiment : (N,) int
        Number of the experiment (lattice).
    """

    panel: NDArray[np.intp]
    px: Array
    hkl: NDArray[np.int32]
    experiment: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.panel)


def predictions_on(roll: Roll, experiments: Experiments, begin: int, end: int) -> Predictions:
    """Predict what the crystals of a roll diffract between two array indices, out to the corners.

    A reflection is on every frame on which some of the crystal diffracts: the angles are widened by the
    mosaic spread. Experiments without a crystal, and stills, predict nothing here.
    """
    parts = []
    for number in roll.members:
        experiment = experiments[number] if number < len(experiments) else None
        if experiment is None or experiment.crystal is None or experiment.is_still:
            continue
        assert experiment.scan is not None
        windowed = _windowed(experiment, begin, end)
        try:
            table = predict_sweep(windowed, widest_resolution(experiment))
        except DataError:  # nothing falls on the detector
            continue
        z = table["xyzcal.px"][:, 2]
        margin = _half_width(experiment) / abs(experiment.scan.oscillation[1])
        rows = np.flatnonzero((z > begin - margin) & (z < end + margin))
        parts.append(
            Predictions(
                table["panel"][rows].astype(np.intp),
                table["xyzcal.px"][rows, :2],
                table["miller_index"][rows],
                np.full(len(rows), number, dtype=np.intp),
            )
        )
    if not parts:
        return Predictions(
            np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros((0, 3), np.int32), np.zeros(0, np.intp)
        )
    return Predictions(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in Predictions.__dataclass_fields__)
    )


def _half_width(experiment: Experiment) -> float:
    """Half the angle (rad) over which a reflection diffracts: two standard deviations of its profile."""
    profile = experiment.profile or {}
    sigma = profile.get("sigma_m")
    return 2.0 * radians(float(sigma)) if isinstance(sigma, int | float) and sigma > 0.0 else SPREAD


def _windowed(experiment: Experiment, begin: int, end: int) -> Experiment:
    """Shorten the scan to some frames and those beside them; a crystal that varies needs its whole scan."""
    scan, crystal = experiment.scan, experiment.crystal
    assert scan is not None and crystal is not None
    if crystal.scan_points:
        return experiment
    margin = int(np.ceil(_half_width(experiment) / abs(scan.oscillation[1]))) + 1
    first = begin - margin
    start = float(scan.angle(first))
    short = Scan((first + 1, end + margin), (start, scan.oscillation[1]))
    return replace(experiment, scan=short)
