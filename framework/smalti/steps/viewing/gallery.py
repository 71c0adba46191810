"""Which images there are: every set of images once, in rolls, and the frames of all rolls in one row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, SmaltiError, UsageError
from smalti.models import Experiment, Experiments, ImageSet
from smalti.roles import Reader, Series
from smalti.solution import FrameHeader
from smalti.steps.importing.opening import open_series
from smalti.steps.importing.windows import with_windows

__all__ = ["Gallery", "Roll", "open_gallery"]


@dataclass(frozen=True)
class Roll:
    """The images of one sweep or still, and the experiments (lattices) that were seen on them.

    Attributes
    ----------
    number : int
        Position among the rolls.
    images : ImageSet
    series : Series
    experiment : Experiment
        The first of those on these images; all share its detector on the raw frame.
    members : tuple of int
        Numbers of the experiments.
    start : int
        Array index z of the first frame.
    """

    number: int
    images: ImageSet
    series: Series
    experiment: Experiment
    members: tuple[int, ...]
    start: int

    def __len__(self) -> int:
        return len(self.series)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Fast and slow size of the raw frame, px: by the first, or by the panels if that cannot be read."""
        try:
            return self.series.header(0).size
        except (SmaltiError, OSError):
            panels = self.experiment.detector.panels
            ends = [np.add(panel.window, panel.image_size) for panel in panels]
            fast, slow = np.max(ends, axis=0).tolist()
            return fast, slow

    @property
    def name(self) -> str:
        """What to call the images: the name of the template or file."""
        path = self.images.template or (self.images.images[0] if self.images.images else "")
        return Path(path).name or f"images {self.number}"

    def file(self, index: int) -> str:
        """Path of the file that holds the frame with this index."""
        number = self.start + index + 1
        if self.images.template:
            return self.images.path(number)
        return self.images.images[min(index, len(self.images.images) - 1)]

    def angles(self, index: int) -> tuple[float, float] | None:
        """Rotation angle (rad) at the start and the end of a frame; None for a still."""
        scan = self.experiment.scan
        if scan is None or self.experiment.is_still:
            return None
        first, last = scan.angle([self.start + index, self.start + index + 1]).tolist()
        return first, last


@dataclass(frozen=True)
class Gallery:
    """All frames of some experiments, numbered from 0 through all rolls."""

    experiments: Experiments
    rolls: tuple[Roll, ...]

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The number of the first frame of each roll."""
        firsts, total = [], 0
        for roll in self.rolls:
            firsts.append(total)
            total += len(roll)
        return tuple(firsts)

    def __len__(self) -> int:
        """Number of frames."""
        return self.firsts[-1] + len(self.rolls[-1])

    def find(self, frame: int) -> tuple[Roll, int]:
        """Give the roll of a frame and its index there.

        Raises
        ------
        UsageError
            There is no such frame.
        """
        if not 0 <= frame < len(self):
            raise UsageError(
                "There is no such frame.", f"The experiments have {len(self)}.", "Choose one of these."
            )
        number = bisect_right(self.firsts, frame) - 1
        return self.rolls[number], frame - self.firsts[number]

    def span(self, frame: int, n: int) -> int:
        """How many of n frames from this one on belong to its roll: sums do not reach over its end."""
        roll, index = self.find(frame)
        return max(1, min(n, len(roll) - index))

    @cached_property
    def absent(self) -> tuple[str, ...]:
        """Files of images that were not there when the gallery was opened; the others can be looked at."""
        files = (roll.file(index) for roll in self.rolls for index in range(len(roll)))
        return tuple(file for file in dict.fromkeys(files) if not Path(file).exists())

    def search(self, file: str, number: int | None = None) -> int:
        """Find the frame of a file, by its path or its name; ``number`` counts from 1 within its roll.

        Raises
        ------
        InputError
            No roll has this file: only images of the experiments can be shown.
        """
        for roll, first in zip(self.rolls, self.firsts, strict=True):
            for index in range(len(roll)):
                path = roll.file(index)
                if file not in (path, Path(path).name):
                    continue
                if number is None:
                    return first + index
                if 1 <= number <= len(roll):
                    return first + number - 1
        which = "" if number is None else f" with an image {number}"
        raise InputError(
            f"{file}{which} is not among the images shown.",
            f"The experiments have {len(self)} images in {len(self.rolls)} sets.",
            "Import the file and open the viewer with it.",
        )


def open_gallery(experiments: Experiments, readers: Sequence[Reader]) -> Gallery:
    """Open the images of experiments; several lattices on the same images share a roll.

    Raises
    ------
    InputError
        An experiment has no images, or all are missing.
    """
    experiments = with_windows(experiments, readers)
    members: dict[object, list[int]] = {}
    for number, experiment in enumerate(experiments):
        images = experiment.imageset
        if images is None:
            raise InputError(
                f"Experiment {number} has no images.",
                "The models do not say where they are.",
                "Import the images again: smalti import IMAGES...",
            )
        scan = experiment.scan
        key = (images.template, images.images, images.indices, scan.image_range if scan else None)
        members.setdefault(key, []).append(number)
    if not members:
        raise InputError("There is nothing to show.", "The experiment list is empty.", "Import images first.")
    rolls = tuple(_roll(k, experiments, m, readers) for k, m in enumerate(members.values()))
    gallery = Gallery(experiments, rolls)
    if len(gallery.absent) == len({roll.file(k) for roll in rolls for k in range(len(roll))}):
        raise InputError(
            f"The image {gallery.absent[0]} is not there.",
            "Nor is any other of the experiments; they were imported from that place.",
            "Bring the images back there, or import them again where they are now.",
        )
    return gallery


def _roll(number: int, experiments: Experiments, members: list[int], readers: Sequence[Reader]) -> Roll:
    experiment = experiments[members[0]]
    images, scan = experiment.imageset, experiment.scan
    assert images is not None
    series = open_series(images, readers, scan, all_there=False)
    roll = Roll(number, images, series, experiment, tuple(members), scan.array_range[0] if scan else 0)
    there = next((k for k in range(len(roll)) if Path(roll.file(k)).exists()), 0)
    return replace(roll, series=_Led(series, there)) if there else roll


@dataclass(frozen=True)
class _Led:
    """Images of which the first are gone: the first that is there tells what holds for all."""

    series: Series
    first: int

    def __len__(self) -> int:
        return len(self.series)

    def header(self, index: int) -> FrameHeader:
        return self.series.header(index or self.first)

    def read(self, index: int) -> NDArray[Any]:
        return self.series.read(index)

    def mask(self) -> NDArray[np.bool_] | None:
        try:
            return self.series.mask()
        except (SmaltiError, OSError):  # readers may ask the first image; the panels tell where the gaps are
            return None
