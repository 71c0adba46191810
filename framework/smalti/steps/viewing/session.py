"""All that is looked at together: images, tables, geometries; and what the page needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import smalti
from smalti.models import Experiment, Experiments
from smalti.steps.reporting.numbers import listed
from smalti.steps.viewing.colours import INKS, NO_COUNT, SCALES, word_ink
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.keeping import Shelf
from smalti.steps.viewing.options import LAYERS, ViewOptions
from smalti.steps.viewing.placing import Layout, image_layout, laboratory_layout, same_paper
from smalti.steps.viewing.predicted import Predictions, predictions_on
from smalti.steps.viewing.profiles import RadialBins, radial_bins
from smalti.steps.viewing.pyramid import LARGEST, TILE, Code
from smalti.steps.viewing.rings import Ring, ring_lines, ring_resolutions
from smalti.steps.viewing.scene import Scene
from smalti.steps.viewing.seeing import Band
from smalti.steps.viewing.spots import SpotIndex
from smalti.steps.viewing.thresholding import FinderChoice, described

__all__ = ["Session"]

WHICH = ("after", "before")
"""The geometries: that of the files shown, and another to compare with."""


@dataclass
class Session:
    """What one viewer shows.

    Attributes
    ----------
    scene : Scene
    spots : SpotIndex
    tables : tuple of str
        Names of the reflection tables.
    finders : FinderChoice
    options : ViewOptions
        The view to begin with.
    files : tuple of str
        The experiment list, for commands that are copied.
    before : Experiments or None
        Another geometry of the same experiments.
    mask_file : Path
        Where drawn masks go; the only file that is ever written.
    """

    scene: Scene
    spots: SpotIndex
    tables: tuple[str, ...]
    finders: FinderChoice
    options: ViewOptions
    files: tuple[str, ...]
    before: Experiments | None
    mask_file: Path
    _layouts: dict[tuple[int, str, str], Layout] = field(default_factory=dict)
    _rings: Shelf[tuple[Ring, ...]] = field(default_factory=lambda: Shelf(60))
    _bins: Shelf[RadialBins] = field(default_factory=lambda: Shelf(2))

    def experiments(self, which: str) -> Experiments:
        """Give one of the two geometries; the other where there is only one."""
        return (
            self.before if which == "before" and self.before is not None else self.scene.gallery.experiments
        )

    def experiment(self, roll: Roll, which: str) -> Experiment:
        """Give the models of a roll in one of the geometries."""
        return self.experiments(which)[roll.members[0]]

    @cached_property
    def detectors(self) -> dict[int, int]:
        """Number of the detector of each roll, by roll: rolls that share both geometries share a number."""
        seen: dict[tuple[int, ...], int] = {}
        return {
            roll.number: seen.setdefault(
                tuple(id(self.experiment(roll, w).detector) for w in WHICH), len(seen)
            )
            for roll in self.scene.gallery.rolls
        }

    def layout(self, roll: Roll, place: str, which: str = "after") -> Layout:
        """Give the layout of a roll: "image" or "lab"."""
        key = (self.detectors[roll.number], place, which)
        if key not in self._layouts:
            self._layouts[key] = self._make_layout(roll, place, which)
        return self._layouts[key]

    def _make_layout(self, roll: Roll, place: str, which: str) -> Layout:
        after = self.experiment(roll, "after")
        if place == "image":
            return image_layout(after.detector, roll.size)
        if which == "before" and self.before is not None:
            return same_paper(after.detector, after.beam, self.experiment(roll, "before").detector)
        return laboratory_layout(after.detector, after.beam)

    def rings(self, roll: Roll, kind: str, which: str, band: Band | None = None) -> tuple[Ring, ...]:
        """Give the rings of a kind on the panels of a roll: all of them, or those in a band."""
        experiment = self.experiment(roll, which)

        def make() -> tuple[Ring, ...]:
            return ring_lines(ring_resolutions(kind, experiment, experiment.crystal, band), experiment)

        return self._rings.get((roll.number, kind, which, band), make)

    def predictions(self, roll: Roll, begin: int, end: int, which: str) -> Predictions:
        """Predict between two array indices by one of the geometries."""
        reach = float(self.spots.reach[roll.number])
        return predictions_on(roll, self.experiments(which), begin, end, reach)

    def radial_bins(self, roll: Roll) -> RadialBins:
        """Give the bins of a roll's pixels in 1/d."""
        experiment = self.experiment(roll, "after")
        fast, slow = roll.size
        return self._bins.get(roll.number, lambda: radial_bins(experiment, (slow, fast)))

    def describe(self) -> dict[str, Any]:
        """Tell the page what there is."""
        rolls = self.scene.gallery.rolls
        firsts = {number: roll for roll in reversed(rolls) for number in (self.detectors[roll.number],)}
        return {
            "version": smalti.__version__,
            "files": self.files,
            "tables": self.tables,
            "frames": len(self.scene.gallery),
            "rolls": [
                {
                    "name": roll.name,
                    "first": first,
                    "count": len(roll),
                    "image": roll.start + 1,
                    "size": roll.size,
                    "detector": self.detectors[roll.number],
                    "overview": self.scene.overview(roll),
                    "lattices": sum(
                        self.scene.gallery.experiments[k].crystal is not None for k in roll.members
                    ),
                }
                for roll, first in zip(rolls, self.scene.gallery.firsts, strict=True)
            ],
            "detectors": [self._detector(firsts[number]) for number in sorted(firsts)],
            "two": self.before is not None,
            "tile": TILE,
            "largest": LARGEST,
            "codes": {code.name.lower(): int(code) for code in Code},
            "colours": SCALES,
            "inks": INKS,
            "word_inks": {ground: {name: word_ink(name, ground) for name in INKS} for ground in NO_COUNT},
            "no_count": NO_COUNT,
            "layers": LAYERS,
            "finders": described(self.finders),
            "options": {name: getattr(self.options, name) for name in self.options.__dataclass_fields__},
            "mask_file": str(self.mask_file),
        }

    def _detector(self, roll: Roll) -> Mapping[str, Any]:
        experiment = self.experiment(roll, "after")
        places = {"image": ("image", "after"), "lab": ("lab", "after"), "before": ("lab", "before")}
        return {
            "panels": [
                {"name": p.name, "window": [*p.window, *p.image_size]} for p in experiment.detector.panels
            ],
            "layouts": {
                name: _told(self.layout(roll, *place))
                for name, place in places.items()
                if name != "before" or self.before is not None
            },
        }


def _told(layout: Layout) -> dict[str, Any]:
    matrices = [
        [*linear.ravel().tolist(), *offset.tolist()]
        for linear, offset in zip(layout.linear, layout.offset, strict=True)
    ]
    return {
        "kind": layout.kind,
        "size": listed(layout.size, 8),
        "beam": None if layout.beam is None else listed(layout.beam, 8),
        "panels": [[float(f"{value:.9g}") for value in matrix] for matrix in matrices],
    }
