"""The models of an experiment as a refinement takes them, of sweeps and stills alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Beam, Crystal, Experiment, Goniometer

__all__ = ["across", "crystal_of", "fixed_rotation", "goniometer_of"]

Array = NDArray[np.float64]

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
