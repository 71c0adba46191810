"""What there is to know of a reflection table: its columns, flags, experiments and panels in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiments
from smalti.tables import SCHEMA, Flag, Reflections

__all__ = ["table_facts", "table_warnings"]


def table_facts(reflections: Reflections, experiments: Experiments | None) -> dict[str, Any]:
    """Gather the facts of a reflection table; with its models, also how many panels there are."""
    return {
        "n_rows": reflections.n_rows,
        "columns": [_column(name, values) for name, values in sorted(reflections.items())],
        "opaque": [
            {"name": name, "type": column.type_name, "n_rows": len(column)}
            for name, column in sorted(reflections.opaque.items())
        ],
        "flags": _flags(reflections),
        "experiments": _by_experiment(reflections),
        "panels": _by_panel(reflections),
        "n_panels": max(len(item.detector) for item in experiments) if experiments else None,
    }


def _column(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """Least, median and greatest of each component (NaN left out), and how many rows hold a NaN."""
    known = SCHEMA.get(name)
    facts: dict[str, Any] = {
        "name": name,
        "dtype": str(values.dtype),
        "shape": list(values.shape[1:]),
        "unit": known.unit if known else "",
        "meaning": known.meaning if known else "",
    }
    parts = values.reshape(len(values), int(np.prod(values.shape[1:])))
    good = np.isfinite(parts).all(axis=1) if values.dtype.kind == "f" else np.ones(len(parts), dtype=bool)
    facts["n_not_finite"] = int(np.sum(~good))
    if values.dtype.kind == "b":
        return {**facts, "n_true": int(np.sum(values))}
    if not good.any():
        return {**facts, "min": None, "median": None, "max": None}
    kept = parts[good]
    return {
        **facts,
        "min": kept.min(axis=0).tolist(),
        "median": np.median(kept, axis=0).tolist(),
        "max": kept.max(axis=0).tolist(),
    }


def _flags(reflections: Reflections) -> dict[str, int]:
    """Count each flag that any reflection has, by name."""
    if "flags" not in reflections:
        return {}
    counts = {str(flag.name).lower(): int(np.sum(reflections.flagged(flag))) for flag in Flag}
    return {name: count for name, count in counts.items() if count}


def _by_experiment(reflections: Reflections) -> list[dict[str, Any]]:
    """Count reflections of each value of ``id``: all, indexed, used in refinement, outliers."""
    if "id" not in reflections:
        return []
    values, where = np.unique(reflections["id"], return_inverse=True)
    n = len(values)

    def count(flag: Flag) -> list[int] | list[None]:
        if "flags" not in reflections:
            return [None] * n
        counts: list[int] = np.bincount(where[reflections.flagged(flag)], minlength=n).tolist()
        return counts

    columns = (
        values.tolist(),
        np.bincount(where, minlength=n).tolist(),
        count(Flag.INDEXED),
        count(Flag.USED_IN_REFINEMENT),
        count(Flag.CENTROID_OUTLIER),
    )
    return [
        {
            "id": k,
            "identifier": reflections.identifiers.get(k, ""),
            "n": total,
            "n_indexed": indexed,
            "n_used": used,
            "n_outliers": outliers,
        }
        for k, total, indexed, used, outliers in zip(*columns, strict=True)
    ]


def _by_panel(reflections: Reflections) -> list[dict[str, int]]:
    if "panel" not in reflections:
        return []
    values, counts = np.unique(reflections["panel"], return_counts=True)
    return [{"panel": int(k), "n": int(n)} for k, n in zip(values, counts, strict=True)]


def table_warnings(reflections: Reflections, experiments: Experiments) -> tuple[str, ...]:
    """Say where a table and an experiment list do not belong together."""
    found = []
    n = len(experiments)
    if "id" in reflections and reflections.n_rows and int(reflections["id"].max()) >= n:
        found.append(
            f"The table refers to experiment {int(reflections['id'].max())}, and the list ends at {n - 1}."
        )
    for key, identifier in sorted(reflections.identifiers.items()):
        there = experiments[key].identifier if 0 <= key < n else ""
        if identifier and there and identifier != there:
            found.append(f"Experiment {key} is '{there}' in the list and '{identifier}' in the table.")
            break
    if "panel" in reflections and reflections.n_rows and n:
        most, last = max(len(item.detector) for item in experiments), int(reflections["panel"].max())
        if last >= most:
            found.append(f"The table refers to panel {last}, and the detectors end at {most - 1}.")
    return tuple(found)
