"""Sweeps of which only the first images are there yet."""

from __future__ import annotations

from dataclasses import replace

from smalti.errors import UsageError
from smalti.models import Experiment, Experiments
from smalti.text import plural

__all__ = ["expecting"]


def expecting(experiments: Experiments, count: int) -> Experiments:
    """Give the one sweep there is as many images as are expected.

    Raises
    ------
    UsageError
        There are several sweeps or stills, one image that has no number, or there are more already.
    """
    only = experiments[0] if len(experiments) == 1 else None
    images = only.imageset if only is not None else None
    if only is None or only.scan is None or images is None or not ("#" in images.template or images.indices):
        raise UsageError(
            f"Images cannot be expected: what was imported is {plural(len(experiments), 'experiment')}.",
            "One sweep can grow: of images that have a file each, or of at least two in one file.",
            "Import one sweep at a time, or leave import.expect out.",
        )
    return replace(experiments, items=(_longer(only, count),))


def _longer(experiment: Experiment, count: int) -> Experiment:
    scan = experiment.scan
    assert scan is not None
    more = count - scan.n_images
    if more < 0:
        raise UsageError(
            f"{count} images are expected, and {scan.n_images} are there already.",
            "The number is that of all images of the sweep.",
            "Give a larger number, or leave import.expect out.",
        )
    first, last = scan.image_range
    # What is to come has the exposure of the last image; nobody knows when.
    exposures = scan.exposure_times and scan.exposure_times + scan.exposure_times[-1:] * more
    longer = replace(scan, image_range=(first, last + more), exposure_times=exposures, epochs=())
    images = experiment.imageset
    if images is not None and images.indices:
        following = range(images.indices[-1] + 1, images.indices[-1] + 1 + more)
        images = replace(images, indices=(*images.indices, *following))
    return replace(experiment, scan=longer, imageset=images) if more else experiment
