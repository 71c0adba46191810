"""The step: convert experiments and reflections between modules and single panels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from smalti.errors import DataError
from smalti.models import Detector, Experiment, Experiments
from smalti.steps.panelling.models import Division, to_modules, to_single
from smalti.steps.panelling.tables import move_rows
from smalti.tables import Reflections
from smalti.text import plural, table

__all__ = ["Converted", "convert_panels"]

_NOTICEABLE = 1e-6  # mm
_TOO_FAR = 1.0  # mm; no refinement moves a module so far out of the plane


@dataclass(frozen=True, slots=True)
class Converted:
    """Experiments and reflections on the other kind of panels.

    Attributes
    ----------
    panels : tuple of (int, int, float)
        For each detector: panels before, panels after, deviation from the plane that is lost (mm).
    """

    experiments: Experiments
    reflections: Reflections | None
    panels: tuple[tuple[int, int, float], ...]
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give the numbers for ``--json``."""
        return {
            "experiments": len(self.experiments),
            "reflections": None if self.reflections is None else self.reflections.n_rows,
            "detectors": [
                {"panels_before": before, "panels_after": after, "lost_mm": lost}
                for before, after, lost in self.panels
            ],
        }

    def text(self) -> str:
        """Give the table for people."""
        rows = [(k, b, a, f"{1e3 * lost:.1f}") for k, (b, a, lost) in enumerate(self.panels)]
        lines = [table(("detector", "panels\nbefore", "panels\nafter", "lost\n(um)"), rows)]
        if self.reflections is not None:
            lines.append(f"{plural(self.reflections.n_rows, 'reflection')} moved with them.")
        return "\n".join(lines)


def convert_panels(
    experiments: Experiments, reflections: Reflections | None, to: Literal["modules", "single"]
) -> Converted:
    """Convert models and reflections between modules and single panels.

    Parameters
    ----------
    experiments : Experiments
    reflections : Reflections or None
        Their reflections, found or indexed or refined.
    to : str
        "modules" divides every panel of a known layout; "single" joins the modules of each group in
        the best plane through them.

    Raises
    ------
    DataError
        There is no experiment, or the modules of a group are far from any plane.
    """
    if not len(experiments):
        raise DataError(
            "There is no detector to convert.", "The file holds no experiment.", "Give another file."
        )
    fine = to == "modules"
    divisions: dict[int, Division] = {}
    for detector in experiments.unique("detector"):
        divisions[id(detector)] = to_modules(detector) if fine else to_single(detector)
    warnings = [note for division in divisions.values() for note in _complaints(division, fine)]
    after = replace(experiments, items=_moved(experiments, divisions, fine))
    if reflections is not None:
        reflections, notes = _move(experiments, reflections, divisions, fine)
        warnings += notes
    counts = tuple((len(_side(d, not fine)), len(_side(d, fine)), d.deviation) for d in divisions.values())
    return Converted(after, reflections, counts, tuple(warnings))


def _side(division: Division, fine: bool) -> Detector:
    return division.fine if fine else division.coarse


def _complaints(division: Division, fine: bool) -> list[str]:
    if division.deviation > _TOO_FAR:
        raise DataError(
            f"The {len(division.fine)} modules of this detector cannot be joined to one flat panel.",
            f"They lie up to {division.deviation:.1f} mm from the best plane through them.",
            "Keep the modules.",
        )
    notes = []
    if not fine and division.deviation > _NOTICEABLE:
        notes.append(
            f"the modules were not in one plane: what lay up to {1e3 * division.deviation:.1f} um from it "
            "is lost; keep the file with the modules"
        )
    if len(division.coarse) == len(division.fine):
        count = plural(len(division.fine), "panel")
        why = "there is nothing to join"
        if fine:
            alone = len(division.coarse) == 1
            why = "no module layout is known for it" if alone else "none of them divides further"
        notes.append(f"the detector of {count} stays as it is: {why}")
    return notes


def _moved(experiments: Experiments, divisions: dict[int, Division], fine: bool) -> tuple[Experiment, ...]:
    imagesets = {
        id(item): replace(item, params={**item.params, "multi_panel": fine})
        for item in experiments.unique("imageset")
    }
    return tuple(
        replace(
            item,
            detector=_side(divisions[id(item.detector)], fine),
            imageset=None if item.imageset is None else imagesets[id(item.imageset)],
        )
        for item in experiments
    )


def _move(
    experiments: Experiments, reflections: Reflections, divisions: dict[int, Division], fine: bool
) -> tuple[Reflections, list[str]]:
    reflections.require("panel", "xyzobs.px.value" if "xyzobs.mm.value" not in reflections else "panel")
    owner = _detectors_of_rows(experiments, reflections)
    in_gaps, changed = 0, False
    for number, detector in enumerate(experiments.unique("detector")):
        division = divisions[id(detector)]
        rows = np.flatnonzero(owner == number)
        if len(division.coarse) == len(division.fine) or rows.size == 0:
            continue
        limit = len(_side(division, not fine))
        if int(reflections["panel"][rows].max()) >= limit:
            raise DataError(
                "The reflections do not belong to these experiments.",
                f"They name panel {int(reflections['panel'][rows].max())}; the detector has {limit}.",
                "Give the .expt and .refl files that were written together.",
            )
        reflections, gaps = move_rows(reflections, rows, division, fine)
        in_gaps, changed = in_gaps + gaps, True
    notes = []
    if in_gaps:
        notes.append(
            f"{plural(in_gaps, 'reflection')} lay in gaps between modules and went to the nearest module"
        )
    boxes = [name for name, column in reflections.opaque.items() if "shoebox" in column.type_name.lower()]
    if boxes and changed:
        # Pixels of a shoebox know their panel and would contradict the table.
        notes.append(f"the column {', '.join(boxes)} was left out: its pixels are numbered by the old panels")
        reflections = reflections.without(*boxes)
    return reflections, notes


def _detectors_of_rows(experiments: Experiments, reflections: Reflections) -> np.ndarray:
    """Number of the detector (order of first use) that each reflection was seen on, (N,)."""
    detectors = experiments.unique("detector")
    number = {id(detector): k for k, detector in enumerate(detectors)}
    of_experiment = np.array([number[id(item.detector)] for item in experiments], dtype=np.intp)
    if len(detectors) == 1:
        return np.zeros(reflections.n_rows, dtype=np.intp)
    imagesets = {id(imageset): k for k, imageset in enumerate(experiments.unique("imageset"))}
    of_imageset = np.zeros(max(len(imagesets), 1), dtype=np.intp)
    for item, detector in zip(experiments, of_experiment, strict=True):
        if item.imageset is not None:
            of_imageset[imagesets[id(item.imageset)]] = detector
    rows = reflections["id"] if "id" in reflections else np.full(reflections.n_rows, -1)
    images = reflections["imageset_id"] if "imageset_id" in reflections else np.zeros(reflections.n_rows)
    last = len(of_experiment) - 1, len(of_imageset) - 1
    return np.where(
        rows >= 0,
        of_experiment[np.clip(rows, 0, last[0]).astype(np.intp)],
        of_imageset[np.clip(images, 0, last[1]).astype(np.intp)],
    )
