"""What a simulated data set really is, saved beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.models import Experiment, Experiments
from smalti.steps.simulating.backgrounds import Scene
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.spurious import Spurious
from smalti.storage import write_experiments, write_json, write_reflections
from smalti.tables import Reflections

__all__ = ["describe_truth", "write_truth"]


def write_truth(
    directory: Path,
    truth: Experiment,
    table: Reflections,
    description: dict[str, Any],
    record: Mapping[str, Any] | None = None,
) -> tuple[Path, ...]:
    """Write ``truth.expt``, ``truth.refl`` and ``truth.json``; give their paths."""
    paths = tuple(directory / f"truth.{suffix}" for suffix in ("expt", "refl", "json"))
    write_experiments(paths[0], Experiments((truth,)), record)
    write_reflections(paths[1], table, record)
    write_json(paths[2], {**description, "history": [record] if record else []})
    return paths


def describe_truth(
    options: SimulateOptions, truth: Experiment, table: Reflections, scene: Scene, spurious: Spurious
) -> dict[str, Any]:
    """Give what ``truth.expt`` and ``truth.refl`` cannot hold, JSON-able.

    Lengths in mm, angles of the options in the units that the options say.
    """
    crystal = truth.crystal
    return {
        "options": dataclasses.asdict(options),
        "crystal": None if crystal is None else {"A": crystal.A.tolist(), "cell": list(crystal.cell)},
        "reflections": table.n_rows,
        "dead_pixels": scene.dead.tolist(),
        "hot_pixels": scene.hot.tolist(),
        "spurious_spots": [
            {"panel": int(panel), "px": px.tolist(), "image": int(image) + 1, "counts": float(counts)}
            for panel, px, image, counts in zip(
                spurious.panel, spurious.px, spurious.image, spurious.counts, strict=True
            )
        ],
    }
