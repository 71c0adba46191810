"""The end of a calibration on one screen: what moved, by how much, is it believable, what to hand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.options import option
from smalti.steps.handing_on import dials_import
from smalti.text import plural, table

__all__ = ["CalibrateOptions", "Calibration"]

SIGNIFICANT = 3.0
"""A module has moved when its displacement exceeds so many standard deviations."""
LISTED = 10
"""Modules named on the screen; all of them are in the report."""


@dataclass(frozen=True)
class CalibrateOptions:
    """How a calibration goes from indexed spots to a refined detector."""

    levels: tuple[str, ...] = option(
        ("0", "1"),
        "Levels of the detector to refine one after another: 0 the whole, 1 its modules, or names of groups.",
        min_length=1,
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration found, gathered from the results of its steps.

    Attributes
    ----------
    imported, found, indexed : Mapping
        Results of those steps.
    refined : sequence of (level, Mapping)
        Results of the refinements, in order.
    report : Mapping
        Result of the report.
    detector : Path
        What to hand on: the refined experiment list.
    page : Path
        The report.
    doubts : tuple of str
        Why the result should not be trusted.
    skipped : tuple of str
        Steps that were finished before and not run again.
    """

    imported: Mapping[str, Any]
    found: Mapping[str, Any]
    indexed: Mapping[str, Any]
    refined: Sequence[tuple[str, Mapping[str, Any]]]
    report: Mapping[str, Any]
    detector: Path
    page: Path
    doubts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def panels(self) -> tuple[Mapping[str, Any], ...]:
        """The rows of the panels of the last refinement."""
        return tuple(self.refined[-1][1]["panels"])

    @property
    def moved(self) -> tuple[Mapping[str, Any], ...]:
        """Panels whose displacement in their plane is significant, the furthest first."""
        sure = [row for row in self.panels if row["n_used"] and _significance(row) > SIGNIFICANT]
        return tuple(sorted(sure, key=lambda row: -float(row["shift_um"])))

    def summary(self) -> dict[str, Any]:
        """Give the figures of the screen, JSON-able."""
        last = self.refined[-1][1]
        return {
            "images": self.imported["images"],
            "spots": self.found["spots"],
            "used": last["n_used"],
            "crystals": last["crystals"],
            "rmsd": [{"level": level, **_rmsd(result)} for level, result in self.refined],
            "moved": list(self.moved),
            "panels": list(self.panels),
            "trustworthy": not self.doubts,
            "verdict": self.report["verdict"],
            "detector": str(self.detector),
            "report": str(self.page),
            "skipped": list(self.skipped),
        }

    def text(self) -> str:
        """Give the screen."""
        parts = [self._what(), self._fit(), self._motion(), self._belief(), self._hand_on()]
        return "\n\n".join(part for part in parts if part)

    def _what(self) -> str:
        last = self.refined[-1][1]
        group = self.indexed["space_group"]
        cells = [f"  {group}  " + "  ".join(f"{x:.3f}" for x in row["cell"]) for row in last["crystals"]]
        spots = self.found["spots"]
        lines = [
            f"{plural(self.imported['images'], 'image')}, {plural(spots, 'spot')}, "
            f"{last['n_used']:,} used for {plural(len(self.panels), 'panel')} "
            f"({100 * last['n_used'] / max(spots, 1):.0f} % of the spots).",
            f"{plural(len(cells), 'crystal')}:",
            *cells[:3],
        ]
        if len(cells) > 3:
            lines.append(f"  and {len(cells) - 3} more")
        return "\n".join(lines)

    def _fit(self) -> str:
        rows = []
        for level, result in self.refined:
            rmsd = _rmsd(result)
            rows.append(
                (f"level {level}", f"{rmsd['n']:,}", *(f"{rmsd[key]:.3f}" for key in ("x", "y", "z")))
            )
        return table(("RMSD, refined", "spots", "X\n(px)", "Y\n(px)", "Z\n(images)"), rows)

    def _motion(self) -> str:
        if len(self.panels) < 2:
            return "The detector is a single panel: nothing could move within it."
        moved, empty = self.moved, sum(not row["n_used"] for row in self.panels)
        head = f"{len(moved)} of {plural(len(self.panels), 'panel')} moved by more than {SIGNIFICANT:g} sigma"
        head += f"; {empty} without spots moved with the whole." if empty else "."
        if not moved:
            return head
        columns = ("panel", "spots", "fast\n(um)", "slow\n(um)", "normal\n(um)", "in-plane turn\n(mrad)")
        body = [
            (f"{row['panel']} {row['name']}", row["n_used"], *(_pair(row, *names) for names in _SHOWN))
            for row in moved[:LISTED]
        ]
        title = head + (f" The {LISTED} furthest:" if len(moved) > LISTED else "")
        return table(columns, body, title=title)

    def _belief(self) -> str:
        level = "bad" if self.doubts else self.report["verdict"]["level"]
        lines = [
            f"Believable: {_BELIEF[level]}",
            f"  {self.report['verdict']['sentence']}",
            *(
                f"  - {reason}"
                for reason in dict.fromkeys((*self.doubts, *self.report["verdict"]["reasons"]))
            ),
        ]
        return "\n".join(lines)

    def _hand_on(self) -> str:
        if self.doubts:
            return f"Do not hand on {self.detector} as it is; see {self.page}."
        return (
            f"Hand on: {self.detector}\n"
            f"  DIALS: {dials_import(str(self.detector), len(self.panels))}\n"
            f"Look at: {self.page}"
        )


_BELIEF = {"good": "yes.", "doubtful": "yes, with reservations.", "bad": "no."}
"""The verdict of the report, in a word."""

_SHOWN = (
    ("shift_fast_um", "esd_fast_um", 1),
    ("shift_slow_um", "esd_slow_um", 1),
    ("normal_um", "esd_normal_um", 0),
    ("rotation_mrad", "esd_rotation_mrad", 2),
)


def _pair(row: Mapping[str, Any], value: str, esd: str, digits: int) -> str:
    return f"{row[value]:+.{digits}f} +- {row[esd]:.{digits}f}"


def _significance(row: Mapping[str, Any]) -> float:
    return float(row["shift_um"]) / float(row["esd_um"]) if row["esd_um"] else 0.0


def _rmsd(result: Mapping[str, Any]) -> dict[str, float]:
    """RMSDs over all experiments, px and images."""
    rows = [row for row in result["experiments"] if row["n_used"]]
    n = sum(row["n_used"] for row in rows)
    columns = {"x": "rmsd_x_px", "y": "rmsd_y_px", "z": "rmsd_z_images"}
    mean = {k: (sum(r["n_used"] * r[c] ** 2 for r in rows) / max(n, 1)) ** 0.5 for k, c in columns.items()}
    return {"n": n, **mean}
