"""The images from the first that can be read on: what they say of all, masks and size, is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smalti.errors import InputError, SmaltiError
from smalti.models import Experiment, ImageSet
from smalti.roles import Reader, Series
from smalti.steps.importing import open_series

__all__ = ["UnreadableError", "first_readable"]

_MOST = 100
"""Images in a row that may be bad at the beginning."""


class UnreadableError(Exception):
    """None of the images can be read."""

    def __init__(self, cause: SmaltiError) -> None:
        """Keep what was said of the first one."""
        super().__init__(str(cause))
        self.cause = cause


def first_readable(
    experiment: Experiment, images: ImageSet, readers: Sequence[Reader], series: Series
) -> Series:
    """Give the series, without those at its beginning that are missing or damaged.

    Raises
    ------
    UnreadableError
        There is none; says what is wrong with the first.
    """
    scan = experiment.scan
    first: SmaltiError | None = None
    for bad in range(_MOST):
        try:
            series.header(0)
            series.mask()
            return series
        except (SmaltiError, OSError) as error:
            first = first or _said(error)
        if scan is None or images.in_one_file or bad + 1 >= scan.n_images:
            break
        begin = scan.image_range[0] + bad + 1
        part = replace(scan, image_range=(begin, scan.image_range[1]), exposure_times=(), epochs=())
        series = open_series(images, readers, part, all_there=False)
    assert first is not None
    raise UnreadableError(first)


def _said(error: Exception) -> SmaltiError:
    if isinstance(error, SmaltiError):
        return error
    return InputError("The first image cannot be read.", f"{error}.", "Check the file and its permissions.")
