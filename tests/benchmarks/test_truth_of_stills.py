"""Panels from stills of many crystals against the truth, 24 draws; and two distances against one.

Prints its tables: ``pytest --benchmark-only -s tests/benchmarks/test_truth_of_stills.py``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.panels import panel_centres
from smalti.geometry.rotation import rotation_vector
from smalti.geometry.superposition import panel_motions
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.instrument import nominal
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti.testing.many_crystals import recover_stills
from smalti.text import table
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

KINDS = ("fast", "slow", "normal", "about fast", "about slow", "about normal")


def panels_of(found, truth, covariance):
    """Errors (P, 6) um, mrad of panels beyond the whole, their ESDs, and the motion of the whole."""
    size = [panel.size_mm for panel in found.panels]
    left = panel_motions(found.stacked(), truth.stacked(), size)
    errors = 1e3 * np.concatenate([left.shift, left.turn], axis=1)
    return errors, 1e3 * np.sqrt(np.einsum("pii->pi", covariance)), left


@pytest.fixture(scope="module")
def from_stills():
    options = SimulateOptions(
        output="indexed", stills=40, layout="PILATUS 1M", distance=150.0, wavelength=1.0, mosaicity=0.05,
        unit_cell=(79.0, 79.0, 38.0, 90.0, 90.0, 90.0), space_group="P 43 21 2", cell_spread=0.001,
        outliers=0.0, d_min=2.0,
    )  # fmt: skip
    component, base = Hierarchical(level=1), nominal(options)
    names = [item.name for item in component.parameters(base.detector)]
    sigmas = component.prior(base.detector).precision ** -0.5
    sigmas[names.index("Tau1")] = 0.0  # stills do not see the rotation about the beam
    settings = RefineOptions(halves="off", free_fraction=0.0)
    return [
        recover_stills(
            base, replace(options, seed=seed), sigmas, component, GaussNewton(), NoOutliers(), settings
        )
        for seed in range(24)
    ]


def test_pulls_of_stills(benchmark, from_stills):
    benchmark.pedantic(lambda: None)  # here it is the figures
    pulls = np.array([item.pulls[item.errors != 0.0] for item in from_stills])
    motions, esds = np.concatenate(
        [
            np.stack(panels_of(i.refined.experiments[0].detector, i.truth, i.refined.panel_covariance[0])[:2])
            for i in from_stills
        ],
        axis=1,
    )
    rows = [
        [
            kind,
            f"{np.median(np.abs(motions[:, k])):.2f}",
            f"{np.sqrt(np.mean((motions / esds)[:, k] ** 2)):.3f}",
        ]
        for k, kind in enumerate(KINDS)
    ]
    size = float(np.sqrt(np.mean(pulls**2)))
    print("\n" + table(["Panels", "median error\n(um, mrad)", "pull\n(RMS)"], rows))
    print(f"Parameters: {pulls.size} pulls of {size:.3f} (RMS).")
    assert 0.95 < size < 1.05
    assert 0.93 < np.sqrt(np.mean((motions / esds) ** 2)) < 1.07
    assert np.median(np.hypot(motions[:, 0], motions[:, 1])) < 5.0


COMPONENT = Hierarchical(level=1, normal=0.3, tilt=2.0)


def draw(distances, seed):
    """Two sweeps of crystals of one cell; errors and ESDs of the detector of the second one."""
    rng = np.random.default_rng([seed, 3])
    base = synthetic.detector("PILATUS 1M", 150.0)
    p = COMPONENT.prior(base).precision ** -0.5 * rng.normal(size=len(COMPONENT.parameters(base)))
    p[:6] = 0.0  # the whole stands where it is said to stand
    true = COMPONENT.compose(base, p)
    experiments, tables = [], []
    for k, distance in enumerate(distances):
        move = {(): (np.eye(3), np.array([0.0, 0.0, 150.0 - distance]))}
        orientation = tuple(np.random.default_rng(k).uniform(0.0, 3.0, 3))
        start = synthetic.experiment(
            base.moved(move), synthetic.crystal(orientation=orientation), n_images=90, width=np.radians(0.5)
        )
        start = replace(start, identifier=str(k))
        truth = replace(start, detector=true.moved(move))
        found, spots = synthetic.observations(truth, start, rng, d_min=1.6, n=2500)
        experiments.append(found[0])
        tables.append(spots.with_columns({"id": np.full(spots.n_rows, k, dtype=np.int32)}))
    if distances[0] == distances[1]:
        experiments[1] = replace(experiments[1], detector=experiments[0].detector)
    spots = Reflections.concatenate(tables).with_columns(identifiers={0: "0", 1: "1"})
    settings = RefineOptions(halves="off", free_fraction=0.0, crystals="one_cell")
    refined = refine(Experiments(tuple(experiments)), spots, COMPONENT, GaussNewton(), NoOutliers(), settings)
    return measured(refined, truth.detector)


def measured(refined, truth):
    """By quantity: errors and ESDs, (2, n)."""
    found = refined.experiments[1].detector
    errors, esds, left = panels_of(found, truth, refined.panel_covariance[-1])
    out = {f"tiles, {kind}": np.stack([errors[:, k], esds[:, k]]) for k, kind in enumerate(KINDS)}
    centre = panel_centres(found.stacked(), [panel.size_mm for panel in found.panels]).mean(axis=0)
    row = refined.results["detectors"][-1]
    moved = 1e3 * (left.R @ centre + left.t - centre)
    out["distance of the whole"] = np.array([[moved[2]], [1e3 * row["esd_shift_mm"][2]]])
    turned = 1e3 * rotation_vector(left.R)
    out["tilts of the whole"] = np.array([turned[:2], row["esd_rotation_mrad"][:2]])
    return out


def test_two_distances_against_one(benchmark):
    """Errors fall as their ESDs do."""
    benchmark.pedantic(lambda: None)
    designs = {"one": (300.0, 300.0), "two": (150.0, 300.0)}
    draws = {name: [draw(design, seed) for seed in range(12)] for name, design in designs.items()}
    sizes = {
        name: {
            kind: np.sqrt(np.mean(np.concatenate([item[kind] for item in items], axis=1) ** 2, axis=1))
            for kind in items[0]
        }
        for name, items in draws.items()
    }
    rows = []
    for kind, (error, esd) in sizes["one"].items():
        other, its = sizes["two"][kind]
        numbers = (error, esd, other, its, other / error, its / esd)
        rows.append([kind, *(f"{value:.3f}" for value in numbers)])
    heads = ["", "one: error", "ESD", "two: error", "ESD", "error falls to", "ESD falls to"]
    print("\n" + table(heads, rows, title="300 mm twice, or 150 and 300 mm (um, mrad):"))
    for kind in ("tiles, normal", "tiles, about fast", "tiles, about slow", "distance of the whole"):
        assert sizes["two"][kind][0] < 0.85 * sizes["one"][kind][0]
        spread = sizes["two"][kind] / sizes["one"][kind]
        assert spread[0] == pytest.approx(spread[1], rel=0.35)
    for design in sizes.values():
        for kind, (error, esd) in design.items():
            if kind.startswith("tiles"):
                assert error == pytest.approx(esd, rel=0.25)
