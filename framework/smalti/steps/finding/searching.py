"""The search of frames: what is the same for all frames of an experiment, and who works on which."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.models import Experiment, ImageSet, Scan
from smalti.roles import Growing, Reader, Series, SpotFinder
from smalti.steps.finding.frames import FrameOutcome, FrameTask, find_in_frame, panel_map
from smalti.steps.finding.options import SKIP, FindOptions
from smalti.steps.finding.pixels import Pixels
from smalti.steps.finding.runs import Run
from smalti.steps.finding.starting import UnreadableError, first_readable
from smalti.steps.finding.waiting import NotThereError, patiently, settled, wait_for, written
from smalti.steps.importing import open_series, with_reader
from smalti.steps.masking import frame_mask, masked_by

__all__ = ["Portion", "Search", "find_in_portion", "portions_of", "searches_of"]

Mask = NDArray[np.bool_]

_KEPT = 4
"""Experiments whose masks are kept: frames come in order, and a mask is as large as a frame."""


@dataclass(frozen=True)
class Search:
    """The search of one experiment's frames, such as it can be sent to another process.

    Attributes
    ----------
    token : str
        Tells searches of different calls apart: masks are kept by it.
    run : int
        Number of the run; its experiments have one detector.
    number, experiment, images
    readers, finder, options
    patience : float
        Seconds to wait for an image that is not there; 0 does not wait.
    """

    token: str
    run: int
    number: int
    experiment: Experiment
    images: ImageSet
    readers: tuple[Reader, ...]
    finder: SpotFinder
    options: FindOptions
    patience: float = 0.0

    @property
    def start(self) -> int:
        """Array index of the first frame."""
        return self.experiment.scan.array_range[0] if self.experiment.scan else 0

    @property
    def n_frames(self) -> int:
        """Number of frames; images without a scan are counted where they are."""
        scan = self.experiment.scan
        return scan.n_images if scan else len(open_series(self.images, self.readers, all_there=False))

    def name(self, index: int) -> str:
        """What to call a frame in messages."""
        number = self.start + index + 1
        if self.images.template or number <= len(self.images.images):
            return f"image {number} ({Path(self.images.path(number)).name})"
        return f"image {number}"

    def find(self, index: int) -> FrameOutcome:
        """Find the strong pixels of one frame (index from 0)."""
        try:
            if self.patience:
                wait_for(self._path(index), self.patience)
            return self._found(index)
        except NotThereError as error:
            return replace(self._nothing(index, str(error)), absent=True)
        except UnreadableError as error:
            return replace(self._nothing(index, str(error).replace("\n", " ")), error=error.cause)

    def _nothing(self, index: int, problem: str) -> FrameOutcome:
        z, still = self.start + index, self.experiment.is_still
        return FrameOutcome(self.number, z, self.name(index), still, (0, 0), Pixels.none(), problem)

    def _found(self, index: int) -> FrameOutcome:
        ready = patiently(lambda: _prepared(self), UnreadableError) if self.patience else _prepared(self)
        task = FrameTask(
            self.number,
            self.start + index,
            self.name(index),
            ready.series,
            index,
            self.experiment,
            ready.static,
            ready.panels,
            self.finder,
            self.options.max_strong_fraction,
        )
        if self.patience and self.images.in_one_file:
            return written(task, self.patience, lambda: _renewed(ready))
        if self.patience:
            return settled(lambda: find_in_frame(task))
        return find_in_frame(task)

    def _path(self, index: int) -> Path:
        return Path(self.images.path(self.start + index + 1))


@dataclass(frozen=True)
class Portion:
    """Some frames of one experiment."""

    search: Search
    indices: tuple[int, ...]


def find_in_portion(portion: Portion) -> tuple[FrameOutcome, ...]:
    """Find the strong pixels of some frames, here or in another process."""
    return tuple(portion.search.find(index) for index in portion.indices)


def portions_of(search: Search, indices: Sequence[int], size: int) -> Iterator[Portion]:
    """Cut frames into portions."""
    for k in range(0, len(indices), size):
        yield Portion(search, tuple(indices[k : k + size]))


def searches_of(
    runs: Sequence[Run],
    readers: Sequence[Reader],
    finder: SpotFinder,
    options: FindOptions,
    patience: float = 0.0,
) -> tuple[tuple[Search, ...], ...]:
    """Make the searches of each run."""
    token = secrets.token_hex(8)

    def named(images: ImageSet, scan: Scan | None) -> ImageSet:
        return with_reader(images, readers, scan)

    return tuple(
        tuple(
            Search(
                token, k, number, item, named(images, item.scan), tuple(readers), finder, options, patience
            )
            for number, item, images in run.members
        )
        for k, run in enumerate(runs)
    )


@dataclass
class _Ready:
    """The opened images of an experiment and its masks, once it has been asked for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    done: bool = False
    series: Series = field(init=False)
    static: Mask = field(init=False)
    panels: NDArray[np.int16] = field(init=False)


_lock = threading.Lock()
_kept: OrderedDict[tuple[str, int], _Ready] = OrderedDict()
_maps: OrderedDict[tuple[str, int, tuple[int, ...]], NDArray[np.int16]] = OrderedDict()


def _prepared(search: Search) -> _Ready:
    """Open images and make masks, once for each experiment and process."""
    key = (search.token, search.number)
    with _lock:
        ready = _kept.setdefault(key, _Ready())
        _kept.move_to_end(key)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    with ready.lock:
        if not ready.done:
            ready.series, first = _opened(search)
            static = frame_mask(search.experiment, first)
            if search.options.mask:
                static = masked_by(static, Path(search.options.mask))
            ready.static, ready.panels = static, _panels(search, static.shape)
            ready.done = True
    return ready


def _opened(search: Search) -> tuple[Series, Series]:
    """Open the images; give them all, and from the first on that can be asked for what all have in common."""
    experiment, images, readers = search.experiment, search.images, search.readers
    if search.options.on_bad_image == "stop" and not search.patience:
        try:
            series = open_series(images, readers, experiment.scan)
        except InputError as error:
            raise error.or_else(SKIP) from None
        return series, series
    series = open_series(images, readers, experiment.scan, all_there=False)
    return series, first_readable(experiment, images, readers, series)


def _renewed(ready: _Ready) -> Series:
    """Look at the file again; later frames profit from it."""
    assert isinstance(ready.series, Growing)
    ready.series = ready.series.refreshed()
    return ready.series


def _panels(search: Search, shape: tuple[int, ...]) -> NDArray[np.int16]:
    key = (search.token, search.run, shape)
    with _lock:
        if key in _maps:
            return _maps[key]
    made = panel_map(search.experiment.detector, (shape[0], shape[1]))
    with _lock:
        _maps[key] = made
        while len(_maps) > _KEPT:
            _maps.popitem(last=False)
    return made
