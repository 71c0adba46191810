"""What was joined, as text: each experiment where they are few, each data set or their spread where many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalti.text import plural, table

__all__ = ["parts_text", "rows_text"]

MANY = 12
"""More experiments, data sets or parts than this are summed up."""

_FIVE = ("least", "quartile", "median", "quartile", "greatest")


def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Set the rows of the experiments."""
    if len(rows) <= MANY:
        cells = [
            (r["experiment"], r["set"], r["reflections"], f"{r['metrology_um']:.1f}", f"{r['moved_um']:.1f}")
            for r in rows
        ]
        return table(("Exp", "Data set", "Nref", "Metrology\n(um)", "Detector\nmoved (um)"), cells)
    sets: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        sets.setdefault(row["set"], []).append(row)
    of_sets = [(number, *_summed(part)) for number, part in sets.items()]
    heads = ("Experiments", "Nref", "Metrology\n(um)", "Detector\nmoved (um)")
    if len(sets) <= MANY:
        named = [
            (number, f"{first}-{last}", f"{n:,}", f"{among:.1f}", f"{moved:.1f}")
            for number, first, last, n, among, moved in of_sets
        ]
        return table(("Data set", *heads), named)
    each = np.array([(last - first + 1, n, among, moved) for _, first, last, n, among, moved in of_sets])
    five = np.percentile(each.astype(float), [0, 25, 50, 75, 100], axis=0)
    lines = [
        (name, f"{count:.0f}", f"{n:,.0f}", f"{among:.1f}", f"{moved:.1f}")
        for name, (count, n, among, moved) in zip(_FIVE, five, strict=True)
    ]
    return table(("", *heads), lines, title=f"{plural(len(sets), 'data set')}, by data set:")


def parts_text(parts: Sequence[tuple[str, int, int]]) -> str:
    """Set the parts of a data set: name of the files, number of experiments, number of reflections."""
    if len(parts) <= MANY:
        return table(("Files", "Experiments", "Nref"), parts)
    counts = np.array([part[1:] for part in parts], dtype=float)
    five = np.percentile(counts, [0, 25, 50, 75, 100], axis=0)
    lines = [(name, f"{a:,.0f}", f"{b:,.0f}") for name, (a, b) in zip(_FIVE, five, strict=True)]
    title = f"{plural(len(parts), 'part')}, {parts[0][0]} to {parts[-1][0]}:"
    return table(("", "Experiments", "Nref"), lines, title=title)


def _summed(part: Sequence[Mapping[str, Any]]) -> tuple[int, int, int, float, float]:
    """First and last experiment of a data set, its reflections, and the largest changes of a detector."""
    return (
        part[0]["experiment"],
        part[-1]["experiment"],
        sum(row["reflections"] for row in part),
        max(row["metrology_um"] for row in part),
        max(row["moved_um"] for row in part),
    )
