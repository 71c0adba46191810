"""Why a pixel is strong or not: the images behind the answer, for one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.models import Experiment, Experiments, ImageSet
from smalti.roles import Explaining, Reader, SpotFinder
from smalti.steps.finding.options import FindOptions
from smalti.steps.finding.runs import runs_of
from smalti.steps.finding.single import SingleFrames
from smalti.steps.guarding import guarded
from smalti.steps.png import png_bytes

__all__ = ["Explanation", "explain_frame", "write_explanation"]


@dataclass(frozen=True)
class Explanation:
    """The images that lead to the strong pixels of a frame.

    Attributes
    ----------
    image : int
        Number of the image, from 1.
    images : Mapping
        Name to (slow, fast): the counts, the pixels that may be used, and what the finder tells.
    """

    image: int
    images: Mapping[str, NDArray[Any]]

    def text(self) -> str:
        """Say how many pixels each step left."""
        lines = [f"Image {self.image}:"]
        for name, values in self.images.items():
            if values.dtype == np.bool_:
                lines.append(f"  {int(values.sum()):>12,} pixels  {name}")
            elif np.isfinite(values).any():
                lines.append(f"  {float(np.nanmedian(values)):>12.4g} median  {name}")
        return "\n".join(lines)


def explain_frame(
    experiments: Experiments, image: int, readers: Sequence[Reader], finder: SpotFinder, options: FindOptions
) -> Explanation:
    """Make the images behind the strong pixels of one frame.

    Parameters
    ----------
    image : int
        Number of the image, from 1; the first experiment that has it is taken.

    Raises
    ------
    UsageError
        No experiment has this image, or the finder cannot explain itself.
    """
    if not isinstance(finder, Explaining):
        raise UsageError(
            f"The spot finder '{finder.name}' does not tell how it judges.",
            "It has no images to show beside its strong pixels.",
            "Choose another with --finder: dispersion_extended does.",
        )
    experiment, images, index = _place(experiments, image)
    frame = SingleFrames.of(experiment, images, readers, options.mask).frame(index)
    what = f"The spot finder '{finder.name}' failed to explain image {image}."
    told = guarded(lambda: finder.explain(frame.counts, frame.usable), what, "Choose another with --finder.")
    return Explanation(image, {"counts": frame.counts, "usable": frame.usable, **told})


def _place(experiments: Experiments, image: int) -> tuple[Experiment, ImageSet, int]:
    """Experiment, images and place among them of the image with a number."""
    ranges = []
    for run in runs_of(experiments):
        for _, experiment, images in run.members:
            first, last = experiment.scan.image_range if experiment.scan else (1, max(len(images.images), 1))
            if first <= image <= last:
                return experiment, images, image - first
            ranges.append(f"{first} to {last}")
    raise UsageError(
        f"There is no image {image}.",
        f"The experiments have images {', '.join(ranges)}.",
        "Give the number of one of them.",
    )


def write_explanation(explanation: Explanation, stem: Path) -> tuple[Path, ...]:
    """Write all images as NumPy arrays (.npz) and a picture (.png) of each; give the paths."""
    base = f"{stem.name}_{explanation.image:05d}"
    paths = [stem.with_name(f"{base}_explained.npz")]
    # Numbers that few look at twice: single precision, and not compressed, which takes ten times as long.
    small = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in explanation.images.items()}
    np.savez(paths[0], allow_pickle=False, **small)
    for name, values in explanation.images.items():
        paths.append(stem.with_name(f"{base}_{name}.png"))
        paths[-1].write_bytes(png_bytes(_picture(values)))
    return tuple(paths)


def _picture(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey picture (slow, fast, 3), dark where there is much: square roots up to the 99.9th percentile."""
    if values.dtype == np.bool_:
        shade = values.astype(np.float64)
    else:
        height = np.sqrt(np.maximum(np.nan_to_num(values.astype(np.float64), posinf=0.0), 0.0))
        shade = np.minimum(height / max(float(np.quantile(height, 0.999)), 1e-9), 1.0)
    grey = np.round(255.0 * (1.0 - shade)).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
