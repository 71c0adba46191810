"""What there is to know of each model but the detector, as plain values in the units people use."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np

from smalti.geometry.attenuation import HC
from smalti.geometry.scan_points import turns
from smalti.models import IDENTITY, Beam, Crystal, Goniometer, ImageSet, Scan, cell_of_axes
from smalti.units import clean_degrees

__all__ = [
    "beam_facts",
    "crystal_facts",
    "goniometer_facts",
    "imageset_facts",
    "scan_facts",
    "space_group_name",
]


def beam_facts(beam: Beam) -> dict[str, Any]:
    """Wavelength (Angstrom), energy (keV), unit vector from the sample to the source."""
    facts: dict[str, Any] = {
        "wavelength": beam.wavelength,
        "energy_kev": HC / beam.wavelength,
        "to_source": (-beam.unit_s0).tolist(),
        "polarization_normal": list(beam.polarization_normal),
        "polarization_fraction": beam.polarization_fraction,
        "divergence_deg": clean_degrees(beam.divergence),
    }
    if "wavelength_range" in beam.extra:
        facts["wavelength_range"] = beam.extra["wavelength_range"]
    return facts


def goniometer_facts(goniometer: Goniometer) -> dict[str, Any]:
    """The scan axis in the laboratory, and all axes with their angles (degrees)."""
    names = goniometer.names or ("",)
    axes = goniometer.axes or (goniometer.rotation_axis,)
    angles = goniometer.angles or (None,)
    return {
        "axis": goniometer.laboratory_axis.tolist(),
        "scan_axis": names[goniometer.scan_axis if goniometer.axes else 0],
        "axes": [
            {"name": name, "axis": list(axis), "angle_deg": None if angle is None else clean_degrees(angle)}
            for name, axis, angle in zip(names, axes, angles, strict=True)
        ],
        "fixed_rotation": list(goniometer.fixed_rotation),
        "setting_rotation": list(goniometer.setting_rotation),
        "plain": goniometer.fixed_rotation == goniometer.setting_rotation == IDENTITY,
    }


def scan_facts(scan: Scan) -> dict[str, Any]:
    """Image numbers, angles (degrees) and the median exposure (s, None where unknown)."""
    start, end = scan.angle_range
    return {
        "images": list(scan.image_range),
        "n_images": scan.n_images,
        "start_deg": clean_degrees(start),
        "end_deg": clean_degrees(end),
        "width_deg": clean_degrees(scan.oscillation[1]),
        "exposure_s": float(np.median(scan.exposure_times)) if any(scan.exposure_times) else None,
    }


def crystal_facts(crystal: Crystal) -> dict[str, Any]:
    """Cell (Angstrom, degrees), space group, orientation, and whether it varies over the scan."""
    name, number = space_group_name(crystal.space_group)
    return {
        "cell": [round(value, 6) for value in crystal.cell],
        "volume": abs(crystal.volume),
        "space_group": name,
        "space_group_number": number,
        "hall": crystal.space_group,
        "A": crystal.A.tolist(),
        "scan_points": len(crystal.scan_points),
        **_over_scan(crystal),
        "mosaicity_deg": crystal.extra.get("mosaicity", crystal.extra.get("ML_half_mosaicity_deg")),
    }


def _over_scan(crystal: Crystal) -> dict[str, Any]:
    """How much a crystal varies: extremes of its cell, and the greatest turn from the start (mrad)."""
    if not crystal.scan_points:
        return {}
    points = np.array(crystal.scan_points).reshape(-1, 3, 3)
    cells = cell_of_axes(np.linalg.inv(points))
    return {
        "cell_least": [round(value, 6) for value in cells.min(axis=0).tolist()],
        "cell_greatest": [round(value, 6) for value in cells.max(axis=0).tolist()],
        "turn_mrad": round(float(np.linalg.norm(turns(points), axis=1).max()), 6),
    }


def imageset_facts(imageset: ImageSet) -> dict[str, Any]:
    """Where the images are and what reads them."""
    return {
        "template": imageset.template,
        "images": list(imageset.images),
        "reader": imageset.params.get("reader", ""),
        "multi_panel": imageset.params.get("multi_panel"),
        "mask": imageset.mask,
    }


def space_group_name(hall: str) -> tuple[str, int | None]:
    """Give the Hermann-Mauguin name and the number of a Hall symbol.

    A symbol with a change of basis of its own (``I 2 2 3 (y+z,x+z,x+y)``) has no name in the tables;
    it is called by the standard one and the change.
    """
    symbol, _, change = hall.strip().partition("(")
    for candidate in (hall.strip(), symbol):
        try:
            group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(candidate))
        except (RuntimeError, ValueError):
            continue
        if group is not None:
            note = f" (basis {change.rstrip(')')})" if change and candidate == symbol else ""
            return group.xhm() + note, group.number
    return f"unknown ({hall.strip()})", None
