"""Groups of a detector's tree: how well their spots fit, and how they were moved as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from smalti.models import Detector
from smalti.steps.reporting.face import Face
from smalti.steps.reporting.markup import element, symbol, table
from smalti.steps.reporting.numbers import listed, mean_and_rms, significant
from smalti.steps.reporting.residuals import Residuals

__all__ = ["group_rows", "groups_section"]

_SHIFTS = ("Dist", "Shift1", "Shift2")
_TURNS = ("Tau1", "Tau2", "Tau3")
_TO_UM = 1e3  # from the mm of parameters


def group_rows(
    detector: Detector, face: Face, after: Residuals, parameters: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Describe every group between the root and the panels, level by level.

    Mean residuals are along the axes of the map, for panels of a group may be turned against one another.
    Motions are the parameters of the group where it was refined: they are relative to its parent.
    """
    use = after.used
    on_paper = np.column_stack(
        [face.direction(after.panel[use], after.values[use, :2]), after.values[use, 2]]
    )
    motions = _motions(parameters)
    rows = []
    for level in range(1, detector.depth):
        nodes = [node for node in detector.nodes(level) if node.group is not None]
        number = np.full(len(detector), len(nodes), dtype=np.intp)  # of no group: in a bin of its own
        for k, node in enumerate(nodes):
            number[list(node.panels)] = k
        n = len(nodes) + 1
        counts, mean, rms = mean_and_rms(number[after.panel[use]], on_paper, n)
        _, _, px = mean_and_rms(number[after.panel[use]], (after.values / after.steps)[use], n)
        rejected = np.bincount(number[after.panel[after.rejected]], minlength=n)
        rows += [
            {
                "level": level,
                "name": node.name,
                "panels": list(node.panels),
                "used": int(counts[k]),
                "rejected": int(rejected[k]),
                "mean": listed(mean[k]),
                "rmsd": listed(rms[k]),
                "rmsd_px": listed(px[k]),
                "motion": motions.get(node.name),
            }
            for k, node in enumerate(nodes)
        ]
    return rows


def _motions(parameters: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Motions of nodes by name: each [value, ESD] (um, mrad), and the mean share of the priors."""
    found: dict[str, dict[str, Any]] = {}
    for row in parameters:
        node, _, motion = str(row["label"]).rpartition(" ")
        if motion not in _SHIFTS + _TURNS or not str(row["name"]).startswith("Detector1"):
            continue
        scale = _TO_UM if motion in _SHIFTS else 1.0
        pair = [None if row[key] is None else significant(row[key] * scale) for key in ("shift", "esd")]
        found.setdefault(node, {"shares": []})[motion] = pair
        found[node]["shares"].append(row["prior_share"])
    for motions in found.values():
        shares = [share for share in motions.pop("shares") if share is not None]
        motions["prior_share"] = significant(float(np.mean(shares)), 2) if shares else None
    return found


def groups_section(data: dict[str, Any]) -> str:
    """Set the groups as a table; nothing where panels hang directly from the root."""
    rows = data["groups"]
    if not rows:
        return ""
    refined = any(row["motion"] for row in rows)
    third = symbol(data["third"])
    heads = ["level", "group", "panels", "used", "rejected", "mean right\nµm", "mean down\nµm"]
    heads += ["RMSD X\npx", "RMSD Y\npx", f"RMSD {third}\nmdeg"]
    heads += [f"{name}\nµm" for name in _SHIFTS] * refined + [f"{name}\nmrad" for name in _TURNS] * refined
    heads += ["prior\nshare"] * refined
    body = []
    for row in rows:
        # Means of a fit can be as small as rounding errors: a hundredth of a micrometre is enough.
        mean = [None if value is None else round(value, 2) for value in row["mean"][:2]]
        cells: list[Any] = [
            row["level"],
            row["name"],
            len(row["panels"]),
            row["used"],
            row["rejected"],
            *mean,
        ]
        cells += [*row["rmsd_px"][:2], row["rmsd"][2]]
        if refined:
            motion = row["motion"] or {}
            cells += [tuple(motion.get(name, (None, None))) for name in _SHIFTS + _TURNS]
            cells.append(motion.get("prior_share"))
        body.append(cells)
    note = (
        "Motions are those of each group within its parent: Dist along its normal, Shift1 and Shift2 along "
        "its fast and slow axes, Tau1, Tau2 and Tau3 about normal, fast and slow."
    )
    said = element("p", escape(note), class_="quiet") if refined else ""
    return said + table(heads, body, sort=True)
