"""Mutations of image files, and a run over many of them: python tests/kernels/fuzzing.py 1000000 [seed]."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.steps.simulating.cbf import cbf_bytes
from smalti_ext.byte_offset import decode, encode
from smalti_ext.decoding import DecodingError
from smalti_plugins.formats.pilatus import PilatusCbf

WORDS = "\n".join(
    (
        "# Detector: PILATUS 100K, S/N 60-9999",
        "# Pixel_size 172e-6 m x 172e-6 m",
        "# Silicon sensor, thickness 0.00032 m",
        "# Wavelength 1.0 A",
        "# Detector_distance 0.2 m",
        "# Beam_xy (20, 15) pixels",
        "# Start_angle 0.0 deg.",
        "# Angle_increment 0.1 deg.",
        "# Count_cutoff 1000000 counts",
    )
)
# Escapes of every size, and what headers trip over.
TOKENS = (
    b"\x80",
    b"\x80\x00\x80",
    b"\x80\x00\x80\x00\x00\x00\x80",
    b"\x7f",
    b"\xff",
    b"\x00",
    b"\r\n",
    b"-1",
    b"99999999",
)


def frame(rng: np.random.Generator) -> NDArray[np.int32]:
    """Counts with every size of difference."""
    counts = rng.poisson(3.0, (30, 40)).astype(np.int32)
    counts.ravel()[rng.integers(0, counts.size, 25)] = rng.choice(
        [-2, -1, 300, 40_000, 2**31 - 1, -(2**31)], 25
    )
    return counts


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Change a few bytes, insert or delete some, double or cut a part."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at, kind = int(rng.integers(0, len(out) + 1)), int(rng.integers(0, 6))
        length = int(rng.integers(0, 12))
        if kind == 0:
            out[at : at + length] = rng.bytes(length)
        elif kind == 1:
            out[at:at] = TOKENS[int(rng.integers(0, len(TOKENS)))]
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at:at] = out[at : at + 8 * length]
        elif kind == 4 and at < len(out):
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 5 and rng.random() < 0.2:
            del out[at:]
    return bytes(out)


def decode_one(payload: bytes, rng: np.random.Generator) -> str:
    """Decode a mutated payload between guards; says how it ended."""
    n = int(rng.integers(0, 1300))
    room = np.full(n + 32, 12345, dtype=np.int32)
    try:
        decode(mutated(payload, rng), room[16 : 16 + n])
        end = "decoded"
    except DecodingError as error:
        assert 0 <= error.element <= n
        end = "refused"
    assert (room[:16] == 12345).all()
    assert (room[16 + n :] == 12345).all()
    return end


def read_one(data: bytes, path: Path, rng: np.random.Generator) -> str:
    """Read a mutated file, header and pixels; says how it ended."""
    path.write_bytes(mutated(data, rng))
    series = PilatusCbf().open([path])
    try:
        series.header(0)
        counts = series.read(0)
    except InputError as error:
        assert str(path) in str(error)
        return "refused"
    assert counts.dtype == np.int32
    assert counts.ndim == 2
    return "read"


def run(n: int, seed: int, folder: Path) -> Counter[str]:
    """Try n mutations, nine payloads to each file; anything but a clear error is raised."""
    rng = np.random.default_rng(seed)
    counts = frame(rng)
    payload, data = encode(counts), cbf_bytes("fuzz_00001", counts, WORDS)
    ends: Counter[str] = Counter()
    for k in range(n):
        if k % 10 == 0:
            ends["file " + read_one(data, folder / "fuzz_00001.cbf", rng)] += 1
        else:
            ends["payload " + decode_one(payload, rng)] += 1
    return ends


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        number, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
        print(dict(run(number, start, Path(place))))
