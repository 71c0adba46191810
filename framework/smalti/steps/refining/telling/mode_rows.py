"""Rows about what the data do not tell: the gauge, and the weakest directions by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.certainty.modes import Mode
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.smoothness import lab_tilts
from smalti.steps.refining.telling.residual_rows import Row

__all__ = ["gauge", "mode_row"]

_MOST = 8
"""Parameters and shares that are listed for a mode."""


def gauge(layout: Layout) -> str:
    """Say in words what is held because no data can see it; crystals of stills follow every rotation."""
    free = {parameter.name for parameter in layout.parameters}
    if layout.stills.all():
        return _gauge_of_stills(free)
    held = []
    if not any(name.startswith("Beam") and name.endswith("Mu1") for name in free):
        held.append("the rotation of everything about the spindle (Mu1)")
    if not any(name.startswith("Beam") and name.endswith("nu") for name in free):
        held.append("the scale of lengths (wavelength)")
    if not any(name.startswith("Goniometer") for name in free):
        held.append("two tilts of everything with the spindle")
    if layout.sample_offset and len(lab_tilts(layout)):
        held.append("what the paths of crystals share with a tilt of beam and detector")
    return "held: " + ", ".join(held) if held else "nothing is held"


def _gauge_of_stills(free: set[str]) -> str:
    held = []
    if not any(name.startswith("Beam") and name.endswith(("Mu1", "Mu2")) for name in free):
        held.append("two tilts of everything with the beam")
    if not any(name.startswith("Beam") and name.endswith("nu") for name in free):
        held.append("the scale of lengths (wavelength)")
    if not any(
        name.startswith("Detector") and "Group" not in name and name.endswith("Tau1") for name in free
    ):
        held.append("the rotation of everything about the beam (Tau1)")
    return "held: " + ", ".join(held) if held else "nothing is held"


def mode_row(layout: Layout, mode: Mode) -> Row:
    """Describe one direction; ``parameters`` holds its largest components, relative to the largest."""
    return {
        "name": mode.name,
        "kind": mode.kind,
        "null": mode.null,
        "of_panels": mode.of_panels,
        "eigenvalue": mode.eigenvalue,
        "prior_share": mode.held,
        "shares": dict(mode.shares[:_MOST]),
        "parameters": _largest(layout, mode.direction),
    }


def _largest(layout: Layout, direction: NDArray[np.float64]) -> dict[str, float]:
    """Largest components of a direction in the units of the parameters, a millimetre beside a milliradian."""
    order = np.argsort(-np.abs(direction), kind="stable")[:_MOST]
    size = float(np.abs(direction).max(initial=0.0)) or 1.0
    return {
        layout.parameters[k].name: float(direction[k] / size)
        for k in order
        if abs(direction[k]) > 1e-3 * size
    }
