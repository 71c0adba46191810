"""Made-up images in files of plain arrays, and a reader for them: enough to run the whole step."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.models import Beam, Detector, Experiment, Experiments, Goniometer, ImageSet, Panel, Scan
from smalti.solution import FrameHeader, Match
from smalti.steps.finding import FindOptions, Found, find_spots
from smalti.tables import Reflections
from smalti_plugins.spots.dispersion_extended import DispersionExtended

SIZE = (120, 90)  # fast, slow
GAP = (58, 64)  # columns between the two panels
# The header of such a file is parsed as Python, which CPython 3.11 cannot do in two threads at once.
_READING = threading.Lock()


def panel(name: str, start: int, width: int) -> Panel:
    return Panel(
        name,
        (1.0, 0.0, 0.0),
        (0.0, -1.0, 0.0),
        (0.2 * (start - 60), 9.0, -100.0),
        (width, SIZE[1]),
        (0.2, 0.2),
        (start, 0),
        (0.0, 50000.0),
        thickness=0.45,
        material="Si",
        mu=2.0,
        parallax=True,
    )


DETECTOR = Detector.flat((panel("left", 0, GAP[0]), panel("right", GAP[1], SIZE[0] - GAP[1])))
BEAM = Beam(wavelength=1.0)


@dataclass(frozen=True)
class ArraySeries:
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def header(self, index: int) -> FrameHeader:
        return FrameHeader(BEAM, DETECTOR, None, 0.0, 0.0, 1.0, 0.0, SIZE)

    def read(self, index: int) -> NDArray[Any]:
        try:
            with _READING:
                return np.load(self.paths[index])
        except ValueError as error:
            raise InputError(
                f"{self.paths[index].name} is broken.", str(error), "Take the image again."
            ) from None

    def mask(self) -> None:
        return None


@dataclass(frozen=True)
class ArrayReader:
    name: ClassVar[str] = "arrays"

    def match(self, path: Path, head: bytes) -> Match:
        return Match.FORMAT if path.suffix == ".npy" else Match.NO

    def open(self, paths: Sequence[Path]) -> ArraySeries:
        return ArraySeries(tuple(paths))


def sweep(
    folder: Path, frames: Sequence[NDArray[Any]], start: float = 0.3, width: float = 0.01
) -> Experiment:
    """Write frames as images 1, 2, ... and give the experiment."""
    write(folder, frames)
    return Experiment(
        BEAM,
        DETECTOR,
        Goniometer(),
        Scan((1, len(frames)), (start, width)),
        imageset=ImageSet(str(folder / "frame_###.npy"), params={"reader": "arrays"}),
        identifier=folder.name,
    )


def stills(folder: Path, frames: Sequence[NDArray[Any]]) -> Experiments:
    """Write frames as stills, each with an experiment of its own."""
    write(folder, frames)
    images = ImageSet(str(folder / "frame_###.npy"), params={"reader": "arrays"})
    return Experiments(
        tuple(
            Experiment(
                BEAM, DETECTOR, None, Scan((k, k), (0.0, 0.0)), imageset=images, identifier=f"still {k}"
            )
            for k in range(1, len(frames) + 1)
        )
    )


def write(folder: Path, frames: Sequence[NDArray[Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for k, frame in enumerate(frames):
        np.save(folder / f"frame_{k + 1:03d}.npy", frame)


def spotty(
    rng: np.random.Generator,
    n_frames: int,
    truth: NDArray[np.float64],
    *,
    photons: float = 2000.0,
    sigma: tuple[float, float] = (1.1, 0.9),
    background: float = 1.0,
) -> NDArray[np.int32]:
    """Poisson frames (n, slow, fast) with Gaussian spots at truth (S, 3): fast, slow, frame."""
    slow, fast = np.indices((SIZE[1], SIZE[0])) + 0.5
    expected = np.full((n_frames, SIZE[1], SIZE[0]), background)
    for x, y, z in truth:
        shape = np.exp(-((fast - x) ** 2 + (slow - y) ** 2) / (2 * sigma[0] ** 2))
        along = np.exp(-((np.arange(n_frames) + 0.5 - z) ** 2) / (2 * sigma[1] ** 2))
        expected += photons * along[:, None, None] * shape / (shape.sum() * along.sum())
    return rng.poisson(expected).astype(np.int32)


def places(rng: np.random.Generator, n_frames: int) -> NDArray[np.float64]:
    """Spots on a loose grid over both panels, (S, 3): fast, slow, frame."""
    x = [8.0, 23.0, 38.0, 52.0, 71.0, 85.0, 99.0, 112.0]
    y = [10.0, 25.0, 40.0, 56.0, 72.0]
    grid = np.array([(a, b) for a in x for b in y])
    return np.column_stack(
        [grid + rng.uniform(-2, 2, grid.shape), rng.uniform(2.5, n_frames - 2.5, len(grid))]
    )


def find(experiments: Experiments, **options: object) -> Found:
    return find_spots(experiments, [ArrayReader()], DispersionExtended(), FindOptions(**options))  # type: ignore[arg-type]


def assert_same(a: Reflections, b: Reflections) -> None:
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
