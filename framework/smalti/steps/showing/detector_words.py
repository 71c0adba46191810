"""Detectors in words: the tree, where it stands, and a table of panels that stays short."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from smalti.steps.showing.model_words import Kind, Users, spread, vector_words
from smalti.text import plural, table

__all__ = ["DETECTOR"]

_MOST_PANELS = 12
"""Panels that are listed one by one; of more the first few are, and the spread of all."""
_FIRST = 4
_WIDTH = 96

Facts = Mapping[str, Any]


def _detector(detector: Facts) -> list[str]:
    panels = detector["panels"]
    facts = [*_build(detector), *_standing(detector), *_centre(detector)]
    if len(panels) == 1:
        facts.append(f"fast {vector_words(panels[0]['fast'])}, slow {vector_words(panels[0]['slow'])}")
        facts.append(f"origin {_position(panels[0])} mm")
    lines = [line for fact in facts for line in textwrap.wrap(fact, _WIDTH, subsequent_indent="  ")]
    return [*lines, "", *_panel_table(panels)] if len(panels) > 1 else lines


def _build(detector: Facts) -> list[str]:
    """Tell size, pixels, sensor and tree; what not all panels share is told as the commonest and a count."""
    panels = detector["panels"]
    size = _common([f"{p['image_size'][0]} x {p['image_size'][1]} px" for p in panels])
    pixel = _common([f"{p['pixel_size'][0]:g} x {p['pixel_size'][1]:g} mm" for p in panels])
    sensor = _common([_sensor(p) for p in panels])
    trusted = _common([_counts(*p["trusted_range"]) for p in panels])
    name = f" '{panels[0]['name']}'" if len(panels) == 1 and panels[0]["name"] else ""
    lines = [
        f"{plural(len(panels), 'panel')}{name} of {size}, pixels of {pixel}",
        f"{sensor}, counts trusted from {trusted}",
    ]
    masked = sum(p["n_mask"] for p in panels)
    if masked:
        lines.append(f"{plural(masked, 'untrusted rectangle')}")
    if len(panels) > 1:
        lines.append("tree, by the levels that smalti refine --level takes:")
        lines += [f"  {level['level']}: {_level(level)}" for level in detector["tree"]]
    return lines


def _counts(low: float, high: float) -> str:
    """Tell a trusted range by the whole counts in it."""
    return (
        f"{math.ceil(low):d} to {math.floor(high):,d}"
        if math.isfinite(low + high)
        else f"{low:g} to {high:g}"
    )


def _sensor(panel: Facts) -> str:
    if not panel["thickness"]:
        return "sensor unknown, no parallax correction"
    parallax = "parallax corrected" if panel["parallax"] else "no parallax correction"
    return f"{panel['thickness']:g} mm {panel['material'] or 'sensor'}, mu {panel['mu']:.4g} /mm, {parallax}"


def _common(values: Sequence[str]) -> str:
    (most, count), *others = Counter(values).most_common()
    return f"{most} ({len(values) - count} differ)" if others else most


def _level(level: Facts) -> str:
    groups, panels, parts = level["groups"], level["panels"], []
    if groups:
        count = "root" if level["level"] == 0 else plural(len(groups), "group")
        parts.append(count + _first_and_last(groups))
    if panels:
        parts.append(plural(len(panels), "panel") + _first_and_last(panels))
    mounts = level["tolerances"]
    held = f"; held to {_mount(mounts[0])}" if mounts else ""
    return " and ".join(parts) + held + (" (not all alike)" if len(mounts) > 1 else "")


def _first_and_last(names: Sequence[str]) -> str:
    shown = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
    return f" {shown}" if shown.strip(" .") else ""


def _mount(mount: Facts) -> str:
    places = "{in_plane_mm:.4g} mm in plane, {normal_mm:.4g} mm off it".format(**mount)
    return places + ", turn {turn_mrad:.4g}, tilt {tilt_mrad:.4g} mrad".format(**mount)


def _standing(detector: Facts) -> list[str]:
    near, far = detector["resolution"]
    start = f"from {near:.1f} A " if near else ""
    return [
        f"distance {detector['distance_mm']:.3f} mm (perpendicular from the crystal), "
        f"two-theta {detector['two_theta_deg']:.3f} deg",
        f"resolution {start}to {far:.2f} A at the corners",
    ]


def _centre(detector: Facts) -> list[str]:
    centre = detector["beam_centre"]
    if centre is None:
        return ["the beam does not meet the plane of any panel"]
    where = ""
    if detector["n_panels"] > 1:
        where = f" of panel {centre['panel']} '{detector['panels'][centre['panel']]['name']}'"
    outside = "" if centre["inside"] else ", beyond its edge"
    return [
        "beam centre {:.3f}, {:.3f} mm = {:.2f}, {:.2f} px (fast, slow)".format(*centre["mm"], *centre["px"])
        + where
        + outside
    ]


def _panel_table(panels: Sequence[Facts]) -> list[str]:
    shown = panels if len(panels) <= _MOST_PANELS else panels[:_FIRST]
    rows: list[tuple[str, ...]] = [
        (
            str(k),
            panel["name"],
            _bare(_position(panel)),
            _bare(vector_words(panel["fast"])),
            _bare(vector_words(panel["slow"])),
        )
        for k, panel in enumerate(shown)
    ]
    lines = table(["panel", "name", "origin (laboratory)\nmm", "fast", "slow"], rows).splitlines()
    if len(shown) < len(panels):
        lines.append(f"... and {len(panels) - len(shown)} more, all of them with --all")
    distances = spread([panel["distance_mm"] for panel in panels], ".3f")
    angles = spread([panel["two_theta_deg"] for panel in panels], ".3f")
    lines.append(f"of all panels: distance {distances} mm, two-theta {angles} deg")
    return lines


def _bare(vector: str) -> str:
    """Strip a vector in a column of them to its numbers."""
    return vector.strip("()").replace(",", "")


def _position(panel: Facts) -> str:
    return "(" + ", ".join(f"{round(x, 3) + 0.0:.3f}" for x in panel["origin"]) + ")"


def _detectors(detectors: Sequence[Facts], users: Users) -> list[str]:
    return [
        f"{spread([d['n_panels'] for d in detectors], 'd')} panels each",
        f"distance {spread([d['distance_mm'] for d in detectors], '.3f')} mm, "
        f"two-theta {spread([d['two_theta_deg'] for d in detectors], '.3f')} deg",
        "the first:",
        *(f"  {line}" for line in _detector(detectors[0])),
    ]


DETECTOR = Kind("detector", _detector, _detectors)
