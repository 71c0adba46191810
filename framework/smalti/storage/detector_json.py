"""The detector as DIALS writes it: a list of panels and the tree that holds them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smalti.models import Detector, Group, Panel, Vector, vector
from smalti.storage.places import Fields, Place

__all__ = ["read_detector", "write_detector"]

_PARALLAX, _SIMPLE = "ParallaxCorrectedPxMmStrategy", "SimplePxMmStrategy"

# A group is written with all keys of a panel, at these values; DIALS does the same.
_GROUP_KEYS: dict[str, Any] = {
    "raw_image_offset": [0, 0],
    "image_size": [0, 0],
    "pixel_size": [0.0, 0.0],
    "trusted_range": [0.0, 0.0],
    "thickness": 0.0,
    "material": "",
    "mu": 0.0,
    "identifier": "",
    "mask": [],
    "gain": 1.0,
    "pedestal": 0.0,
    "px_mm_strategy": {"type": _SIMPLE},
}

_TOLERANCE = 1e-3
"""How far axes may be from orthonormal: files written with three decimals are read."""

_DEEPEST = 32
"""Levels of a tree that are read; real detectors have four, damaged files any number."""

_LEAF = "hierarchy_leaf"
"""Where a panel keeps the unknown keys of its leaf in the tree."""


def read_detector(place: Place) -> Detector:
    """Read a detector; old files have no tree, and their panels then stand in the laboratory."""
    fields = place.fields()
    panels = [read_panel(item) for item in fields.at("panels").items()]
    if not panels:
        raise fields.at("panels").fail("a detector has at least one panel")
    tree = fields.maybe("hierarchy")
    if tree is None:
        root = Group("", children=tuple(range(len(panels))))
        return _standing_off(Detector(tuple(panels), root, fields.rest()), place)
    seen: set[int] = set()
    root = _read_group(tree, panels, seen, 0)
    if len(seen) < len(panels):
        missing = min(set(range(len(panels))) - seen)
        raise tree.fail(f"panel {missing} of {len(panels)} does not hang anywhere in the tree")
    return _standing_off(Detector(tuple(panels), root, fields.rest()), place)


def _standing_off(detector: Detector, place: Place) -> Detector:
    """Check that no panel's plane goes through the crystal: no ray would have a position on it."""
    d = detector.stacked()
    distances = np.abs(np.einsum("pi,pi->p", np.cross(d[:, :, 0], d[:, :, 1]), d[:, :, 2]))
    if not np.all(distances > 1e-6):
        worst = int(np.argmin(distances))
        raise Place(None, f"{place.path}.panels[{worst}]", place.file).fail(
            "its plane goes through the crystal"
        )
    return detector


def _read_group(place: Place, panels: list[Panel], seen: set[int], level: int) -> Group:
    fields = place.fields()
    if level > _DEEPEST:
        raise place.fail(f"the tree is deeper than {_DEEPEST} levels")
    fast, slow, origin = _frame(fields)
    children: list[Group | int] = []
    for item in fields.at("children").items():
        leaf = item.fields()
        if "panel" not in leaf:
            children.append(_read_group(item, panels, seen, level + 1))
            continue
        index = leaf.integer("panel")
        if not 0 <= index < len(panels):
            raise leaf.at("panel").fail(f"there is no panel {index}; they are 0 to {len(panels) - 1}")
        if index in seen:
            raise leaf.at("panel").fail(f"panel {index} hangs in the tree twice")
        seen.add(index)
        children.append(index)
        if rest := leaf.rest():
            panels[index] = replace(panels[index], extra={**panels[index].extra, _LEAF: rest})
    name, kind = fields.text("name", ""), fields.text("type", "")
    return Group(name, fast, slow, origin, tuple(children), kind, fields.rest())


def _frame(fields: Fields) -> tuple[Vector, Vector, Vector]:
    fast, slow, origin = (vector(fields.numbers(key, 3)) for key in ("fast_axis", "slow_axis", "origin"))
    for key, axis in (("fast_axis", fast), ("slow_axis", slow)):
        length = float(np.linalg.norm(axis))
        if abs(length - 1.0) > _TOLERANCE:
            raise fields.at(key).fail(f"a unit vector is needed, and this one is {length:.6g} long")
    if abs(float(np.dot(fast, slow))) > _TOLERANCE:
        raise fields.at("slow_axis").fail("fast_axis and slow_axis are not perpendicular")
    return fast, slow, origin


def read_panel(place: Place) -> Panel:
    """Read one panel."""
    fields = place.fields()
    fast, slow, origin = _frame(fields)
    image_size = fields.at("image_size").integers(2)
    pixel_size = fields.at("pixel_size").numbers(2)
    if min(image_size) < 1:
        raise fields.at("image_size").fail("a panel has at least one pixel each way")
    if min(pixel_size) <= 0.0:
        raise fields.at("pixel_size").fail("the size of a pixel is greater than 0")
    parallax, own, thickness, mu = _strategy(fields)
    window = fields.integers("raw_image_offset", 2, (0, 0))
    trusted = fields.numbers("trusted_range", 2, (0.0, 65535.0))
    mask = fields.maybe("mask")
    return Panel(
        fields.text("name", ""),
        fast,
        slow,
        origin,
        (image_size[0], image_size[1]),
        (pixel_size[0], pixel_size[1]),
        (window[0], window[1]),
        (trusted[0], trusted[1]),
        fields.text("type", ""),
        thickness,
        fields.text("material", ""),
        mu,
        parallax,
        fields.number("gain", 1.0),
        fields.number("pedestal", 0.0),
        fields.text("identifier", ""),
        () if mask is None else tuple(_rectangle(item) for item in mask.items()),
        {**own, **fields.rest()},
    )


def _rectangle(place: Place) -> tuple[int, int, int, int]:
    f0, s0, f1, s1 = place.integers(4)
    return f0, s0, f1, s1


def _strategy(fields: Fields) -> tuple[bool, dict[str, Any], float, float]:
    """Read how pixels become millimetres: parallax or not, what else it says, thickness and mu.

    Old files keep thickness and attenuation with the strategy too, and where they do DIALS lets those
    win over the panel's own.
    """
    thickness, mu = fields.number("thickness", 0.0), fields.number("mu", 0.0)
    place = fields.maybe("px_mm_strategy")
    if place is None:
        return False, {}, thickness, mu
    strategy = place.fields()
    kind = strategy.text("type", _SIMPLE)
    parallax = "Parallax" in kind
    if parallax:
        thickness, mu = strategy.number("t0", thickness), strategy.number("mu", mu)
    own = strategy.rest()
    if kind not in (_PARALLAX, _SIMPLE):
        own["type"] = kind
    return parallax, {"px_mm_strategy": own} if own else {}, thickness, mu


def write_detector(detector: Detector) -> dict[str, Any]:
    """Write a detector: the panels in order, and the tree."""
    return {
        "panels": [_write_panel(panel) for panel in detector.panels],
        "hierarchy": _write_group(detector.root, detector.panels),
        **detector.extra,
    }


def _write_group(group: Group, panels: tuple[Panel, ...]) -> dict[str, Any]:
    return {
        "name": group.name,
        "type": group.type,
        "fast_axis": list(group.fast),
        "slow_axis": list(group.slow),
        "origin": list(group.origin),
        **_GROUP_KEYS,
        **group.extra,
        "children": [
            {"panel": child, **panels[child].extra.get(_LEAF, {})}
            if isinstance(child, int)
            else _write_group(child, panels)
            for child in group.children
        ],
    }


def _write_panel(panel: Panel) -> dict[str, Any]:
    extra = {key: value for key, value in panel.extra.items() if key != _LEAF}
    strategy = {"type": _PARALLAX if panel.parallax else _SIMPLE}
    own = extra.pop("px_mm_strategy", {})
    if ("Parallax" in own.get("type", strategy["type"])) == panel.parallax:
        strategy |= own
    return {
        "name": panel.name,
        "type": panel.type,
        "fast_axis": list(panel.fast),
        "slow_axis": list(panel.slow),
        "origin": list(panel.origin),
        "raw_image_offset": list(panel.window),
        "image_size": list(panel.image_size),
        "pixel_size": list(panel.pixel_size),
        "trusted_range": list(panel.trusted_range),
        "thickness": panel.thickness,
        "material": panel.material,
        "mu": panel.mu,
        "identifier": panel.identifier,
        "mask": [list(rectangle) for rectangle in panel.mask],
        "gain": panel.gain,
        "pedestal": panel.pedestal,
        "px_mm_strategy": strategy,
        **extra,
    }
