"""What the data tell badly: weak directions, and parameters that go with one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalti.steps.reporting.markup import Cell, element, number, table

__all__ = ["modes_section"]

MOST = 12


def modes_section(data: Mapping[str, Any]) -> str:
    """Set the weakest directions and the largest correlations; nothing where the refinement told none."""
    parts = []
    if data["gauge"]:
        parts.append(element("p", f"Held because no data see it: {_plain(data['gauge'])}.", class_="quiet"))
    modes: list[list[Cell]] = [
        [mode["name"], mode["kind"], mode["eigenvalue"], mode["prior_share"]]
        for mode in data["weak_modes"][:MOST]
    ]
    if modes:
        parts.append(table(["what moves against what", "kind", "eigenvalue", "prior\nshare"], modes))
    labels = {parameter["name"]: parameter["label"] for parameter in data["parameters"]}
    pairs: list[list[Cell]] = [
        # Four digits: the largest are so close to 1 that three would say nothing.
        [*(labels.get(pair[key], pair[key]) for key in ("first", "second")), number(pair["correlation"], 4)]
        for pair in data["correlations"][:MOST]
    ]
    if pairs:
        parts.append(element("h3", "Largest correlations"))
        parts.append(table(["parameter", "and", "correlation"], pairs))
    return "".join(parts)


def _plain(gauge: str) -> str:
    return gauge.replace("&", "&amp;").replace("<", "&lt;").rstrip(".")
