"""How much of what could be seen was seen: rotation, panels, resolution."""

from __future__ import annotations

import numpy as np

from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.solving.rounds import Fit
from smalti.steps.refining.telling.residual_rows import Row

__all__ = ["coverage_row"]

_OUTER = 0.01
"""Of the reflections beyond the resolution that is stated: single ones do not make it."""


def coverage_row(layout: Layout, data: Observations, fit: Fit) -> Row:
    """Describe what the reflections that were fitted cover.

    ``phi_deg``: for each experiment the width of the rotation, None of stills; ``d_min``: resolution
    (Angstrom) that all but one per cent keep within; ``panels``: how many have reflections, of how many.
    """
    use = fit.working
    state = layout.state(fit.p)
    widths: list[float | None] = []
    resolutions: list[float | None] = []
    rows = np.flatnonzero(use)
    rows = rows[np.argsort(data.spots.experiment[rows], kind="stable")]
    bounds = np.searchsorted(data.spots.experiment[rows], np.arange(len(layout.uses) + 1))
    for number in range(len(layout.uses)):
        mine = rows[bounds[number] : bounds[number + 1]]
        angle = data.spots.angle[mine]
        turned = float(np.degrees(np.ptp(angle))) if angle.size else 0.0
        widths.append(None if layout.stills[number] else turned)
        inverse = np.linalg.norm(data.spots.h[mine] @ state.FA[number].T, axis=1)
        resolutions.append(float(1.0 / np.quantile(inverse, 1.0 - _OUTER)) if angle.size else None)
    seen = np.unique(data.spots.panel[use])
    return {
        "phi_deg": widths,
        "d_min": resolutions,
        "n_panels_with_data": len(seen),
        "n_panels": layout.n_panels,
    }
