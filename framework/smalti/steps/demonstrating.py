"""Compare a recovered detector with the truth, next to the nominal one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import panel_centres
from smalti.geometry.superposition import panel_motions
from smalti.models import Detector
from smalti.text import plural, table
from smalti.units import MRAD, UM

__all__ = ["BAR", "Comparison", "Errors", "compare_detectors"]

Array = NDArray[np.float64]

BAR = 0.2
"""The recovered panels should be in their place to this fraction of the nominal error (median, in plane)."""

_ROWS = (
    ("in_plane", "in the plane of the panel", "um"),
    ("normal", "along its normal", "um"),
    ("along_ray", "along the ray through it", "um"),
    ("across_ray", "across the ray through it", "um"),
    ("corner", "at the worst corner", "um"),
    ("in_plane_turn", "rotation in its plane", "mrad"),
    ("tilt", "tilt out of its plane", "mrad"),
)


@dataclass(frozen=True, slots=True)
class Errors:
    """How far each panel of one geometry is from the truth; all (P,), none negative.

    Attributes
    ----------
    in_plane, normal : um
        Displacement of the panel's centre in its true plane, and along its normal.
    along_ray, across_ray : um
        The same displacement, divided by the ray from the sample to the centre. Spots hardly tell
        where along the ray a panel stands.
    corner : um
        Displacement of the corner that is furthest off.
    in_plane_turn, tilt : mrad
        Rotation about the normal, and about axes in the plane.
    common_shift, common_turn : float
        Rigid motion of all panels that was taken away: length at the middle of the detector (um), angle
        (mrad).
    """

    in_plane: Array
    normal: Array
    along_ray: Array
    across_ray: Array
    corner: Array
    in_plane_turn: Array
    tilt: Array
    common_shift: float
    common_turn: float

    def statistics(self, panels: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
        """Median, 95th percentile and maximum of each kind of error over some panels (P,)."""
        return {name: _statistics(getattr(self, name)[panels]) for name, _, _ in _ROWS}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The nominal and the recovered detector against the true one.

    Attributes
    ----------
    nominal, recovered : Errors
        After the best common rigid motion is taken away: what is wrong *within* the detector.
    nominal_raw, recovered_raw : Errors
        As the files have it: also where the detector as a whole stands.
    counts : (P,)
        Reflections that were used on each panel.
    """

    nominal: Errors
    recovered: Errors
    nominal_raw: Errors
    recovered_raw: Errors
    counts: NDArray[np.intp]
    warnings: tuple[str, ...] = ()

    @property
    def with_data(self) -> NDArray[np.bool_]:
        """Which panels have reflections, (P,); the figures are of these."""
        return self.counts > 0

    @property
    def ratio(self) -> float:
        """Median in-plane error of the recovered panels over that of the nominal ones."""
        nominal = float(np.median(self.nominal.in_plane[self.with_data]))
        recovered = float(np.median(self.recovered.in_plane[self.with_data]))
        return recovered / nominal if nominal > 0.0 else float("inf")

    @property
    def passed(self) -> bool:
        """Whether the ratio is at most a fifth."""
        return self.ratio <= BAR

    def summary(self) -> dict[str, Any]:
        """Give all figures, JSON-able."""
        names = ("nominal", "recovered", "nominal_raw", "recovered_raw")
        figures = {name: getattr(self, name).statistics(self.with_data) for name in names}
        common = {
            name: {"shift_um": getattr(self, name).common_shift, "turn_mrad": getattr(self, name).common_turn}
            for name in names[:2]
        }
        return {
            **figures,
            "common_motion": common,
            "panels": len(self.counts),
            "panels_with_data": int(self.with_data.sum()),
            "ratio": self.ratio,
            "bar": BAR,
            "passed": self.passed,
        }

    def text(self) -> str:
        """Say how far the panels are from the truth, in a table."""
        before, after = (e.statistics(self.with_data) for e in (self.nominal, self.recovered))
        raw = (e.statistics(self.with_data)["in_plane"] for e in (self.nominal_raw, self.recovered_raw))
        rows = [_row(f"{words} ({unit})", before[name], after[name]) for name, words, unit in _ROWS]
        rows.append(_row("in the plane, detector as a whole too (um)", *raw))
        heads = ["Error of the panels"]
        for which in ("nominal", "recovered"):
            heads += [f"{which}\n{column}" for column in ("median", "95 %", "worst")]
        verdict = "at most a fifth, as it should be" if self.passed else "more than a fifth"
        found, all_ = int(self.with_data.sum()), plural(len(self.counts), "panel")
        return "\n".join(
            (
                table(heads, rows, title=f"Against the truth, {found} of {all_} with reflections:"),
                f"In their plane the recovered panels are {self.ratio:.3f} times as far off as the nominal "
                f"ones (medians): {verdict}.",
            )
        )


def compare_detectors(
    truth: Detector, recovered: Detector, nominal: Detector, counts: NDArray[np.intp] | None = None
) -> Comparison:
    """Measure how far recovered and nominal panels are from the true ones.

    The best common rigid motion is taken away first: rotations of everything about the sample cannot be
    seen at all, and where the detector as a whole stands is no matter of its metrology. It is the one that
    fits best across the rays from the sample, where spots tell. No scale is taken away: with the
    wavelength and the size of pixels known, it is determined.

    Parameters
    ----------
    truth, recovered, nominal : Detector
        With the same panels in the same order.
    counts : (P,) int, optional
        Reflections used on each panel; panels without any are left out of the common motion and of the
        figures. Default: all panels count.

    Raises
    ------
    DataError
        The detectors do not have the same panels, or no panel has reflections.
    """
    for other, word in ((recovered, "recovered"), (nominal, "nominal")):
        if [p.image_size for p in other.panels] != [p.image_size for p in truth.panels]:
            raise DataError(
                f"The {word} detector cannot be compared with the true one.",
                f"It has {plural(len(other), 'panel')}, the true one {plural(len(truth), 'panel')}.",
                "Work with --panels modules.",
            )
    number = np.ones(len(truth), dtype=np.intp) if counts is None else np.asarray(counts, dtype=np.intp)
    if not (number > 0).any():
        raise DataError("No panel can be compared.", "None has reflections.", "Check the refinement.")
    errors = {
        (name, rigid): _errors(truth, detector, number > 0, rigid)
        for name, detector in (("nominal", nominal), ("recovered", recovered))
        for rigid in (True, False)
    }
    result = Comparison(
        errors["nominal", True], errors["recovered", True], errors["nominal", False],
        errors["recovered", False], number,
    )  # fmt: skip
    return result if result.passed else _warned(result)


def _warned(result: Comparison) -> Comparison:
    warning = (
        f"The recovered panels are {result.ratio:.2f} times as far from the truth as the nominal ones; "
        f"{BAR:g} or less was to be reached."
    )
    return replace(result, warnings=(warning,))


def _errors(truth: Detector, other: Detector, with_data: NDArray[np.bool_], rigid: bool) -> Errors:
    size = np.array([panel.size_mm for panel in truth.panels])
    d = truth.stacked()
    motions = panel_motions(d, other.stacked(), size, with_data.astype(float), rigid=rigid)
    centre = panel_centres(d, size)
    ray = centre / np.linalg.norm(centre, axis=1)[:, None]
    along = np.einsum("pi,pi->p", motions.centre, ray)
    across = motions.centre - along[:, None] * ray
    middle = centre[with_data].mean(axis=0)
    angle = np.arccos(np.clip((np.trace(motions.R) - 1.0) / 2.0, -1.0, 1.0))
    return Errors(
        np.hypot(motions.shift[:, 0], motions.shift[:, 1]) / UM,
        np.abs(motions.shift[:, 2]) / UM,
        np.abs(along) / UM,
        np.linalg.norm(across, axis=1) / UM,
        motions.corners.max(axis=1) / UM,
        np.abs(motions.turn[:, 2]) / MRAD,
        np.hypot(motions.turn[:, 0], motions.turn[:, 1]) / MRAD,
        float(np.linalg.norm(motions.R @ middle + motions.t - middle)) / UM,
        float(angle) / MRAD,
    )


def _statistics(values: Array) -> dict[str, float]:
    return {
        "median": float(np.median(values)),
        "p95": float(np.quantile(values, 0.95)),
        "max": float(values.max()),
    }


def _row(words: str, before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    digits = 3 if "mrad" in words else 1
    return [words, *(f"{values[key]:.{digits}f}" for values in (before, after) for key in values)]
