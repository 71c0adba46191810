"""What importing made, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees
from pathlib import Path
from typing import Any

from smalti.models import Experiments
from smalti.text import plural, table

__all__ = ["Imported"]

_MOST_SWEEPS = 12
_ENDS = 4
"""Of more sweeps so many of the first and of the last are told; ``smalti show --all`` lists them."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Experiments made from images.

    Attributes
    ----------
    experiments : Experiments
        One per sweep, one per still; equal models are one object.
    n_images : int
    readers : tuple of str
        The readers used.
    """

    experiments: Experiments
    n_images: int
    readers: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give the numbers for ``--json``."""
        return {
            "experiments": len(self.experiments),
            "sweeps": sum(not item.is_still for item in self.experiments),
            "stills": sum(item.is_still for item in self.experiments),
            "images": self.n_images,
            "readers": list(self.readers),
            "panels": [len(detector) for detector in self.experiments.unique("detector")],
        }

    def text(self) -> str:
        """Give the table for people: sweeps one by one, stills together."""
        rows: list[tuple[object, ...]] = []
        stills = [item for item in self.experiments if item.scan is None]
        for item in self.experiments:
            if item.scan is None or item.imageset is None:
                continue
            first, last = item.scan.image_range
            start, width = (degrees(angle) for angle in item.scan.oscillation)
            name = Path(item.imageset.template).name
            angles = f"{start:.4f}".rstrip("0").rstrip("."), f"{width:.4f}".rstrip("0").rstrip(".")
            rows.append((name, f"{first}-{last}", *angles, len(item.detector)))
        if len(rows) > _MOST_SWEEPS:
            more = len(rows) - 2 * _ENDS
            rows = [*rows[:_ENDS], (f"... {plural(more, 'sweep')} more", "", "", "", ""), *rows[-_ENDS:]]
        if stills:
            rows.append((plural(len(stills), "still"), len(stills), "", "", len(stills[0].detector)))
        return table(("sweep", "images", "start\n(deg)", "width\n(deg)", "panels"), rows)
