"""Which pixels may be used: of a whole series, and of one frame."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.models import Experiment
from smalti.roles import Series
from smalti_ext.trusted import Area, all_trusted, mark_trusted

__all__ = ["MASK", "fitting_mask", "frame_mask", "masked_by", "valid"]

Mask = NDArray[np.bool_]
MASK = "smalti_mask"
"""Parameter of an image set that names the mask given on import.

Where the file format has a place for masks DIALS expects a pickle of its own and fails on any other file;
parameters that it does not know it passes over.
"""


def frame_mask(experiment: Experiment, series: Series) -> Mask:
    """Give the pixels of the raw frame that hold for the whole series, (slow, fast), True is good.

    Left out are pixels of no panel (the gaps between modules), untrusted rectangles of panels, pixels
    that the reader declares bad, and those of the mask file of the image set. The trusted range
    depends on the frame: see :func:`valid`.

    Raises
    ------
    InputError
        The frame is smaller than the detector, two panels have the same pixels of it, or the mask does
        not fit it.
    """
    fast, slow = series.header(0).size
    mask = np.zeros((slow, fast), dtype=bool)
    for panel in experiment.detector.panels:
        (x, y), (width, height) = panel.window, panel.image_size
        if x + width > fast or y + height > slow:
            raise InputError(
                f"The detector of the experiment does not fit its images of {fast} x {slow} px.",
                f"The panel {panel.name} reaches to pixel {x + width}, {y + height}.",
                "Import the images again, or give the .expt that belongs to them.",
            )
        if mask[y : y + height, x : x + width].any():
            raise InputError(
                f"The panel {panel.name} lies over another one on the images.",
                f"Both have the pixel {x}, {y}. Models made by DIALS do not say where modules that are "
                "arrays of their own are on a frame.",
                "Import the images again: smalti import IMAGES...",
            )
        mask[y : y + height, x : x + width] = True
        own_pixels = mask[y : y + height, x : x + width]
        for f0, s0, f1, s1 in panel.mask:
            own_pixels[max(s0, 0) : max(s1, 0), max(f0, 0) : max(f1, 0)] = False
    own = series.mask()
    if own is not None:
        mask &= _fitting(own, mask, "The reader's mask")
    images = experiment.imageset
    for name in (images.mask, images.params.get(MASK)) if images is not None else ():
        if name:
            mask = masked_by(mask, Path(str(name)))
    return mask


def masked_by(mask: Mask, path: Path) -> Mask:
    """Leave out the pixels that a mask file calls bad, too.

    Raises
    ------
    InputError
        There is no such file, or it does not fit the frame.
    """
    return mask & _fitting(_load(path), mask, f"The mask {path}")


def fitting_mask(path: Path, size: tuple[int, int]) -> Path:
    """Give the full path of a mask file, once it is known to fit frames of this size (fast, slow).

    Raises
    ------
    InputError
        There is no such file, or it does not fit.
    """
    masked_by(np.ones((size[1], size[0]), dtype=bool), path)
    return path.absolute()


def valid(counts: NDArray[Any], mask: Mask, experiment: Experiment) -> Mask:
    """Give the pixels of one frame that may be used: in the mask and within the trusted range.

    Where all of the mask are, that is the mask itself and no copy.

    Parameters
    ----------
    counts : (slow, fast)
    mask : (slow, fast) bool
        From :func:`frame_mask`.
    experiment : Experiment
    """
    panels = experiment.detector.panels
    areas: list[Area] = [(*panel.window, *panel.image_size, *panel.trusted_range) for panel in panels]
    if all(panel.trusted_range == panels[0].trusted_range for panel in panels):
        # Nothing outside the panels is in the mask; one large area takes half the time of sixty.
        areas = [(0, 0, mask.shape[1], mask.shape[0], *panels[0].trusted_range)]
    kernels = counts.dtype == np.int32 and counts.flags.c_contiguous
    if kernels and all_trusted(counts, mask, areas):
        return mask
    good = np.zeros_like(mask)
    if kernels:
        mark_trusted(counts, mask, areas, good)
        return good
    for x, y, width, height, *trusted in areas:
        part = np.s_[y : y + height, x : x + width]
        low, high = _limits(counts, (trusted[0], trusted[1]))
        good[part] = mask[part] & (counts[part] >= low) & (counts[part] <= high)
    return good


def _limits(counts: NDArray[Any], trusted: tuple[float, float]) -> tuple[float, float]:
    """Give whole limits for whole counts: comparing with a float would convert the whole frame first."""
    if counts.dtype.kind not in "iu" or not all(map(math.isfinite, trusted)):
        return trusted
    return math.ceil(trusted[0]), math.floor(trusted[1])


def _fitting(mask: Mask, frame: Mask, name: str) -> Mask:
    if mask.shape != frame.shape:
        raise InputError(
            f"{name} does not fit the images.",
            f"It has (slow, fast) {mask.shape}, the images {frame.shape}.",
            "Make the mask from images of this detector.",
        )
    return mask


def _load(path: Path) -> Mask:
    """Load a mask file: a NumPy array (slow, fast), nonzero where a pixel is good; smalti view saves such."""
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(
            f"There is no mask file {path}.", fix="Check its name, or that in the .expt file."
        ) from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"The mask {path} cannot be read.",
            f"{error}.",
            "Save it as a NumPy array: numpy.save('mask.npy', good).",
        ) from None
    return np.asarray(values != 0)
