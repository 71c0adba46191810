"""Many experiments told as distributions: quartiles, the worst by number, and cells by space group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalti.text import plural, table

__all__ = ["MANY", "experiments_text", "summary_row"]

Row = dict[str, Any]

MANY = 12
"""More experiments, or crystals, than this are summed up instead of listed."""

_WORST = 5
_RMSDS = ("rmsd_x_px", "rmsd_y_px", "rmsd_z_images", "rmsd_delta_psi_mrad")
_HEADS: Mapping[str, str] = {
    "n_used": "used",
    "n_rejected": "rejected",
    "rmsd_x_px": "RMSD_X\n(px)",
    "rmsd_y_px": "RMSD_Y\n(px)",
    "rmsd_z_images": "RMSD_Z\n(images)",
    "rmsd_delta_psi_mrad": "RMSD_DeltaPsi\n(mrad)",
}
_FIVE = ("least", "quartile", "median", "quartile", "greatest")


def summary_row(experiments: Sequence[Mapping[str, Any]], crystals: Sequence[Mapping[str, Any]]) -> Row:
    """Sum up the rows of experiments and of crystals.

    Returns
    -------
    dict
        ``n``, ``n_stills``, ``n_left_out``; ``quartiles``: five numbers each of counts and RMSDs of the
        experiments that were used; ``worst``: those with the largest RMSD on the detector against the
        median, ``left_out``: those without reflections, with the reason; ``cells``: by space group ``n``
        and five numbers of each cell constant and of the volume.
    """
    used = [row for row in experiments if row["n_used"]]
    quartiles = {key: _five([row[key] for row in used if row[key] is not None]) for key in _HEADS}
    return {
        "n": len(experiments),
        "n_stills": sum(row["still"] for row in experiments),
        "n_left_out": len(experiments) - len(used),
        "quartiles": {key: five for key, five in quartiles.items() if five is not None},
        "worst": _worst(used),
        "left_out": [
            {"experiment": row["experiment"], "why": row["why"]} for row in experiments if row["why"]
        ],
        "cells": _cells(crystals),
    }


def _five(values: Sequence[float]) -> list[float] | None:
    if not values:
        return None
    return [float(x) for x in np.percentile(values, [0, 25, 50, 75, 100])]


def _worst(used: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The experiments whose RMSD on the detector, or of the third residual, is the most times the median."""
    medians = {key: _five([row[key] for row in used if row[key] is not None]) for key in _RMSDS}
    found = []
    for row in used:
        times = {
            key: row[key] / five[2]
            for key, five in medians.items()
            if five is not None and row[key] is not None and five[2] > 0.0
        }
        if times:
            key = max(times, key=lambda name: times[name])
            found.append(
                {
                    **{name: row[name] for name in ("experiment", "n_used", "n_rejected", *_RMSDS)},
                    "by": key,
                    "times_median": float(times[key]),
                }
            )
    return sorted(found, key=lambda row: -row["times_median"])[:_WORST]


def _cells(crystals: Sequence[Mapping[str, Any]]) -> list[Row]:
    groups: dict[str, list[list[float]]] = {}
    for row in crystals:
        groups.setdefault(row["space_group"], []).append([*row["cell"], row["volume"]])
    return [
        {
            "space_group": name,
            "n": len(values),
            "cell": np.percentile(np.array(values)[:, :6], [0, 25, 50, 75, 100], axis=0).T.tolist(),
            "volume": _five([value[6] for value in values]),
        }
        for name, values in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def experiments_text(summary: Mapping[str, Any]) -> str:
    """Tell the summary: quartiles, the worst, what was left out, cells."""
    n, stills, out = summary["n"], summary["n_stills"], summary["n_left_out"]
    title = f"{plural(n, 'experiment')}" + (f", {stills:,} of them stills" if stills else "")
    if out:
        title += f"; {out:,} left out"
    keys = list(summary["quartiles"])
    rows = [
        [name, *(_shown(key, summary["quartiles"][key][k]) for key in keys)] for k, name in enumerate(_FIVE)
    ]
    parts = [table(["", *(_HEADS[key] for key in keys)], rows, title=title + ":")] if keys else [title + "."]
    if summary["worst"]:
        named = "; ".join(_bad(row) for row in summary["worst"])
        parts.append(f"Furthest from the others: experiment {named}.")
    parts += _left_out(summary["left_out"])
    parts += [_cell_table(row) for row in summary["cells"]]
    return "\n".join(parts)


def _shown(key: str, value: float) -> str:
    return f"{value:,.0f}" if key.startswith("n_") else f"{value:.4f}"


def _bad(row: Mapping[str, Any]) -> str:
    what = _HEADS[row["by"]].replace("\n", " ")
    return f"{row['experiment']} ({what} {row[row['by']]:.3g}, {row['times_median']:.1f} times the median)"


def _left_out(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say why experiments were left out, reason by reason."""
    reasons: dict[str, list[int]] = {}
    for row in rows:
        reasons.setdefault(row["why"], []).append(row["experiment"])
    return [
        f"Left out, {why}: {', '.join(map(str, numbers[:8]))}"
        + (f" and {len(numbers) - 8} more." if len(numbers) > 8 else ".")
        for why, numbers in list(reasons.items())[:_WORST]
    ]


def _cell_table(row: Mapping[str, Any]) -> str:
    heads = ["", "a\nA", "b\nA", "c\nA", "alpha\ndeg", "beta\ndeg", "gamma\ndeg", "volume\nA^3"]
    lines = [
        [name, *(f"{five[k]:.3f}" for five in row["cell"]), f"{row['volume'][k]:,.0f}"]
        for k, name in enumerate(_FIVE)
    ]
    return table(heads, lines, title=f"\n{plural(row['n'], 'crystal')} in {row['space_group']}:")
