"""Any detector that a TOML file describes, in any file that fabio or h5py reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, UsageError
from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti.solution import FrameHeader, Match

if TYPE_CHECKING:
    from smalti_plugins.formats.described._description import Description
    from smalti_plugins.formats.nexus._frames import Piece

SMALTI_API = API


@dataclass(frozen=True)
class Described:
    """Reads images of a detector that a TOML file describes: panels, pixels, words of the header."""

    name: ClassVar[str] = "described"

    detector: Path | None = option(
        None, "TOML file that describes the detector; with it this reader reads every image."
    )

    def match(self, path: Path, head: bytes) -> Match:
        """Claim every image that can be opened, before all other readers, where a detector is described."""
        if self.detector is None:
            return Match.NO
        from smalti_plugins.formats._dialects import dialect_of

        kind = dialect_of(head)
        wanted = "HDF5" if self._description().images.container == "hdf5" else None
        return Match.INSTRUMENT if kind and wanted in (None, kind) else Match.NO

    def open(self, paths: Sequence[Path]) -> DescribedSeries:
        """Open images in order; of HDF5 files all frames of each."""
        if self.detector is None:
            raise UsageError(
                f"The reader 'described' cannot read {paths[0] if paths else 'anything'}.",
                "It needs the description of a detector, and none was given.",
                "Name a TOML file: --detector FILE.toml",
            )
        return DescribedSeries(tuple(paths), self._description())

    def _description(self) -> Description:
        # Imported here because discovery imports every plugin, also for commands without images.
        from smalti_plugins.formats.described._description import read_description

        assert self.detector is not None
        return read_description(self.detector)


@dataclass(frozen=True)
class DescribedSeries:
    """Images of one series."""

    paths: tuple[Path, ...]
    told: Description

    def __len__(self) -> int:
        return sum(piece.count for piece in self._pieces) if self._pieces else len(self.paths)

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame."""
        from smalti_plugins.formats.described._building import header_of
        from smalti_plugins.formats.described._hdf5 import hdf5_words
        from smalti_plugins.formats.generic import image_of

        if self._pieces:
            piece, own = self._place(index)
            return header_of(
                self.told, hdf5_words(piece.file, self.told, own), f"{piece.file}, image {own + 1}"
            )
        path = self.paths[index]
        _, words, counts = image_of(path)
        self._check(counts.shape, path)
        return header_of(self.told, words, str(path))

    def read(self, index: int) -> NDArray[np.int32]:
        """Give the counts of one frame, (slow, fast) int32."""
        if self._pieces:
            from smalti_plugins.formats.nexus._frames import read_frame
            from smalti_plugins.formats.nexus._sensor import signed

            return signed(read_frame(*self._place(index)), 32)
        from smalti_plugins.formats.generic import counts_of

        counts = counts_of(self.paths[index])
        self._check(counts.shape, self.paths[index])
        return counts

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the mask of the first file, where the description names one."""
        from smalti_plugins.formats.described._hdf5 import hdf5_mask

        return hdf5_mask(self.paths[0], self.told) if self._pieces else None

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        """Where the frames of HDF5 files are; () for other images."""
        from smalti_plugins.formats.described._hdf5 import hdf5_piece

        hdf5 = self.told.images.container == "hdf5"
        return tuple(hdf5_piece(path, self.told) for path in self.paths) if hdf5 else ()

    def _place(self, index: int) -> tuple[Piece, int]:
        for piece in self._pieces:
            if index < piece.count:
                return piece, index
            index -= piece.count
        raise IndexError(index)

    def _check(self, shape: tuple[int, ...], path: Path) -> None:
        if shape != self.told.size[::-1]:
            raise InputError(
                f"{path} is no image of {self.told.name}.",
                f"It has {shape[1]} x {shape[0]} pixels, described are "
                f"{self.told.size[0]} x {self.told.size[1]}.",
                "Name images of this detector only, or correct its description.",
            )


@hookimpl
def smalti_readers() -> Sequence[type[Described]]:
    """Bring the reader of described detectors."""
    return [Described]
