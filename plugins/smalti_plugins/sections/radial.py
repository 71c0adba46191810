"""Residuals along and across the line from the direct beam: so a wrong distance or wavelength shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.charts import Chart, Curve, Section
from smalti.geometry.panels import PanelArrays, laboratory
from smalti.hookspecs import API, hookimpl
from smalti.models import Experiment, Experiments
from smalti.options import option
from smalti.tables import Flag, Reflections

SMALTI_API = API

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RadialResiduals:
    """Residuals along and across the line from the direct beam, against the scattering angle."""

    name: ClassVar[str] = "radial_residuals"

    bins: int = option(20, "Bins of equal count along the scattering angle.", ge=2, le=200)

    def section(
        self, experiments: Experiments, reflections: Reflections, figures: Mapping[str, Any]
    ) -> Section | None:
        """Draw RMSDs and mean radial residual; None where too few reflections are predicted."""
        angle, radial, across, third = _residuals(experiments, reflections)
        if len(angle) < 10 * self.bins:
            return None
        order = np.array_split(np.argsort(angle, kind="stable"), self.bins)
        x = [float(np.degrees(angle[rows].mean())) for rows in order]
        along = Curve("radial", [_rms(radial[rows]) for rows in order])
        beside = Curve("transverse", [_rms(across[rows]) for rows in order])
        mean = Curve("", [float(radial[rows].mean()) for rows in order])
        return Section(
            "Along and across the radius",
            (
                f"RMSD {_rms(radial):.1f} µm along the line from the direct beam, {_rms(across):.1f} µm "
                "across it. A radial residual that grows with the angle is a wrong distance or wavelength. "
                f"Correlation with the third residual: radial {_correlation(radial, third):+.2f}, "
                f"transverse {_correlation(across, third):+.2f}.",
            ),
            (
                Chart("RMSD", "2θ (deg)", "RMSD (µm)", x, (along, beside)),
                Chart("Mean radial residual", "2θ (deg)", "mean residual (µm)", x, (mean,)),
            ),
        )


def _residuals(experiments: Experiments, table: Reflections) -> tuple[Array, Array, Array, Array]:
    """Scattering angle (rad), radial and transverse residual (um) and the third one of what was used."""
    needed = ("xyzobs.mm.value", "xyzcal.mm", "flags", "id", "panel")
    found = [np.zeros((0, 4))]
    if all(name in table for name in needed):
        for number, experiment in enumerate(experiments):
            rows = np.flatnonzero((table["id"] == number) & table.flagged(Flag.USED_IN_REFINEMENT))
            if rows.size:
                found.append(_of_experiment(experiment, table, rows))
    angle, radial, across, third = np.concatenate(found).T
    return angle, radial, across, third


def _of_experiment(experiment: Experiment, table: Reflections, rows: NDArray[np.intp]) -> Array:
    arrays, panel = PanelArrays.of(experiment.detector), table["panel"][rows].astype(np.intp)
    observed, calculated = table["xyzobs.mm.value"][rows], table["xyzcal.mm"][rows]
    seen = laboratory(observed, panel, arrays)
    off = laboratory(calculated, panel, arrays) - seen
    beam = experiment.beam.unit_s0
    outward = seen - np.outer(seen @ beam, beam)
    outward /= np.maximum(np.linalg.norm(outward, axis=1), 1e-9)[:, None]
    # In the plane of the panel the outward direction is foreshortened where the panel is tilted: little.
    angle = np.arccos(np.clip(seen @ beam / np.linalg.norm(seen, axis=1), -1.0, 1.0))
    radial = np.einsum("ni,ni->n", off, outward)
    across = np.einsum("ni,ni->n", off, np.cross(beam, outward))
    third = table["delpsical.rad"][rows] if "delpsical.rad" in table else calculated[:, 2] - observed[:, 2]
    return np.column_stack([angle, 1e3 * radial, 1e3 * across, third])


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _correlation(a: Array, b: Array) -> float:
    spread = a.std() * b.std()
    return float(np.mean((a - a.mean()) * (b - b.mean())) / spread) if spread > 0.0 else 0.0


@hookimpl
def smalti_report_sections() -> Sequence[type[RadialResiduals]]:
    """Bring this section."""
    return [RadialResiduals]
