"""Which counts are shown as the first and the last colour, and what there is to say of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.counts import Ground
from smalti.steps.viewing.stacking import Stack

__all__ = ["Contrast", "good_pixels", "judge"]

SAMPLE = 400_000
"""Pixels looked at, evenly spread: quantiles to a part in a thousand need no more."""
QUANTILES = (0.02, 0.5, 0.999)
OF_PICTURES = (0.02, 0.5, 0.98)
"""The same where a spot finder's picture is shown: a spot is as large there as the window around it."""
BACKGROUND = 0.98
"""Part of the pixels, from the darkest, that the background is the mean of."""
MARGIN = 6.0
"""Standard deviations above the median that must be told apart: the weakest spot that counts as one."""


@dataclass(frozen=True)
class Contrast:
    """Robust limits of the usable pixels, in the numbers shown.

    Attributes
    ----------
    low, high : float
        Shown as the first and the last colour.
    median, mean, largest : float
    usable, over : int
        Number of pixels with a count, and above the trusted range.
    """

    low: float
    high: float
    median: float
    mean: float
    largest: float
    usable: int
    over: int


def good_pixels(stack: Stack, ground: Ground) -> NDArray[np.bool_]:
    """Pixels that every frame of a stack has, (slow, fast)."""
    if not stack.missing.size and not stack.over.size:
        return ground.usable
    good = ground.usable.copy()
    good.reshape(-1)[stack.missing] = False
    good.reshape(-1)[stack.over] = False
    return good


def judge(stack: Stack, ground: Ground) -> Contrast:
    """Choose the limits of contrast by quantiles of the usable pixels.

    A few bright spots or a masked module move no quantile. Where photons are few the upper quantile may
    be 1: then the limit is raised to the median and some standard deviations of its Poisson noise.
    """
    good = good_pixels(stack, ground)
    n = int(np.count_nonzero(good))
    if n == 0:
        return Contrast(0.0, 1.0, 0.0, 0.0, 0.0, 0, int(stack.over.size))
    step = max(1, round((stack.total.size / SAMPLE) ** 0.5))
    sample = stack.total[::step, ::step][good[::step, ::step]]
    if sample.size < 1000:
        sample = stack.total[good]
    quantiles = QUANTILES if stack.scale == 1 else OF_PICTURES
    low, median, high = (np.quantile(sample, quantiles) / stack.divisor).tolist()
    mean = float(sample.mean()) / stack.divisor
    # Counts of which n are averaged scatter by sqrt(count / n); the spots are no part of that.
    background = float(sample[sample <= np.quantile(sample, BACKGROUND)].mean()) / stack.divisor
    noise = (max(background, 1.0 / sample.size) / stack.divisor) ** 0.5
    high = max(high, median + MARGIN * noise, low + 1.0 / stack.divisor)
    largest = float(stack.total.max()) / stack.divisor
    return Contrast(low, high, median, mean, largest, n, int(stack.over.size))
