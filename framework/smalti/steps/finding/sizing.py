"""How few pixels may make a spot: as few as noise alone hardly ever brings together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from smalti.errors import SmaltiError, UsageError
from smalti.models import Experiment, ImageSet
from smalti.roles import Reader, SpotFinder
from smalti.steps.finding.options import FindOptions
from smalti.steps.finding.runs import Run
from smalti.steps.finding.single import Frame, SingleFrames
from smalti.text import plural
from smalti_ext.components import label

__all__ = ["SizeRule", "sized"]

Image = NDArray[np.int32]
Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

SMALLEST = 2
"""A pixel alone may be a cosmic ray, which no background tells of."""
LARGEST = 10
"""Groups of more pixels are taken for spots however often noise makes them."""
_PLACES = 3
"""Where along the images samples are taken ..."""
_TOGETHER = 3
"""... and how many images in a row, as noise may be linked from one to the next."""
_BOX = 31
"""Width of the square over which the background is averaged, px."""
_HALO = 5
"""Width of the square around a strong pixel that is left out of it, px."""


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Why the smallest spot has the size that it has.

    Attributes
    ----------
    smallest : int
        Pixels.
    fraction : float
        Part of the groups that may come from noise.
    images : int
        Sampled.
    noise, found : tuple of float
        Groups on an image of at least 1, 2, ... pixels: in noise drawn from the background of these images,
        and on them.
    """

    smallest: int
    fraction: float
    images: int
    noise: tuple[float, ...]
    found: tuple[float, ...]

    def text(self) -> str:
        """Say what was chosen and why."""
        k = self.smallest
        lines = [
            f"Smallest spot: {plural(k, 'pixel')}. Noise drawn from the background of "
            f"{plural(self.images, 'image')} makes {_number(self.noise[k - 1])} groups an image of at least "
            f"so many, of {_number(self.found[k - 1])} found"
        ]
        if k > SMALLEST:
            lines.append(
                f"; with {k - 1} it would be {_number(self.noise[k - 2])} of {_number(self.found[k - 2])}, "
                f"more than {100.0 * self.fraction:g} %"
            )
        if self.noise[k - 1] > self.fraction * self.found[k - 1]:
            lines.append(f". No size up to {LARGEST} keeps them below {100.0 * self.fraction:g} %")
        return "".join(lines) + "."

    def summary(self) -> dict[str, Any]:
        """Give the same as plain values for JSON."""
        return {
            "smallest": self.smallest,
            "fraction": self.fraction,
            "images": self.images,
            "noise_per_image": list(self.noise),
            "found_per_image": list(self.found),
        }


def sized(
    runs: Sequence[Run],
    readers: Sequence[Reader],
    finder: SpotFinder,
    options: FindOptions,
) -> tuple[FindOptions, SizeRule | None]:
    """Give the options with the smallest spot filled in, where noise is to decide on it, and the reason.

    Of a few images the background is averaged over squares of 31 pixels without strong ones. Where no strong
    pixel is near, Poisson counts are drawn from it; spots stay, as noise makes strong pixels most easily
    beside a spot, where windows are dispersed. Groups that the finder puts together in what is drawn are
    noise. The smallest size is the least, from 2, of which there are no more than ``options.false_spots`` of
    those on the images.

    Raises
    ------
    UsageError
        The size is given, too.
    """
    if options.false_spots is None:
        return options, None
    if options.min_spot_size is not None:
        raise UsageError(
            "min_spot_size and false_spots are both given.",
            "false_spots chooses the smallest size.",
            "Leave one of them out.",
        )
    noise, found, n = np.zeros(LARGEST), np.zeros(LARGEST), 0
    for seed, (experiment, images, indices) in enumerate(_samples(runs)):
        try:
            opened = SingleFrames.of(experiment, images, readers, options.mask)
            frames = [opened.frame(index) for index in indices]
        except (SmaltiError, OSError):
            continue  # The search will tell what is wrong with it.
        n += len(frames)
        linked, gain = not experiment.is_still, min(panel.gain for panel in experiment.detector.panels)
        rng = np.random.default_rng(seed)
        strong = [finder.find(f.counts, f.usable) for f in frames]
        found += _at_least(strong, frames, linked, [f.usable for f in frames])
        drawn = [_drawn(f, pixels, gain, rng) for f, pixels in zip(frames, strong, strict=True)]
        again = [finder.find(counts, f.usable) for f, (counts, _) in zip(frames, drawn, strict=True)]
        noise += _at_least(again, frames, linked, [free for _, free in drawn])
    if n == 0:
        return options, None
    few = np.flatnonzero(noise[SMALLEST - 1 :] <= options.false_spots * found[SMALLEST - 1 :])
    smallest = int(few[0]) + SMALLEST if few.size else LARGEST
    rule = SizeRule(
        smallest, options.false_spots, n, tuple((noise / n).tolist()), tuple((found / n).tolist())
    )
    return replace(options, min_spot_size=smallest), rule


def _samples(runs: Sequence[Run]) -> Iterator[tuple[Experiment, ImageSet, range]]:
    """Images in a row at a few places spread over all of them."""
    members = [member for run in runs for member in run.members]
    lengths = np.array([item.scan.n_images if item.scan else max(len(i.images), 1) for _, item, i in members])
    ends = np.cumsum(lengths)
    places = ((np.arange(_PLACES) + 0.5) / _PLACES * lengths.sum()).astype(int)
    for place in np.unique(places).tolist():
        k = int(np.searchsorted(ends, place, side="right"))
        length = int(lengths[k])
        first = min(place - int(ends[k]) + length, max(length - _TOGETHER, 0))
        _, experiment, images = members[k]
        yield experiment, images, range(first, min(first + _TOGETHER, length))


def _drawn(
    frame: Frame, strong: NDArray[np.intp], gain: float, rng: np.random.Generator
) -> tuple[Image, Mask]:
    """Noise in the place of what is no spot, and where it is, (slow, fast) each."""
    near = np.zeros(frame.counts.shape)
    near.reshape(-1)[strong] = 1.0
    free = frame.usable & (uniform_filter(near, _HALO, mode="constant") < 0.5 / _HALO**2)
    weight = uniform_filter(free.astype(float), _BOX, mode="constant")
    total = uniform_filter(np.where(free, frame.counts, 0).astype(float), _BOX, mode="constant")
    mean = np.maximum(total, 0.0) / np.maximum(weight, 0.5 / _BOX**2)
    counts = np.where(free, gain * rng.poisson(mean / gain), frame.counts)
    return np.ascontiguousarray(counts, dtype=np.int32), free


def _at_least(
    strong: Sequence[NDArray[np.intp]], frames: Sequence[Frame], linked: bool, where: Sequence[Mask]
) -> Array:
    """Groups of at least 1, 2, ... pixels in the strong pixels of images in a row, all of them ``where``."""
    starts = np.cumsum([0, *(len(pixels) for pixels in strong)]).astype(np.int64)
    panel = np.concatenate([f.panels.reshape(-1)[pixels] for f, pixels in zip(frames, strong, strict=True)])
    inside = np.concatenate([mask.reshape(-1)[pixels] for mask, pixels in zip(where, strong, strict=True)])
    follows = np.array([linked and k > 0 for k in range(len(frames))])
    index = np.concatenate(strong).astype(np.int32)
    groups = label(starts, follows, index, panel, frames[0].counts.shape[1])
    sizes = np.bincount(groups.group, minlength=groups.n_groups)
    sizes = sizes * (np.bincount(groups.group, ~inside, minlength=groups.n_groups) == 0)
    return np.array([np.count_nonzero(sizes >= k) for k in range(1, LARGEST + 1)], dtype=float)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10.0 else f"{value:.2g}"
