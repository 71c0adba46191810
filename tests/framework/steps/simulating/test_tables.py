"""Simulated tables of spots."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, to_mm
from smalti.steps.simulating import SimulateOptions, simulate
from smalti.steps.simulating.sightings import binning_variance
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Flag

OPTIONS = SimulateOptions(output="indexed", layout="EIGER 4M", distance=200.0, n_images=40, counts=2000.0)


def test_an_indexed_table_scatters_about_the_truth(tmp_path: Path) -> None:
    made = simulate(OPTIONS, tmp_path)
    table = read_reflections(tmp_path / "indexed.refl")
    (experiment,) = read_experiments(tmp_path / "indexed.expt")
    assert experiment.crystal is not None and (table["id"] == 0).all()
    assert table.flagged(Flag.STRONG | Flag.INDEXED).all()
    keys = [
        tuple(row)
        for row in np.column_stack([made.reflections["miller_index"], made.reflections["entering"]])
    ]
    where = {key: k for k, key in enumerate(keys)}
    rows = [where[tuple(row)] for row in np.column_stack([table["miller_index"], table["entering"]])]
    true = made.reflections.take(np.array(rows))
    pull = (table["xyzobs.px.value"] - true["xyzcal.px"]) / np.sqrt(table["xyzobs.px.variance"])
    # Those that the ends of the sweep cut in two have their centroid inside.
    inside = (true["xyzcal.px"][:, 2] > 4) & (true["xyzcal.px"][:, 2] < 36) & (np.abs(true["zeta"]) > 0.3)
    gross = np.abs(pull).max(axis=1) > 6
    assert 0.01 < gross[inside].mean() < 0.04
    good = pull[inside & ~gross]
    assert np.abs(good.mean(axis=0)).max() < 4.5 / np.sqrt(len(good))
    np.testing.assert_allclose(good.std(axis=0), 1.0, atol=0.06)


@pytest.mark.parametrize("sigma", [0.02, 0.2, 0.3, 0.5])
def test_the_error_of_binning_is_that_of_binned_gaussians(sigma: float) -> None:
    z = np.linspace(0.0, 1.0, 2000, endpoint=False)
    bins = np.arange(-6, 8)
    share = np.diff(ndtr((bins[None, :] - z[:, None]) / sigma), axis=1)
    centroid = share @ (bins[:-1] + 0.5)
    assert binning_variance(np.array([sigma]))[0] == pytest.approx(np.var(centroid - z), rel=0.02)


def test_millimetres_are_those_of_the_nominal_detector(tmp_path: Path) -> None:
    made = simulate(replace(OPTIONS, n_images=4), tmp_path)
    table = read_reflections(tmp_path / "indexed.refl")
    arrays = PanelArrays.of(made.nominal.detector)
    expected = to_mm(table["xyzobs.px.value"][:, :2], table["panel"].astype(int), arrays)
    np.testing.assert_allclose(table["xyzobs.mm.value"][:, :2], expected, atol=1e-12)


def test_a_strong_table_keeps_no_secret(tmp_path: Path) -> None:
    made = simulate(replace(OPTIONS, output="strong", outliers=0.1), tmp_path)
    table = read_reflections(tmp_path / "strong.refl")
    (experiment,) = read_experiments(tmp_path / "strong.expt")
    assert experiment.crystal is None
    assert (table["miller_index"] == 0).all() and (table["id"] == -1).all()
    assert not {"entering", "s1", "d", "zeta"} & set(table)
    assert np.all(np.diff(table["xyzobs.px.value"][:, 2]) >= 0)
    assert made.images == () and len(made.tables) == 2


def test_a_sweep_too_faint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No spot stands out"):
        simulate(replace(OPTIONS, n_images=2, counts=0.01), tmp_path)


@pytest.mark.dials
def test_dials_refines_a_simulated_table(dials: str, tmp_path: Path) -> None:
    simulate(replace(OPTIONS, layout="PILATUS 300K", counts=20000.0, n_images=10), tmp_path)
    run = subprocess.run(
        [f"{dials}/dials.refine", "indexed.expt", "indexed.refl", "detector.hierarchy_level=0"],
        check=False, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "RMSDs by experiment" in run.stdout
