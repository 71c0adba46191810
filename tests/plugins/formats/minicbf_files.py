"""Small miniCBF files with any header words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.simulating.cbf import cbf_bytes

WORDS: dict[str, str] = {
    "Detector:": "PILATUS 200K, S/N 2-0999, somewhere",
    "date": "2016-03-05T09:01:45.613",
    "Pixel_size": "172e-6 m x 172e-6 m",
    "Silicon": "sensor, thickness 0.000320 m",
    "Exposure_time": "0.0970000 s",
    "Exposure_period": "0.1000000 s",
    "Count_cutoff": "388705 counts",
    "Wavelength": "0.97950 A",
    "Detector_distance": "0.20000 m",
    "Beam_xy": "(240.50, 200.25) pixels",
    "Flux": "0.000000",
    "Start_angle": "10.0000 deg.",
    "Angle_increment": "0.1000 deg.",
    "Detector_2theta": "0.0000 deg.",
    "Oscillation_axis": "X.CW",
}


def header_text(words: dict[str, str | None] | None = None) -> str:
    """Header lines with some words changed, added, or (None) left out."""
    merged: dict[str, Any] = {**WORDS, **(words or {})}
    lines = (
        value if key == "date" else f"{key} {value}" for key, value in merged.items() if value is not None
    )
    return "\n".join(f"# {line}" for line in lines)


def frame() -> NDArray[np.int32]:
    """Counts of a PILATUS 200K: (407, 487), a gap of -1 and one bad pixel of -2."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(3.0, (407, 487)).astype(np.int32)
    counts[195:212] = -1
    counts[100, 100] = -2
    counts[50, 60] = 388705
    return counts


def image_bytes(words: dict[str, str | None] | None = None, text: str = "") -> bytes:
    """A whole file; ``text`` replaces or, beginning with a newline, follows the comment lines."""
    lines = header_text(words)
    return cbf_bytes("test_00001", frame(), lines + text if text.startswith("\n") or not text else text)


def write_image(path: Path, words: dict[str, str | None] | None = None, text: str = "") -> Path:
    path.write_bytes(image_bytes(words, text))
    return path
