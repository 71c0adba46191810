"""What to say of residuals that neighbouring spots have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalti.steps.refining.telling.systematics import clearly
from smalti.text import ranges

__all__ = ["TOO_LARGE", "doubts_of_systematics", "notes_of_systematics"]

TOLD, TOO_LARGE = 0.5, 1.5
"""The common part over the random part: from here it is told, from here the result is not believed."""

_OF_ONE = 1.0
"""So much of it within one panel is told of that panel."""

_PIXELS = 0.5
"""No geometry is believed that is wrong by so many pixels over the scan or over the faces of its panels."""


def doubts_of_systematics(results: Mapping[str, Any]) -> list[str]:
    """Why a result is not to be believed whose residuals have too much in common."""
    found, doubts = results["systematics"], []
    if _wrong(found["scan"]) or _seen(found["scan"], TOO_LARGE):
        doubts.append(
            f"{_scan(found)}: something moves that no parameter describes, or the indices are off by one. "
            f"Look at the residuals against rotation angle (smalti report){_let_vary(results)}."
        )
    if _wrong(found["face"]):
        doubts.append(
            f"{_face(found)}: the indices are wrong, or panels are not what the model says (smalti panels)."
        )
    return _of_other_indices(results) + doubts


def notes_of_systematics(results: Mapping[str, Any], *, panels_apart: bool = False) -> list[str]:
    """What neighbouring spots have in common, where it is too much to be passed over.

    Panels that are known to be out of place among themselves are turned, too, which looks like bent ones,
    and like motion where spots are few: nothing is told before they are refined.
    """
    if panels_apart:
        return []
    found, notes = results["systematics"], []
    scan, face = found["scan"], found["face"]
    if _seen(scan, TOLD) and not _wrong(scan) and not _seen(scan, TOO_LARGE):
        notes.append(f"{_scan(found)}: crystal, beam or detector move{_let_vary(results)}.")
    if _seen(face, TOLD) and not _wrong(face):
        notes.append(
            f"{_face(found)}: panels are not flat, consist of modules (smalti panels), or their pixels are "
            "not what the model says."
        )
    bent = [row for row in results["panels"] if (row.get("face_ratio") or 0.0) > _OF_ONE]
    if bent and not _seen(face, TOLD):
        worst = max(row["face_um"] for row in bent)
        notes.append(
            f"Within panel{'s' * (len(bent) > 1)} {ranges([row['panel'] for row in bent])} residuals change "
            f"from place to place by {'up to ' * (len(bent) > 1)}{worst:.0f} um: not flat, or of several "
            "parts."
        )
    return notes


def _scan(found: Mapping[str, Any]) -> str:
    return (
        f"The residuals of panels change over the scan by {found['scan']['um']:.0f} um, "
        f"{found['scan']['ratio']:.1f} times the noise of single spots"
    )


def _face(found: Mapping[str, Any]) -> str:
    return (
        f"Within panels residuals change from place to place by {found['face']['um']:.0f} um, "
        f"{found['face']['ratio']:.1f} times the noise of single spots"
    )


def _seen(found: Mapping[str, Any] | None, ratio: float) -> bool:
    return found is not None and found["ratio"] > ratio and clearly(found["chi_squared"], found["freedom"])


def _wrong(found: Mapping[str, Any] | None) -> bool:
    return found is not None and found["px"] > _PIXELS and _seen(found, TOLD)


def _let_vary(results: Mapping[str, Any]) -> str:
    """Advice, where crystals do not vary yet."""
    varies = any(row.get("scan") for row in results["crystals"])
    return "" if varies else "; try --scan-varying all"


_BETTER, _ALIKE = 0.8, 1.5
"""Misfit with other indices over that with those given: below this they are the right ones, and up to this
the data do not tell."""

_NOWHERE = 3.0
"""px. Spots this far from their predictions fit with no indices: one nonsense is like another."""


def _of_other_indices(results: Mapping[str, Any]) -> list[str]:
    other = results["other_indices"]
    if other is None or other["misfit"] > _ALIKE * other["misfit_as_given"]:
        return []
    used = [row for row in results["experiments"] if row["n_used"]]
    nowhere = any(max(row["rmsd_x_px"], row["rmsd_y_px"]) > _NOWHERE for row in used)
    offset = " ".join(str(number) for number in other["offset"])
    if other["misfit"] < _BETTER * other["misfit_as_given"]:
        return [
            f"With ({offset}) added to all indices the reflections fit better: median misfit "
            f"{other['misfit']:.2g} instead of {other['misfit_as_given']:.2g}. The indices are off by one, "
            "and the beam centre with them: index again."
        ]
    if nowhere:
        return []
    return [
        f"With ({offset}) added to all indices the reflections fit as well: the data do not tell which beam "
        "centre is right; use more rotation, or a beam centre that is known."
    ]
