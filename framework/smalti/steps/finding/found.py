"""What spot finding gives: the table, and an account of what was found and what was left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalti.steps.finding.completing import SweepShape
from smalti.steps.finding.filters import FilterCount
from smalti.steps.finding.sizing import SizeRule
from smalti.tables import Reflections
from smalti.text import plural, table

__all__ = ["Found", "ImageCounts", "histogram"]


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """Counts per image of one experiment.

    Attributes
    ----------
    experiment : int
    first : int
        Number of the first image, from 1.
    strong, spots : tuple of int
        Strong pixels and spots (by centroid) of each image; -1 for an image that was not used.
    """

    experiment: int
    first: int
    strong: tuple[int, ...]
    spots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The result of spot finding.

    Attributes
    ----------
    reflections : Reflections
        One row per spot, by experiment, first image, slow and fast.
    groups : int
        Groups of connected strong pixels before filtering.
    filters : tuple of FilterCount
        What each filter took away, in order.
    images : tuple of ImageCounts
    hot : tuple of (int, int)
        Fast and slow of hot pixels that were taken out, in the raw frame.
    refused : tuple of str
        Images that were not used, with the reason.
    warnings : tuple of str
    shapes : tuple of SweepShape
        How wide the spots of each sweep are, where enough of them tell.
    rule : SizeRule or None
        Why spots may be as small as they are, where noise has decided on it.
    """

    reflections: Reflections
    groups: int
    filters: tuple[FilterCount, ...]
    images: tuple[ImageCounts, ...]
    hot: tuple[tuple[int, int], ...]
    refused: tuple[str, ...]
    warnings: tuple[str, ...]
    shapes: tuple[SweepShape, ...] = ()
    rule: SizeRule | None = None

    @property
    def n_images(self) -> int:
        """Number of images that were searched."""
        return sum(count >= 0 for item in self.images for count in item.strong)

    def text(self) -> str:
        """Say what was found: totals, what the filters took, spots along the images."""
        title = (
            f"{plural(self.reflections.n_rows, 'spot')} on {plural(self.n_images, 'image')} "
            f"of {plural(len(self.images), 'experiment')}."
        )
        body = [("groups of strong pixels", "", f"{self.groups:,}")]
        body += [(f.reason, f"-{f.removed:,}" if f.removed else "0", f"{f.left:,}") for f in self.filters]
        parts = [title, table(("", "removed", "left"), body)]
        spots = [count for item in self.images for count in item.spots]
        if len(spots) > 1:
            parts.append("Spots per image\n" + histogram(spots))
        if self.rule is not None:
            parts.append(self.rule.text())
        parts += self._shapes()
        if self.hot:
            shown = ", ".join(f"({fast}, {slow})" for fast, slow in self.hot[:10])
            more = f" and {len(self.hot) - 10} more" if len(self.hot) > 10 else ""
            parts.append(f"Hot pixels taken out (fast, slow): {shown}{more}.")
        if self.refused:
            parts.append("Images not used:\n" + "\n".join(f"  {line}" for line in self.refused[:20]))
        return "\n\n".join(parts)

    def _shapes(self) -> list[str]:
        """Say how wide the spots are; many sweeps are told by their middle."""
        if not self.shapes:
            return []
        values = [(item.fast, item.slow, math.degrees(item.mosaicity)) for item in self.shapes]
        fast, slow, mosaicity = np.median(values, axis=0)
        of = "" if len(values) == 1 else f" (median of {len(values)} sweeps)"
        return [
            f"Width of the spots{of}: {fast:.2f} x {slow:.2f} px; they rock through the Ewald sphere within "
            f"{mosaicity:.3f} deg (standard deviations, from the strongest)."
        ]

    def summary(self) -> dict[str, Any]:
        """Give the same as plain values for JSON."""
        return {
            "spots": self.reflections.n_rows,
            "images": self.n_images,
            "groups": self.groups,
            "size_rule": self.rule.summary() if self.rule else None,
            "filters": [{"reason": f.reason, "removed": f.removed, "left": f.left} for f in self.filters],
            "experiments": [
                {
                    "experiment": item.experiment,
                    "first_image": item.first,
                    "strong_pixels": list(item.strong),
                    "spots": list(item.spots),
                }
                for item in self.images
            ],
            "shapes": [
                {
                    "experiment": item.experiment,
                    "width_px": [item.fast, item.slow],
                    "rocking_deg": math.degrees(item.mosaicity),
                }
                for item in self.shapes
            ],
            "hot_pixels": [list(pixel) for pixel in self.hot],
            "refused_images": list(self.refused),
        }


def histogram(counts: Sequence[int], *, height: int = 8, width: int = 60) -> str:
    """Draw counts per image as columns of stars; long runs are averaged to ``width`` columns.

    An image that was not used (-1) is left blank; any count above 0 shows at least one star.
    """
    columns = []
    for part in np.array_split(np.array(counts, dtype=float), min(width, len(counts))):
        used = part[part >= 0]
        columns.append(float(used.mean()) if used.size else 0.0)
    most = max([*columns, 1.0])
    levels = [int(np.ceil(height * value / most)) for value in columns]
    scale = f"{most:,.0f}"
    lines = []
    for level in range(height, 0, -1):
        mark = scale if level == height else ""
        lines.append(f"{mark:>8} |" + "".join("*" if top >= level else " " for top in levels))
    lines.append(f"{0:>8} +" + "-" * len(levels))
    lines.append(" " * 10 + "1" + f"{len(counts)}".rjust(max(len(levels) - 1, 1)))
    return "\n".join(line.rstrip() for line in lines)
