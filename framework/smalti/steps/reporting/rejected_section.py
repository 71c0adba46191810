"""What was left out or rejected, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalti.steps.reporting.markup import Cell, element, number, table

__all__ = ["rejected_section"]


def rejected_section(data: Mapping[str, Any]) -> str:
    """Set a table of reasons; nothing where the refinement told none."""
    told = data["rejected"]
    if not told:
        return ""
    rows: list[list[Cell]] = [[f"left out: {reason}", count] for reason, count in told["left_out"].items()]
    rows += [[label, told[key]] for key, label in _LABELS if told.get(key)]
    if not rows:
        return ""
    text = ""
    if told.get("expected_of_good") is not None and told.get("fraction") is not None:
        text = (
            f"{number(100.0 * told['fraction'])} % were judged outliers; of good reflections alone the judge "
            f"would take {number(100.0 * told['expected_of_good'])} %."
        )
    return table(["why", "reflections"], rows) + (element("p", text, class_="quiet") if text else "")


_LABELS = (
    ("n", "outliers"),
    ("n_mislabelled", "outliers that carry the index of a neighbour"),
    ("n_mislabelled_by_chance", "so many of those would do so by chance"),
)
