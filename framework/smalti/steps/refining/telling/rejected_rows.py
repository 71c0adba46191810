"""What was set aside: how many, where, and what is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.solving.rounds import Fit
from smalti.text import plural

__all__ = ["rejected_row", "rejected_text"]

Row = dict[str, Any]

_MOST_OFFSETS = 10
_STANDS_OUT = 3.0
_FEWEST = 20


def rejected_row(data: Observations, fit: Fit) -> Row:
    """Count the outliers, those with the index of a neighbour, and those in each stratum of the judge."""
    wrong = fit.mislabelled
    offsets = Counter(tuple(int(x) for x in step) for step in wrong.offset[wrong.found])
    return {
        "n": int(fit.rejected.sum()),
        "fraction": float(fit.rejected.mean()) if data.n else 0.0,
        "expected_of_good": fit.noise.expected.lost,
        "n_mislabelled": int(wrong.found.sum()),
        "n_mislabelled_by_chance": wrong.by_chance,
        "offsets": [{"offset": list(step), "n": count} for step, count in offsets.most_common(_MOST_OFFSETS)],
        "strata": _strata(data, fit),
    }


def _strata(data: Observations, fit: Fit) -> list[Row]:
    """One row for each stratum: the verbose table of outlier rejection."""
    if not data.n:
        return []
    order = np.argsort(fit.groups, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(fit.groups[order]) != 0]))
    angle = np.degrees(data.observed[order, 2])
    low, high = np.minimum.reduceat(angle, starts), np.maximum.reduceat(angle, starts)
    count = np.diff(np.append(starts, data.n))
    out = np.add.reduceat(fit.rejected[order].astype(np.intp), starts)
    first = order[starts]
    return [
        {
            "experiment": int(data.spots.experiment[row]),
            "panel": int(data.spots.panel[row]),
            "phi_deg": [float(low[k]), float(high[k])],
            "n": int(count[k]),
            "n_rejected": int(out[k]),
        }
        for k, row in enumerate(first)
    ]


def rejected_text(row: Mapping[str, Any], panels: Sequence[Mapping[str, Any]]) -> str:
    """Tell it in a few lines."""
    text = (
        f"{plural(row['n'], 'reflection')} rejected as outliers ({100 * row['fraction']:.1f} %; of good ones "
    )
    text += f"{100 * row['expected_of_good']:.1f} % would be)."
    if row["n_mislabelled"]:
        steps = ", ".join(
            f"({' '.join(f'{x:+d}' if x else '0' for x in item['offset'])}) {item['n']:,}"
            for item in row["offsets"][:3]
        )
        text += f" {row['n_mislabelled']:,} of them carry the index of a neighbour ({steps}"
        text += f"; {row['n_mislabelled_by_chance']:,} by chance)."
    total = [item["n_used"] + item["n_free"] + item["n_rejected"] for item in panels]
    part = [item["n_rejected"] / max(n, 1) for item, n in zip(panels, total, strict=True)]
    least = _STANDS_OUT * row["fraction"]
    worst = sorted(
        (k for k, n in enumerate(total) if n >= _FEWEST and part[k] > least), key=lambda k: -part[k]
    )
    if worst:
        names = ", ".join(f"{panels[k]['panel']} ({100 * part[k]:.0f} %)" for k in worst[:5])
        text += f" Most on {'panel' if len(worst) == 1 else 'panels'} {names}."
    return text
