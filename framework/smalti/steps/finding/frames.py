"""The work on one frame: read it, find its strong pixels, look at what is around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, PluginError, SmaltiError
from smalti.models import Detector, Experiment
from smalti.roles import Series, SpotFinder
from smalti.steps.answers import read_only
from smalti.steps.finding.looking import look_around
from smalti.steps.finding.pixels import Pixels
from smalti.steps.guarding import guarded
from smalti.steps.masking import valid

__all__ = ["FrameOutcome", "FrameTask", "find_in_frame", "panel_map"]


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
class FrameOutcome:
    """What came of one frame: strong pixels (their ``frame`` still 0), or why there are none.

    It is small: it is kept in files and comes back from other processes.

    Attributes
    ----------
    number, z, name
        As in :class:`FrameTask`.
    still : bool
        Whether the frame continues none.
    shape : (slow, fast)
        Pixels of a raw frame.
    pixels : Pixels
    problem : str
        Why the frame could not be used; "" when it could.
    absent : bool
        Whether the image never came.
    error : SmaltiError or None
        The reader's own words, where it had any.
    """

    number: int
    z: int
    name: str
    still: bool
    shape: tuple[int, int]
    pixels: Pixels
    problem: str = ""
    absent: bool = False
    error: SmaltiError | None = None

    @classmethod
    def of(cls, task: FrameTask, pixels: Pixels) -> FrameOutcome:
        """Give what was found on a frame."""
        slow, fast = task.static.shape
        return cls(task.number, task.z, task.name, task.experiment.is_still, (slow, fast), pixels)

    @classmethod
    def unusable(cls, task: FrameTask, problem: str, error: SmaltiError | None = None) -> FrameOutcome:
        """Say why a frame cannot be used."""
        return replace(cls.of(task, Pixels.none()), problem=problem, error=error)


def find_in_frame(task: FrameTask) -> FrameOutcome:
    """Find the strong pixels of one frame; a frame that cannot be used is a result, not an exception."""
    cure = "Mend it or leave it out."
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
        return FrameOutcome.unusable(task, f"it has {fast_slow} pixels where {expected} are expected.")
    usable = valid(raw, task.static, task.experiment)
    counts = as_int32(raw)
    strong = _strong_pixels(task, counts, usable)
    n_usable = int(np.count_nonzero(usable))
    if strong.size > task.max_strong_fraction * n_usable:
        share = 100.0 * strong.size / n_usable
        return FrameOutcome.unusable(
            task,
            f"{share:.0f} % of its usable pixels are strong, which is no diffraction pattern: the mask "
            "is incomplete or the gain of the detector is not 1.",
        )
    return FrameOutcome.of(task, _around(task, counts, usable, strong))


def _unreadable(task: FrameTask, error: SmaltiError) -> FrameOutcome:
    return FrameOutcome.unusable(task, str(error).replace("\n", " "), error)


def _strong_pixels(task: FrameTask, counts: NDArray[np.int32], usable: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Ask the finder, and hold it to its contract: the linking relies on ascending indices."""
    name, cure = task.finder.name, "Choose another with --finder, and tell its author."
    what = f"The spot finder '{name}' failed on experiment {task.number}, {task.name}."
    strong = np.asarray(guarded(lambda: task.finder.find(read_only(counts), read_only(usable)), what, cure))
    good = strong.ndim == 1 and strong.dtype.kind in "iu"
    if good and strong.size:
        good = strong[0] >= 0 and strong[-1] < counts.size and bool(np.all(strong[1:] > strong[:-1]))
    if not good:
        raise PluginError(
            f"The spot finder '{name}' did not give ascending flat indices of pixels.",
            f"It gave {strong.dtype} of shape {strong.shape} for a frame of {counts.size} pixels.",
            cure,
        )
    outside = int(np.count_nonzero(~usable.ravel()[strong]))
    if outside:
        raise PluginError(
            f"The spot finder '{name}' marked pixels that may not be used.",
            f"{outside} of {strong.size} on {task.name} are in gaps, masked or out of the trusted range.",
            cure,
        )
    return strong.astype(np.intp, copy=False)


def _around(
    task: FrameTask, counts: NDArray[np.int32], usable: NDArray[np.bool_], strong: NDArray[np.intp]
) -> Pixels:
    return look_around(counts, usable, task.static, task.panels, task.experiment.detector, strong)


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
