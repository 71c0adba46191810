"""The work on one frame: read it, find its strong pixels, look at what is around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, PluginError, SmaltiError
from smalti.models import Detector, Experiment
from smalti.roles import Series, SpotFinder
from smalti.steps.finding.pixels import Pixels
from smalti.steps.guarding import guarded
from smalti.steps.masking import valid
from smalti_ext.components import surroundings

__all__ = ["FrameResult", "FrameTask", "find_in_frame", "panel_map"]


@dataclass(frozen=True)
class FrameTask:
    """Everything that the work on one frame needs.

    Attributes
    ----------
    number : int
        Experiment that the frame belongs to.
    z : int
        Array index of the frame in its scan (from 0 for a still without one).
    name : str
        What to call the frame in messages.
    series, index
        The images and the place of this one among them.
    experiment : Experiment
    static : (slow, fast) bool
        Pixels that may be used on any frame.
    panels : (slow, fast) int16
        Panel of each pixel.
    finder : SpotFinder
    max_strong_fraction : float
        Larger parts of the usable pixels are no spots.
    """

    number: int
    z: int
    name: str
    series: Series
    index: int
    experiment: Experiment
    static: NDArray[np.bool_]
    panels: NDArray[np.int16]
    finder: SpotFinder
    max_strong_fraction: float


@dataclass(frozen=True)
class FrameResult:
    """What came of one frame: strong pixels (their ``frame`` still 0), or why there are none.

    Attributes
    ----------
    problem : str
        Why the frame could not be used; "" when it could.
    error : SmaltiError or None
        The reader's own words, where it had any.
    """

    task: FrameTask
    pixels: Pixels
    problem: str = ""
    error: SmaltiError | None = None


def find_in_frame(task: FrameTask) -> FrameResult:
    """Find the strong pixels of one frame; a frame that cannot be used is a result, not an exception."""
    cure = "Mend it or leave it out; find-spots.on_bad_image=skip goes on without such images."
    try:
        what = f"The reader of experiment {task.number} broke on {task.name}."
        raw = guarded(lambda: task.series.read(task.index), what, cure)
    except OSError as error:
        name = f"experiment {task.number}, {task.name}"
        return _unreadable(
            task, InputError(f"Spots cannot be found on {name}.", f"{error.strerror or error}.", cure)
        )
    except SmaltiError as error:
        return _unreadable(task, error)
    if raw.shape != task.static.shape:
        fast_slow = " x ".join(str(n) for n in reversed(raw.shape))
        expected = " x ".join(str(n) for n in reversed(task.static.shape))
        return FrameResult(task, Pixels.none(), f"it has {fast_slow} pixels where {expected} are expected.")
    usable = valid(raw, task.static, task.experiment)
    counts = as_int32(raw)
    strong = _strong_pixels(task, counts, usable)
    n_usable = int(np.count_nonzero(usable))
    if strong.size > task.max_strong_fraction * n_usable:
        share = 100.0 * strong.size / n_usable
        return FrameResult(
            task,
            Pixels.none(),
            f"{share:.0f} % of its usable pixels are strong, which is no diffraction pattern: the mask "
            "is incomplete or the gain of the detector is not 1.",
        )
    return FrameResult(task, _look_around(task, counts, usable, strong))


def _unreadable(task: FrameTask, error: SmaltiError) -> FrameResult:
    return FrameResult(task, Pixels.none(), str(error).replace("\n", " "), error)


def _strong_pixels(task: FrameTask, counts: NDArray[np.int32], usable: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Ask the finder, and hold it to its contract: the linking relies on ascending indices."""
    name, cure = task.finder.name, "Choose another with --finder, and tell its author."
    what = f"The spot finder '{name}' failed on experiment {task.number}, {task.name}."
    strong = np.asarray(guarded(lambda: task.finder.find(counts, usable), what, cure))
    good = strong.ndim == 1 and strong.dtype.kind in "iu"
    if good and strong.size:
        good = strong[0] >= 0 and strong[-1] < counts.size and bool(np.all(strong[1:] > strong[:-1]))
    if not good:
        raise PluginError(
            f"The spot finder '{name}' did not give ascending flat indices of pixels.",
            f"It gave {strong.dtype} of shape {strong.shape} for a frame of {counts.size} pixels.",
            cure,
        )
    return strong.astype(np.intp, copy=False)


def _look_around(
    task: FrameTask, counts: NDArray[np.int32], usable: NDArray[np.bool_], strong: NDArray[np.intp]
) -> Pixels:
    index = strong.astype(np.int32)
    total, support = surroundings(counts, usable, index)
    panel = task.panels.reshape(-1)[strong]
    with np.errstate(invalid="ignore"):
        background = np.where(support > 0, total / np.maximum(support, 1), np.nan)
    return Pixels(
        np.zeros(index.size, dtype=np.int32),
        index,
        counts.reshape(-1)[strong],
        panel,
        background,
        support,
        _beside_overload(task, counts, usable, strong),
    )


def _beside_overload(
    task: FrameTask, counts: NDArray[np.int32], usable: NDArray[np.bool_], strong: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether one of the four neighbours of a strong pixel is a good pixel above the trusted range, (M,)."""
    n_fast = counts.shape[1]
    left_out = np.flatnonzero(task.static ^ usable)
    limit = np.array([panel.trusted_range[1] for panel in task.experiment.detector.panels])
    over = left_out[counts.reshape(-1)[left_out] > limit[task.panels.reshape(-1)[left_out]]]
    if over.size == 0:
        return np.zeros(strong.size, dtype=bool)
    column = over % n_fast
    beside = (over - n_fast, over + n_fast, over[column > 0] - 1, over[column < n_fast - 1] + 1)
    return np.isin(strong, np.concatenate(beside))


def as_int32(raw: NDArray[Any]) -> NDArray[np.int32]:
    """Give counts as C-contiguous int32; what does not fit is held at the limits, far out of any trust."""
    if raw.dtype == np.int32 or raw.dtype.itemsize < 4:
        return np.ascontiguousarray(raw, dtype=np.int32)
    limits = np.iinfo(np.int32)
    lowest = 0 if raw.dtype.kind == "u" else limits.min
    return np.ascontiguousarray(np.clip(raw, lowest, limits.max), dtype=np.int32)


def panel_map(detector: Detector, shape: tuple[int, int]) -> NDArray[np.int16]:
    """Give the panel of every pixel of the raw frame, (slow, fast) int16; -1 where there is none."""
    panels = np.full(shape, -1, dtype=np.int16)
    for number, panel in enumerate(detector.panels):
        (fast, slow), (width, height) = panel.window, panel.image_size
        panels[slow : slow + height, fast : fast + width] = number
    return panels
