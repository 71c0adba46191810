"""Where the crystals of a frame should diffract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import radians

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, find_panels, to_px
from smalti.geometry.prediction import miller_indices_within
from smalti.geometry.stills import still_beams
from smalti.models import Experiment, Experiments, Scan
from smalti.steps.predicting import predict_sweep
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.rings import widest_resolution

__all__ = ["Predictions", "predictions_on"]

Array = NDArray[np.float64]
Index = NDArray[np.int32]
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


def predictions_on(
    roll: Roll, experiments: Experiments, begin: int, end: int, reach: float = 0.0
) -> Predictions:
    """Predict what the crystals of a roll diffract between two array indices, out to the corners.

    A reflection is on every frame on which some of the crystal diffracts: the angles are widened by the
    mosaic spread. On a still are those that are no farther than that from the Ewald sphere.

    Parameters
    ----------
    reach : float
        Frames, on either side, over which spots were seen: predictions reach as far, if that is more.
    """
    parts = []
    for number in roll.members:
        experiment = experiments[number]
        if experiment.crystal is not None:
            if experiment.is_still:
                h, panel, px = _on_still(experiment)
            else:
                h, panel, px = _on_sweep(experiment, begin, end, reach)
            parts.append(Predictions(panel, px, h, np.full(len(h), number, dtype=np.intp)))
    if not parts:
        none = np.zeros(0, dtype=np.intp)
        return Predictions(none, np.zeros((0, 2)), np.zeros((0, 3), dtype=np.int32), none)
    names = Predictions.__dataclass_fields__
    return Predictions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _on_sweep(
    experiment: Experiment, begin: int, end: int, reach: float
) -> tuple[Index, NDArray[np.intp], Array]:
    """Miller indices (N, 3), panels (N,) and pixels (N, 2) of what a turning crystal diffracts."""
    assert experiment.scan is not None
    margin = max(reach, _half_width(experiment) / abs(experiment.scan.oscillation[1]))
    try:
        table = predict_sweep(_windowed(experiment, begin, end, margin), widest_resolution(experiment))
    except DataError:  # nothing falls on the detector
        return np.zeros((0, 3), dtype=np.int32), np.zeros(0, dtype=np.intp), np.zeros((0, 2))
    z = table["xyzcal.px"][:, 2]
    rows = np.flatnonzero((z > begin - margin) & (z < end + margin))
    return table["miller_index"][rows], table["panel"][rows].astype(np.intp), table["xyzcal.px"][rows, :2]


def _on_still(experiment: Experiment) -> tuple[Index, NDArray[np.intp], Array]:
    """The same for a crystal that does not turn."""
    assert experiment.crystal is not None
    A = experiment.crystal.A
    h = miller_indices_within(A, widest_resolution(experiment))
    s1, delta_psi = still_beams(h @ A.T, experiment.beam.s0)
    near = np.abs(delta_psi) < _half_width(experiment)  # False where it is nan
    h, s1 = h[near], s1[near]
    arrays = PanelArrays.of(experiment.detector)
    panel, mm = find_panels(s1, arrays)
    hit = panel >= 0
    return h[hit], panel[hit], to_px(mm[hit], panel[hit], arrays)


def _half_width(experiment: Experiment) -> float:
    """Half the angle (rad) over which a reflection diffracts: two standard deviations of its profile."""
    profile = experiment.profile or {}
    sigma = profile.get("sigma_m")
    return 2.0 * radians(float(sigma)) if isinstance(sigma, int | float) and sigma > 0.0 else SPREAD


def _windowed(experiment: Experiment, begin: int, end: int, margin: float) -> Experiment:
    """Shorten the scan to some frames and those beside them; a crystal that varies needs its whole scan."""
    scan, crystal = experiment.scan, experiment.crystal
    assert scan is not None and crystal is not None
    if crystal.scan_points:
        return experiment
    more = int(np.ceil(margin)) + 1
    start = float(scan.angle(begin - more))
    return replace(experiment, scan=Scan((begin - more + 1, end + more), (start, scan.oscillation[1])))
