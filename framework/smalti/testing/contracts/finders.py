"""What a spot finder promises."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.roles import SpotFinder
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

SHAPE = (120, 150)
SPOTS = ((20, 30), (60, 75), (95, 120), (40, 110), (80, 25))
"""Centres (slow, fast) of the obvious spots, px."""


def _everything() -> NDArray[np.bool_]:
    return np.ones(SHAPE, dtype=bool)


def _frame() -> NDArray[np.int32]:
    """Poisson background of 3 counts with five Gaussian spots of 300 counts at the peak, (slow, fast)."""
    slow, fast = np.indices(SHAPE)
    expected = np.full(SHAPE, 3.0)
    for s, f in SPOTS:
        expected += 300.0 * np.exp(-((slow - s) ** 2 + (fast - f) ** 2) / 2.0)
    return np.random.default_rng(1).poisson(expected).astype(np.int32)


def _find(finder: SpotFinder, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    found = finder.find(counts, mask)
    require(isinstance(found, np.ndarray) and found.dtype == np.intp, "it does not return an intp array")
    require(found.ndim == 1, f"it returns shape {found.shape} instead of (M,)")
    require(np.all(np.diff(found) > 0), "the indices are not ascending")
    require(len(found) == 0 or (found[0] >= 0 and found[-1] < counts.size), "an index is outside the frame")
    require(bool(mask.ravel()[found].all()), "it returns pixels outside the mask")
    return found


def finds_nothing_where_there_is_nothing(finder: SpotFinder) -> None:
    """Flat frames, empty or bright, hold no strong pixels."""
    for level in (0, 10):
        found = _find(finder, np.full(SHAPE, level, dtype=np.int32), _everything())
        require(len(found) == 0, f"{len(found)} strong pixels on a flat frame of {level} counts")


def finds_obvious_spots(finder: SpotFinder) -> None:
    """Spots of 300 counts on 3 are found, and hardly anything else."""
    found = _find(finder, _frame(), _everything())
    slow, fast = np.divmod(found, SHAPE[1])
    near = np.zeros(len(found), dtype=bool)
    for s, f in SPOTS:
        here = np.hypot(slow - s, fast - f) < 5.0
        require(bool(np.any((slow == s) & (fast == f))), f"the peak at slow {s}, fast {f} was missed")
        near |= here
    false = int((~near).sum())
    require(false < 0.002 * SHAPE[0] * SHAPE[1], f"{false} strong pixels where there is background only")


def keeps_inside_the_mask(finder: SpotFinder) -> None:
    """Masked pixels are never strong, whatever they hold; a masked frame has none."""
    counts = _frame()
    mask = _everything()
    mask[15:25, 25:35] = False
    counts[~mask] = 1_000_000
    _find(finder, counts, mask)
    require(len(_find(finder, counts, ~_everything())) == 0, "strong pixels on a frame that is all masked")


def bears_values_that_mark_missing_pixels(finder: SpotFinder) -> None:
    """Negative counts under the mask (gaps, dead pixels) do no harm."""
    counts = _frame()
    mask = _everything()
    mask[:, 70:74] = False
    counts[~mask] = -1
    found = _find(finder, counts, mask)
    require(len(found) > 0, "no spot was found beside a gap")


def gives_the_same_twice(finder: SpotFinder) -> None:
    """The same frame gives the same pixels, and is left as it was."""
    counts, mask = _frame(), _everything()
    before = counts.copy()
    first = _find(finder, counts, mask)
    require(np.array_equal(first, _find(finder, counts, mask)), "a second call gives other pixels")
    require(np.array_equal(before, counts) and bool(mask.all()), "it changes its input")


CHECKS = (
    finds_nothing_where_there_is_nothing,
    finds_obvious_spots,
    keeps_inside_the_mask,
    bears_values_that_mark_missing_pixels,
    gives_the_same_twice,
)
