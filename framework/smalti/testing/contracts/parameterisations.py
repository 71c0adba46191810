"""What a detector parameterisation promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector, Group
from smalti.roles import Choosable, DetectorParameterisation
from smalti.solution import PanelDerivatives
from smalti.testing import synthetic
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

STEP = 1e-4
"""Of the finite differences: mm or mrad."""

UNSEEN = 1e-8
"""Displacement of a panel by a unit direction of parameters, mm, that is none."""


def _detectors() -> tuple[Detector, ...]:
    """One panel; a grid of modules that do not lie quite in one plane; the same as a tree of three levels."""
    grid = synthetic.detector("PILATUS 1M", distance=200.0)
    tilted = synthetic.displaced(grid, np.random.default_rng(5))
    halves = (
        Group("left", children=(0, 2, 4, Group("corner", children=(6, 8)))),
        Group("right", children=(1, 3)),
    )
    deep = replace(tilted, root=replace(tilted.root, children=(*halves, 5, 7, 9)))
    return synthetic.detector("PILATUS 1M", modules=False), tilted, deep


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
    n, names = len(p), [parameter.name for parameter in parameterisation.parameters(detector)]
    whole = _dense(parameterisation.derivatives(detector, p), n, len(detector))
    for k in range(n):
        step = np.zeros(n)
        step[k] = STEP
        ahead = parameterisation.compose(detector, p + step).stacked()
        behind = parameterisation.compose(detector, p - step).stacked()
        numeric = (ahead - behind) / (2 * STEP)
        error = np.abs(whole[k] - numeric).max()
        scale = max(1.0, float(np.abs(numeric).max()))
        worst = int(np.abs(whole[k] - numeric).max(axis=(1, 2)).argmax())
        require(
            error < 1e-5 * scale,
            f"the derivative of panel {worst} by {names[k]} is wrong by {error:.2g} (mm or axes, per unit), "
            f"{'at zero' if not p.any() else 'away from zero'}",
        )


def _dense(given: PanelDerivatives, n: int, panels: int) -> NDArray[np.float64]:
    """Derivatives of all panels by all parameters, (n, P, 3, 3)."""
    columns, values = given.columns, given.values
    require(columns.shape[0] == panels, f"columns has {columns.shape[0]} rows for {panels} panels")
    require(
        values.shape == (*columns.shape, 3, 3), f"values has shape {values.shape}, columns {columns.shape}"
    )
    require(bool(((columns >= -1) & (columns < n)).all()), "a column is no parameter")
    require(bool(np.isfinite(values).all()), "derivatives are not finite")
    whole = np.zeros((n, panels, 3, 3))
    for panel, place in zip(*np.nonzero(columns >= 0), strict=True):
        whole[columns[panel, place], panel] += values[panel, place]
    return whole


def moves_the_panels_it_says(parameterisation: DetectorParameterisation) -> None:
    """A parameter moves the panels of its ``panels`` and no other."""
    for detector in _detectors():
        parameters = parameterisation.parameters(detector)
        n = len(parameters)
        moved = np.abs(_dense(parameterisation.derivatives(detector, np.zeros(n)), n, len(detector)))
        for parameter, size in zip(parameters, moved.max(axis=(2, 3)), strict=True):
            found = set(np.flatnonzero(size > 0.0).tolist())
            require(
                found == set(parameter.panels),
                f"{parameter.name} says that it moves panels {sorted(parameter.panels)}, and moves "
                f"{sorted(found)}",
            )


def names_what_nobody_sees(parameterisation: DetectorParameterisation) -> None:
    """The gauge moves no panel, and no other direction of the parameters does: priors may be switched off."""
    for detector in _detectors():
        n = len(parameterisation.parameters(detector))
        whole = _dense(parameterisation.derivatives(detector, np.zeros(n)), n, len(detector))
        gauge = np.asarray(parameterisation.gauge(detector))
        if len(gauge):
            unit = gauge / np.linalg.norm(gauge, axis=1)[:, None]
            moved = float(np.abs(np.tensordot(unit, whole, axes=1)).max())
            require(moved < UNSEEN, f"a direction of the gauge moves a panel by {moved:.2g} per unit")
        seen = int(np.linalg.matrix_rank(whole.reshape(n, -1), tol=UNSEEN)) if n else 0
        require(
            n - seen <= len(gauge),
            f"{n - seen} directions of {n} parameters move nothing, and the gauge names {len(gauge)}",
        )


def keeps_no_state(parameterisation: DetectorParameterisation) -> None:
    """The same question has the same answer, and what it is given is left as it was."""
    for detector in _detectors():
        p = _points(len(parameterisation.parameters(detector)))[1]
        given, before = p.copy(), detector.stacked()
        first = parameterisation.compose(detector, given).stacked()
        parameterisation.compose(detector, 2.0 * p)
        require(np.array_equal(given, p), "compose changes the parameters that it is given")
        require(np.array_equal(detector.stacked(), before), "compose changes the detector that it is given")
        again = parameterisation.compose(detector, given).stacked()
        require(np.array_equal(first, again), "composing twice gives two detectors")


def offers_alternatives_that_work(parameterisation: DetectorParameterisation) -> None:
    """Where it offers forms to choose from, each composes the detector from parameters of its own."""
    if not isinstance(parameterisation, Choosable):
        return
    for detector in _detectors():
        offered = parameterisation.alternatives(detector)
        require(len(offered) > 0, "there are no alternatives")
        counts = []
        for name, form in offered.items():
            require(
                isinstance(form, DetectorParameterisation), f"alternative '{name}' is no parameterisation"
            )
            counts.append(len(form.parameters(detector)))
            error = np.abs(form.compose(detector, np.zeros(counts[-1])).stacked() - detector.stacked()).max()
            require(error < 1e-9, f"alternative '{name}' displaces a panel by {error:.2g} mm at zero")
        require(counts[0] == min(counts), "the first alternative is not the simplest")


def gives_prior_and_gauge_their_shapes(parameterisation: DetectorParameterisation) -> None:
    """Prior (n,) with precisions of zero or more; gauge (g, n)."""
    for detector in _detectors():
        n = len(parameterisation.parameters(detector))
        prior = parameterisation.prior(detector)
        require(
            prior.mean.shape == prior.precision.shape == (n,), "the prior has not one entry per parameter"
        )
        require(bool((prior.precision >= 0).all()), "a prior has a negative precision")
        finite = np.isfinite(prior.mean).all() and np.isfinite(prior.precision).all()
        require(bool(finite), "a prior is not finite; precision 0 is no prior")
        require(len(prior.groups) in (0, n), f"{len(prior.groups)} groups for {n} parameters")
        gauge = parameterisation.gauge(detector)
        require(gauge.ndim == 2 and gauge.shape[1] == n, f"gauge has shape {gauge.shape} instead of (g, {n})")


CHECKS = (
    leaves_the_detector_alone_at_zero,
    names_its_parameters,
    keeps_panels_rigid,
    differentiates_rightly,
    moves_the_panels_it_says,
    gives_prior_and_gauge_their_shapes,
    names_what_nobody_sees,
    keeps_no_state,
    offers_alternatives_that_work,
)
