"""A small detector of four panels with known counts, for the tests of the viewer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from smalti.models import Beam, Crystal, Detector, Experiment, Experiments, Goniometer, ImageSet, Panel, Scan
from smalti.solution import FrameHeader
from smalti.steps.viewing import Gallery, Roll, Scene, Session, ViewOptions
from smalti.steps.viewing.spots import index_spots
from smalti.steps.viewing.thresholding import FinderChoice
from smalti_plugins.spots.dispersion import Dispersion
from smalti_plugins.spots.dispersion_extended import DispersionExtended

SIZE = 130, 91
"""Fast and slow: two panels of 60 px and a gap of 10, two of 40 px and a gap of 11."""
PIXEL = 0.1
DISTANCE = 50.0


def detector(shift: float = 0.0) -> Detector:
    """Four panels around a beam along -z; ``shift`` mm moves the last along fast."""
    panels = []
    for k, (fast, slow) in enumerate(((0, 0), (70, 0), (0, 51), (70, 51))):
        origin = (fast * PIXEL - 6.5 + (shift if k == 3 else 0.0), -(slow * PIXEL - 4.55), -DISTANCE)
        panels.append(
            Panel(
                f"p{k}", (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), origin, (60, 40), (PIXEL, PIXEL), (fast, slow),
                (-0.5, 1000.0),
            )
        )  # fmt: skip
    return Detector.flat(tuple(panels))


def counts(index: int) -> np.ndarray:
    """Poisson background of 2 with a spot of 50, -1 in the gaps, one dead and one overloaded pixel."""
    frame = np.random.default_rng(index).poisson(2.0, (SIZE[1], SIZE[0])).astype(np.int32)
    frame[20:22, 30:32] += 50
    frame[:, 60:70] = -1
    frame[40:51] = -1
    frame[5, 6] = -2
    frame[70, 100] = 5000
    return frame


@dataclass(frozen=True)
class FakeSeries:
    """Frames in memory; remembers which were read."""

    n: int
    seen: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.n

    def header(self, index: int) -> FrameHeader:
        return FrameHeader(Beam(), detector(), None, 0.0, 0.0, 0.1, 0.0, SIZE)

    def read(self, index: int) -> np.ndarray:
        self.seen.append(index)
        return counts(index)

    def mask(self) -> np.ndarray:
        good = np.ones((SIZE[1], SIZE[0]), dtype=bool)
        good[0, :8] = False
        return good


def experiment(n: int = 6, crystal: Crystal | None = None, shift: float = 0.0) -> Experiment:
    scan = Scan((1, n), (0.0, np.radians(1.0)))
    images = ImageSet("/data/film_####.cbf")
    return Experiment(
        Beam(wavelength=1.0), detector(shift), Goniometer(), scan, crystal, images, identifier="film"
    )


def gallery(n: int = 6, crystal: Crystal | None = None) -> Gallery:
    """Two rolls: a sweep of n frames and a still."""
    sweep = experiment(n, crystal)
    still = replace(sweep, scan=None, goniometer=None, imageset=ImageSet(images=("/data/still.cbf",)))
    rolls = (
        Roll(0, sweep.imageset, FakeSeries(n), sweep, (0,), 0),
        Roll(1, still.imageset, FakeSeries(1), still, (1,), 0),
    )
    return Gallery(Experiments((sweep, still)), rolls)


def session(tmp_path: Path, *tables, options: ViewOptions | None = None, before: bool = False) -> Session:
    found = gallery()
    other = None
    if before:
        other = Experiments(tuple(replace(item, detector=detector(0.2)) for item in found.experiments))
    return Session(
        Scene(found, threads=1),
        index_spots(found, tables),
        tuple(f"table{k}.refl" for k in range(len(tables))),
        FinderChoice((Dispersion, DispersionExtended), DispersionExtended()),
        options or ViewOptions(show="none"),
        ("film.expt",),
        other,
        tmp_path / "mask.npy",
    )
