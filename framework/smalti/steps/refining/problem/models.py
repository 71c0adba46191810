"""The models of experiments as a refinement takes them, of sweeps and stills alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Beam, Crystal, Experiment, Experiments, Goniometer
from smalti.units import MRAD

__all__ = [
    "STILL_UNIT",
    "Exposures",
    "PanelSizes",
    "across",
    "crystal_of",
    "fixed_rotation",
    "goniometer_of",
]

Array = NDArray[np.float64]

STILL_UNIT = MRAD
"""rad of DeltaPsi: what stands in stills for the width of an image, when residuals are told or compared."""

_AT_REST = Goniometer()

_ALONG = 0.9
"""Cosine of the angle to x up to which a beam is across x."""


def crystal_of(experiment: Experiment) -> Crystal:
    """Give the crystal of an experiment, which has to be indexed."""
    if experiment.crystal is None:
        raise DataError(
            "Only data of indexed crystals can be refined.",
            "An experiment has no crystal.",
            "Index the data first: smalti index.",
        )
    return experiment.crystal


def fixed_rotation(experiment: Experiment) -> Array:
    """Give F of F A: what the goniometer does to a crystal before it turns, (3, 3).

    The crystal of a still is as it was exposed; its goniometer is not asked, as in DIALS.
    """
    return goniometer_of(experiment).F


def goniometer_of(experiment: Experiment) -> Goniometer:
    """Give the goniometer of a sweep; of a still one that does nothing."""
    return _AT_REST if experiment.is_still or experiment.goniometer is None else experiment.goniometer


def across(beam: Beam) -> Array:
    """Give a direction across a beam, (3,): what stands for the spindle where nothing turns."""
    return np.array([1.0, 0.0, 0.0]) if abs(beam.unit_s0[0]) < _ALONG else np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True)
class Exposures:
    """How E experiments were exposed.

    Attributes
    ----------
    still : (E,) bool
    begin, end : (E,) rad
        Of the scan, ascending; infinite for stills.
    unit : (E,) rad
        Width of an image; of stills :data:`STILL_UNIT`.
    """

    still: NDArray[np.bool_]
    begin: Array
    end: Array
    unit: Array

    @classmethod
    def of(cls, experiments: Experiments) -> Exposures:
        """Gather them."""
        still = np.array([item.is_still for item in experiments], dtype=bool)
        begin, end = np.full(len(still), -np.inf), np.full(len(still), np.inf)
        unit = np.full(len(still), STILL_UNIT)
        for k in np.flatnonzero(~still):
            scan = experiments[int(k)].scan
            assert scan is not None
            begin[k], end[k] = sorted(scan.angle_range)
            unit[k] = abs(scan.oscillation[1])
        return cls(still, begin, end, unit)


@dataclass(frozen=True)
class PanelSizes:
    """Sizes of the panels of all detectors, one after the other in the order of their first use.

    Attributes
    ----------
    first, count : (E,) intp
        First panel of each experiment's detector, and how many it has.
    image_size : (P, 2) px
    pixel_size : (P, 2) mm
    """

    first: NDArray[np.intp]
    count: NDArray[np.intp]
    image_size: Array
    pixel_size: Array

    @classmethod
    def of(cls, experiments: Experiments) -> PanelSizes:
        """Gather them."""
        detectors = experiments.unique("detector")
        counts = [len(detector) for detector in detectors]
        offsets = dict(
            zip(map(id, detectors), np.cumsum([0, *counts[:-1]], dtype=np.intp).tolist(), strict=True)
        )
        panels = [panel for detector in detectors for panel in detector.panels]
        return cls(
            np.array([offsets[id(item.detector)] for item in experiments], dtype=np.intp),
            np.array([len(item.detector) for item in experiments], dtype=np.intp),
            np.array([panel.image_size for panel in panels], dtype=float).reshape(-1, 2),
            np.array([panel.pixel_size for panel in panels], dtype=float).reshape(-1, 2),
        )

    def row(self, experiment: NDArray[np.intp], panel: NDArray[np.unsignedinteger]) -> NDArray[np.intp]:
        """Give the row of each of N panels of an experiment's detector."""
        return np.asarray(self.first[experiment] + panel.astype(np.intp))
