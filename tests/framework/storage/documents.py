"""A small file of experiments, and what becomes of one that is read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from smalti.storage import read_experiments, write_experiments


def document() -> dict[str, Any]:
    """A small experiment list with two experiments that share beam and detector."""
    panel = {
        "name": "P", "type": "SENSOR_PAD", "fast_axis": [1, 0, 0], "slow_axis": [0, -1, 0],
        "origin": [-10, 10, -100], "raw_image_offset": [3, 4], "image_size": [100, 120],
        "pixel_size": [0.1, 0.1], "trusted_range": [0, 60000], "thickness": 0.3, "material": "Si",
        "mu": 3.9, "identifier": "", "mask": [[0, 1, 2, 3]], "gain": 1, "pedestal": 0,
        "px_mm_strategy": {"type": "ParallaxCorrectedPxMmStrategy"},
    }  # fmt: skip
    identity = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    tree = {"name": "root", "type": "", "fast_axis": [1, 0, 0], "slow_axis": [0, 1, 0], "origin": [0, 0, 0]}
    crystal = {
        "__id__": "crystal", "real_space_a": [30, 0, 0], "real_space_b": [0, 40, 0],
        "real_space_c": [0, 0, 50], "space_group_hall_symbol": " P 2 2", "mosaicity": 0.1,
    }  # fmt: skip
    content = {
        "__id__": "ExperimentList",
        "experiment": [
            {"__id__": "Experiment", "identifier": name, "beam": 0, "detector": 0, "goniometer": 0,
             "scan": k, "crystal": 0, "imageset": k}
            for k, name in enumerate("ab")
        ],
        "imageset": [
            {"__id__": "ImageSequence", "template": f"{name}_###.cbf", "mask": None, "gain": None,
             "pedestal": None, "dx": None, "dy": None, "params": {"multi_panel": False}}
            for name in "ab"
        ],
        "beam": [{"direction": [0, 0, 1], "wavelength": 0.9795, "divergence": 0, "sigma_divergence": 0,
                  "polarization_normal": [0, 1, 0], "polarization_fraction": 0.999, "flux": 0,
                  "transmission": 1}],
        "detector": [{"panels": [panel, {**panel, "name": "Q", "origin": [5, 10, -100]}],
                      "hierarchy": {**tree, "children": [{"panel": 1}, {"panel": 0}]}}],
        "goniometer": [{"rotation_axis": [1, 0, 0], "fixed_rotation": identity,
                        "setting_rotation": identity}],
        "scan": [
            {"image_range": [1, 3], "batch_offset": 0, "oscillation": [start, 0.15],
             "exposure_time": [0.1] * 3, "epochs": [0.0] * 3, "valid_image_ranges": {}}
            for start in (0.0, 90.0)
        ],
        "crystal": [crystal],
        "profile": [],
        "scaling_model": [],
    }  # fmt: skip
    unshared: dict[str, Any] = json.loads(json.dumps(content))
    return unshared


def write(folder: Path, content: Any) -> Path:
    path = folder / "in.expt"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def again(folder: Path, content: Any) -> dict[str, Any]:
    """Read a document and give what is written of it."""
    write_experiments(folder / "out.expt", read_experiments(write(folder, content)))
    written: dict[str, Any] = json.loads((folder / "out.expt").read_text())
    return written


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """List the paths at which two JSON values differ; numbers may differ by rounding in degrees."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [
            line
            for key in keys
            for line in (
                differences(one[key], other[key], f"{path}.{key}")
                if key in one and key in other
                else [f"{path}.{key} missing"]
            )
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{path}[{k}]")]
    if one == other:
        return []
    rounded = ".oscillation" in path or ".angles" in path
    if rounded and isinstance(one, float) and abs(one - other) < 1e-12 * max(abs(one), 1.0):
        return []
    return [f"{path}: {one!r} became {other!r}"]
