"""The pictures by which a spot finder judges, to be looked at like counts: mean, variance, dispersion ..."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.options import suggest
from smalti.roles import Explaining, SpotFinder
from smalti.steps.executing import ordered
from smalti.steps.finding.frames import as_int32
from smalti.steps.guarding import guarded
from smalti.steps.viewing.contrast import good_pixels
from smalti.steps.viewing.counts import Ground
from smalti.steps.viewing.stacking import Stack

__all__ = ["COUNTS", "Picture", "chosen", "explained", "pictures_of"]

COUNTS = "counts"
"""What is shown when it is no picture of a finder."""
SCALE = 1000
"""Pictures of numbers are kept as whole thousandths, where these fit."""
BAND = 256
"""Rows that are worked on at once: whole frames of double precision would take gigabytes."""
TRIAL = 24
"""Side of the picture on which a finder is asked what it has to show."""


@dataclass(frozen=True)
class Picture:
    """One picture of a spot finder: its name, and the finder with its options."""

    finder: SpotFinder
    name: str


def pictures_of(finder: SpotFinder) -> tuple[str, ...]:
    """Name the pictures that a finder has; none where it does not tell how it judges."""
    if not isinstance(finder, Explaining):
        return ()
    counts = np.ones((TRIAL, TRIAL), dtype=np.int32)
    try:
        return tuple(_explain(finder, counts, np.ones(counts.shape, dtype=bool)))
    except Exception:  # noqa: BLE001 - a plugin's code; it is told when the picture is asked for
        return ()


def explained(stack: Stack, ground: Ground, finder: SpotFinder) -> Mapping[str, Stack]:
    """Make all pictures of a finder of what is shown, as stacks: all else takes them for counts.

    As for strong pixels, the finder sees the sum where a mean is shown.

    Raises
    ------
    UsageError
        The finder does not tell how it judges.
    PluginError
        It failed.
    """
    if not isinstance(finder, Explaining):
        raise UsageError(
            f"The spot finder '{finder.name}' does not tell how it judges.",
            "It has no pictures to show.",
            "Choose another finder.",
        )
    counts = as_int32(stack.total)
    good = np.ascontiguousarray(good_pixels(stack, ground))
    what = f"The spot finder '{finder.name}' failed to explain this picture."
    rows = counts.shape[0]
    reach = _reach(finder, rows)
    bands = range(0, rows, BAND if reach < rows else rows)

    def work(top: int) -> Mapping[str, NDArray[Any]]:
        end = min(rows, top + bands.step)
        first, last = max(0, top - reach), min(rows, end + reach)
        part = np.ascontiguousarray(counts[first:last]), np.ascontiguousarray(good[first:last])
        made = guarded(lambda: _explain(finder, *part), what, "Change its options, or choose another.")
        return {name: _whole(values[top - first : end - first]) for name, values in made.items()}

    parts = list(ordered(work, bands))
    return {name: _joined([part[name] for part in parts], stack, good) for name in parts[0]}


def chosen(pictures: Mapping[str, Stack], name: str) -> Stack:
    """Give one of some pictures.

    Raises
    ------
    UsageError
        There is no such picture.
    """
    if name not in pictures:
        raise UsageError(f"There is no picture '{name}'.", "", suggest(name, list(pictures)))
    return pictures[name]


def _explain(
    finder: Explaining, counts: NDArray[np.int32], good: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """What a finder tells, and the variance where it is known: dispersion is variance over mean."""
    told = dict(finder.explain(counts, good))
    if "variance" in told or not {"mean", "dispersion"} <= set(told):
        return told
    names = list(told)
    told["variance"] = told["mean"] * told["dispersion"]
    names.insert(names.index("mean") + 1, "variance")
    return {name: told[name] for name in names}


def _reach(finder: object, rows: int) -> int:
    """Rows beyond a band that its pixels may depend on: a few windows; all where no window is known."""
    kernel = getattr(finder, "kernel_size", None)
    return 4 * max(kernel) + 8 if isinstance(kernel, tuple) and kernel else rows


def _whole(values: NDArray[Any]) -> NDArray[Any]:
    """Hold a band in few bytes: bool as it is, numbers in thousandths, the smallest number for none."""
    if values.dtype == np.bool_:
        return values
    none = np.iinfo(np.int32).min
    scaled = np.clip(np.nan_to_num(values * SCALE, nan=none), none, np.iinfo(np.int32).max)
    return np.asarray(np.rint(scaled), dtype=np.int32)


def _joined(bands: list[NDArray[Any]], stack: Stack, good: NDArray[np.bool_]) -> Stack:
    """Put bands together; pixels that have no number are as if they had not been measured."""
    total = np.ascontiguousarray(np.concatenate(bands))
    total[~good] = 0
    if total.dtype == np.bool_:
        return Stack(total.view(np.uint8), 1, "sum", 1, stack.missing, stack.over)
    flat = total.reshape(-1)
    lost = np.flatnonzero(flat == np.iinfo(np.int32).min).astype(np.int32)
    flat[lost] = 0
    missing = np.union1d(stack.missing, lost).astype(np.int32)
    return Stack(total, 1, "sum", int(total.max(initial=0)), missing, stack.over, SCALE)
