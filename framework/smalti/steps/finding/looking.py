"""What is around the strong pixels of a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.steps.finding.pixels import Pixels
from smalti_ext.components import CUT, OVERLOADED, beside, surroundings

__all__ = ["look_around"]


def look_around(
    counts: NDArray[np.int32],
    usable: NDArray[np.bool_],
    static: NDArray[np.bool_],
    panels: NDArray[np.int16],
    detector: Detector,
    strong: NDArray[np.intp],
) -> Pixels:
    """Measure the background around strong pixels, and tell which lie beside pixels that are missing.

    Parameters
    ----------
    counts : (slow, fast) int32
    usable, static : (slow, fast) bool
        Pixels that may be used on this frame, and on any.
    panels : (slow, fast) int16
        Panel of each pixel.
    strong : (M,) intp
        Flat indices of the strong pixels, ascending.
    """
    index = strong.astype(np.int32)
    total, support = surroundings(counts, usable, index)
    limits = np.iinfo(np.int32)
    highest = np.array([panel.trusted_range[1] for panel in detector.panels]).clip(limits.min, limits.max)
    near = beside(counts, usable, static, panels, index, np.floor(highest).astype(np.int32))
    with np.errstate(invalid="ignore"):
        background = np.where(support > 0, total / np.maximum(support, 1), np.nan)
    return Pixels(
        frame=np.zeros(index.size, dtype=np.int32),
        index=index,
        value=counts.reshape(-1)[strong],
        panel=panels.reshape(-1)[strong],
        background=background,
        support=support,
        overloaded=(near & OVERLOADED) != 0,
        cut=(near & CUT) != 0,
    )
