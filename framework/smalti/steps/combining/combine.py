"""Join the experiments and tables of several data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import panel_centres
from smalti.models import Detector, Experiment, Experiments
from smalti.steps.combining.metrology import check_same_panels, with_metrology
from smalti.steps.combining.options import CombineOptions
from smalti.steps.combining.told import rows_text
from smalti.tables import Reflections
from smalti.text import plural
from smalti.units import UM

__all__ = ["Combined", "combine"]

Sets = Sequence[tuple[Experiments, Reflections | None]]

_JOINED = ("beam", "detector", "goniometer")
_LIKE = 0.05
"""Cells that differ by more than this, relative to an axis, are not of one crystal."""


@dataclass(frozen=True, slots=True)
class Combined:
    """Several data sets as one.

    Attributes
    ----------
    experiments : Experiments
    reflections : Reflections or None
    rows : tuple of dict
        For each experiment: its data set, reflections, and how far its detector moved (um).
    shared : dict
        Kind of model to how many different ones are left.
    warnings : tuple of str
    """

    experiments: Experiments
    reflections: Reflections | None
    rows: tuple[dict[str, Any], ...]
    shared: dict[str, int]
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give the numbers for ``--json``."""
        return {"experiments": list(self.rows), "models": self.shared}

    def text(self) -> str:
        """Give the table for people."""
        models = ", ".join(plural(count, kind) for kind, count in self.shared.items())
        return rows_text(self.rows) + f"\n{plural(len(self.rows), 'experiment')} with {models}."


def combine(sets: Sets, options: CombineOptions | None = None, reference: Detector | None = None) -> Combined:
    """Join data sets, in the order given.

    Parameters
    ----------
    sets : sequence of (Experiments, Reflections or None)
        Each table belongs to the experiments beside it.
    options : CombineOptions
    reference : Detector, optional
        Every detector gets the metrology of this one (:func:`with_metrology`), before anything is shared.

    Raises
    ------
    DataError
        A table is of other experiments, an experiment comes twice, or models cannot be one.
    """
    options = options or CombineOptions()
    for number, (experiments, reflections) in enumerate(sets):
        if reflections is not None:
            _check(number, experiments, reflections)
    items = tuple(item for experiments, _ in sets for item in experiments)
    _refuse_twice(items)
    placed = _with_metrology(items, reference)
    for kind in options.share:
        placed = _with_one(placed, kind)
    if options.join_equal:
        for joinable in _JOINED:
            placed = _with_equal_joined(placed, joinable)
    joined, warnings = _tables(sets, placed)
    rows = _rows(sets, placed, items, joined, reference is not None)
    shared = {kind: len(Experiments(placed).unique(kind)) for kind in (*_JOINED, "crystal")}
    return Combined(
        Experiments(placed), joined, rows, {k: n for k, n in shared.items() if n}, (*warnings, *_far(rows))
    )


def _check(number: int, experiments: Experiments, reflections: Reflections) -> None:
    last = int(reflections["id"].max(initial=-1)) if "id" in reflections else -1
    names = {k: item.identifier for k, item in enumerate(experiments)}
    wrong = [k for k, name in reflections.identifiers.items() if names.get(k) not in (name, "", None)]
    if last >= len(experiments) or wrong:
        raise DataError(
            f"Table and experiments of data set {number + 1} do not belong together.",
            f"The table speaks of experiment {last}, counted from 0; there are {len(experiments)}."
            if last >= len(experiments)
            else f"They call experiment {wrong[0]} by different identifiers.",
            "Give experiments and tables in pairs, in one order: a.expt a.refl b.expt b.refl.",
        )


def _refuse_twice(items: Sequence[Experiment]) -> None:
    seen: dict[str, int] = {}
    for number, item in enumerate(items):
        if item.identifier and item.identifier in seen:
            raise DataError(
                f"Experiments {seen[item.identifier]} and {number} are the same.",
                f"Both have the identifier {item.identifier}.",
                "Give every data set once.",
            )
        seen[item.identifier] = number


def _with_metrology(items: tuple[Experiment, ...], reference: Detector | None) -> tuple[Experiment, ...]:
    if reference is None:
        return items
    placed = {id(d): with_metrology(d, reference).detector for d in Experiments(items).unique("detector")}
    return tuple(replace(item, detector=placed[id(item.detector)]) for item in items)


def _with_one(items: tuple[Experiment, ...], kind: str) -> tuple[Experiment, ...]:
    """Give all experiments the first one's model."""
    models = Experiments(items).unique(kind)
    if not models:
        raise DataError(f"No experiment has a {kind} to share.", "", "Leave it out of --share.")
    first = models[0]
    if kind == "detector":
        for other in models[1:]:
            check_same_panels(other, first)
    if kind == "crystal":
        _refuse_other_cells(models)
    return tuple(replace(item, **{kind: first}) for item in items)


def _refuse_other_cells(crystals: Sequence[Any]) -> None:
    first = np.array(crystals[0].cell)
    for crystal in crystals[1:]:
        cell = np.array(crystal.cell)
        away = np.abs(cell[:3] / first[:3] - 1.0).max(), np.abs(np.radians(cell[3:] - first[3:])).max()
        if max(away) > _LIKE:
            raise DataError(
                "These data sets are not of one crystal.",
                "Their cells are "
                + " and ".join(", ".join(f"{x:.2f}" for x in c.cell) for c in (crystals[0], crystal)) + ".",
                "Leave crystal out of --share, or index them alike.",
            )  # fmt: skip


def _with_equal_joined(items: tuple[Experiment, ...], kind: str) -> tuple[Experiment, ...]:
    # Equal models have equal hashes: only those are compared, for a thousand beams are half a million pairs.
    kept: dict[int, list[Any]] = {}
    chosen: dict[int, Any] = {}
    for model in Experiments(items).unique(kind):
        alike = kept.setdefault(hash(model), [])
        same = next((other for other in alike if other == model), None)
        chosen[id(model)] = model if same is None else same
        if same is None:
            alike.append(model)
    return tuple(
        replace(item, **{kind: chosen[id(model)]}) if (model := getattr(item, kind)) is not None else item
        for item in items
    )


def _tables(sets: Sets, placed: tuple[Experiment, ...]) -> tuple[Reflections | None, tuple[str, ...]]:
    """Join the tables; experiments and image sets are counted on from one to the next."""
    given = [reflections for _, reflections in sets if reflections is not None]
    if not given:
        return None, ()
    moved, first, images = [], 0, 0
    for experiments, reflections in sets:
        if reflections is not None:
            moved.append(_counted_on(reflections, first, images))
        first += len(experiments)
        images += len(experiments.unique("imageset"))
    if any("free" in table for table in moved):  # what one refinement held out stays held out
        moved = [t if "free" in t else t.with_columns({"free": np.zeros(t.n_rows, bool)}) for t in moved]
    lost = sorted(
        {n for t in moved for n in (*t, *t.opaque)} - {n for n in moved[0] if all(n in t for t in moved)}
    )
    warnings = (
        f"columns that not all tables have, or that cannot be joined, are left out: {', '.join(lost)}",
    )
    identifiers = {k: item.identifier for k, item in enumerate(placed) if item.identifier}
    joined = Reflections.concatenate(moved).with_columns(identifiers=identifiers)
    return _sorted(joined), warnings if lost else ()


def _sorted(table: Reflections) -> Reflections:
    """Put the rows of each experiment together, as those who read a part at a time need them.

    Spots of no experiment stay behind the row that they followed: those of one data set are not mixed with
    those of another.
    """
    known = np.flatnonzero(table["id"] >= 0) if "id" in table else np.zeros(0, dtype=np.intp)
    owners = table["id"][known] if known.size else known
    if not (np.diff(owners) < 0).any():
        return table
    before = np.searchsorted(known, np.arange(table.n_rows), side="right") - 1
    return table.take(np.argsort(owners[np.maximum(before, 0)], kind="stable"))


def _counted_on(reflections: Reflections, first: int, images: int) -> Reflections:
    changed: dict[str, NDArray[Any]] = {}
    for name, offset in (("id", first), ("imageset_id", images)):
        if name in reflections:
            old = reflections[name]
            changed[name] = np.where(old >= 0, old + offset, old).astype(old.dtype)
    return reflections.with_columns(changed)


def _rows(
    sets: Sets,
    placed: tuple[Experiment, ...],
    items: tuple[Experiment, ...],
    joined: Reflections | None,
    carried: bool,
) -> tuple[dict[str, Any], ...]:
    counts = np.zeros(len(placed), dtype=int)
    if joined is not None and "id" in joined:
        counts = np.bincount(joined["id"][joined["id"] >= 0], minlength=len(placed))
    numbers = [k for k, (experiments, _) in enumerate(sets, start=1) for _ in experiments]
    known: dict[tuple[int, int], tuple[float, float]] = {}
    rows = []
    for k, (item, before) in enumerate(zip(placed, items, strict=True)):
        pair = id(before.detector), id(item.detector)
        if pair not in known:
            known[pair] = _change(before.detector, item.detector, carried)
        metrology, moved = known[pair]
        rows.append(
            {
                "experiment": k,
                "set": numbers[k],
                "identifier": item.identifier,
                "reflections": int(counts[k]),
                "metrology_um": metrology,
                "moved_um": moved,
            }
        )
    return tuple(rows)


def _change(before: Detector, after: Detector, carried: bool) -> tuple[float, float]:
    """How far panels moved among themselves (root mean square), and the detector as a whole, um."""
    if before is after or before == after:
        return 0.0, 0.0
    tiles = with_metrology(before, after).moved
    among = float(np.sqrt(np.mean(tiles**2))) / UM if carried or tiles.max() > UM else 0.0
    return among, _moved(before, after) / UM


def _moved(before: Detector, after: Detector) -> float:
    """How far the middle of a detector moved, mm."""
    size = np.array([panel.size_mm for panel in before.panels])
    middles = [panel_centres(d.stacked(), size).mean(axis=0) for d in (before, after)]
    return float(np.linalg.norm(middles[1] - middles[0]))


def _far(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    far = [row for row in rows if row["moved_um"] > 1000.0]
    if not far:
        return ()
    return (
        f"sharing one detector moved that of experiment {far[0]['experiment']} by "
        f"{far[0]['moved_um'] / 1e3:.1f} mm: only right if it never moved; to carry the places of the panels "
        "alone, use --metrology",
    )
