"""Chains of transformations: where NeXus says that a thing is, by what it depends on.

Every transformation carries those before it: a point p in its frame is at offset + v vector + p
(translation) or offset + R(vector, v) p (rotation) in the frame that it depends on, and so on to the
laboratory, ".". NeXus: "Coordinate systems and transformations" of its manual.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation
from smalti_plugins.formats.nexus._items import attribute, damaged, lengths, maybe_text, numbers, to_unit

__all__ = ["TO_LABORATORY", "Link", "chain", "chain_of", "place"]

Array = NDArray[np.float64]

TO_LABORATORY = np.diag([-1.0, 1.0, -1.0])
"""From the frame of McStas, which NeXus uses (z along the beam), to that of imgCIF (z to the source)."""

_LONGEST = 64

_LARGEST = 1e100
"""Of a part of a vector: the square of a larger one is no number."""


@dataclass(frozen=True)
class Link:
    """One transformation of a chain, in the frame of NeXus.

    Attributes
    ----------
    path : str
        Name of its dataset.
    turns : bool
        Whether it is a rotation.
    vector, offset : (3,)
        Unit vector; mm.
    values : (1 or n,) rad or mm
        One for each frame where it moves.
    component : str
        ``equipment_component``: what it places.
    """

    path: str
    turns: bool
    vector: Array
    offset: Array
    values: Array
    component: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rsplit("/", 1)[-1]

    def matrix(self, frame: int = 0) -> Array:
        """Give the (4, 4) matrix at one frame."""
        value = float(self.values[min(frame, len(self.values) - 1)])
        out = np.eye(4)
        if self.turns:
            out[:3, :3] = rotation(self.vector, value)
            out[:3, 3] = self.offset
        else:
            out[:3, 3] = self.offset + value * self.vector
        return out


def chain(
    item: h5py.Dataset, file: Path, known: dict[str, tuple[Link, str]] | None = None
) -> tuple[Link, ...]:
    """Follow a transformation and what it depends on; itself first, the one fixed in the laboratory last.

    Parameters
    ----------
    item : h5py.Dataset
    file : Path
        For errors.
    known : dict, optional
        Links that were read before, by path, and what they depend on: the modules of a detector share
        most of theirs, and reading one takes a fraction of a millisecond.

    Raises
    ------
    InputError
        The chain leads nowhere, goes round in a circle, or a link lacks what it needs.
    """
    known = {} if known is None else known
    found: list[Link] = []
    path = str(item.name)
    while path:
        if any(link.path == path for link in found) or len(found) > _LONGEST:
            raise damaged(path, file, "Its chain of 'depends_on' goes round in a circle")
        if path not in known:
            node = item.file[path]
            upper = _follow(node, maybe_text(node.attrs.get("depends_on")), file)
            known[path] = _link(node, file), "" if upper is None else str(upper.name)
        link, path = known[path]
        found.append(link)
    return tuple(found)


def chain_of(group: h5py.Group, file: Path) -> tuple[Link, ...]:
    """Follow the dataset ``depends_on`` of a group; () where it has none or is fixed in the laboratory."""
    node = _follow(group, maybe_text(group.get("depends_on")), file)
    return () if node is None else chain(node, file)


def place(links: tuple[Link, ...], frame: int = 0) -> Array:
    """Give the (4, 4) matrix from the innermost frame of a chain to the laboratory of NeXus."""
    out = np.eye(4)
    for link in links:
        out = link.matrix(frame) @ out
    return out


def _follow(item: h5py.HLObject, name: str, file: Path) -> h5py.Dataset | None:
    if name in ("", "."):
        return None
    home = item if isinstance(item, h5py.Group) else item.parent
    node = home.get(name)
    if not isinstance(node, h5py.Dataset):
        raise damaged(item, file, f"It depends on '{name}', which is not there")
    return node


def _link(item: h5py.Dataset, file: Path) -> Link:
    kind = maybe_text(item.attrs.get("transformation_type"))
    if kind not in ("rotation", "translation"):
        raise damaged(item, file, f"Its transformation_type is '{kind}', neither rotation nor translation")
    turns = kind == "rotation"
    vector = attribute(item, "vector", file)
    if vector.shape != (3,) or not 0.0 < float(np.abs(vector).max()) < _LARGEST:
        raise damaged(item, file, "Its vector is no direction of three numbers")
    length = float(np.linalg.norm(vector))
    values = numbers(item, "rad" if turns else "mm", file)
    if not values.size or not np.isfinite(values).all():
        raise damaged(item, file, "It holds no value, or one that is no number")
    offset = lengths(item, "offset", "offset_units", file)
    if "offset" in item.attrs and "offset_units" not in item.attrs and not turns:
        # Files that leave the unit of the offset out mean that of the value.
        given = maybe_text(item.attrs.get("units"))
        offset = offset * (to_unit(given, "mm", item, file) if given else 1.0)
    component = maybe_text(item.attrs.get("equipment_component"))
    return Link(str(item.name), turns, vector / length, offset, values, component)
