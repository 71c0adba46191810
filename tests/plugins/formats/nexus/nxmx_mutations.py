"""Mutations of NeXus files: of their bytes, and of what is in them."""

from __future__ import annotations

import h5py
import numpy as np

__all__ = ["mutated", "rebuilt"]

_VALUES: tuple[object, ...] = (
    "", "red", "nan", 0, -1, 1e300, float("nan"), float("inf"), 2**63 - 1, [], [1.0], [1.0, 2.0, 3.0],
    [[1, 2], [3, 4]], True, np.zeros(3, [("a", int), ("b", "S4")]), np.bytes_(b"\xff\xfe"), "..", "/", ".",
    "/entry", [b"a", b"b"], np.zeros((0, 4)), np.full((3, 3), np.nan), 1j, h5py.Empty("f8"),
)  # fmt: skip
_SHAPES = (
    (2**40,),
    (2**62,),
    (10**6, 60000, 60000),
    (2**31, 2**31, 2),
    (0, 0, 0),
    (5, 44, 61),
    (44,),
    (1,) * 8,
)
_NAMES = (
    "pixel_mask", "depends_on", "vector", "offset", "units", "data", "data_000001", "transformation_type",
    "NX_class", "bit_depth_image", "module_offset", "data_size", "data_origin", "incident_wavelength",
    "detectorSpecific", "omega_end", "omega_increment_set", "two_theta", "saturation_value",
)  # fmt: skip


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes here and there, most of them where HDF5 keeps its own; sometimes cut the end off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, len(out)))
        kind = int(rng.integers(0, 4))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            out[at : at + 8] = rng.bytes(8)[: len(out) - at]
        elif kind == 2:
            at -= at % 8
            out[at : at + 8] = rng.choice([0, 1, 2**16, 2**31, 2**63 - 1], 1).astype("<i8").tobytes()
        else:
            at -= at % 8
            other = int(rng.integers(0, len(out) - 8)) // 8 * 8
            out[at : at + 8] = out[other : other + 8]
    del out[len(data) :]
    if rng.random() < 0.05:
        del out[int(rng.integers(0, len(out))) :]
    return bytes(out)


def rebuilt(file: h5py.File, rng: np.random.Generator) -> None:
    """Change a few objects or attributes of a file to what they should not be."""
    for _ in range(int(rng.integers(1, 4))):
        names: list[str] = []
        file.visit(names.append)
        if not names:
            return
        name = names[int(rng.integers(len(names)))]
        item = file.get(name)
        if item is None:
            continue
        home, leaf = item.parent, name.rsplit("/", 1)[-1]
        word = _NAMES[int(rng.integers(len(_NAMES)))]
        value = _VALUES[int(rng.integers(len(_VALUES)))]
        other = "/" + names[int(rng.integers(len(names)))]
        kind = int(rng.integers(0, 9))
        if kind == 0:
            del home[leaf]
        elif kind == 1:
            del home[leaf]
            home[leaf] = value
        elif kind == 2 and len(item.attrs):
            del item.attrs[list(item.attrs)[int(rng.integers(len(item.attrs)))]]
        elif kind == 3:
            keys = [word, *item.attrs]
            item.attrs[keys[int(rng.integers(len(keys)))]] = value
        elif kind == 4:
            del home[leaf]
            _vast(home, leaf, rng)
        elif kind == 5:
            del home[leaf]
            home[leaf] = h5py.SoftLink(other)
        elif kind == 6:
            del home[leaf]
            home[leaf] = h5py.ExternalLink(
                rng.choice(["fuzz_master.h5", "nowhere.h5", "example_master.h5", "."]), other
            )
        elif kind == 7 and word not in home:
            home[word] = item if rng.random() < 0.5 else h5py.SoftLink(other)
        elif kind == 8 and word not in home:
            home[word] = value


def _vast(home: h5py.Group, name: str, rng: np.random.Generator) -> None:
    """A dataset of a shape that nobody can hold, or one that is put together of itself."""
    shape = _SHAPES[int(rng.integers(len(_SHAPES)))]
    if rng.random() < 0.3 and len(shape) == 3:
        layout = h5py.VirtualLayout((4, 44, 60), "u4")
        layout[0:4] = h5py.VirtualSource(".", f"{home.name}/{name}", (4, 44, 60), "u4")
        home.create_virtual_dataset(name, layout)
        return
    kind = rng.choice(["u1", "u4", "f8", "S5"])
    home.create_dataset(name, shape, kind, chunks=tuple(min(n, 64) for n in shape) if min(shape) else None)
