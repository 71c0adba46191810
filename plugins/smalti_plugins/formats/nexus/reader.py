"""NeXus files: NXmx of any detector, and master files of EIGERs before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import FrameHeader, Match

if TYPE_CHECKING:
    from smalti_plugins.formats.nexus._master import Master

SMALTI_API = API

_MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Nxmx:
    """Reads NXmx and EIGER master files: virtual datasets, external data files, stacked modules."""

    name: ClassVar[str] = "nxmx"

    parallax: bool = option(True, "Correct positions for the depth at which the sensor absorbs.")
    pixel_mask: bool = option(True, "Use the pixel masks of the file.")

    def match(self, path: Path, head: bytes) -> Match:
        """Tell a file that describes a detector from one that holds pixels only."""
        if not head.startswith(_MAGIC):
            return Match.NO
        # h5py and what needs it are imported here because discovery imports every plugin.
        from smalti_plugins.formats.nexus._master import is_master
        from smalti_plugins.formats.nexus._probe import survives

        if not survives(path):
            raise InputError(
                f"{path} is damaged: HDF5 crashes, or never ends, when it opens this file.",
                "It was opened in a process of its own first, which died.",
                "Copy the file again from where it was measured.",
            )
        return Match.FORMAT if is_master(path) else Match.NO

    def linked(self, path: Path) -> tuple[Path, ...]:
        """Give the data files that a master file names."""
        from smalti_plugins.formats.nexus._master import data_files

        return data_files(path)

    def open(self, paths: Sequence[Path]) -> NxmxSeries:
        """Open files in order, each with all of its frames."""
        return NxmxSeries(tuple(paths), self)


@dataclass(frozen=True)
class NxmxSeries:
    """Frames of one or several files, one after the other."""

    paths: tuple[Path, ...]
    reader: Nxmx

    def __len__(self) -> int:
        return int(self._first[-1])

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame."""
        number, own = self._place(index)
        return self._master(number).header(own)

    def read(self, index: int) -> NDArray[np.int32]:
        """Give the counts of one frame, (slow, fast) int32; -1 is no pixel or overloaded, -2 is bad."""
        from smalti_plugins.formats.nexus._frames import read_frame
        from smalti_plugins.formats.nexus._sensor import signed

        if index >= len(self):
            raise InputError(
                f"There is no image {index + 1} in {self.paths[-1]}.",
                f"It has {len(self)} images.",
                "If it is still being written: smalti find-spots --follow.",
            )
        number, own = self._place(index)
        master = self._master(number)
        return signed(read_frame(*master.find(own)), master.bits)

    def refreshed(self) -> NxmxSeries:
        """Give the frames that there are by now: files are opened again."""
        from smalti_plugins.formats.nexus._frames import forget
        from smalti_plugins.formats.nexus._master import read_master

        read_master.cache_clear()
        forget()
        return NxmxSeries(self.paths, self.reader)

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the pixels that the masks of the first file call good."""
        return self._master(0).mask if self.reader.pixel_mask else None

    def _master(self, number: int) -> Master:
        from smalti_plugins.formats.nexus._master import read_master

        path = self.paths[number]
        try:
            return read_master(path, self.reader.parallax, path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise InputError(
                f"There is no file {path}.", fix="Check the name and the folder you are in."
            ) from None

    @cached_property
    def _first(self) -> NDArray[np.intp]:
        """First frame of each file, and the number of all, (files + 1,)."""
        return np.cumsum([0, *(self._master(k).n_frames for k in range(len(self.paths)))])

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        return number, int(index - self._first[number])


@hookimpl
def smalti_readers() -> Sequence[type[Nxmx]]:
    """Bring the reader of NeXus."""
    return [Nxmx]
