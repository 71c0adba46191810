"""What was found on frames, kept in files: for job arrays, and to go on after an interruption.

A file is an NPZ archive: the columns of the strong pixels of its frames one after the other, and a JSON text
with the frames. It is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from smalti.errors import InputError
from smalti.models import Experiments
from smalti.roles import SpotFinder
from smalti.steps.finding.frames import FrameOutcome
from smalti.steps.finding.options import FindOptions
from smalti.steps.finding.pixels import Pixels
from smalti.storage import write_whole

__all__ = ["SUFFIX", "Keeper", "Place", "digest_of", "read_frames", "write_frames"]

SUFFIX = ".frames"
_FORMAT, _VERSION = "smalti frames", 1
_BLOCK = 64
"""Frames of one file of a run that may be interrupted."""

Place = tuple[int, int]
"""Experiment and array index of a frame."""


def digest_of(experiments: Experiments, finder: SpotFinder, options: FindOptions) -> str:
    """Give a digest of all that decides on the strong pixels of frames; filters of spots do not."""
    told = [repr(finder), options.mask, options.max_strong_fraction]
    for item in experiments:
        images = item.imageset
        told.append(repr((item.scan, images and (images.template, images.images, images.indices))))
    for detector in experiments.unique("detector"):
        told.append(repr((detector.panels, detector.root)))
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()


def write_frames(path: Path, outcomes: Sequence[FrameOutcome], digest: str, planned: int) -> None:
    """Write what was found on some frames.

    Parameters
    ----------
    path : Path
    outcomes : sequence of FrameOutcome
    digest : str
        From :func:`digest_of`.
    planned : int
        Number of frames of the whole search.
    """
    frames = [
        [o.number, o.z, o.name, o.still, list(o.shape), len(o.pixels), o.problem, o.absent] for o in outcomes
    ]
    told = {"format": _FORMAT, "version": _VERSION, "digest": digest, "planned": planned, "frames": frames}
    joined = Pixels.joined([item.pixels for item in outcomes])
    columns = {item.name: getattr(joined, item.name) for item in fields(Pixels) if item.name != "frame"}
    buffer = io.BytesIO()
    np.savez(buffer, told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8), **columns)
    write_whole(path, buffer.getvalue())


def read_frames(path: Path, digest: str) -> tuple[list[FrameOutcome], int]:
    """Read a file of frames: what was found, and the number of frames of the whole search.

    Raises
    ------
    InputError
        The file is missing, damaged, or of another search.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            told = json.loads(archive["told"].tobytes())
            if told["format"] != _FORMAT or told["version"] != _VERSION:
                raise ValueError(f"its format is {told['format']} {told['version']}")
            names = [item.name for item in fields(Pixels) if item.name != "frame"]
            columns = {name: archive[name] for name in names}
        outcomes = list(_outcomes(told, columns))
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.", fix="Check the name.") from None
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read as frames of a search for spots.",
            f"{str(error).rstrip('.') or type(error).__name__}.",
            "Search these frames again: smalti find-spots --chunk.",
        ) from None
    if told["digest"] != digest:
        raise InputError(
            f"{path} belongs to another search.",
            "Its images, detector, spot finder or mask are not those of now.",
            "Give the experiments and options with which it was made, or search again.",
        )
    return outcomes, int(told["planned"])


def _outcomes(told: Mapping[str, Any], columns: Mapping[str, Any]) -> Iterator[FrameOutcome]:
    counts = [frame[5] for frame in told["frames"]]
    ends = np.cumsum([0, *counts])
    if any(len(values) != ends[-1] for values in columns.values()):
        raise ValueError("its columns are not as long as its frames say")
    for frame, (begin, end) in zip(told["frames"], pairwise(ends.tolist()), strict=True):
        number, z, name, still, shape, count, problem, absent = frame
        own = {key: values[begin:end] for key, values in columns.items()}
        pixels = Pixels(frame=np.zeros(count, dtype=np.int32), **own)
        slow, fast = shape
        yield FrameOutcome(number, z, name, still, (slow, fast), pixels, problem, absent)


@dataclass
class Keeper:
    """Keeps what was found while a search goes on, in files of a folder beside its result.

    Attributes
    ----------
    folder : Path
    digest : str
    planned : int
        Number of frames of the whole search.
    """

    folder: Path
    digest: str
    planned: int
    _files: dict[Place, Path] = field(default_factory=dict)
    _fresh: list[FrameOutcome] = field(default_factory=list)
    _read: tuple[Path | None, dict[Place, FrameOutcome]] = (None, {})

    def begin(self, *, resume: bool) -> int:
        """Start afresh, or go on with what is there; give the number of frames that are done.

        Raises
        ------
        InputError
            What is there belongs to another search.
        """
        if not resume:
            shutil.rmtree(self.folder, ignore_errors=True)
        for path in sorted(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else ():
            outcomes, _ = read_frames(path, self.digest)
            # What could not be read may be readable now.
            self._files.update({(o.number, o.z): path for o in outcomes if not o.problem})
        self.folder.mkdir(parents=True, exist_ok=True)
        return len(self._files)

    def has(self, place: Place) -> bool:
        """Tell whether a frame is done."""
        return place in self._files

    def give(self, place: Place) -> FrameOutcome:
        """Give what was found on a frame that is done; frames are asked for in order."""
        path = self._files[place]
        if self._read[0] != path:
            self._read = path, {(o.number, o.z): o for o in read_frames(path, self.digest)[0]}
        return self._read[1][place]

    def keep(self, outcomes: Iterable[FrameOutcome]) -> Iterator[FrameOutcome]:
        """Pass outcomes on, and write those that are new now and then."""
        try:
            for outcome in outcomes:
                if not self.has((outcome.number, outcome.z)):
                    self._fresh.append(outcome)
                    if len(self._fresh) == _BLOCK:
                        self._write()
                yield outcome
        finally:
            self._write()

    def forget(self) -> None:
        """Remove the files: the search is done and its result written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self) -> None:
        if self._fresh:
            first = self._fresh[0]
            path = self.folder / f"{first.number:06d}_{first.z:07d}{SUFFIX}"
            write_frames(path, self._fresh, self.digest, self.planned)
            self._fresh.clear()
