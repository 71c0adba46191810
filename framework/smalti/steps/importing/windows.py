"""Where the panels of a model lie on the raw frame, when the program that made it did not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smalti.models import Detector, Experiment, Experiments
from smalti.roles import Reader
from smalti.steps.importing.opening import open_series

__all__ = ["with_windows"]


def with_windows(experiments: Experiments, readers: Sequence[Reader]) -> Experiments:
    """Give experiments whose panels have their windows on the raw frame.

    Models that DIALS makes of modules that are stored apart (NXmx, CS-PAD) have all of them at the first
    pixel of the frame. Then the reader of the images says where they are: its panels must be the same, in
    the same order and roughly at the same places, for the model may have been refined.

    Parameters
    ----------
    experiments : Experiments
    readers : sequence of Reader

    Returns
    -------
    Experiments
        As given where nothing is missing, or where the reader does not know better.
    """
    placed: dict[int, Detector] = {}
    for item in experiments:
        detector = item.detector
        if id(detector) not in placed:
            lacks = len(detector) > 1 and not any(any(panel.window) for panel in detector.panels)
            placed[id(detector)] = _placed(item, readers) if lacks and item.imageset else detector
    if all(placed[id(item.detector)] is item.detector for item in experiments):
        return experiments
    return replace(
        experiments, items=tuple(replace(item, detector=placed[id(item.detector)]) for item in experiments)
    )


def _placed(item: Experiment, readers: Sequence[Reader]) -> Detector:
    assert item.imageset is not None
    series = open_series(item.imageset, readers, item.scan, all_there=False)
    known = series.header(0).detector if len(series) else item.detector
    if not _same_panels(item.detector, known):
        return item.detector
    panels = tuple(
        replace(panel, window=other.window)
        for panel, other in zip(item.detector.panels, known.panels, strict=True)
    )
    return replace(item.detector, panels=panels)


def _same_panels(model: Detector, known: Detector) -> bool:
    sizes = [[panel.image_size for panel in detector.panels] for detector in (model, known)]
    if sizes[0] != sizes[1]:
        return False
    a, b = (d.stacked()[:, :, 2] - d.stacked()[:, :, 2].mean(axis=0) for d in (model, known))
    return all(int(np.argmin(np.linalg.norm(b - place, axis=1))) == k for k, place in enumerate(a))
