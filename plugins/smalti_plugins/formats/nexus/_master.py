"""One NeXus file understood: where its frames are, and the models of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.geometry.attenuation import HC
from smalti.models import NO_COUNT, Beam, Detector
from smalti.solution import FrameHeader
from smalti_plugins.formats.nexus._eiger import eiger_detector, eiger_shape, eiger_turning
from smalti_plugins.formats.nexus._frames import Piece, files_of, find_pieces, open_file, opened, type_of
from smalti_plugins.formats.nexus._items import (
    as_numbers,
    children,
    damaged,
    guarded,
    maybe_text,
    number,
    numbers,
    text,
    to_unit,
    values_of,
)
from smalti_plugins.formats.nexus._modules import detector_of
from smalti_plugins.formats.nexus._sensor import mask_of, sensor_of
from smalti_plugins.formats.nexus._turning import Turning, turning_of

__all__ = ["Master", "data_files", "is_master", "read_master"]

Array = NDArray[np.float64]

_MOST_PIXELS = 65536
"""Along a side. Damaged sizes would ask for all memory there is, or for hours."""

_MOST_FRAMES = 10_000_000


@dataclass(frozen=True)
class Master:
    """What a NeXus file says of its frames.

    Attributes
    ----------
    path : Path
    pieces : tuple of Piece
        Where the frames are.
    n_frames : int
        As many as there are, or were to be where data files are missing.
    detector : Detector
    wavelengths : (1 or n,) Angstrom
    turning : Turning
    exposure, epoch : float
        s.
    size : (fast, slow) px
        Of a raw frame; stacked modules lie one below the other.
    bits : int
        Of a count.
    mask : (slow, fast) bool or None
    notes : tuple of str
    """

    path: Path
    pieces: tuple[Piece, ...]
    n_frames: int
    detector: Detector
    wavelengths: Array
    turning: Turning
    exposure: float
    epoch: float
    size: tuple[int, int]
    bits: int
    mask: NDArray[np.bool_] | None
    notes: tuple[str, ...]

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame."""
        wavelength = float(self.wavelengths[min(index, len(self.wavelengths) - 1)])
        epoch = self.epoch + index * self.exposure if self.epoch else 0.0
        return FrameHeader(
            Beam(wavelength=wavelength),
            self.detector,
            self.turning.goniometer,
            float(self.turning.starts[index]),
            float(self.turning.widths[index]),
            self.exposure,
            epoch,
            self.size,
            self.notes,
        )

    def find(self, index: int) -> tuple[Piece, int]:
        """Give the piece that holds a frame, and the frame's number in it."""
        for piece in self.pieces:
            if index < piece.count:
                return piece, index
            index -= piece.count
        missing = [piece for piece in self.pieces if not piece.there]
        return replace(missing[0] if missing else self.pieces[-1], there=False), index


def is_master(path: Path) -> bool:
    """Tell whether an HDF5 file describes a detector and its images, as data files alone do not."""
    try:
        with opened(path) as file:
            return any(
                next(children(group, "NXdetector"), None) is not None
                for entry in children(file, "NXentry")
                for group in children(entry, "NXinstrument")
            )
    except (OSError, RuntimeError, LookupError, ValueError, TypeError):
        return False


def data_files(path: Path) -> tuple[Path, ...]:
    """Give the files that a NeXus file names for its images.

    Raises
    ------
    InputError
        The file is damaged.
    """
    with open_file(path) as file, guarded(path):
        homes = [home for entry in children(file, "NXentry") for home in _data_of(entry)]
        return tuple(dict.fromkeys(other for home in homes for other in files_of(home, path)))


def _data_of(entry: h5py.Group) -> list[h5py.Group]:
    """Groups of images; old files do not say of theirs what it is."""
    homes = [*children(entry, "NXdata"), entry.get("data")]
    return [home for home in homes if isinstance(home, h5py.Group)]


@lru_cache(maxsize=16)
def read_master(path: Path, parallax: bool, written: int) -> Master:
    """Read everything but pixels; ``written`` (mtime_ns) makes changes of the file seen.

    Raises
    ------
    InputError
        Says what is missing or wrong, and where in the file.
    """
    with open_file(path) as file, guarded(path):
        entry = _first(file, "NXentry", path)
        instrument = _first(entry, "NXinstrument", path)
        detector = _first(instrument, "NXdetector", path)
        homes = _data_of(entry)
        if not homes:
            raise damaged(entry, path, "It has no group of data (NXdata)")
        pieces = find_pieces(homes[0], path)
        sample = next(children(entry, "NXsample"), None)
        return _understood(path, entry, instrument, detector, pieces, sample, parallax)


def _understood(
    path: Path,
    entry: h5py.Group,
    instrument: h5py.Group,
    detector: h5py.Group,
    pieces: tuple[Piece, ...],
    sample: h5py.Group | None,
    parallax: bool,
) -> Master:
    there = [piece for piece in pieces if piece.there and piece.count]
    shapes = [piece.shape for piece in pieces if piece.shape]
    shape = shapes[0] if shapes else eiger_shape(detector, path)
    if any(other != shape for other in shapes):
        raise damaged(detector, path, "Its data files hold images of different sizes")
    wavelengths = _wavelengths(instrument, detector, entry, path)
    n_frames = sum(piece.count for piece in there)
    missing = [piece.file.name for piece in pieces if not piece.there]
    notes = []
    if missing:
        n_frames = max(n_frames, sum(piece.count for piece in pieces), _planned(detector, path))
        notes.append(f"the data file {missing[0]} is not there" + _more(len(missing) - 1))
    if not 0 < min(shape) <= max(shape) <= _MOST_PIXELS or int(np.prod(shape[:-1])) > _MOST_PIXELS:
        raise damaged(detector, path, f"Its images are said to have {' x '.join(map(str, shape))} pixels")
    if n_frames > _MOST_FRAMES:
        raise damaged(detector, path, f"It is said to have {n_frames} images")
    sensor = sensor_of(detector, path, type_of(there[0]) if there else None, NO_COUNT)
    modern = next(children(detector, "NXdetector_module"), None) is not None
    make = detector_of if modern else eiger_detector
    placed = make(detector, sensor, shape, float(wavelengths[0]), parallax, path)
    turning = (turning_of if modern else eiger_turning)(sample, n_frames, path)
    if len(wavelengths) not in (1, n_frames) and n_frames > 1:
        notes.append(f"{len(wavelengths)} wavelengths for {n_frames} images: their mean is taken")
        wavelengths = np.array([wavelengths.mean()])
    exposure = number(detector, "count_time", "s", path) or number(detector, "frame_time", "s", path) or 0.0
    return Master(
        path,
        pieces,
        n_frames,
        placed,
        wavelengths,
        turning,
        exposure,
        _epoch(entry, detector),
        (shape[-1], int(np.prod(shape[:-1]))),
        sensor.bits,
        mask_of(detector, shape, path),
        (*notes, *turning.notes),
    )


def _first(group: h5py.Group, kind: str, path: Path) -> h5py.Group:
    found = next(children(group, kind), None)
    if found is None:
        raise damaged(group, path, f"It holds no {kind}")
    return found


def _wavelengths(instrument: h5py.Group, detector: h5py.Group, entry: h5py.Group, path: Path) -> Array:
    """Wavelengths in Angstrom; of a spectrum its weighted mean."""
    homes = [*children(instrument, "NXbeam"), *(instrument.get(name) for name in ("beam",))]
    for sample in children(entry, "NXsample"):
        homes += list(children(sample, "NXbeam"))
    for home in homes:
        item = home.get("incident_wavelength") if isinstance(home, h5py.Group) else None
        if isinstance(item, h5py.Dataset):
            values = as_numbers(item, item, path)
            given = maybe_text(item.attrs.get("units"))
            factor = to_unit(given, "mm", item, path) / 1e-7 if given else 1.0
            weights = home.get("incident_wavelength_weights", home.get("incident_wavelength_weight"))
            if isinstance(weights, h5py.Dataset) and weights.shape == item.shape:
                by_spectrum = np.average(
                    values.reshape(item.shape), axis=-1, weights=values_of(weights, path)
                )
                values = np.atleast_1d(by_spectrum)
            values = values * factor
            if values.size and np.isfinite(values).all() and (values > 0.0).all():
                return values
            raise damaged(item, path, "It is no wavelength")
    detailed = detector.get("detectorSpecific")
    energy = detailed.get("photon_energy") if isinstance(detailed, h5py.Group) else None
    if isinstance(energy, h5py.Dataset):
        return 1e3 * HC / numbers(energy, "eV", path)
    return np.zeros(1)  # the user has to tell it


def _planned(detector: h5py.Group, path: Path) -> int:
    home = detector.get("detectorSpecific")
    if not isinstance(home, h5py.Group):
        return 1
    images, triggers = (number(home, name, "", path) or 1.0 for name in ("nimages", "ntrigger"))
    return max(int(images * triggers), 1)


def _more(count: int) -> str:
    return f", nor are {count} more" if count > 0 else ""


def _epoch(entry: h5py.Group, detector: h5py.Group) -> float:
    written = text(entry, "start_time")
    detailed = detector.get("detectorSpecific")
    if not written and isinstance(detailed, h5py.Group):
        written = text(detailed, "data_collection_date")
    try:
        return datetime.fromisoformat(written.replace("Z", "+00:00")).timestamp() if written else 0.0
    except ValueError:
        return 0.0
