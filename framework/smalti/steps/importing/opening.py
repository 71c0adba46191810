"""Which reader understands a file, and opening the images of an experiment again."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, PluginError, UsageError
from smalti.files import as_stored, read_head
from smalti.models import ImageSet, Scan
from smalti.options import suggest
from smalti.roles import Growing, Reader, Series
from smalti.solution import FrameHeader, Match
from smalti.steps.guarding import guarded
from smalti.steps.importing.holding import Held
from smalti.steps.importing.remembering import as_it_was

__all__ = ["HEAD", "choose_reader", "named_reader", "open_series", "with_reader"]

HEAD = 8192
"""Bytes of a file that readers are shown."""


def choose_reader(path: Path, readers: Sequence[Reader]) -> Reader | None:
    """Give the reader that understands a file best; None when no reader does.

    Raises
    ------
    InputError
        The file cannot be read, or is empty.
    PluginError
        Two readers claim the file equally, or one fails to judge it.
    """
    head = read_head(path, HEAD)
    if not head:
        raise InputError(f"{path} is empty.", "It has no bytes at all.", "Copy it again, or leave it out.")
    matches: list[tuple[Match, Reader]] = []
    for reader in readers:
        match = guarded(
            partial(_match, reader, path, head),
            f"The reader '{reader.name}' failed to judge {path}.",
            "Leave its plugin out with --plugin -NAME (smalti plugins tells the name), and tell its author.",
        )
        matches.append((match, reader))
    best = max((match for match, _ in matches), default=Match.NO)
    if best == Match.NO:
        return None
    first = [reader for match, reader in matches if match == best]
    if len(first) > 1:
        names = " and ".join(f"'{reader.name}'" for reader in first)
        raise PluginError(
            f"The readers {names} claim {path} equally.",
            f"Both match it as '{best.name.lower()}'.",
            f"Choose one: --set import.reader={first[0].name}",
        )
    return first[0]


def _match(reader: Reader, path: Path, head: bytes) -> Match:
    return Match(reader.match(path, head))


def named_reader(name: str, readers: Sequence[Reader]) -> Reader:
    """Give the reader of this name.

    Raises
    ------
    UsageError
        There is none; says which there are.
    """
    known = {reader.name: reader for reader in readers}
    if name not in known:
        raise UsageError(
            f"There is no reader '{name}'.",
            f"Installed: {', '.join(known) or 'none'}.",
            suggest(name, list(known)),
        )
    return known[name]


def with_reader(images: ImageSet, readers: Sequence[Reader], scan: Scan | None = None) -> ImageSet:
    """Give images that say who reads them, so that not every process has to find it out.

    Those of DIALS do not; where none of them is there yet they stay as they are.
    """
    there = None if images.params.get("reader") else next(filter(_holds, _paths(images, scan)), None)
    reader = choose_reader(there, readers) if there else None
    return replace(images, params={**images.params, "reader": reader.name}) if reader else images


def open_series(
    imageset: ImageSet, readers: Sequence[Reader], scan: Scan | None = None, *, all_there: bool = True
) -> Series:
    """Open the images of an experiment with the reader that imported them.

    Parameters
    ----------
    imageset : ImageSet
        From smalti or from DIALS; the latter does not name its reader, so the best match is taken.
    readers : sequence of Reader
    scan : Scan, optional
        Which images of a template are meant; without it all that exist.
    all_there : bool
        Whether all images must be there; else those that will be read must, when they are.

    Raises
    ------
    InputError
        An image is missing, or no reader understands it.
    PluginError
        The reader that imported them is not installed.
    """
    paths = _paths(imageset, scan)
    missing = [path for path in paths if not path.exists()] if all_there else []
    if missing:
        count = "It is" if len(paths) == 1 else f"{len(missing)} of {len(paths)} images are"
        raise InputError(
            f"The image {missing[0]} is not there.",
            f"{count} missing; the experiment was imported from that place.",
            "Bring the images back there, or import them again where they are now.",
        )
    reader = _reader(imageset, next(filter(_holds, paths), paths[0]), readers)
    series = Held(reader.name, reader.open(paths))
    inside = _inside(imageset, scan)
    return _Part(series, inside) if inside else series


def _holds(path: Path) -> bool:
    """Tell whether a file is there and holds something: an empty one says nothing of its reader."""
    return path.exists() and path.stat().st_size > 0


@dataclass(frozen=True)
class _Part:
    """Some of the images of a file that holds many."""

    series: Series
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def header(self, index: int) -> FrameHeader:
        """Give the models of one of them."""
        return self.series.header(self.indices[index])

    def read(self, index: int) -> NDArray[Any]:
        """Give the counts of one of them."""
        return self.series.read(self.indices[index])

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the mask of them all."""
        return self.series.mask()

    def refreshed(self) -> Series:
        """Give the same images of the file as it is now."""
        assert isinstance(self.series, Growing)
        return replace(self, series=self.series.refreshed())


def _inside(imageset: ImageSet, scan: Scan | None) -> tuple[int, ...]:
    """Places of the images in the one file that holds them; () where each has a file of its own.

    A scan that was cut out of a longer one counts: other programs leave the list as it was.
    """
    if not imageset.indices and (scan is None or "#" in imageset.template or not imageset.template):
        return ()
    if scan is None or len(imageset.indices) == scan.n_images:
        return imageset.indices
    if scan.n_images == 1 and not imageset.indices:
        return ()
    first, last = scan.array_range
    return tuple(range(first, last))


def _reader(imageset: ImageSet, first: Path, readers: Sequence[Reader]) -> Reader:
    """Give the reader that imported the images, or where none is named the best for the first of them."""
    installed = f"Installed: {', '.join(reader.name for reader in readers) or 'none'}."
    name = imageset.params.get("reader")
    if name and all(reader.name != name for reader in readers):
        raise PluginError(
            f"The images were imported with the reader '{name}', which is not there.",
            installed,
            "Install its plugin again, or import the images again.",
        )
    reader = named_reader(str(name), readers) if name else choose_reader(first, readers)
    if reader is None:
        raise InputError(
            f"No reader understands {first}.",
            installed,
            "Install a plugin for this format, or convert the images to CBF.",
        )
    return as_it_was(reader, imageset.params)


def _paths(imageset: ImageSet, scan: Scan | None) -> list[Path]:
    if not imageset.template:
        return [as_stored(Path(item)) for item in dict.fromkeys(imageset.images)]
    if _inside(imageset, scan):
        return [Path(imageset.template)]
    if scan is not None:
        first, last = scan.image_range
        return [as_stored(Path(imageset.path(number))) for number in range(first, last + 1)]
    pattern = glob.escape(imageset.template).replace("#", "[0-9]")
    return [Path(item) for item in sorted(glob.glob(pattern)) if os.path.isfile(item)] or [
        Path(imageset.template)
    ]
