"""How exactly the parts of a detector are mounted: by its kind, or as its file says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from smalti.errors import DataError
from smalti.models.detector import Detector, Group
from smalti.units import MRAD

__all__ = ["OF_CHILDREN", "OWN", "Tolerances", "tolerances"]

OWN = "tolerances"
"""Key in the ``extra`` of a panel or group: how exactly it is mounted on its parent."""

OF_CHILDREN = "tolerances_of_children"
"""Key in the ``extra`` of a group: how exactly all that hang directly from it are mounted on it."""

_KEYS = {
    "in_plane_mm": ("in_plane", 1.0),
    "normal_mm": ("normal", 1.0),
    "turn_mrad": ("turn", MRAD),
    "tilt_mrad": ("tilt", MRAD),
}
_SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Standard deviations of the place of a part relative to its parent.

    Attributes
    ----------
    in_plane, normal : float
        Of its place, each axis in its plane and along its normal, mm.
    turn, tilt : float
        Of its rotation about the normal, and about each axis in its plane, rad.
    source : str
        Where the numbers come from.
    """

    in_plane: float
    normal: float
    turn: float
    tilt: float
    source: str

    def as_stated(self) -> dict[str, Any]:
        """Give them as a file keeps them, under :data:`OWN` or :data:`OF_CHILDREN`."""
        return {key: getattr(self, name) / unit for key, (name, unit) in _KEYS.items()} | {
            _SOURCE: self.source
        }


@dataclass(frozen=True, slots=True)
class _Kind:
    """Detectors of one make, told by the size of their panels.

    ``mounts`` are the tolerances of tiles that share one sensor, of sensors or modules, and of groups
    of those; the last holds for all groups above.
    """

    name: str
    panels: frozenset[tuple[int, int]]
    pixel_size: float
    mounts: tuple[Tolerances, ...]
    tiles_on_a_sensor: int = 0


def _mm_mrad(in_plane: float, normal: float, turn: float, tilt: float, source: str) -> Tolerances:
    return Tolerances(in_plane, normal, turn * MRAD, tilt * MRAD, source)


_UNKNOWN = _mm_mrad(0.2, 0.1, 1.0, 0.5, "assumed of any detector")
_MODULE = _mm_mrad(
    0.1, 0.05, 1.0, 0.5,
    "twice the 45 and 33 um of the modules of a PILATUS 6M in the multi-tile tutorial of DIALS; "
    "angles and normal assumed",
)  # fmt: skip
_TILE = _mm_mrad(0.01, 0.01, 0.1, 0.3, "assumed of tiles bonded to one sensor")
_2X1 = _mm_mrad(
    0.3, 0.1, 4.0, 1.0,
    "turns: spread in the optical metrology of 2x1 sensors (LCLS, CSPAD XPP, 2013-01-24); rest assumed",
)  # fmt: skip
_MOVABLE = _mm_mrad(1.0, 0.3, 5.0, 2.0, "assumed of movable parts")

_KINDS = (
    _Kind("PILATUS", frozenset({(487, 195)}), 0.172, (_MODULE, _MODULE, _UNKNOWN)),
    _Kind("EIGER", frozenset({(1030, 514), (1028, 512)}), 0.075, (_MODULE, _MODULE, _UNKNOWN)),
    _Kind("CS-PAD", frozenset({(194, 185), (185, 194)}), 0.10992, (_TILE, _2X1, _MOVABLE), 2),
    _Kind("JUNGFRAU", frozenset({(256, 256)}), 0.075, (_TILE, _UNKNOWN, _MOVABLE), 8),
    _Kind("AGIPD", frozenset({(128, 64), (64, 128)}), 0.2, (_TILE, _UNKNOWN, _MOVABLE), 8),
)


def tolerances(detector: Detector) -> dict[tuple[int, ...], Tolerances]:
    """Give how exactly every group and panel below the root is mounted on its parent, by path in the tree.

    What the file says of the part itself comes first, then what it says of the children of the parent,
    then what is known of detectors with such panels.

    Raises
    ------
    DataError
        The file says something that is no tolerance.
    """
    found: dict[tuple[int, ...], Tolerances] = {}
    kinds: dict[Any, _Kind | None] = {
        (p.image_size, p.pixel_size): _kind(p.image_size, p.pixel_size[0]) for p in detector.panels
    }

    def visit(group: Group, path: tuple[int, ...]) -> int:
        tallest = 0
        for place, child in enumerate(group.children):
            here = (*path, place)
            if isinstance(child, int):
                item = detector.panels[child]
                kind = kinds[item.image_size, item.pixel_size]
                height = 0 if _shares_a_sensor(kind, group) else 1
                name, extra = item.name, item.extra
            else:
                height = visit(child, here)
                kind = kinds.get(_first_panel(detector, child))
                name, extra = child.name, child.extra
            known = kind.mounts[min(height, len(kind.mounts) - 1)] if kind else _UNKNOWN
            known = _stated(known, group.extra.get(OF_CHILDREN), group.name)
            found[here] = _stated(known, extra.get(OWN), name)
            tallest = max(tallest, height + 1)
        return tallest

    visit(detector.root, ())
    return found


def _kind(size: tuple[int, int], pixel: float) -> _Kind | None:
    fits = (kind for kind in _KINDS if size in kind.panels and abs(kind.pixel_size - pixel) < 1e-4)
    return next(fits, None)


def _shares_a_sensor(kind: _Kind | None, parent: Group) -> bool:
    """Whether the panels of a group are tiles of one sensor: more of them are panels of a flat tree."""
    return kind is not None and 1 < len(parent.children) <= kind.tiles_on_a_sensor


def _first_panel(detector: Detector, group: Group) -> tuple[tuple[int, int], tuple[float, float]] | None:
    for child in group.children:
        if isinstance(child, int):
            return detector.panels[child].image_size, detector.panels[child].pixel_size
        if (found := _first_panel(detector, child)) is not None:
            return found
    return None


def _stated(known: Tolerances, said: Any, name: str) -> Tolerances:
    """Put what a file says in place of what is known."""
    if said is None:
        return known
    if not isinstance(said, Mapping) or not set(said) <= {*_KEYS, _SOURCE}:
        raise _no_tolerances(name, said)
    values = {key: value for key, value in said.items() if key != _SOURCE}
    for value in values.values():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0.0 < value < math.inf:
            raise _no_tolerances(name, said)
    stated = {_KEYS[key][0]: value * _KEYS[key][1] for key, value in values.items()}
    return replace(known, **stated, source=str(said.get(_SOURCE, "stated in the file")))


def _no_tolerances(name: str, said: Any) -> DataError:
    return DataError(
        f"The tolerances of '{name}' in the detector's description cannot be used.",
        f"They read {said!r:.200}.",
        f"Give numbers greater than 0 for some of {', '.join(_KEYS)}, and a source if you like.",
    )
