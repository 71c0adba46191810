"""Mutations of descriptions of detectors.

python tests/plugins/formats/described/fuzzing_descriptions.py N [seed]
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from smalti.errors import InputError
from smalti.models import Detector
from smalti.solution import FrameHeader
from smalti_plugins.formats.described._building import header_of
from smalti_plugins.formats.described._description import read_description

SOUND = """
name = "Test 4"
size = [60, 44]
pixel_size = [0.1, 0.2]
trusted_range = [0, 5000]
gain = 2.0
[sensor]
material = "Si"
thickness = 0.3
[geometry]
distance = 120.0
beam_centre = [20.0, 11.0]
wavelength = 1.1
two_theta = 5.0
rotation_axis = [1.0, 0.0, 0.0]
[header]
wavelength = { key = "wave", factor = 0.1 }
start = "omega"
width = "step"
[[groups]]
name = "left"
origin = [0.5, 0.0, 0.1]
fast = [0.0, 1.0, 0.0]
slow = [-1.0, 0.0, 0.0]
[[groups]]
name = "inner"
parent = "left"
[[panels]]
name = "a"
window = [0, 0]
size = [28, 20]
group = "inner"
origin = [1.0, 2.0, 3.0]
[[panels]]
name = "b"
window = [32, 0]
size = [28, 20]
"""
GRID = SOUND[: SOUND.index("[[groups]]")] + "[modules]\nsize = [28, 20]\ngap = [4, 4]\ngrid = [2, 2]\n"
WORDS = {"wave": "11.0", "omega": "10.0", "step": "-0.5", "odd": "nan", "none": "red", "big": "1e999"}

_VALUES = (
    "nan", "inf", "-inf", "1e308", "-1", "0", "99999999999999999999", "true", '""', "[]", "[[1, 2], [3]]",
    "{}", '"left"', '"inner"', "1979-05-27", "[0.0, 0.0, 0.0]", "[1e-320, 0.0, 0.0]", "[nan, 0.0, 1.0]",
    "[1, 2]", "[2147483648, 1]", '{ key = "odd" }', '"none"', '"big"', '{ key = "wave", factor = inf }',
    '"Xx"', "[1e200, 1e200, 0.0]", "[[0.0]]", '"' + "a" * 2000 + '"',
)  # fmt: skip
_VALUE = re.compile(r"= (.*)$", re.MULTILINE)


def mutated(text: str, rng: np.random.Generator) -> bytes:
    """Replace values, exchange or repeat lines, or change bytes."""
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(0, 4))
        lines = text.splitlines()
        k, other = (int(rng.integers(len(lines))) for _ in range(2))
        if kind == 0:
            places = list(_VALUE.finditer(text))
            if places:
                found = places[int(rng.integers(len(places)))]
                text = (
                    text[: found.start(1)] + _VALUES[int(rng.integers(len(_VALUES)))] + text[found.end(1) :]
                )
        elif kind == 1:
            lines[k] = lines[other]
            text = "\n".join(lines)
        elif kind == 2:
            del lines[k]
            text = "\n".join(lines) or " "
        else:
            numbers = list(re.finditer(r"\d+", text))
            if numbers:
                found = numbers[int(rng.integers(len(numbers)))]
                text = text[: found.start()] + str(int(rng.integers(0, 2**40))) + text[found.end() :]
    out = bytearray(text.encode())
    if rng.random() < 0.1:
        out[int(rng.integers(len(out)))] = int(rng.integers(256))
    return bytes(out)


def one(text: str, path: Path, rng: np.random.Generator) -> str:
    """Read a mutated description and place its detector; anything but a clear error is raised."""
    path.write_bytes(mutated(text, rng))
    try:
        header = header_of(read_description(path), WORDS, "frame 1")
    except InputError:
        return "refused"
    assert isinstance(header, FrameHeader) and isinstance(header.detector, Detector)
    assert np.isfinite(header.detector.stacked()).all()
    assert np.isfinite([header.start, header.width, header.beam.wavelength]).all()
    return "read"


def run(n: int, seed: int, folder: Path) -> Counter[str]:
    """Try n mutations."""
    rng = np.random.default_rng(seed)
    ends: Counter[str] = Counter()
    for k in range(n):
        # A name for each: files of one name and one moment would be taken for the same.
        path = folder / f"detector_{k}.toml"
        ends[one((SOUND, GRID)[k % 2], path, rng)] += 1
        path.unlink()
    return ends


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(dict(run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1, Path(place))))
