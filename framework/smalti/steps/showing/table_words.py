"""Reflection tables in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalti.steps.showing.model_words import MOST_RANGES
from smalti.text import plural, ranges, table

__all__ = ["table_words"]

_MOST_LINES = 10
"""Experiments or panels that are listed one by one; more are summed up."""

Facts = Mapping[str, Any]


def table_words(facts: Facts) -> str:
    """Tell a reflection table: columns, flags, and how its rows spread over experiments and panels."""
    n = facts["n_rows"]
    head = f"{plural(n, 'reflection')} in {plural(len(facts['columns']) + len(facts['opaque']), 'column')}"
    parts = [head, _columns(facts)]
    if facts["flags"]:
        rows = [(name, f"{count:,}", _share(count, n)) for name, count in facts["flags"].items()]
        parts.append(table(["flag", "reflections", "%"], rows))
    spread = (_experiments(facts["experiments"]), _panels(facts["panels"], facts["n_panels"]))
    parts += [part for part in spread if part]
    return "\n\n".join(parts)


def _columns(facts: Facts) -> str:
    rows: list[tuple[str, ...]] = []
    for column in facts["columns"]:
        rows += _column(column, facts["n_rows"])
    rows += [(c["name"], "", "", "", "", "carried as it is") for c in facts["opaque"]]
    heads = ["column", "unit", "least", "median", "greatest", ""]
    if any(row[-1] for row in rows):
        return table(heads, rows)
    return table(heads[:-1], [row[:-1] for row in rows])


def _column(column: Facts, n_rows: int) -> list[tuple[str, ...]]:
    """Tell one column, a line for each component of up to three."""
    name, unit = column["name"], column["unit"]
    strange = f"{column['n_not_finite']:,} not finite" if column["n_not_finite"] else ""
    if "n_true" in column:
        return [(name, unit, "", "", "", f"{column['n_true']:,} true ({_share(column['n_true'], n_rows)} %)")]
    if column["min"] is None:
        return [(name, unit, "", "", "", strange or "empty")]
    if len(column["min"]) > 3:
        return [(name, unit, "", "", "", f"{len(column['min'])} numbers in a row")]
    values = [[_number(value) for value in column[key]] for key in ("min", "median", "max")]
    units = unit.split(", ") if unit.count(", ") else [unit] * len(values[0])
    lines = list(zip(units, *values, strict=True))
    return [(name, *lines[0], strange), *(("", *line, "") for line in lines[1:])]


def _number(value: float) -> str:
    """Show whole numbers whole, others with four figures."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def _experiments(rows: Sequence[Facts]) -> str:
    """List the experiments, or sum them up and name the poorest where there are many."""
    unindexed = sum(row["n"] for row in rows if row["id"] < 0)
    real = [row for row in rows if row["id"] >= 0]
    note = f"\n{plural(unindexed, 'reflection')} of no experiment" if unindexed else ""
    if not real:
        return note.strip()
    keys = [key for key in ("n", "n_indexed", "n_used", "n_outliers") if real[0][key] is not None]
    heads = {"n": "reflections", "n_indexed": "indexed", "n_used": "used", "n_outliers": "outliers"}
    if len(real) <= _MOST_LINES:
        lines = [(row["id"], row["identifier"], *(f"{row[key]:,}" for key in keys)) for row in real]
        return table(["experiment", "identifier", *(heads[key] for key in keys)], lines) + note
    poorest = sorted(real, key=lambda row: row["n"])[:5]
    lines = [
        (what, *(f"{take([row[key] for row in real]):,.0f}" for key in keys))
        for what, take in (("least", np.min), ("median", np.median), ("greatest", np.max), ("in all", np.sum))
    ]
    few = ", ".join(f"{row['id']} ({row['n']:,})" for row in poorest)
    title = f"by experiment, of {len(real):,}"
    return table([title, *(heads[key] for key in keys)], lines) + f"\nfewest in experiments {few}" + note


def _panels(rows: Sequence[Facts], n_panels: int | None) -> str:
    if len(rows) < 2 and not (n_panels or 1) > 1:
        return ""
    if not rows:
        return f"no reflections on any of {n_panels} panels"
    counts = np.array([row["n"] for row in rows])
    poorest = sorted(rows, key=lambda row: row["n"])[:5]
    few = ", ".join(f"{row['panel']} ({row['n']:,})" for row in poorest)
    lines = [
        f"{plural(len(rows), 'panel')} with reflections, numbers {rows[0]['panel']} to {rows[-1]['panel']}: "
        f"{counts.min():,} to {counts.max():,} on a panel, median {np.median(counts):,.0f}",
        f"fewest on {few}",
    ]
    empty = sorted(set(range(n_panels or 0)) - {row["panel"] for row in rows})
    if empty:
        lines.append(f"{plural(len(empty), 'panel')} without: {ranges(empty, MOST_RANGES)}")
    return "\n".join(lines)


def _share(count: int, n: int) -> str:
    return f"{100.0 * count / n:.1f}" if n else "0.0"
