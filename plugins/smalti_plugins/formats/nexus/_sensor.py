"""What a NeXus detector says of its pixels: sizes, sensor, limits of counting, mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti_plugins.formats.nexus._items import damaged, names_in, number, text, values_of

__all__ = ["Sensor", "mask_of", "sensor_of", "signed"]

_MATERIALS = {"si": "Si", "silicon": "Si", "cdte": "CdTe", "gaas": "GaAs", "ge": "Ge", "germanium": "Ge"}
_BAD = 0xFFFF | 1 << 31
"""Bits of a pixel mask that say that a pixel holds no measurement: NXdetector keeps bits 0 to 15 for gaps,
dead, hot and noisy pixels and what the user masks; bit 31 marks pixels whose counts are interpolated."""


_MOST_MASKS = 16
"""Masks of the same pixels in one dataset, as for the thresholds of a detector."""


@dataclass(frozen=True)
class Sensor:
    """Pixels and sensor of a detector.

    Attributes
    ----------
    name : str
        Model and serial number.
    material, thickness : str, mm
    trusted : (low, high)
        Smallest and largest trusted count.
    gain : float
        Counts for a photon.
    bits : int
        Of a stored count; tells what the highest codes mean.
    """

    name: str
    material: str
    thickness: float
    trusted: tuple[float, float]
    gain: float
    bits: int


def sensor_of(detector: h5py.Group, file: Path, stored: np.dtype[Any] | None, no_count: float) -> Sensor:
    """Read what a detector says of its pixels.

    Parameters
    ----------
    detector : h5py.Group
        NXdetector.
    file : Path
        For errors.
    stored : dtype or None
        Of the counts, where there are any.
    no_count : float
        Lower trusted limit of a counter.
    """
    detailed = detector.get("detectorSpecific")
    extra = detailed if isinstance(detailed, h5py.Group) else detector
    bits = number(detector, "bit_depth_image", "", file) or number(detector, "bit_depth_readout", "", file)
    width = int(bits) if bits else (stored.itemsize * 8 if stored is not None else 32)
    low = number(detector, "underload_value", "", file)
    high = number(detector, "saturation_value", "", file)
    if high is None:
        cutoff = number(extra, "countrate_correction_count_cutoff", "", file)
        high = cutoff if cutoff else float(2.0 ** min(width, 31) - 3.0)
    material = text(detector, "sensor_material")
    scale = number(detector, "data_scale_factor", "", file) or 1.0
    if scale <= 0.0:
        raise damaged(detector, file, f"Its data_scale_factor is {scale:g}")
    name = ", ".join(
        word
        for word in (text(detector, "description"), text(detector, "detector_number", "serial_number"))
        if word
    )
    counter = low is None or low <= 0.0
    return Sensor(
        name,
        _MATERIALS.get(material.lower(), material),
        number(detector, "sensor_thickness", "mm", file) or 0.0,
        (no_count if counter and (low is None or low > no_count) else float(low or 0.0), float(high)),
        1.0 / scale,
        width,
    )


def mask_of(detector: h5py.Group, shape: tuple[int, ...], file: Path) -> NDArray[np.bool_] | None:
    """Put all pixel masks together, (slow, fast), True where a pixel is good; None where there is none."""
    good: NDArray[np.bool_] | None = None
    detailed = detector.get("detectorSpecific")
    homes = [detector, *([detailed] if isinstance(detailed, h5py.Group) else [])]
    for home in homes:
        for name in names_in(home):
            item = home.get(name) if name == "pixel_mask" or name.startswith("pixel_mask_") else None
            if not isinstance(item, h5py.Dataset) or item.ndim < 2 or item.dtype.kind not in "iu":
                continue
            if item.shape[-len(shape) :] != shape:
                raise damaged(item, file, f"The mask has shape {item.shape}, the images {shape}")
            if item.size > _MOST_MASKS * int(np.prod(shape)):
                raise damaged(item, file, f"It holds {item.size} pixels, too many for a mask")
            bits = values_of(item, file).reshape((-1, *shape)).astype(np.int64)
            fine = ((bits & _BAD) == 0).all(axis=0)
            good = fine if good is None else good & fine
        if good is not None:
            break
    return None if good is None else good.reshape(-1, shape[-1])


def signed(counts: NDArray[Any], bits: int) -> NDArray[np.int32]:
    """Give counts as (slow, fast) int32 with the highest codes as -1 (no pixel, or overloaded) and -2 (bad).

    An unsigned 16-bit image says 65535 and 65534 for these, one of 32 bits 2^32 - 1 and 2^32 - 2. Modules
    that are stacked come one below the other.
    """
    flat = counts.reshape(-1, counts.shape[-1])
    if flat.dtype.kind == "f":
        flat = np.rint(flat)
    top = 2 ** min(bits, 8 * flat.dtype.itemsize) - 1
    if flat.dtype == np.uint32 and top == 2**32 - 1:
        return np.ascontiguousarray(flat).view(np.int32)
    limit = np.iinfo(np.int32).max
    if flat.dtype.kind == "u":
        out = np.minimum(flat, limit).astype(np.int32) if flat.dtype.itemsize > 2 else flat.astype(np.int32)
        if bits > 8 or flat.dtype.itemsize > 1:
            for code, back in ((top, -1), (top - 1, -2)):
                out[flat == code] = back
        return out
    return np.ascontiguousarray(np.clip(flat, -limit, limit), dtype=np.int32)
