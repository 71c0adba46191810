"""What a detector parameterisation promises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.roles import DetectorParameterisation
from smalti.testing import synthetic
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

STEP = 1e-4
"""Of the finite differences: mm or mrad."""


def _detectors() -> tuple[Detector, ...]:
    """One panel, and a grid of modules that do not lie quite in one plane."""
    grid = synthetic.detector("PILATUS 1M", distance=200.0)
    tilted = synthetic.displaced(grid, np.random.default_rng(5))
    return synthetic.detector("PILATUS 1M", modules=False), tilted


def _points(n: int) -> tuple[NDArray[np.float64], ...]:
    """The origin and a point off it, (n,) in mm and mrad."""
    return np.zeros(n), np.random.default_rng(7).normal(scale=0.3, size=n)


def leaves_the_detector_alone_at_zero(parameterisation: DetectorParameterisation) -> None:
    """compose(detector, 0) is the detector."""
    for detector in _detectors():
        n = len(parameterisation.parameters(detector))
        composed = parameterisation.compose(detector, np.zeros(n)).stacked()
        error = np.abs(composed - detector.stacked()).max()
        require(error < 1e-9, f"parameters of zero displace a panel by {error:.2g} mm")


def names_its_parameters(parameterisation: DetectorParameterisation) -> None:
    """Every parameter has a name of its own, a unit, and panels that exist."""
    for detector in _detectors():
        parameters = parameterisation.parameters(detector)
        names = [parameter.name for parameter in parameters]
        require(len(set(names)) == len(names), "two parameters have one name")
        for parameter in parameters:
            require(
                parameter.name and parameter.unit, f"{parameter.name or 'a parameter'} lacks a name or unit"
            )
            inside = all(0 <= panel < len(detector) for panel in parameter.panels)
            require(parameter.panels and inside, f"{parameter.name} moves no panel, or one that is not there")


def keeps_panels_rigid(parameterisation: DetectorParameterisation) -> None:
    """Axes stay unit vectors at right angles, and panels keep all but their place."""
    for detector in _detectors():
        n = len(parameterisation.parameters(detector))
        composed = parameterisation.compose(detector, _points(n)[1])
        axes = composed.stacked()[:, :, :2]
        gram = np.einsum("pij,pik->pjk", axes, axes)
        require(np.allclose(gram, np.eye(2), atol=1e-9), "fast and slow are no longer orthonormal")
        same = [a.image_size == b.image_size for a, b in zip(detector.panels, composed.panels, strict=True)]
        require(all(same), "the panels are not those of the detector")


def differentiates_rightly(parameterisation: DetectorParameterisation) -> None:
    """The derivatives are those of compose, by central differences, for every panel and parameter."""
    for detector in _detectors():
        parameters = parameterisation.parameters(detector)
        for p in _points(len(parameters)):
            _compare(parameterisation, detector, p)


def _compare(parameterisation: DetectorParameterisation, detector: Detector, p: NDArray[np.float64]) -> None:
    n, panels = len(p), len(detector)
    given = parameterisation.derivatives(detector, p)
    columns, values = given.columns, given.values
    require(columns.shape[0] == panels, f"columns has {columns.shape[0]} rows for {panels} panels")
    require(
        values.shape == (*columns.shape, 3, 3), f"values has shape {values.shape}, columns {columns.shape}"
    )
    require(bool(((columns >= -1) & (columns < n)).all()), "a column is no parameter")
    whole = np.zeros((n, panels, 3, 3))
    for panel, place in zip(*np.nonzero(columns >= 0), strict=True):
        whole[columns[panel, place], panel] += values[panel, place]
    for k in range(n):
        step = np.zeros(n)
        step[k] = STEP
        ahead = parameterisation.compose(detector, p + step).stacked()
        behind = parameterisation.compose(detector, p - step).stacked()
        numeric = (ahead - behind) / (2 * STEP)
        error = np.abs(whole[k] - numeric).max()
        scale = max(1.0, float(np.abs(numeric).max()))
        require(error < 1e-5 * scale, f"the derivative of parameter {k} is wrong by {error:.2g}")


def gives_prior_and_gauge_their_shapes(parameterisation: DetectorParameterisation) -> None:
    """Prior (n,) with precisions of zero or more; gauge (g, n)."""
    for detector in _detectors():
        n = len(parameterisation.parameters(detector))
        prior = parameterisation.prior(detector)
        require(
            prior.mean.shape == prior.precision.shape == (n,), "the prior has not one entry per parameter"
        )
        require(bool((prior.precision >= 0).all()), "a prior has a negative precision")
        gauge = parameterisation.gauge(detector)
        require(gauge.ndim == 2 and gauge.shape[1] == n, f"gauge has shape {gauge.shape} instead of (g, {n})")


CHECKS = (
    leaves_the_detector_alone_at_zero,
    names_its_parameters,
    keeps_panels_rigid,
    differentiates_rightly,
    gives_prior_and_gauge_their_shapes,
)
