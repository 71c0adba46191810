"""Whether a refinement should be believed, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.solution import Ended
from smalti.steps.refining.modes import Mode
from smalti.text import plural, ranges

__all__ = ["verdict"]

HELD = 0.5
"""From this share of the prior on, a parameter is the prior's more than the data's."""

PER_PARAMETER = 5.0
"""Fewer reflections per free parameter of the whole are too few to be believed."""


def verdict(results: Mapping[str, Any], ended: Ended, modes: Sequence[Mode]) -> dict[str, Any]:
    """Judge a refinement.

    Returns
    -------
    dict
        trustworthy (bool), reasons (why not, a sentence each), notes (what else to know) and text.
    """
    reasons = [*_ending(ended), *_determination(results, modes), *_fit(results)]
    notes = [*_held(results), *_panels(results)]
    if reasons:
        text = "not trustworthy: " + " ".join(reasons)
    else:
        text = (
            f"trustworthy: {results['n_used']:,} reflections determine "
            f"{results['effective_parameters']:.0f} of {plural(results['n_parameters'], 'parameter')}."
        )
    return {"trustworthy": not reasons, "reasons": reasons, "notes": notes, "text": text}


def _ending(ended: Ended) -> list[str]:
    if ended.converged:
        return []
    return [
        f"The minimiser gave up before a minimum ({ended.value}); more steps or another minimiser may help."
    ]


def _determination(results: Mapping[str, Any], modes: Sequence[Mode]) -> list[str]:
    found = []
    shared = _shared(results)
    if shared and results["n_used"] < PER_PARAMETER * len(shared):
        found.append(
            f"{plural(results['n_used'], 'reflection')} are too few for {plural(len(shared), 'parameter')} "
            "of beam, crystal and detector as a whole; use more images or hold the detector."
        )
    undetermined = [mode.name for mode in modes if mode.null and not mode.of_panels]
    if undetermined:
        found.append("No data determine " + "; ".join(undetermined) + "; hold one of each.")
    return found


def _shared(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in results["parameters"] if not _of_a_panel(row["name"])]


def _held(results: Mapping[str, Any]) -> list[str]:
    held = [row["label"] for row in _shared(results) if row["prior_share"] > HELD]
    if not held:
        return []
    return [
        "The data do not determine " + ", ".join(held) + ": held near the start by weak priors. A wider "
        "scan or more reflections determine them."
    ]


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
    for row in results["experiments"]:
        if row["n_used"] and max(row["rmsd_x_px"], row["rmsd_y_px"]) > 3.0:
            found.append(
                f"The spots of experiment {row['experiment']} are {row['rmsd_x_px']:.1f} and "
                f"{row['rmsd_y_px']:.1f} px from their predictions; the indexing or the geometry is wrong."
            )
        if not row["n_used"]:
            found.append(f"Experiment {row['experiment']} has no reflection that could be used.")
    return found


def _panels(results: Mapping[str, Any]) -> list[str]:
    notes = []
    panels = results["panels"]
    empty = [row["panel"] for row in panels if row["n_used"] == 0]
    if empty:
        notes.append(
            f"{plural(len(empty), 'panel')} without reflections moved with the detector as a whole: "
            f"{ranges(empty)}."
        )
    weak = [row["panel"] for row in panels if row["n_used"] and (row["prior_share"] or 0.0) > HELD]
    if weak:
        notes.append(f"{plural(len(weak), 'panel')} held mostly by tolerances: {ranges(weak)}.")
    return notes
