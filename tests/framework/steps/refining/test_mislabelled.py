"""Spots with the index of a neighbour are found; judging costs little, and leaves little bias."""

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.tables import Flag
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.sauter_poon import SauterPoon
from smalti_plugins.outliers.student_t import StudentT
from smalti_plugins.outliers.tukey import Tukey
from smalti_plugins.outliers.tukey_bisquare import TukeyBisquare

from .made_noise import made, spoilt

ALONE = RefineOptions(halves="off", free_fraction=0.0)
SOFT = (SauterPoon(), StudentT(), TukeyBisquare())
HARD = (Tukey(), MinimumCovarianceDeterminant())


def refined(problem, table, rejector, level=1):
    return refine(problem.experiments, table, Hierarchical(level=level), GaussNewton(), rejector, ALONE)


def shifts(found):
    """Shifts of all parameters and their ESDs."""
    rows = found.results["parameters"]
    return np.array([row["shift"] for row in rows]), np.array([row["esd"] for row in rows])


@pytest.fixture(scope="module")
def problem():
    return made(7, 4000, "PILATUS 300K", 120.0)


@pytest.mark.parametrize("rejector", [*SOFT, *HARD], ids=lambda r: r.name)
def test_wrong_indices_are_found_and_named(problem, rejector):
    table, off, wrong = spoilt(problem, 1)
    found = refined(problem, table, rejector)
    told = found.results["rejected"]
    marked = found.reflections["mislabelled"]
    outlier = found.reflections.flagged(Flag.CENTROID_OUTLIER)
    assert marked.sum() == told["n_mislabelled"]
    if rejector in HARD:
        assert not (marked & ~outlier).any()
    judged = outlier | found.reflections.flagged(Flag.USED_IN_REFINEMENT)
    assert marked[wrong & judged].mean() > 0.95
    assert (marked & ~wrong).sum() <= 3 + 3 * told["n_mislabelled_by_chance"]
    # Half of them were given the step (0 0 1): their true index is one less.
    assert told["offsets"][0]["offset"] == [0, 0, -1]
    assert told["offsets"][0]["n"] == pytest.approx(0.5 * told["n_mislabelled"], rel=0.25)
    assert "carry the index of a neighbour ((0 0 -1)" in " ".join(found.text().split())


def test_nothing_is_mislabelled_where_all_is_right(problem):
    found = refined(problem, problem.table, SauterPoon())
    assert found.results["rejected"]["n_mislabelled"] == 0
    assert "mislabelled" not in found.reflections and "neighbour" not in found.text()
    told = found.results["rejected"]
    assert told["fraction"] < 0.02 and told["expected_of_good"] < 0.02


def test_marks_of_an_earlier_refinement_do_not_stay(problem):
    marked = problem.table.with_columns({"mislabelled": np.ones(problem.table.n_rows, dtype=bool)})
    assert not refined(problem, marked, SauterPoon()).reflections["mislabelled"].any()


def test_strata_tell_where_outliers_are(problem):
    table, off, _ = spoilt(problem, 2, gross=0.0, wrong=0.0)
    px = np.array(table["xyzobs.mm.value"])
    bad = (table["panel"] == 1) & (np.arange(table.n_rows) % 3 == 0)
    px[bad, :2] += 1.5
    pixels = np.array(table["xyzobs.px.value"])
    pixels[bad, :2] += 1.5 / 0.172
    found = refined(
        problem, table.with_columns({"xyzobs.mm.value": px, "xyzobs.px.value": pixels}), SauterPoon()
    )
    rows = found.results["rejected"]["strata"]
    assert sum(row["n"] for row in rows) == found.results["n_used"] + found.results["n_rejected"]
    assert sum(row["n_rejected"] for row in rows) == found.results["n_rejected"]
    assert all(row["phi_deg"][0] <= row["phi_deg"][1] for row in rows)
    part = {
        panel: np.mean([row["n_rejected"] / row["n"] for row in rows if row["panel"] == panel])
        for panel in (0, 1, 2)
    }
    assert part[1] == pytest.approx(1.0 / 3.0, abs=0.04) and max(part[0], part[2]) < 0.03
    assert "Most on panel 1 (3" in " ".join(found.text().split())


@pytest.fixture(scope="module")
def clean():
    """Two data sets, and what plain least squares makes of them."""
    problems = [made(20 + seed, 3000, "PILATUS 300K", 120.0) for seed in range(2)]
    return [(item, *shifts(refined(item, item.table, NoOutliers()))) for item in problems]


@pytest.fixture(scope="module")
def dirty():
    """Three spoilt data sets, and what plain least squares makes of the good reflections."""
    found = []
    for seed in range(3):
        problem = made(30 + seed, 3000, "PILATUS 300K", 120.0)
        table, off, wrong = spoilt(problem, seed)
        honest = shifts(refined(problem, table.where(~off & ~wrong), NoOutliers()))
        found.append((problem, table, *honest))
    return found


@pytest.mark.parametrize("rejector", SOFT, ids=lambda r: r.name)
def test_clean_data_lose_next_to_nothing(clean, rejector):
    """Where plain least squares is efficient, what an estimate differs by from it is what it has lost."""
    lost = [
        np.mean(((shifts(refined(problem, problem.table, rejector))[0] - plain) / esd) ** 2)
        for problem, plain, esd in clean
    ]
    assert 1.0 / (1.0 + np.mean(lost)) > 0.95


@pytest.mark.parametrize("rejector", [*SOFT, Tukey()], ids=lambda r: r.name)
def test_bias_of_spoilt_data_is_small(dirty, rejector):
    """10 % gross errors, all to one side, and 3 % wrong indices, against a fit of the others alone."""
    apart = [
        (shifts(refined(problem, table, rejector))[0] - honest) / esd for problem, table, honest, esd in dirty
    ]
    mean = np.mean(apart, axis=0)
    chance = np.var(apart, axis=0, ddof=1).mean() / len(apart)
    assert np.sqrt(max(np.mean(mean**2) - chance, 0.0)) < 0.2
    if rejector.name == "sauter_poon":
        assert np.sqrt(np.mean(mean**2)) < 0.1


def test_without_a_judge_they_would_spoil_everything(problem):
    table, off, wrong = spoilt(problem, 5)
    honest, esd = shifts(refined(problem, table.where(~off & ~wrong), NoOutliers()))
    plain, _ = shifts(refined(problem, table, NoOutliers()))
    assert np.sqrt(np.mean(((plain - honest) / esd) ** 2)) > 3.0
