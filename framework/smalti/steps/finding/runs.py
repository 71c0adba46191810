"""Which frames are worked on, in which order, and which of them belong together."""

from __future__ import annotations

from dataclasses import dataclass

from smalti.errors import InputError
from smalti.models import Detector, Experiment, Experiments, ImageSet

__all__ = ["Run", "n_frames", "runs_of"]


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
