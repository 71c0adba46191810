"""Which frames are worked on, in which order, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import InputError
from smalti.models import Detector, Experiment, Experiments, ImageSet
from smalti.roles import Reader, SpotFinder
from smalti.steps.finding.frames import FrameTask, panel_map
from smalti.steps.finding.options import FindOptions
from smalti.steps.importing import open_series
from smalti.steps.masking import frame_mask, masked_by

__all__ = ["Run", "n_frames", "runs_of", "tasks_of"]


@dataclass(frozen=True)
class Run:
    """Experiments on one detector: their frames are looked at in turn for hot pixels.

    Attributes
    ----------
    detector : Detector
    members : tuple of (int, Experiment, ImageSet)
        Number, experiment and images, each set of images once.
    """

    detector: Detector
    members: tuple[tuple[int, Experiment, ImageSet], ...]


def runs_of(experiments: Experiments) -> tuple[Run, ...]:
    """Divide experiments by detector; several lattices on the same images are searched once.

    Raises
    ------
    InputError
        An experiment has no images.
    """
    members: dict[int, list[tuple[int, Experiment, ImageSet]]] = {}
    seen: set[object] = set()
    for number, experiment in enumerate(experiments):
        images = experiment.imageset
        if images is None:
            raise InputError(
                f"Experiment {number} has no images.",
                "Spots are found on images, and the models do not say where these are.",
                "Import the images again: smalti import IMAGES...",
            )
        scan = experiment.scan
        key = (images.template, images.images, images.indices, scan.image_range if scan else None)
        if key not in seen:
            seen.add(key)
            members.setdefault(id(experiment.detector), []).append((number, experiment, images))
    return tuple(Run(group[0][1].detector, tuple(group)) for group in members.values())


def n_frames(run: Run) -> int:
    """Number of frames of a run, as far as the models tell."""
    return sum(
        experiment.scan.n_images if experiment.scan else max(len(images.images), 1)
        for _, experiment, images in run.members
    )


def tasks_of(
    run: Run, readers: Sequence[Reader], finder: SpotFinder, options: FindOptions
) -> Iterator[FrameTask]:
    """Give the work of a run frame by frame; images are opened only when their turn comes."""
    panels = None
    for number, experiment, images in run.members:
        series = open_series(images, readers, experiment.scan)
        static = frame_mask(experiment, series)
        if options.mask:
            static = masked_by(static, Path(options.mask))
        if panels is None or panels.shape != static.shape:
            panels = panel_map(run.detector, static.shape)
        start = experiment.scan.array_range[0] if experiment.scan else 0
        for index in range(len(series)):
            yield FrameTask(
                number,
                start + index,
                _frame_name(images, start + index + 1),
                series,
                index,
                experiment,
                static,
                panels,
                finder,
                options.max_strong_fraction,
            )


def _frame_name(images: ImageSet, number: int) -> str:
    if images.template or number <= len(images.images):
        return f"image {number} ({Path(images.path(number)).name})"
    return f"image {number}"
