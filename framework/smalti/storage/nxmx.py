"""NXmx files: experiments and their images as HDF5, in the layouts that beamlines write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.models import Experiment
from smalti.storage.atomic import write_whole
from smalti.storage.nxmx_models import write_beam, write_detector, write_sample

__all__ = ["NxmxLayout", "write_nxmx"]

Counts = NDArray[np.integer[Any]]
NxmxLayout = Literal["single", "external", "virtual"]

_COMPRESSIONS = ("bslz4", "lz4", "none")


def write_nxmx(
    path: Path,
    experiment: Experiment,
    frames: Iterable[Counts],
    *,
    layout: NxmxLayout = "virtual",
    frames_of: int = 100,
    compression: str = "bslz4",
    bits: int = 32,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[Path, ...]:
    """Write an experiment and its images.

    Parameters
    ----------
    path : Path
        The master file. Data files lie beside it: ``NAME_data_000001.h5`` for ``NAME_master.h5``.
    experiment : Experiment
        Beam, detector, goniometer and scan; a still has one frame and no goniometer.
    frames : iterable of (slow, fast) int32
        -1 where there is no pixel, -2 where one is bad. Asked for one by one.
    layout : {"single", "external", "virtual"}
        Images in the master itself; in data files that the master links one by one, as EIGERs do; or in
        data files that a virtual dataset of the master puts together.
    frames_of : int
        Images of a data file.
    compression : {"bslz4", "lz4", "none"}
    bits : {16, 32}
        Of a stored count; the highest two codes stand for -1 and -2.
    mask : (slow, fast) bool, optional
        True where a pixel is good.

    Returns
    -------
    tuple of Path
        All files written, the master last; each whole or not at all.

    Raises
    ------
    UsageError
        There are no frames, or a compression is not known.
    """
    if compression not in _COMPRESSIONS or bits not in (16, 32):
        raise UsageError(
            f"Images cannot be stored with compression '{compression}' and {bits} bits.",
            f"There are {', '.join(_COMPRESSIONS)}, and 16 and 32 bits.",
            "Choose one of these.",
        )
    images = _Images(layout, compression, bits)
    images.take(path, frames, frames_of)
    if not images.counts:
        raise UsageError("There are no images to write.", "", "Give at least one frame.")
    write_whole(path, _built(partial(_master, experiment=experiment, images=images, mask=mask)))
    return (*images.files, path)


@dataclass
class _Images:
    """Where the images of a master file are.

    Attributes
    ----------
    layout, compression, bits
        As in :func:`write_nxmx`.
    files : list of Path
        Data files, written; none where the images are in the master.
    counts : list of int
        Images of each.
    kept : list of (slow, fast)
        Images for the master itself.
    shape : (slow, fast)
    """

    layout: NxmxLayout
    compression: str
    bits: int
    files: list[Path] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    kept: list[NDArray[Any]] = field(default_factory=list)
    shape: tuple[int, ...] = ()

    def take(self, path: Path, frames: Iterable[Counts], frames_of: int) -> None:
        """Write the data files, or keep the images for the master."""
        stem = path.name.removesuffix(".h5").removesuffix("_master")
        for batch in _batches(frames, frames_of if self.layout != "single" else 0):
            stored = [_stored(frame, self.bits) for frame in batch]
            self.shape = stored[0].shape
            self.counts.append(len(stored))
            if self.layout == "single":
                self.kept = stored
                continue
            file = path.with_name(f"{stem}_data_{len(self.counts):06d}.h5")
            write_whole(file, _built(partial(_data, frames=stored, compression=self.compression)))
            self.files.append(file)

    def put(self, home: h5py.Group) -> None:
        """Put the images, or where they are, into the data group of the master."""
        home.attrs["signal"] = "data" if self.layout != "external" else "data_000001"
        if self.layout == "single":
            _dataset(home, self.kept, self.compression)
        elif self.layout == "external":
            for k, data in enumerate(self.files, start=1):
                home[f"data_{k:06d}"] = h5py.ExternalLink(data.name, "/entry/data/data")
        else:
            home.create_virtual_dataset("data", _virtual(self.files, self.counts, self.shape, self.bits))


def _master(file: h5py.File, experiment: Experiment, images: _Images, mask: NDArray[np.bool_] | None) -> None:
    entry = _group(file, "entry", "NXentry")
    file.attrs["default"] = "entry"
    entry["definition"] = "NXmx"
    images.put(_group(entry, "data", "NXdata"))
    instrument = _group(entry, "instrument", "NXinstrument")
    write_beam(_group(instrument, "beam", "NXbeam"), experiment.beam)
    write_detector(_group(instrument, "detector", "NXdetector"), experiment, images.bits, mask)
    write_sample(_group(entry, "sample", "NXsample"), experiment, sum(images.counts))


def _batches(frames: Iterable[Counts], size: int) -> Iterable[list[Counts]]:
    batch: list[Counts] = []
    for frame in frames:
        batch.append(frame)
        if size and len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _stored(frame: Counts, bits: int) -> NDArray[Any]:
    """Give counts as unsigned numbers, negative ones as the highest codes."""
    kind = np.uint16 if bits == 16 else np.uint32
    top = np.iinfo(kind).max
    wide = frame.astype(np.int64)
    return np.where(wide < 0, top + 1 + wide, np.minimum(wide, top - 2)).astype(kind)


def _built(fill: Callable[[h5py.File], None]) -> bytes:
    # Built in memory, for the reason that storage/hdf5.py gives.
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        return bytes(file.id.get_file_image())


def _data(file: h5py.File, frames: list[NDArray[Any]], compression: str) -> None:
    _dataset(_group(_group(file, "entry", "NXentry"), "data", "NXdata"), frames, compression)


def _dataset(home: h5py.Group, frames: list[NDArray[Any]], compression: str) -> None:
    shape = frames[0].shape
    dataset = home.create_dataset(
        "data", (len(frames), *shape), frames[0].dtype, chunks=(1, *shape), **_filters(compression)
    )
    for k, frame in enumerate(frames):
        dataset[k] = frame


def _filters(compression: str) -> Mapping[str, Any]:
    # Imported here because it loads all its filters, and nothing else of the storage needs them.
    import hdf5plugin

    if compression == "none":
        return {}
    return dict(hdf5plugin.Bitshuffle(cname="lz4") if compression == "bslz4" else hdf5plugin.LZ4())


def _virtual(files: list[Path], counts: list[int], shape: tuple[int, ...], bits: int) -> h5py.VirtualLayout:
    kind = np.dtype(np.uint16 if bits == 16 else np.uint32)
    layout = h5py.VirtualLayout((sum(counts), *shape), kind)
    first = 0
    for file, count in zip(files, counts, strict=True):
        layout[first : first + count] = h5py.VirtualSource(
            file.name, "/entry/data/data", (count, *shape), kind
        )
        first += count
    return layout


def _group(home: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = home.create_group(name)
    group.attrs["NX_class"] = kind
    return group
