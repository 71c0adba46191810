"""Everything listed: an experiment, a panel or the reflections of an experiment a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.text import table

__all__ = ["counts_listed", "experiments_listed", "panels_listed"]

Facts = Mapping[str, Any]


def experiments_listed(facts: Facts) -> str:
    """Set a line for each experiment: images, wavelength, detector, scan, crystal."""
    rows = [_experiment(k, item, facts) for k, item in enumerate(facts["experiments"])]
    heads = ["experiment", "images", "wavelength\nA", "detector", "distance\nmm", "rotation\ndeg"]
    heads += ["space group", "a\nA", "b\nA", "c\nA", "alpha\ndeg", "beta\ndeg", "gamma\ndeg"]
    return table(heads, rows, title="every experiment:")


def _experiment(number: int, item: Facts, facts: Facts) -> list[str]:
    def model(kind: str) -> Facts | None:
        place = item[kind]
        found: Facts | None = None if place is None else facts[kind][place]
        return found

    beam, detector, scan, crystal = (model(kind) for kind in ("beam", "detector", "scan", "crystal"))
    images = model("imageset")
    name = "" if images is None else images["template"] or next(iter(images["images"]), "")
    cell = ["", *[""] * 6]
    if crystal is not None:
        cell = [crystal["space_group"], *(f"{value:.3f}" for value in crystal["cell"])]
    return [
        str(number),
        Path(name).name,
        "" if beam is None else f"{beam['wavelength']:.5f}",
        str(item["detector"]),
        "" if detector is None else f"{detector['distance_mm']:.3f}",
        "still" if scan is None else f"{scan['start_deg']:g} to {scan['end_deg']:g}",
        *cell,
    ]


def panels_listed(facts: Facts) -> str:
    """Set a line for each panel of each detector."""
    rows = [
        [str(number), str(k), panel["name"], *(f"{x:.4f}" for x in panel["origin"]),
         *(f"{x:.6f}" for x in (*panel["fast"], *panel["slow"])), f"{panel['distance_mm']:.3f}"]
        for number, detector in enumerate(facts["detector"])
        for k, panel in enumerate(detector["panels"])
    ]  # fmt: skip
    heads = ["detector", "panel", "name", *(f"origin {axis}\nmm" for axis in "xyz")]
    heads += [f"{name} {axis}" for name in ("fast", "slow") for axis in "xyz"]
    return table([*heads, "distance\nmm"], rows, title="every panel:")


def counts_listed(rows: Sequence[Facts], panels: Sequence[Facts]) -> str:
    """Set the reflections of each experiment, and of each panel, a line each."""
    keys = [key for key in ("n", "n_indexed", "n_used", "n_outliers") if rows and rows[0][key] is not None]
    names = {"n": "reflections", "n_indexed": "indexed", "n_used": "used", "n_outliers": "outliers"}
    parts = []
    if rows:
        lines = [(row["id"], row["identifier"], *(f"{row[key]:,}" for key in keys)) for row in rows]
        heads = ["experiment", "identifier", *(names[key] for key in keys)]
        parts.append(table(heads, lines, title="every experiment of the table:"))
    if panels:
        lines = [(row["panel"], f"{row['n']:,}") for row in panels]
        parts.append(table(["panel", "reflections"], lines, title="every panel of the table:"))
    return "\n\n".join(parts)
