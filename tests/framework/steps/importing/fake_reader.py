"""A reader of made-up text images, so that importing is tested without any plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.files import read_whole
from smalti.models import Beam, Goniometer
from smalti.solution import FrameHeader, Match
from smalti.testing.synthetic import detector

DETECTOR = detector("PILATUS 200K", 200.0)
MOVED = detector("PILATUS 200K", 201.0)
OTHER = detector("PILATUS 100K", 200.0)
UNKNOWN = detector("PILATUS 200K", 0.0)
PLACES = {"here": DETECTOR, "moved": MOVED, "other": OTHER, "nowhere": UNKNOWN}


def write(path: Path, start: float, width: float = 1.0, wavelength: float = 1.0, place: str = "here") -> Path:
    path.write_text(f"FAKE {start} {width} {wavelength} {place}")
    return path


def sweep(
    folder: Path, numbers: Sequence[int], name: str = "a_{:04d}.fake", width: float = 1.0
) -> list[Path]:
    return [write(folder / name.format(n), n * width, width) for n in numbers]


@dataclass(frozen=True)
class FakeReader:
    name: ClassVar[str] = "fake"
    level: int = int(Match.FORMAT)

    def match(self, path: Path, head: bytes) -> Match:
        return Match(self.level) if head.startswith(b"FAKE") else Match.NO

    def open(self, paths: Sequence[Path]) -> FakeSeries:
        return FakeSeries(tuple(paths))


@dataclass(frozen=True)
class FakeSeries:
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def header(self, index: int) -> FrameHeader:
        words = read_whole(self.paths[index]).decode().split()
        if words[:1] != ["FAKE"]:
            raise InputError(f"{self.paths[index]} is no fake image.", "It is real.", "Fake it.")
        if words[1] == "explode":
            raise ZeroDivisionError("boom")
        start, width, wavelength = (float(word) for word in words[1:4])
        place = PLACES[words[4]]
        layout = (487, 407) if place is not OTHER else (487, 195)
        return FrameHeader(
            Beam(wavelength=wavelength),
            place,
            Goniometer(),
            radians(start),
            radians(width),
            0.1,
            1000.0 + index,
            layout,
            ("a note",) if words[-1] == "noted" else (),
        )

    def read(self, index: int) -> NDArray[np.int32]:
        if self.paths[index].read_text().endswith("cut"):
            raise InputError(f"{self.paths[index]} is cut.", "So it was told.", "Mend it.")
        return np.full((407, 487), index, dtype=np.int32)

    def mask(self) -> NDArray[np.bool_]:
        mask = self.read(0) == 0
        mask[0, 0] = False
        return mask
