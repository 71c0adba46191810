"""Master files of EIGER detectors from before NXmx, as their file writer 1.6 makes them."""

from __future__ import annotations

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from .nxmx_files import frames

_FACTS: tuple[tuple[str, object, str], ...] = (
    ("x_pixel_size", np.float32(1e-4), "m"),
    ("y_pixel_size", np.float32(1e-4), "m"),
    ("detector_distance", np.float32(0.125), "m"),
    ("beam_center_x", np.float32(31.5), "pixel"),
    ("beam_center_y", np.float32(20.25), "pixel"),
    ("sensor_thickness", np.float32(4.5e-4), "m"),
    ("count_time", np.float32(0.01), "s"),
    ("frame_time", np.float32(0.01), "s"),
    ("sensor_material", np.bytes_("Si"), ""),
    ("description", np.bytes_("Dectris Eiger 1M"), ""),
    ("detector_number", np.bytes_("E-02-9999"), ""),
)


def old_master(
    folder: Path, bits: int = 32, images: list[NDArray[np.int32]] | None = None, frames_of: int = 2
) -> Path:
    """Write frames in data files of two, and a master of version 1.6 that links them."""
    path = folder / "example_master.h5"
    kind = np.uint16 if bits == 16 else np.uint32
    made = [frame.astype(kind) for frame in images or frames()]
    with h5py.File(path, "w") as file:
        entry = _group(file, "entry", "NXentry")
        data = _group(entry, "data", "NXdata")
        for k in range(0, len(made), frames_of):
            name = f"data_{k // frames_of + 1:06d}"
            part = np.array(made[k : k + frames_of])
            with h5py.File(folder / f"example_{name}.h5", "w") as other:
                own = _group(_group(other, "entry", "NXentry"), "data", "NXdata")
                own.create_dataset("data", data=part, chunks=(1, *part.shape[1:]), **hdf5plugin.LZ4())
                own["data"].attrs["image_nr_low"], own["data"].attrs["image_nr_high"] = k + 1, k + len(part)
            data[name] = h5py.ExternalLink(f"example_{name}.h5", "/entry/data/data")
        instrument = _group(entry, "instrument", "NXinstrument")
        beam = _group(instrument, "beam", "NXbeam")
        _value(beam, "incident_wavelength", np.float32(0.98), "angstrom")
        detector = _group(instrument, "detector", "NXdetector")
        for name, value, unit in _FACTS:
            _value(detector, name, value, unit)
        detector["bit_depth_image"] = detector["bit_depth_readout"] = bits
        _specific(_group(detector, "detectorSpecific", "NXcollection"), len(made), made[0].shape)
        place = _group(detector, "geometry", "NXgeometry")
        _group(place, "orientation", "NXorientation")["value"] = np.float32([-1, 0, 0, 0, -1, 0])
        # From the first pixel to the sample, along the axes of McStas (m).
        _group(place, "translation", "NXtranslation")["distances"] = np.float32([0.00315, 0.002025, -0.125])
        arm = _group(detector, "goniometer", "NXtransformations")
        _value(arm, "two_theta", np.zeros(1, np.float32), "degree")
        sample = _group(entry, "sample", "NXsample")
        _angles(_group(sample, "goniometer", "NXtransformations"), len(made))
    return path


def _specific(home: h5py.Group, n_images: int, shape: tuple[int, ...]) -> None:
    home["eiger_fw_version"] = np.bytes_("release-2020.1.1-8g0b1d8f2")
    home["software_version"] = np.bytes_("1.6.6")
    home["x_pixels_in_detector"], home["y_pixels_in_detector"] = np.uint32(shape[1]), np.uint32(shape[0])
    home["nimages"], home["ntrigger"] = np.uint32(n_images), np.uint32(1)
    home["countrate_correction_count_cutoff"] = np.uint32(50000)
    home["data_collection_date"] = np.bytes_("2020-03-01T12:30:00.000000")
    _value(home, "photon_energy", np.float32(12651.45), "eV")
    mask = np.zeros(shape, np.uint32)
    mask[20:24], mask[3, 5] = 1, 2
    home["pixel_mask"] = mask


def _angles(home: h5py.Group, n_images: int) -> None:
    starts = np.float32(30.0) + np.float32(0.25) * np.arange(n_images, dtype=np.float32)
    _value(home, "omega", starts, "degree")
    _value(home, "omega_end", starts + np.float32(0.25), "degree")
    _value(home, "omega_increment", np.float32(0.25), "degree")
    _value(home, "omega_range_average", np.float32(0.25), "degree")
    for name in ("chi", "kappa", "phi"):
        _value(home, name, np.zeros(n_images, np.float32), "degree")


def _group(home: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = home.create_group(name)
    group.attrs["NX_class"] = np.bytes_(kind)
    return group


def _value(home: h5py.Group, name: str, value: object, unit: str) -> None:
    home[name] = value
    if unit:
        home[name].attrs["units"] = np.bytes_(unit)
