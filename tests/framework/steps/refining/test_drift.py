"""Detectors that drift: steps of time have frames of their own that walk, and one set of tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from smalti.errors import DataError, UsageError
from smalti.models import Experiments, Scan
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.restraints import restraints_of
from smalti.steps.refining.telling.drift_rows import drift_text
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.instrument import nominal
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti.testing.many_crystals import observed_stills
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

HOUR = 3600.0
OPTIONS = RefineOptions(halves="off", free_fraction=0.0, drift_by="epoch", drift_interval=0.5)


def runs(shift_per_hour: float, seed: int = 1, number: int = 8, spots: int = 1000):
    """Sweeps an hour apart of crystals in several orientations; the detector moves along slow (mm/h)."""
    rng = np.random.default_rng(seed)
    nominal = synthetic.detector("PILATUS 300K", 150.0)
    true = synthetic.displaced(nominal, rng, (0.05, 0.05, 0.03), (2e-4, 2e-4, 3e-4))
    experiments, tables = [], []
    for k in range(number):
        turn = tuple(rng.uniform(0.0, 3.0, 3))
        start = synthetic.experiment(nominal, synthetic.crystal(orientation=turn), n_images=60)
        assert start.scan is not None
        epochs = tuple(1.7e9 + HOUR * k + 0.1 * image for image in range(60))
        start = replace(start, scan=replace(start.scan, epochs=epochs), identifier=str(k))
        moved = true.moved({(): (np.eye(3), np.array([0.0, -shift_per_hour * k, 0.0]))})
        found, table = synthetic.observations(replace(start, detector=moved), start, rng, d_min=2.4, n=spots)
        experiments.append(found[0])
        tables.append(table.with_columns({"id": np.full(table.n_rows, k, dtype=np.int32)}))
    names = {k: str(k) for k in range(number)}
    return Experiments(tuple(experiments)), Reflections.concatenate(tables).with_columns(identifiers=names)


def followed(shift_per_hour: float, seed: int = 1, **size: int):
    experiments, table = runs(shift_per_hour, seed, **size)
    return refine(experiments, table, Hierarchical(level=1), GaussNewton(), NoOutliers(), OPTIONS)


def paths(refined):
    (chain,) = refined.results["drift"]["chains"]
    return {row["name"]: row for row in chain["parameters"]}


def test_a_drift_of_five_micrometres_an_hour_is_found_with_its_esd() -> None:
    refined = followed(0.005)
    row = paths(refined)["Shift2"]
    assert row["drifts"] and row["probability"] < 1e-3
    assert row["rate_esd"] < 0.3
    assert abs(row["rate"] - 5.0) < 2.5 * row["rate_esd"]
    true = 5.0 * (np.arange(8) - 3.5)
    assert np.abs((np.array(row["values"]) - true) / row["esds"]).max() < 3.5
    assert not paths(refined)["Dist"]["drifts"] and not paths(refined)["Shift1"]["drifts"]
    text = drift_text(refined.results["drift"])
    assert "Shift2 drifts by +" in text and "um per h" in text and "No drift of Dist, Shift1" in text
    steps = refined.results["drift"]["chains"][0]["steps"]
    np.testing.assert_allclose([step["time"] for step in steps], np.arange(8), atol=1e-6)
    detectors = [item.detector for item in refined.experiments]
    assert all(d.panels == detectors[0].panels for d in detectors) and detectors[0].root != detectors[7].root


def test_without_a_drift_none_is_told() -> None:
    refined = followed(0.0)
    assert not any(row["drifts"] for row in paths(refined).values())
    assert drift_text(refined.results["drift"]).startswith("No drift of Dist, Shift1, Shift2 over 8 steps")


def test_probabilities_of_noise_are_uniform() -> None:
    found = [
        row["probability"]
        for seed in range(5)
        for row in paths(followed(0.0, seed + 10, number=4, spots=500)).values()
    ]
    assert stats.kstest(found, "uniform").pvalue > 1e-3


def laid_out(experiments: Experiments, **options: object) -> Layout:
    return Layout.of(experiments, Hierarchical(level=1), replace(OPTIONS, **options))


def test_only_what_drifts_has_parameters_for_every_step() -> None:
    experiments, _ = runs(0.0, number=4, spots=20)
    layout = laid_out(experiments, drift=("Shift2", "Group3Tau1"))
    names = [p.name for p in layout.parameters if p.name.startswith("Detector")]
    assert {n for n in names if not n.startswith("Detector1")} == {
        f"Detector{k}{name}" for k in (2, 3, 4) for name in ("Shift2", "Group3Tau1")
    }
    assert layout.drift is not None and [len(chain.blocks) for chain in layout.drift.chains] == [4]
    # All steps together are held by one prior.
    held = dict(zip((p.name for p in layout.parameters), layout.prior.precision, strict=True))
    alone = laid_out(Experiments(experiments[:1]), drift_by="off")
    once = dict(zip((p.name for p in alone.parameters), alone.prior.precision, strict=True))
    assert sum(held[f"Detector{k}Group3Tau1"] for k in (1, 2, 3, 4)) == pytest.approx(
        once["Detector1Group3Tau1"]
    )


def test_the_walk_is_wider_where_time_is_longer() -> None:
    experiments, _ = runs(0.0, number=3, spots=20)
    late = replace(experiments[2], scan=moved_in_time(experiments[2].scan, 3.0))
    layout = laid_out(Experiments((*experiments[:2], late)), drift=("Dist", "Tau1"))
    (walk,) = restraints_of(layout, OPTIONS)
    p = np.zeros(layout.n)
    names = [parameter.name for parameter in layout.parameters]
    p[[names.index(f"Detector{k}Dist") for k in (1, 2, 3)]] = 0.010, 0.0, 0.020
    p[[names.index(f"Detector{k}Tau1") for k in (1, 2, 3)]] = 0.0, 0.04, 0.04
    values, slopes = walk.rows(layout, p)
    np.testing.assert_allclose(values, [-10.0 / 5.0, 20.0 / (5.0 * 2.0), 0.04 / 0.02, 0.0], atol=1e-9)
    np.testing.assert_allclose(slopes @ p, values)


def moved_in_time(scan: Scan | None, hours: float) -> Scan:
    assert scan is not None
    return replace(scan, epochs=tuple(epoch + HOUR * hours for epoch in scan.epochs))


def test_steps_by_the_order_of_experiments() -> None:
    experiments, _ = runs(0.0, number=7, spots=20)
    layout = laid_out(experiments, drift_by="experiment", drift_interval=3)
    assert layout.drift is not None and layout.drift.unit == "experiments"
    assert [step.experiments for step in layout.drift.chains[0].steps] == [(0, 1, 2), (3, 4, 5), (6,)]
    # Detectors at another place walk for themselves.
    far = experiments[0].detector.moved({(): (np.eye(3), np.array([0.0, 0.0, -50.0]))})
    items = tuple(replace(item, detector=far) if k % 2 else item for k, item in enumerate(experiments))
    two = laid_out(Experiments(items), drift_by="experiment", drift_interval=2)
    assert two.drift is not None
    assert [[step.experiments for step in chain.steps] for chain in two.drift.chains] == [
        [(0, 2), (4, 6)],
        [(1, 3), (5,)],
    ]


def test_what_cannot_be_followed_is_refused() -> None:
    experiments, _ = runs(0.0, number=2, spots=20)
    with pytest.raises(DataError, match="only one step"):
        laid_out(experiments, drift_interval=100.0)
    with pytest.raises(UsageError, match="'Sideways'"):
        laid_out(experiments, drift=("Sideways",))
    timeless = tuple(replace(item, scan=replace(item.scan, epochs=())) for item in experiments)
    with pytest.raises(DataError, match="when it was measured"):
        laid_out(Experiments(timeless))


def test_stills_in_their_order() -> None:
    """Eighty stills, so that crystals are eliminated; the detector jumps by 20 um in the middle."""
    options = SimulateOptions(
        output="indexed", stills=40, layout="PILATUS 300K", distance=130.0, wavelength=1.0, outliers=0.0,
        unit_cell=(79.0, 79.0, 38.0, 90.0, 90.0, 90.0), space_group="P 43 21 2", mosaicity=0.06,
    )  # fmt: skip
    start = nominal(options).detector
    moved = start.moved({(): (np.eye(3), np.array([0.02, 0.0, 0.0]))})
    lots = [
        observed_stills(truth, replace(options, seed=seed), start=start)
        for seed, truth in ((1, start), (2, moved))
    ]
    experiments = Experiments(tuple(item for lot, _ in lots for item in lot))
    table = Reflections.concatenate(
        [part.with_columns({"id": part["id"] + 40 * k}) for k, (_, part) in enumerate(lots)]
    ).with_columns(identifiers={k: item.identifier for k, item in enumerate(experiments)})
    chosen = replace(OPTIONS, drift_by="experiment", drift_interval=40)
    refined = refine(experiments, table, Hierarchical(level=1), GaussNewton(), NoOutliers(), chosen)
    assert len(refined.results["drift"]["chains"][0]["steps"]) == 2
    row = paths(refined)["Shift1"]
    assert row["drifts"] and not paths(refined)["Shift2"]["drifts"]
    # The walk allows 5 um times the square root of 40 experiments: it hardly draws.
    assert row["values"][1] - row["values"][0] == pytest.approx(20.0, abs=4.0 * row["esds"][0] + 1.0)
    assert refined.experiments[0].detector.panels == refined.experiments[79].detector.panels
    # All steps turn about the beam together, by their tiles: a gauge that has a name.
    unseen = [mode["name"] for mode in refined.results["weak_modes"] if mode["null"]]
    assert unseen == ["rotation of everything about the beam"]
