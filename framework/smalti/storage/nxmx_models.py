"""Beam, detector and goniometer as NXmx says them: chains of transformations in the frame of McStas."""

from __future__ import annotations

import datetime

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.rotation import rotation_vector
from smalti.models import Beam, Detector, Experiment, Goniometer, Group, Panel

__all__ = ["write_beam", "write_detector", "write_sample"]

Array = NDArray[np.float64]

_TURN = np.diag([-1.0, 1.0, -1.0])
"""From the frame of imgCIF to that of McStas, and back."""


def write_beam(home: h5py.Group, beam: Beam) -> None:
    """Write the wavelength; NXmx has the beam along z."""
    home["incident_wavelength"] = beam.wavelength
    home["incident_wavelength"].attrs["units"] = "angstrom"


def write_detector(
    home: h5py.Group, experiment: Experiment, bits: int, mask: NDArray[np.bool_] | None
) -> None:
    """Write the tree: a translation and a rotation for each group, a module for each panel."""
    detector = experiment.detector
    first = detector.panels[0]
    home["description"] = first.identifier or detector.root.name
    home["bit_depth_image"] = bits
    home["saturation_value"] = int(min(first.trusted_range[1], 2**bits - 3))
    home["underload_value"] = int(np.ceil(first.trusted_range[0]))
    _length(home, "sensor_thickness", first.thickness)
    home["sensor_material"] = first.material
    _length(home, "x_pixel_size", first.pixel_size[0])
    _length(home, "y_pixel_size", first.pixel_size[1])
    centre = detector.stacked()[:, :, 2].mean(axis=0)
    _length(home, "distance", float(np.linalg.norm(centre)))
    if first.gain != 1.0:
        home["data_scale_factor"] = 1.0 / first.gain
    exposures = () if experiment.scan is None else experiment.scan.exposure_times
    home["count_time"] = exposures[0] if exposures else 0.0
    home["count_time"].attrs["units"] = "s"
    if mask is not None:
        home.create_dataset(
            "pixel_mask", data=(~mask).astype(np.uint32), compression="gzip", chunks=mask.shape
        )
        home["pixel_mask_applied"] = False
    axes = home.create_group("transformations")
    axes.attrs["NX_class"] = "NXtransformations"
    _write_group(home, axes, detector, detector.root, ".", "detector")
    home["depends_on"] = next(iter(axes.values())).name


def write_sample(home: h5py.Group, experiment: Experiment, n_frames: int) -> None:
    """Write the axes of the goniometer, the scanned one with its angle at each frame."""
    home["name"] = "sample"
    goniometer, scan = experiment.goniometer, experiment.scan
    if goniometer is None:
        home["depends_on"] = "."
        return
    group = home.create_group("transformations")
    group.attrs["NX_class"] = "NXtransformations"
    axes, angles, names = _axes(goniometer)
    upper = "."
    for k in reversed(range(len(axes))):
        name = names[k].lower()
        values: ArrayLike = np.degrees(angles[k])
        if k == goniometer.scan_axis and scan is not None:
            start, width = np.degrees(scan.oscillation)
            values = start + width * np.arange(n_frames)
            group[f"{name}_end"] = np.asarray(values) + width
            group[f"{name}_end"].attrs["units"] = "deg"
            group[f"{name}_increment_set"] = width
            group[f"{name}_increment_set"].attrs["units"] = "deg"
        upper = _axis(group, name, values, "rotation", "deg", _TURN @ axes[k], upper)
    home["depends_on"] = upper
    if scan is not None and scan.epochs and scan.epochs[0]:
        moment = datetime.datetime.fromtimestamp(scan.epochs[0], datetime.UTC)
        home.parent["start_time"] = moment.isoformat()


def _axes(goniometer: Goniometer) -> tuple[list[Array], list[float], list[str]]:
    """Axes, crystal side first, their angles (rad) and names.

    Of a goniometer that is known by its matrices alone, only the scan axis can be told.
    """
    if goniometer.axes:
        return [np.array(axis) for axis in goniometer.axes], list(goniometer.angles), list(goniometer.names)
    if not (np.allclose(goniometer.F, np.eye(3)) and np.allclose(goniometer.S, np.eye(3))):
        raise ValueError("a goniometer of matrices is told by its axes; give one with axes")
    return [goniometer.axis], [0.0], ["omega"]


def _write_group(
    home: h5py.Group, axes: h5py.Group, detector: Detector, group: Group, upper: str, name: str
) -> None:
    below = _frame(axes, group, upper, name)
    for k, child in enumerate(group.children):
        if isinstance(child, Group):
            _write_group(home, axes, detector, child, below, f"{name}_{k}")
        else:
            _module(home, detector.panels[child], below, f"module_{child:03d}")


def _frame(axes: h5py.Group, group: Group, upper: str, name: str) -> str:
    """Write where a group is: a translation, and on it a rotation."""
    origin = _TURN @ np.array(group.origin)
    length = float(np.linalg.norm(origin))
    along = origin / length if length else np.array([0.0, 0.0, 1.0])
    upper = _axis(axes, f"{name}_origin", length, "translation", "mm", along, upper)
    fast, slow = np.array(group.fast), np.array(group.slow)
    R = np.column_stack([fast, slow, np.cross(fast, slow)])
    turn = rotation_vector(_TURN @ R @ _TURN)
    angle = float(np.linalg.norm(turn))
    about = turn / angle if angle else np.array([0.0, 0.0, 1.0])
    upper = _axis(axes, f"{name}_rotation", np.degrees(angle), "rotation", "deg", about, upper)
    axes[upper].attrs["equipment_component"] = group.name
    return upper


def _module(home: h5py.Group, panel: Panel, upper: str, name: str) -> None:
    module = home.create_group(name)
    module.attrs["NX_class"] = "NXdetector_module"
    module["data_origin"] = np.array(panel.window[::-1])
    module["data_size"] = np.array(panel.image_size[::-1])
    origin = _TURN @ np.array(panel.origin)
    length = float(np.linalg.norm(origin))
    along = origin / length if length else np.array([0.0, 0.0, 1.0])
    offset = _axis(module, "module_offset", length, "translation", "mm", along, upper)
    for word, direction, size in zip(
        ("fast", "slow"), (panel.fast, panel.slow), panel.pixel_size, strict=True
    ):
        _axis(
            module, f"{word}_pixel_direction", size, "translation", "mm", _TURN @ np.array(direction), offset
        )


def _axis(
    home: h5py.Group, name: str, values: ArrayLike, kind: str, unit: str, vector: Array, upper: str
) -> str:
    """Write one transformation; give its path."""
    item = home.create_dataset(name, data=np.asarray(values, dtype=float))
    item.attrs.update(
        transformation_type=kind, units=unit, vector=vector, offset=np.zeros(3), offset_units="mm"
    )
    item.attrs["depends_on"] = upper
    return str(item.name)


def _length(home: h5py.Group, name: str, value: float) -> None:
    home[name] = value
    home[name].attrs["units"] = "mm"
