"""Frames that are looked at by themselves, outside the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment, ImageSet
from smalti.roles import Reader, Series
from smalti.steps.finding.frames import as_int32, panel_map
from smalti.steps.importing import open_series
from smalti.steps.masking import frame_mask, masked_by, valid

__all__ = ["Frame", "SingleFrames"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """The counts of one frame, (slow, fast) int32, which may be used, and the panel of each pixel."""

    counts: NDArray[np.int32]
    usable: Mask
    panels: NDArray[np.int16]


@dataclass(frozen=True)
class SingleFrames:
    """The frames of one experiment, read one by one with the masks that the search has."""

    experiment: Experiment
    series: Series
    static: Mask
    panels: NDArray[np.int16]

    @classmethod
    def of(
        cls, experiment: Experiment, images: ImageSet, readers: Sequence[Reader], mask: str
    ) -> SingleFrames:
        """Open the images; ``mask`` is a file of a further mask, or empty."""
        series = open_series(images, readers, experiment.scan)
        static = frame_mask(experiment, series)
        if mask:
            static = masked_by(static, Path(mask))
        return cls(
            experiment, series, static, panel_map(experiment.detector, (static.shape[0], static.shape[1]))
        )

    def frame(self, index: int) -> Frame:
        """Read one frame (index from 0)."""
        raw = self.series.read(index)
        return Frame(as_int32(raw), valid(raw, self.static, self.experiment), self.panels)
