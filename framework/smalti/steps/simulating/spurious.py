"""Spots that belong to no reflection: zingers, ice, a splinter of another crystal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment
from smalti.steps.simulating.options import SimulateOptions

__all__ = ["Spurious", "make_spurious"]


@dataclass(frozen=True, slots=True)
class Spurious:
    """Spots at random places, each on one image.

    Attributes
    ----------
    panel : (N,) intp
    px : (N, 2) float
        Fast and slow position on the panel.
    image : (N,) intp
        Array index.
    counts : (N,) float
        Mean photons.
    """

    panel: NDArray[np.intp]
    px: NDArray[np.float64]
    image: NDArray[np.intp]
    counts: NDArray[np.float64]


def make_spurious(experiment: Experiment, number: int, options: SimulateOptions) -> Spurious:
    """Scatter spots evenly over the panels and the images of an experiment."""
    rng = np.random.default_rng([options.seed, 3])
    panel = rng.integers(len(experiment.detector), size=number)
    size = np.array([item.image_size for item in experiment.detector.panels], dtype=float)
    px = rng.random((number, 2)) * size[panel]
    image = rng.integers(options.n_images, size=number)
    return Spurious(panel, px, image, rng.exponential(options.counts, number))
