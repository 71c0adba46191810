"""No choice of data stops a refinement or leaves a panel behind, whatever parameterisation or judge."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.discovery import discover
from smalti.errors import DataError
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.flat import Flat
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.detectors.in_plane import InPlane
from smalti_plugins.detectors.per_panel import PerPanel

TABLE = "0: all; 3: fixed; 4: Dist+Tau2; others: in_plane"

HELD = {
    "flat": Flat(),
    "level 0": Hierarchical(),
    "level 1": Hierarchical(level=1),
    "level 1, learnt": Hierarchical(level=1, priors="learnt"),
    "in plane": InPlane(),
    "per panel": PerPanel(panels=TABLE),
}

UNHELD = {
    "level 1": Hierarchical(level=1, priors=False),
    "level 1, in plane": Hierarchical(level=1, freedoms="in_plane", priors=False),
    "per panel": PerPanel(panels=TABLE, priors=False),
}

REJECTORS = ("none", "tukey", "mcd", "sauter_poon", "student_t", "tukey_bisquare")

CHOICES = ("corners empty", "one empty", "a dozen on one", "one each but one", "two each")
FEWER = ("corners empty", "all on one", "two each")


@pytest.fixture(scope="module")
def problem():
    """Ten modules, all together half a millimetre off and each by 50 um; 3 % gross outliers."""
    rng = np.random.default_rng(1)
    detector = synthetic.detector("PILATUS 1M", 200.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    off = Flat().compose(detector, np.array([0.2, 0.4, -0.3, 1.0, 0.0, 0.0]))
    truth = replace(nominal, detector=synthetic.displaced(off, rng))
    return synthetic.observations(truth, nominal, rng, d_min=2.0, n=1000, outliers=0.03)


def chosen(table, choice):
    """Rows of a table by a cruel choice."""
    panel = table["panel"].astype(int)
    rank = np.array([np.sum(panel[:k] == panel[k]) for k in range(len(panel))])
    return {
        "corners empty": ~np.isin(panel, (0, 1, 8, 9)),
        "one empty": panel != 4,
        "all on one": panel == 5,
        "a dozen on one": (panel == 5) & (rank < 12),
        "one each but one": (panel == 5) | (rank < 1),
        "two each": rank < 2,
    }[choice]


def starved(problem, choice, component, rejector="mcd"):
    experiments, table = problem
    registry = discover()
    return refine(
        experiments,
        table.where(chosen(table, choice)),
        component,
        registry.make("minimiser", "levenberg_marquardt"),
        registry.make("outlier_rejector", rejector),
        RefineOptions(halves="off", rounds=2, n_threads=1),
    )


def moved_together(refined, experiments):
    """How far each panel's centre moved, (P, 3) mm."""
    before, after = experiments[0].detector, refined.experiments[0].detector
    w, h = before.panels[0].size_mm
    return (after.stacked() - before.stacked()) @ np.array([w / 2, h / 2, 1.0])


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", HELD)
def test_held_by_priors(problem, name, choice):
    refined = starved(problem, choice, HELD[name])
    moves = moved_together(refined, problem[0])
    whole = np.median(moves, axis=0)
    assert np.linalg.norm(whole) < 2.0
    # Nobody is left behind, and nobody runs away: all go with the others but for their tolerances.
    assert np.linalg.norm(moves - whole, axis=1).max() < 0.6
    for row in refined.results["panels"]:
        assert np.isfinite(row["esd_um"]) and row["esd_um"] < 400.0
        own = {p.panels for p in HELD[name].parameters(problem[0][0].detector)}
        if not row["n_used"] and (row["panel"],) in own:
            assert row["prior_share"] > 0.9


@pytest.mark.parametrize("choice", FEWER)
@pytest.mark.parametrize("name", UNHELD)
def test_held_by_nothing(problem, name, choice):
    refined = starved(problem, choice, UNHELD[name])
    moves = moved_together(refined, problem[0])
    away = np.linalg.norm(moves - np.median(moves, axis=0), axis=1)
    for row in refined.results["panels"]:
        assert np.isfinite(row["esd_um"])
        if not row["n_used"]:  # the step lets it follow, within the tolerances of the description
            assert away[row["panel"]] < 0.6


@pytest.mark.parametrize("choice", FEWER)
@pytest.mark.parametrize("rejector", REJECTORS)
def test_with_any_judge(problem, rejector, choice):
    refined = starved(problem, choice, HELD["level 1"], rejector)
    moves = moved_together(refined, problem[0])
    assert np.linalg.norm(moves - np.median(moves, axis=0), axis=1).max() < 0.6


@pytest.mark.parametrize("component", [Hierarchical(level=1), InPlane(), PerPanel()])
def test_an_empty_panel_has_its_tolerance_as_uncertainty(problem, component):
    rows = starved(problem, "one empty", component).results["panels"]
    assert rows[4]["n_used"] == 0
    assert rows[4]["esd_fast_um"] == pytest.approx(100.0, rel=0.2)
    assert max(row["esd_um"] for row in rows if row["n_used"] > 100) < 30.0


def test_a_single_reflection_on_each_panel_is_refused_in_words(problem):
    experiments, table = problem
    panel = table["panel"].astype(int)
    one = np.unique(panel, return_index=True)[1][:9]
    with pytest.raises(DataError, match="9 reflections"):
        refine(
            experiments,
            table.take(np.sort(one)),
            Hierarchical(level=1),
            discover().make("minimiser", "gauss_newton"),
            discover().make("outlier_rejector", "mcd"),
        )
