"""What a reader of images promises."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from smalti.errors import SmaltiError
from smalti.roles import Reader
from smalti.solution import Match
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

JUNK: dict[str, bytes] = {
    "empty.cbf": b"",
    "noise.cbf": np.random.default_rng(31).integers(0, 256, 6000, dtype=np.uint8).tobytes(),
    "letter.txt": b"Dear beamline scientist,\nthis is not an image.\n" * 100,
    "models.expt": b'{"__id__": "ExperimentList", "experiment": []}',
    "zeros.img": bytes(5000),
}
"""Files that are no images, whatever their names say."""

CUT = b"""###CBF: VERSION 1.5, CBFlib v0.7.8 - PILATUS detectors

data_cut

_array_data.header_convention "PILATUS_1.2"
_array_data.header_contents
;
# Detector: PILATUS 100K, S/N 1-0001
# Pixel_size 172e-6 m x 172e-6 m
# Wavelength 1.0 A
# Detector_distance 0.2 m
# Beam_xy (243.5, 97.5) pixels
# Start_angle 0.0000 deg.
# Angle_increment 0.1000 deg.
;

_array_data.data
;
--CIF-BINARY-FORMAT-SECTION--
Content-Type: application/octet-stream;
     conversions="x-CBF_BYTE_OFFSET"
X-Binary-Size: 94965
X-Binary-Element-Type: "signed 32-bit integer"
X-Binary-Size-Fastest-Dimension: 487
X-Binary-Size-Second-Dimension: 195

\x0c\x1a\x04\xd5\x00\x01"""
"""A miniCBF whose transfer broke off in the first pixels."""


@contextmanager
def _files(contents: dict[str, bytes]) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in contents]
        for path, (_, data) in zip(paths, contents.items(), strict=True):
            path.write_bytes(data)
        yield paths


def declines_what_is_no_image(reader: Reader) -> None:
    """Junk is no match, and matching never raises."""
    with _files(JUNK) as paths:
        for path in paths:
            match = reader.match(path, path.read_bytes()[:4096])
            require(isinstance(match, Match), f"match gives {match!r} instead of a Match")
            require(match is Match.NO, f"it claims {path.name}, which is no image, as {match.name}")


def refuses_what_it_cannot_read_in_words(reader: Reader) -> None:
    """A file cut short, and junk, are refused with an InputError, never another exception."""
    with _files({"cut_00001.cbf": CUT, "noise_00001.cbf": JUNK["noise.cbf"]}) as paths:
        for path in paths:
            try:
                series = reader.open([path])
                series.header(0)
                series.read(0)
            except SmaltiError as error:
                require(path.name in str(error), f"its refusal of {path.name} does not name the file")
                continue
            require(False, f"it reads {path.name}, of which there is only the beginning")


CHECKS = (declines_what_is_no_image, refuses_what_it_cannot_read_in_words)
