"""Write frames as miniCBF files, as a PILATUS does."""

from __future__ import annotations

import base64
import datetime
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.attenuation import HC
from smalti.models import Experiment
from smalti.steps.simulating.instrument import COUNT_CUTOFF
from smalti.storage import write_whole
from smalti.units import clean_degrees
from smalti_ext import byte_offset

__all__ = ["cbf_bytes", "header", "write_cbf"]

# Marks the start of binary data in a CBF file [International Tables for Crystallography G, 2.3.3.3].
_BINARY = b"\x0c\x1a\x04\xd5"
_PADDING = 4095
_STILL_EXPOSURE = 0.1
_EPOCH = datetime.datetime(2026, 5, 1, 12, 0, 0)


def write_cbf(path: Path, counts: NDArray[np.int32], text: str) -> None:
    """Write a frame (slow, fast) with its header; the file appears whole or not at all."""
    write_whole(path, cbf_bytes(path.stem, counts, text))


def cbf_bytes(name: str, counts: NDArray[np.int32], text: str) -> bytes:
    """Give the bytes of a miniCBF file.

    Parameters
    ----------
    name : str
        Of the data block: the file's name without its ending.
    counts : (slow, fast) int32
    text : str
        The lines of the header, each starting with "# ".
    """
    payload = byte_offset.encode(counts)
    digest = base64.b64encode(hashlib.md5(payload, usedforsecurity=False).digest()).decode()
    slow, fast = counts.shape
    lines = (
        "###CBF: VERSION 1.5, smalti simulation - PILATUS detectors",
        "",
        f"data_{name}",
        "",
        '_array_data.header_convention "PILATUS_1.2"',
        "_array_data.header_contents",
        ";",
        *text.splitlines(),
        ";",
        "",
        "_array_data.data",
        ";",
        "--CIF-BINARY-FORMAT-SECTION--",
        "Content-Type: application/octet-stream;",
        '     conversions="x-CBF_BYTE_OFFSET"',
        "Content-Transfer-Encoding: BINARY",
        f"X-Binary-Size: {len(payload)}",
        "X-Binary-ID: 1",
        'X-Binary-Element-Type: "signed 32-bit integer"',
        "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
        f"Content-MD5: {digest}",
        f"X-Binary-Number-of-Elements: {counts.size}",
        f"X-Binary-Size-Fastest-Dimension: {fast}",
        f"X-Binary-Size-Second-Dimension: {slow}",
        f"X-Binary-Size-Padding: {_PADDING}",
        "",
        "",
    )
    tail = b"\0" * _PADDING + b"\r\n--CIF-BINARY-FORMAT-SECTION----\r\n;\r\n\r\n"
    return "\r\n".join(lines).encode("ascii") + _BINARY + payload + tail


def header(experiment: Experiment, image: int, layout: str, n_dead: int) -> str:
    """Write the header of one image (array index from 0) of a nominal experiment.

    A header can say where a flat detector stands, and nothing of its modules. A still, which has no scan, has
    an increment of 0.
    """
    panel = experiment.detector.panels[0]
    # The root of a flat detector stands at the outer corner of the frame.
    x, y, z = experiment.detector.root.origin
    pixel = panel.pixel_size[0]
    scan = experiment.scan
    start, width = (0.0, 0.0) if scan is None else (clean_degrees(angle) for angle in scan.oscillation)
    angle = start + image * width
    exposure = _STILL_EXPOSURE if scan is None else scan.exposure_times[image]
    seconds = _STILL_EXPOSURE * image if scan is None else scan.epochs[image]
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return "\n".join(
        f"# {line}"
        for line in (
            f"Detector: {layout}, S/N 00-0000, simulated",
            f"{moment.isoformat(timespec='milliseconds')}",
            f"Pixel_size {pixel * 1000:.0f}e-6 m x {pixel * 1000:.0f}e-6 m",
            f"Silicon sensor, thickness {panel.thickness / 1000:.6f} m",
            f"Exposure_time {exposure:.7f} s",
            f"Exposure_period {exposure:.7f} s",
            "Tau = 0 s",
            f"Count_cutoff {COUNT_CUTOFF} counts",
            f"Threshold_setting: {1e3 * HC / experiment.beam.wavelength / 2:.0f} eV",
            f"N_excluded_pixels = {n_dead}",
            f"Wavelength {experiment.beam.wavelength:.5f} A",
            f"Detector_distance {-z / 1000:.5f} m",
            f"Beam_xy ({-x / pixel:.2f}, {y / pixel:.2f}) pixels",
            f"Start_angle {angle:.4f} deg.",
            f"Angle_increment {width:.4f} deg.",
            "Detector_2theta 0.0000 deg.",
            f"Polarization {experiment.beam.polarization_fraction:.3f}",
            "Oscillation_axis X.CW",
            "N_oscillations 1",
        )
    )
