"""Beams, goniometers, scans, crystals and image sets in words, one or many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.text import plural, ranges, table

__all__ = ["KINDS", "MOST_RANGES", "Kind", "Users", "section", "spread", "vector_words"]

Facts = Mapping[str, Any]
Users = Sequence[Sequence[int]]
"""Of each model the experiments that use it."""
MOST = 3
"""Different models of a kind that are told one by one; more are summed up."""
MOST_RANGES = 20
"""Ranges of numbers that are written out."""

_FAR = 6.0
"""Standard deviations, from the quartiles, beyond which a cell is not of the others."""
_SAME_CELL = 1e-4
_NORMAL_IQR = 1.349
"""Interquartile range of the normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of model is told: what it is called, one of them, and many of them together."""

    noun: str
    one: Callable[[Facts], list[str]]
    many: Callable[[Sequence[Facts], Users], list[str]]


def section(kind: Kind, models: Sequence[Facts], users: Users) -> str:
    """Tell all models of one kind.

    Parameters
    ----------
    kind : Kind
    models : sequence of facts
        The distinct models in order of first use.
    users : sequence of sequence of int
        For each model the experiments that use it.
    """
    groups = _alike(models)
    head = plural(len(models), kind.noun)
    if len(models) > 1:
        every = {1: "all alike", len(models): "all different"}
        head += ", " + every.get(len(groups), f"{len(groups)} different")
    lines = [head]
    if len(groups) <= MOST:
        for members in groups:
            told = kind.one(models[members[0]])
            if len(groups) > 1:
                whose = sorted(user for member in members for user in users[member])
                lines.append(f"  experiment{'s' if len(whose) > 1 else ''} {ranges(whose, MOST_RANGES)}")
                told = [f"  {line}" for line in told]
            lines += [f"  {line}" for line in told]
    else:
        lines += [f"  {line}" for line in kind.many(models, users)]
    return "\n".join(line.rstrip() for line in lines)


def _alike(models: Sequence[Facts]) -> list[list[int]]:
    """Group models whose facts are the same, in order."""
    groups: dict[str, list[int]] = {}
    for k, facts in enumerate(models):
        groups.setdefault(repr(facts), []).append(k)
    return list(groups.values())


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Write one value, or the range of values that differ."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def vector_words(values: Sequence[float]) -> str:
    """Write a vector with four decimals, without a sign on zero."""
    return "(" + ", ".join(f"{round(v, 4) + 0.0:.4f}" for v in values) + ")"


def _turned(vectors: Sequence[Sequence[float]]) -> float:
    """Greatest angle (degrees) of unit vectors (N, 3) to their mean."""
    array = np.asarray(vectors, dtype=float)
    mean = array.mean(axis=0)
    cosine = array @ mean / (np.linalg.norm(array, axis=1) * np.linalg.norm(mean))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)).max()))


def _beam(beam: Facts) -> list[str]:
    line = f"wavelength {beam['wavelength']:.5f} A ({beam['energy_kev']:.4f} keV)"
    if "wavelength_range" in beam:
        line += ", polychromatic from {:.4f} to {:.4f} A".format(*beam["wavelength_range"])
    return [line, f"towards the source {vector_words(beam['to_source'])}"]


def _beams(beams: Sequence[Facts], users: Users) -> list[str]:
    return [
        f"wavelength {spread([b['wavelength'] for b in beams], '.5f')} A",
        f"directions within {_turned([b['to_source'] for b in beams]):.4f} deg of "
        f"{vector_words(np.mean([b['to_source'] for b in beams], axis=0).tolist())}",
    ]


def _goniometer(goniometer: Facts) -> list[str]:
    named = f" ({goniometer['scan_axis']})" if goniometer["scan_axis"] else ""
    lines = [f"turns about {vector_words(goniometer['axis'])}{named}"]
    if len(goniometer["axes"]) > 1:
        lines += [
            f"{axis['name']:<8} {vector_words(axis['axis'])} at {axis['angle_deg']:.4g} deg"
            for axis in goniometer["axes"]
        ]
    elif not goniometer["plain"]:
        lines.append("with a fixed or a setting rotation")
    return lines


def _goniometers(goniometers: Sequence[Facts], users: Users) -> list[str]:
    axes = [goniometer["axis"] for goniometer in goniometers]
    lines = [f"axes within {_turned(axes):.3f} deg of {vector_words(np.mean(axes, axis=0).tolist())}"]
    if len({repr(goniometer["fixed_rotation"]) for goniometer in goniometers}) > 1:
        lines.append("with different fixed rotations")
    return lines


def _scan(scan: Facts) -> list[str]:
    exposure = f", {scan['exposure_s']:g} s each" if scan["exposure_s"] else ""
    return [
        f"images {scan['images'][0]} to {scan['images'][1]} ({plural(scan['n_images'], 'image')} of "
        f"{scan['width_deg']:g} deg{exposure}), {scan['start_deg']:g} to {scan['end_deg']:g} deg"
    ]


def _scans(scans: Sequence[Facts], users: Users) -> list[str]:
    counts = [scan["n_images"] for scan in scans]
    return [
        f"{spread(counts, 'd')} images each, {sum(counts):,} in all, "
        f"of {spread([scan['width_deg'] for scan in scans], 'g')} deg",
        f"starting at {spread([scan['start_deg'] for scan in scans], 'g')} deg",
    ]


def _crystal(crystal: Facts) -> list[str]:
    cell = "{:.3f} {:.3f} {:.3f} A, {:.3f} {:.3f} {:.3f} deg".format(*crystal["cell"])
    number = f" (no. {crystal['space_group_number']})" if crystal["space_group_number"] else ""
    lines = [f"{crystal['space_group']}{number}, cell {cell}, volume {crystal['volume']:,.0f} A^3"]
    if crystal["scan_points"]:
        lines.append(f"varies over the scan, given at {crystal['scan_points']} points:")
        pairs = zip(crystal["cell_least"], crystal["cell_greatest"], strict=True)
        spans = [spread(pair, ".3f") for pair in pairs]
        lines.append(f"  axes {', '.join(spans[:3])} A")
        lines.append(f"  angles {', '.join(spans[3:])} deg")
        lines.append(f"  turns by up to {crystal['turn_mrad']:.3f} mrad from the start")
    return lines


def _crystals(crystals: Sequence[Facts], users: Users) -> list[str]:
    groups = Counter(crystal["space_group"] for crystal in crystals)
    cells = np.array([[*crystal["cell"], crystal["volume"]] for crystal in crystals])
    rows = [
        (what, *(f"{value:.3f}" for value in values[:6]), f"{values[6]:,.0f}")
        for what, values in zip(
            ("least", "quartile", "median", "quartile", "greatest"),
            np.percentile(cells, [0, 25, 50, 75, 100], axis=0),
            strict=True,
        )
    ]
    heads = ["cell", "a\nA", "b\nA", "c\nA", "alpha\ndeg", "beta\ndeg", "gamma\ndeg", "volume\nA^3"]
    return [
        ", ".join(f"{count:,} in {group}" for group, count in groups.most_common(5)),
        *table(heads, rows).splitlines(),
        *_strange(cells[:, :6], users),
    ]


def _strange(cells: NDArray[np.float64], users: Users) -> list[str]:
    """Name the crystals whose cells are far from the others, by their experiments."""
    middle = np.median(cells, axis=0)
    low, high = np.percentile(cells, [25, 75], axis=0)
    # Quartiles of cells that are all but equal say nothing of what is far.
    spread_ = np.maximum((high - low) / _NORMAL_IQR, _SAME_CELL * middle)
    away = np.abs(cells - middle) / spread_
    far = np.flatnonzero(away.max(axis=1) > _FAR)
    worst = far[np.argsort(-away[far].max(axis=1), kind="stable")]
    if not worst.size:
        return []
    named = []
    for k in worst[:MOST]:
        axis = int(np.argmax(away[k]))
        which = ("a", "b", "c", "alpha", "beta", "gamma")[axis]
        named.append(f"{ranges(users[k], MOST)} ({which} {cells[k, axis]:.3f})")
    more = f" and {plural(len(worst) - MOST, 'other')}" if len(worst) > MOST else ""
    return [f"far from the others: experiment {', '.join(named)}{more}"]


def _imageset(imageset: Facts) -> list[str]:
    images = imageset["images"]
    where = imageset["template"] or (images[0] if images else "no images")
    if not imageset["template"] and len(images) > 1:
        where += f" and {len(images) - 1} more"
    how = f", read by {imageset['reader']}" if imageset["reader"] else ""
    return [where + how + (f", mask {imageset['mask']}" if imageset["mask"] else "")]


def _imagesets(imagesets: Sequence[Facts], users: Users) -> list[str]:
    first, last = _imageset(imagesets[0])[0], _imageset(imagesets[-1])[0]
    return [f"from {first}", f"to   {last}"]


KINDS: Mapping[str, Kind] = {
    "beam": Kind("beam", _beam, _beams),
    "goniometer": Kind("goniometer", _goniometer, _goniometers),
    "scan": Kind("scan", _scan, _scans),
    "crystal": Kind("crystal", _crystal, _crystals),
    "imageset": Kind("image set", _imageset, _imagesets),
}
"""The kinds of models in the order in which they are told; the detector is told by itself."""
