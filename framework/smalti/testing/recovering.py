"""How near a refinement comes to a known truth, and whether it knows how near: pulls and joint distances.

For whoever writes a parameterisation, a minimiser or a judge of residuals: draw panels out of their places,
observe reflections with noise of known size, refine, and compare with what was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from smalti.geometry.panels import PanelArrays, to_px
from smalti.geometry.superposition import panel_motions
from smalti.models import Detector, Experiment, Experiments
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining import Refined, RefineOptions, refine
from smalti.tables import Flag, Reflections
from smalti.testing.synthetic import centroids
from smalti.units import MRAD, UM

__all__ = ["Problem", "Recovery", "pull_statistics", "recover"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """What all the draws have in common.

    Attributes
    ----------
    nominal : Experiment
        The experiment as the program believes it; beam, crystal and goniometer are true.
    predicted : Reflections
        What could be measured with the nominal detector (:func:`smalti.testing.synthetic.measurable`).
    sigmas : (n,)
        Standard deviations of the detector's true parameters, in their units; those of the prior make
        the posterior exact.
    per_panel : int
        Reflections observed on each panel, drawn at random.
    noise : (px, px, images)
        Standard deviations of the centroids.
    """

    nominal: Experiment
    predicted: Reflections
    sigmas: Array
    per_panel: int = 3000
    noise: tuple[float, float, float] = (0.1, 0.1, 0.1)


@dataclass(frozen=True)
class Recovery:
    """One draw: the truth and what a refinement made of it.

    Attributes
    ----------
    truth : Detector
    refined : Refined
    errors : (n,)
        Refined less true parameters: detector, beam and crystal, in the units of the parameters.
    """

    truth: Detector
    refined: Refined
    errors: Array

    @property
    def pulls(self) -> Array:
        """Errors over their standard deviations, (n,)."""
        return np.asarray(self.errors / np.sqrt(np.diag(self.refined.covariance)))

    @property
    def probability(self) -> float:
        """Chance of a Mahalanobis distance above the one found: uniform if the covariance is true."""
        distance = float(self.errors @ np.linalg.solve(self.refined.covariance, self.errors))
        return float(chdtrc(len(self.errors), distance))

    @property
    def motions(self) -> Array:
        """Motions of the panels from their found to their true places after superposition, (P, 6) mm, rad.

        Of the centre along fast, slow and normal, and about them.
        """
        found = self.refined.experiments[0].detector
        size = np.array([panel.size_mm for panel in found.panels])
        moved = panel_motions(found.stacked(), self.truth.stacked(), size)
        return np.concatenate([moved.shift, moved.turn], axis=1)

    @property
    def in_plane(self) -> Array:
        """Displacements of the panels' centres in their planes, (P,) um."""
        return np.asarray(np.hypot(*self.motions[:, :2].T) / UM)

    @property
    def turns(self) -> Array:
        """Rotations of the panels about their normals, (P,) mrad."""
        return np.asarray(np.abs(self.motions[:, 5]) / MRAD)

    @property
    def panel_pulls(self) -> Array:
        """Motions of the panels over their ESDs, (P, 6)."""
        esd = np.sqrt(np.einsum("pii->pi", self.refined.panel_covariance[0]))
        return np.asarray(self.motions / esd)


def recover(
    problem: Problem,
    seed: int,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions | None = None,
) -> Recovery:
    """Draw a truth, observe it and refine from the nominal models."""
    rng = np.random.default_rng(seed)
    nominal = problem.nominal
    p = problem.sigmas * rng.normal(size=len(problem.sigmas))
    truth = replace(nominal, detector=parameterisation.compose(nominal.detector, p))
    table = _observe(problem, truth, rng)
    refined = refine(Experiments((nominal,)), table, parameterisation, minimiser, rejector, options)
    names = [parameter.name for parameter in parameterisation.parameters(nominal.detector)]
    drawn = {f"Detector1{name}": value for name, value in zip(names, p, strict=True)}
    rows = refined.results["parameters"]
    errors = np.array([row["shift"] - drawn.get(row["name"], 0.0) for row in rows])
    return Recovery(truth.detector, refined, errors)


def pull_statistics(recoveries: Sequence[Recovery]) -> dict[str, tuple[int, float, float]]:
    """Give number, mean and standard deviation of the pulls of each kind of parameter.

    The kind is the last word of a parameter's label: Dist, Shift1, ..., Mu2, Phi1, a*.a*.
    """
    kinds = [row["label"].split()[-1] for row in recoveries[0].refined.results["parameters"]]
    pulls = np.array([recovery.pulls for recovery in recoveries])
    found = {}
    for kind in dict.fromkeys(kinds):
        mine = pulls[:, [k == kind for k in kinds]].ravel()
        found[kind] = (mine.size, float(mine.mean()), float(np.sqrt(np.mean(mine**2))))
    return found


def _observe(problem: Problem, truth: Experiment, rng: np.random.Generator) -> Reflections:
    """Observe a part of the reflections: true positions in px, with noise; mm by the nominal detector."""
    table = problem.predicted.take(_drawn(problem, rng))
    near = table.with_columns({"xyzobs.mm.value": table["xyzcal.mm"]})
    true = predict_indexed(Experiments((truth,)), near)
    panel = true["panel"].astype(np.intp)
    place = to_px(true["xyzcal.mm"][:, :2], panel, PanelArrays.of(truth.detector))
    px = np.column_stack([place, true["xyzcal.px"][:, 2]]) + rng.normal(size=(len(panel), 3)) * problem.noise
    assert truth.scan is not None
    columns = centroids(px, panel, problem.nominal.detector, truth.scan, np.array(problem.noise))
    columns["flags"] = np.full(len(panel), int(Flag.STRONG | Flag.INDEXED), dtype=np.uint64)
    return true.without("xyzcal.mm", "xyzcal.px").with_columns(columns)


def _drawn(problem: Problem, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw as many rows of each panel, all where there are fewer."""
    panel = problem.predicted["panel"].astype(np.intp)
    order = np.lexsort((rng.random(len(panel)), panel))
    first = np.concatenate([[0], np.cumsum(np.bincount(panel))])
    return np.sort(order[np.arange(len(panel)) - first[panel[order]] < problem.per_panel])
