"""Which panels moved, and whether their place is to be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from smalti.steps.refining.telling.common_residuals import TOO_LARGE
from smalti.text import plural, ranges
from smalti.units import UM

__all__ = ["HELD", "believe", "doubts_of_places"]

HELD = 0.5
"""From this share of the prior on, a place is the prior's more than the data's."""

SIGNIFICANT = 3.0
"""A panel has moved when its shift in its plane exceeds so many standard deviations."""

_APART = 2.5
"""Root mean square over a panel's motions of the difference of two halves, in standard deviations: about 1
is expected, and more than this once in a thousand panels."""

_REJECTED = 0.5

_BY_ITSELF = 2.0
"""A panel moves by itself during the scan whose residuals change so many times more than those of the others;
what all have in common is the crystal's or the beam's, and the verdict's."""

_FEWEST_FREE = 30
_WORSE, _TAIL = 1.25, 10.0
"""Free residuals are worse when their mean square exceeds the working one by a quarter and by ten times
1 / sqrt(n): that of normal residuals scatters by once this, but weak spots scatter more than strong ones."""


def believe(row: Mapping[str, Any], *, follows: bool = False, usual: float = 0.0) -> dict[str, Any]:
    """Judge one panel by its row.

    Parameters
    ----------
    row : Mapping
    follows : bool
        Whether it was not refined by itself, for want of reflections and priors.
    usual : float
        What ``scan_ratio`` the other panels have.

    Returns
    -------
    dict
        ``moved``: whether its shift is significant; ``believed``: None for a panel that has no
        parameters of its own; ``why``: in words, for what is not believed.
    """
    if row["prior_share"] is None:
        return {"moved": None, "believed": None, "why": "moves with the detector"}
    moved = row["n_used"] > 0 and row["shift_um"] > SIGNIFICANT * row["esd_um"]
    why = ["too few reflections and no prior: it follows the others"] if follows else _doubts(row, usual)
    return {"moved": moved, "believed": not why, "why": "; ".join(why)}


def doubts_of_places(results: Mapping[str, Any]) -> list[str]:
    """Why a result is not to be believed that puts panels where they cannot be."""
    panels = [row["panel"] for row in results["panels"] if _misplaced(row)]
    if not panels:
        return []
    return [
        f"{plural(len(panels), 'panel')} moved further than half of their width ({ranges(panels)}): spots "
        "bear the numbers of other panels, or their indices are wrong."
    ]


def _misplaced(row: Mapping[str, Any]) -> bool:
    """Whether a panel that moves by itself was put where another is: no mount is so far out."""
    width = row.get("width_mm")
    return bool(
        width and row["prior_share"] is not None and row["n_used"] and row["shift_um"] * UM > 0.5 * width
    )


def _doubts(row: Mapping[str, Any], usual: float) -> list[str]:
    used, rejected = row["n_used"], row["n_rejected"]
    if not used:
        return ["no reflections: it stays where its parent puts it"]
    found = []
    if row["prior_share"] > HELD:
        found.append(
            f"placed by its tolerance ({100 * row['prior_share']:.0f} %) more than by its reflections"
        )
    if rejected > _REJECTED * (used + rejected):
        found.append(f"{rejected} of its {used + rejected} reflections were rejected")
    apart = row.get("half_difference_sigma")
    if apart is not None and apart > _APART:
        found.append(f"two halves of its reflections place it {apart:.1f} ESDs apart")
    if (row.get("scan_ratio") or 0.0) > max(TOO_LARGE, _BY_ITSELF * usual):
        found.append(f"its residuals change over the scan by {row['scan_um']:.0f} um")
    if _misplaced(row):
        found.append(f"it moved by {row['shift_um'] * UM:.1f} mm, further than half of its width")
    ratio = _free_over_working(row)
    if ratio is not None:
        found.append(f"its free reflections fit {100 * (math.sqrt(ratio) - 1):.0f} % worse")
    return found


def _free_over_working(row: Mapping[str, Any]) -> float | None:
    """Ratio of the mean squares of free and working residuals; None where it is no sign of anything."""
    free = [row.get("free_rmsd_x_px"), row.get("free_rmsd_y_px")]
    number = row.get("n_free") or 0
    if number < _FEWEST_FREE or free[0] is None or free[1] is None:
        return None
    working = row["rmsd_x_px"] ** 2 + row["rmsd_y_px"] ** 2
    ratio = (free[0] ** 2 + free[1] ** 2) / max(working, 1e-300)
    return float(ratio) if ratio > max(_WORSE, 1.0 + _TAIL / math.sqrt(number)) else None
