"""Choosing how much of the detector moves."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.geometry.superposition import panel_motions
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


def problem(seed, shift, angle=0.0, n=1500, name="PILATUS 300K"):
    """A detector of three modules, each out by ``shift`` mm and ``angle`` rad."""
    rng = np.random.default_rng(seed)
    detector = synthetic.detector(name, 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=60)
    moved = synthetic.displaced(detector, rng, (shift, shift, 0.5 * shift), (angle, angle, angle))
    return synthetic.observations(replace(nominal, detector=moved), nominal, rng, d_min=2.0, n=n)


def run(experiments, table, component=None, **options):
    settings = RefineOptions(**{"halves": "off"} | options)
    component = component or Hierarchical(level="auto")
    return refine(experiments, table, component, GaussNewton(), NoOutliers(), settings)


@pytest.mark.parametrize("priors", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_flat_detector_is_left_whole(seed, priors):
    """Also without priors that would keep panels in place. Forty runs are in the benchmarks."""
    component = Hierarchical(level="auto", priors=priors)
    choice = run(*problem(seed, 1e-6), component, rounds=1).results["level_choice"]
    assert choice["chosen"] == "level 0"


@pytest.mark.parametrize("seed", range(3))
def test_displaced_panels_are_set_free(seed):
    refined = run(*problem(seed, 0.05, 1e-4))
    choice = refined.results["level_choice"]
    assert choice["chosen"].startswith("level 1")
    rows = {row["name"]: row for row in choice["candidates"]}
    assert rows[choice["chosen"]]["free_rmsd_x_mm"] < 0.8 * rows["level 0"]["free_rmsd_x_mm"]
    assert [row["chosen"] for row in choice["candidates"]].count(True) == 1


def test_tilts_are_freed_where_they_are_seen():
    """Four hundredths of a radian is no tolerance: in the plane alone these panels cannot be placed."""
    component = Hierarchical(level="auto", priors=False)
    refined = run(*problem(3, 0.3, 4e-3, n=3000), component)
    assert refined.results["level_choice"]["chosen"] == "level 1"
    assert refined.results["n_parameters"] > 20


@pytest.mark.parametrize("seed", range(3))
def test_freedoms_that_tolerances_hold_are_not_forbidden(seed):
    """Panels out by what their tolerances allow: in the plane alone their places would look far too sure."""
    rng = np.random.default_rng(seed)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=60)
    moved = synthetic.displaced(detector, rng, (0.06, 0.06, 0.03), (1.5e-4, 1.5e-4, 5e-4))
    truth = replace(nominal, detector=moved)
    refined = run(*synthetic.observations(truth, nominal, rng, d_min=2.2, n=6000))
    assert refined.results["level_choice"]["chosen"] == "level 1"
    size = np.array([panel.size_mm for panel in detector.panels])
    off = panel_motions(refined.experiments[0].detector.stacked(), moved.stacked(), size).shift
    esd = np.sqrt(np.einsum("pii->pi", refined.panel_covariance[0][:, :3, :3]))
    assert np.sqrt(np.mean((off / esd) ** 2)) < 1.5


def test_the_result_is_that_of_the_level_chosen():
    experiments, table = problem(1, 0.05, 1e-4)
    component = Hierarchical(level="auto", priors=False)
    auto = run(experiments, table, component)
    words = auto.results["level_choice"]["chosen"]
    freedoms = "in_plane" if "plane" in words else "all"
    again = run(experiments, table, Hierarchical(level=1, freedoms=freedoms, priors=component.priors))
    assert auto.results["parameters"] == again.results["parameters"]
    np.testing.assert_array_equal(auto.reflections["free"], again.reflections["free"])
    assert again.results["level_choice"] is None


def test_it_says_why_in_words_and_numbers():
    refined = run(*problem(2, 0.05, 1e-4), Hierarchical(level="auto", priors=False))
    choice = json.loads(json.dumps(refined.results["level_choice"], allow_nan=False))
    keys = {
        "name", "n_parameters", "effective_parameters", "rmsd_x_mm", "free_rmsd_x_mm", "free_deviance",
        "evidence", "n_used", "n_free", "chosen", "seconds",
    }  # fmt: skip
    assert all(keys <= set(row) for row in choice["candidates"])
    assert [row["name"] for row in choice["candidates"]] == ["level 0", "level 1, in plane", "level 1"]
    first, second = choice["candidates"][:2]
    assert second["gain"] == pytest.approx(first["free_deviance"] - second["free_deviance"])
    assert second["evidence_gain"] == pytest.approx(second["evidence"] - first["evidence"])
    assert second["gain"] > 2.0 * second["gain_esd"]
    assert len(choice["reasons"]) == 2
    assert "level 1, in plane predicts the free reflections better than level 0" in choice["reasons"][0]
    assert "level 1, in plane" in choice["reasons"][1]
    text = refined.text()
    assert "Choice of the level:" in text and f"* {choice['chosen']}" in text


@pytest.mark.parametrize(("shift", "chosen"), [(1e-6, "level 0"), (0.05, "level 1")])
def test_without_a_free_set_the_evidence_decides(shift, chosen):
    refined = run(*problem(5, shift, n=900), free_minimum=5000)
    choice = refined.results["level_choice"]
    assert choice["chosen"].startswith(chosen)
    assert all("No reflections are held out" in reason for reason in choice["reasons"])
    assert choice["candidates"][0]["free_rmsd_x_mm"] is None
    assert "-" in refined.text()


def test_a_single_panel_has_nothing_to_choose_from(block_problem):
    _, experiments, table = block_problem
    refined = run(experiments, table)
    assert refined.results["level_choice"] is None
    assert refined.results["n_parameters"] == run(experiments, table, Hierarchical()).results["n_parameters"]


@dataclass(frozen=True)
class Closed:
    """A parameterisation that offers nothing."""

    name: ClassVar[str] = "closed"
    level: str = "auto"

    def parameters(self, detector): ...
    def compose(self, detector, p): ...
    def derivatives(self, detector, p): ...
    def prior(self, detector): ...
    def gauge(self, detector): ...


def test_a_parameterisation_that_offers_nothing_is_named(block_problem):
    _, experiments, table = block_problem
    with pytest.raises(UsageError, match="The level cannot be chosen with 'closed'") as caught:
        run(experiments, table, Closed())
    assert "Give a level" in caught.value.fix
