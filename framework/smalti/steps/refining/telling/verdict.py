"""Whether a refinement should be believed, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.solution import Ended
from smalti.steps.refining.certainty.modes import Mode
from smalti.steps.refining.telling.believing import HELD, doubts_of_places
from smalti.steps.refining.telling.common_residuals import doubts_of_systematics, notes_of_systematics
from smalti.steps.refining.telling.ending import doubts_of_ending, notes_of_ending
from smalti.steps.refining.telling.judged import judged
from smalti.steps.refining.telling.many import MANY
from smalti.steps.refining.telling.noise_rows import CUT
from smalti.text import plural, ranges

__all__ = ["verdict"]

PER_PARAMETER = 5.0
"""Fewer reflections per free parameter of the whole are too few to be believed."""

_APART = 2.0
"""Two halves further apart than this many of their ESDs: the ESDs are not honest."""

_OVERFITTED = 0.05
"""So much more than expected may free residuals exceed working ones, and three ESDs of this."""

_FAR = 3.0
"""Spots further than this from their predictions (px, RMS) are those of other models."""

_SPARED = 0.1
"""So large a part of many experiments may fail without a doubt about the others."""

_NARROW = 20.0
"""Degrees of rotation below which distance, cell and orientation are hard to tell apart."""

_FEW_STILLS = 5
"""Fewer stills look at their lattices from too few sides to tell cells, distance and panels apart."""

_NAMED = 3
"""Reasons not to believe panels that are given in words; all are in the JSON."""

_VISIBLE = 1.0
"""Panels that are less than this (um) out of place are not worth a word."""

_CLEARLY = 5.0
"""By so many standard deviations chi-squared must exceed what chance makes of panels in place."""

_CHI_SQUARED = (0.5, 2.0)
_MANY = 200
"""Reduced chi-squared of a class of so many reflections should lie within."""


def verdict(results: Mapping[str, Any], ended: Ended, modes: Sequence[Mode]) -> dict[str, Any]:
    """Judge a refinement, as :func:`smalti.steps.refining.telling.judged.judged` puts it."""
    reasons = [
        *doubts_of_ending(results, ended),
        *_determination(results, modes),
        *_fit(results),
        *_validation(results),
        *doubts_of_systematics(results),
        *doubts_of_places(results),
    ]
    notes = [
        *notes_of_ending(results, ended),
        *_coverage(results),
        *_left_out(results),
        *_held(results, modes),
        *_panels(results),
        *notes_of_systematics(results, panels_apart=bool(_between(results))),
        *_noise(results),
    ]
    good = (
        f"{results['n_used']:,} reflections determine {results['effective_parameters']:.0f} of "
        f"{plural(results['n_parameters'], 'parameter')}."
    )
    return judged(reasons, notes, good, results["panels"])


def _determination(results: Mapping[str, Any], modes: Sequence[Mode]) -> list[str]:
    found = []
    shared = _shared(results)
    if shared and results["n_used"] < PER_PARAMETER * len(shared):
        found.append(
            f"{plural(results['n_used'], 'reflection')} are too few for {plural(len(shared), 'parameter')} "
            "of beam, crystal and detector as a whole; use more images or hold the detector."
        )
    each = results["experiments"]
    if each and len(each) < _FEW_STILLS and all(row["still"] for row in each):
        found.append(
            f"{plural(len(each), 'still')} cannot tell cell, distance and panels apart: each sees its "
            f"lattice from one side only; use {_FEW_STILLS} or more, or images with rotation."
        )
    undetermined = [mode.name for mode in modes if mode.null and not mode.of_panels]
    if undetermined:
        found.append("No data determine " + "; ".join(undetermined) + "; hold one parameter of each.")
    return found


def _shared(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in results["parameters"] if not _of_a_panel(row["name"])]


def _held(results: Mapping[str, Any], modes: Sequence[Mode]) -> list[str]:
    found = []
    if results["held"]:
        found.append(
            f"Held, since too few reflections tell them and there is no prior: {_some(results['held'])}."
        )
    weakly = [row for row in _shared(results) if row["prior_share"] > HELD]
    held = [row["label"] for row in weakly if "_sample" not in row["name"]]
    if len(weakly) > len(held):
        found.append(
            f"{plural(len(weakly) - len(held), 'sample')} of crystals over their scans, at the ends or where "
            "reflections are few, follow their neighbours."
        )
    if held:
        return [
            *found,
            f"The data do not determine {_some(held)}: held near the start by weak priors. A wider scan or "
            "more reflections determine them.",
        ]
    weak = [mode for mode in modes if mode.kind == "weak" and not mode.of_panels and mode.held > HELD]
    found += [
        f"The data hardly tell {mode.name} ({100 * mode.held:.0f} % is held by priors)." for mode in weak[:2]
    ]
    return found


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _of_a_panel(name: str) -> bool:
    return name.startswith("Detector") and "Group" in name


def _fit(results: Mapping[str, Any]) -> list[str]:
    found = []
    total = results["n_used"] + results["n_rejected"]
    if results["n_rejected"] > 0.3 * total:
        found.append(
            f"{results['n_rejected']:,} of {total:,} reflections were rejected as outliers; "
            "look at the indexing."
        )
    rows = results["experiments"]
    off = [row for row in rows if row["n_used"] and max(row["rmsd_x_px"], row["rmsd_y_px"]) > _FAR]
    if off and not _few_of_many(off, rows):
        x, y = (max(row[key] for row in off) for key in ("rmsd_x_px", "rmsd_y_px"))
        found.append(
            f"The spots of {_numbered(off)} are {'up to ' * (len(off) > 1)}{x:.1f} and {y:.1f} px from their "
            "predictions; the indexing or the geometry is wrong."
        )
    empty = _empty(rows)
    if empty and not _few_of_many(empty, rows):
        found.append(f"No reflection of {_numbered(empty)} could be used.")
    return found


def _empty(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if not row["n_used"]]


def _few_of_many(some: Sequence[Any], rows: Sequence[Any]) -> bool:
    """Whether crystals can be spared: a few of many do not touch what the others say of the detector."""
    return len(rows) > MANY and len(some) <= _SPARED * len(rows)


def _left_out(results: Mapping[str, Any]) -> list[str]:
    rows = results["experiments"]
    empty = _empty(rows)
    if not empty or not _few_of_many(empty, rows):
        return []
    return [f"{len(empty):,} of {len(rows):,} experiments took no part: {_numbered(empty)}."]


def _numbered(rows: Sequence[Mapping[str, Any]]) -> str:
    numbers = ranges([row["experiment"] for row in rows], 10)
    return f"experiment{'s' * (len(rows) > 1)} {numbers}"


def _validation(results: Mapping[str, Any]) -> list[str]:
    """What reflections that took no part say, and what two halves of the others do."""
    found = []
    free = results.get("free") or {}
    if free.get("gap") is not None:
        excess = free["gap"] - (free["expected_gap"] or 0.0)
        if excess > max(_OVERFITTED, 3.0 * (free["gap_esd"] or 0.0)):
            expected = 100 * (free["expected_gap"] or 0.0)
            found.append(
                f"Reflections that took no part fit {100 * free['gap']:.0f} % worse than those that did, "
                f"where {expected:.0f} % were to be expected: fewer parameters predict better."
            )
    halves = results.get("halves") or {}
    if halves and (halves.get("reduced_chi_squared") or 0.0) > _APART**2:
        times = halves["reduced_chi_squared"] ** 0.5
        found.append(
            f"Two halves of the reflections differ by {times:.1f} times what the ESDs allow: something that "
            "no parameter describes changes between them, and ESDs are too small."
        )
    return found


def _coverage(results: Mapping[str, Any]) -> list[str]:
    widths = [width for width in results["coverage"]["phi_deg"] if width is not None]
    narrow = [width for width in widths if width < _NARROW]
    if not narrow or len(narrow) < len(widths):
        return []
    return [
        f"The spots cover {max(widths):.3g} degrees of rotation: little tells distance, cell and orientation "
        "apart."
    ]


def _noise(results: Mapping[str, Any]) -> list[str]:
    """Classes of reflections whose noise is misjudged; spots that a scan cuts are allowed much on purpose."""
    low, high = _CHI_SQUARED
    wrong = [
        f"{row['by']} {row['class']} ({row[key]:.1f} in {key.rsplit('_', 1)[1]})"
        for row in results["noise"].get("classes") or ()
        for key in ("reduced_chi2_x", "reduced_chi2_y", "reduced_chi2_phi")
        if row["n"] >= _MANY and (row[key] >= high or (row[key] <= low and row["class"] != CUT))
    ]
    if not wrong:
        return []
    return [f"Noise is misjudged, by reduced chi-squared, of the classes {_some(wrong, 3)}."]


def _between(results: Mapping[str, Any]) -> list[str]:
    """Whether panels that moved as one block are out of place among themselves."""
    found = results["between_panels"]
    own = any(row["prior_share"] is not None for row in results["panels"])
    if own or not found or found["um"] < _VISIBLE:
        return []
    beyond = found["chi_squared"] - found["freedom"]
    if beyond < _CLEARLY * (2.0 * found["freedom"]) ** 0.5:
        return []
    return [
        f"Panels are {found['um']:.0f} um out of place among themselves, which one block cannot follow: "
        "refine them one by one (--level 1, or --level auto)."
    ]


def _panels(results: Mapping[str, Any]) -> list[str]:
    notes = []
    panels = results["panels"]
    empty = [row["panel"] for row in panels if row["n_used"] == 0]
    if empty:
        notes.append(
            f"{plural(len(empty), 'panel')} without reflections moved with the detector as a whole: "
            f"{ranges(empty)}."
        )
    notes += _between(results)
    doubted: dict[str, list[int]] = {}
    for row in panels:
        if row["n_used"] and row["believed"] is False:
            doubted.setdefault(row["why"], []).append(row["panel"])
    if doubted:
        worst = sorted(doubted.items(), key=lambda item: -len(item[1]))
        words = "; ".join(f"{ranges(numbers)} ({why})" for why, numbers in worst[:_NAMED])
        rest = sorted(number for _, numbers in worst[_NAMED:] for number in numbers)
        notes.append(f"Not believed: panel {words}" + (f"; {ranges(rest)}." if rest else "."))
    return notes
