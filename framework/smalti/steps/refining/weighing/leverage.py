"""How much closer the residuals are to zero because models were fitted to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.layout import Layout

__all__ = ["leverages"]

Array = NDArray[np.float64]

_MOST = 0.9


def leverages(layout: Layout, determined: Array, weights: Array, panel: NDArray[np.intp]) -> Array:
    """Share out the parameters that the data determine over the residuals that determine them, (N, 3).

    The expected square of a residual after a fit is its variance times 1 less its leverage, and leverages
    add up to the number of parameters (Cook & Weisberg 1982, Residuals and Influence in Regression, 2.1).
    Those of single panels go to x and y of the reflections of these panels, which are few on some; those
    of crystal, beam and the whole detector to all residuals alike.

    Parameters
    ----------
    layout : Layout
    determined : (n,)
        For each free parameter how far the data determine it, 0 to 1: 1 less the share of the prior.
    weights : (N,)
        Of the reflections in the fit.
    panel : (N,)
        Panel of each, counted over all detectors.
    """
    used = weights > 0.0
    count = np.bincount(panel[used], minlength=layout.n_panels).astype(float)
    own, shared = np.zeros(layout.n_panels), 0.0
    number = np.searchsorted(layout.offsets, layout.free, side="right") - 1
    for k, parameter in enumerate(layout.parameters):
        block = layout.blocks[number[k]]
        if isinstance(block, DetectorBlock) and 0 < len(parameter.panels) < len(block.detector):
            panels = layout.panel_offset[int(number[k])] + np.array(parameter.panels)
            own[panels] += determined[k] / max(2.0 * count[panels].sum(), 1.0)
        else:
            shared += determined[k] / max(3.0 * count.sum(), 1.0)
    out = np.full((len(panel), 3), shared)
    out[:, :2] += own[panel][:, None]
    return np.asarray(np.minimum(out, _MOST))
