"""Several levels refined together: each geometry is found, whichever nodes share the motion."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Detector, Group
from smalti.models.tolerances import OF_CHILDREN
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

WIDE = {"in_plane_mm": 1.0, "normal_mm": 1.0, "turn_mrad": 5.0, "tilt_mrad": 5.0, "source": "a moved half"}


def halves():
    """Two movable halves of four modules each, and their file says so."""
    flat = synthetic.detector("PILATUS 2M", 200.0)
    groups = tuple(Group(f"half{k}", children=tuple(range(4 * k, 4 * k + 4))) for k in range(2))
    return Detector(flat.panels[:8], replace(flat.root, children=groups, extra={OF_CHILDREN: WIDE}))


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(6)
    nominal = synthetic.experiment(halves(), synthetic.crystal(), n_images=200)
    moved = halves().moved({(1,): (np.eye(3), np.array([0.4, -0.3, 0.1]))})
    truth = replace(nominal, detector=synthetic.displaced(moved, rng, (0.05, 0.05, 0.02), (1e-4,) * 3))
    return truth.detector, *synthetic.observations(truth, nominal, rng, d_min=1.8, n=6000)


def found(problem, component):
    _, experiments, table = problem
    options = RefineOptions(halves="off", free_fraction=0.0, n_threads=1)
    return refine(experiments, table, component, GaussNewton(), NoOutliers(), options)


def across(problem, detector):
    """Distances of panel centres from the truth, across the rays and beyond what is common, (P,) mm."""
    w, h = detector.panels[0].size_mm
    middle = np.array([w / 2, h / 2, 1.0])
    true, mine = problem[0].stacked() @ middle, detector.stacked() @ middle
    off = (mine - true) - np.median(mine - true, axis=0)
    ray = true / np.linalg.norm(true, axis=1)[:, None]
    return np.linalg.norm(off - np.sum(off * ray, axis=1)[:, None] * ray, axis=1)


FORMS = {
    "module": Hierarchical(level="module"),
    "root and modules, wide": Hierarchical(level="0,module", in_plane=1.0, normal=1.0, turn=5.0, tilt=5.0),
    "module, no priors": Hierarchical(level="module", priors=False),
    "one half and modules": Hierarchical(level="half1,module"),
}


@pytest.mark.parametrize("name", FORMS)
def test_modules_are_found_whoever_carries_them(problem, name):
    refined = found(problem, FORMS[name])
    assert across(problem, problem[1][0].detector).max() > 0.3
    left = across(problem, refined.experiments[0].detector)
    many = np.array([row["n_used"] for row in refined.results["panels"]]) > 500
    assert many.sum() >= 4
    assert left[many].max() < 0.012


def test_a_level_between_takes_what_is_common_below_it(problem):
    """The half moved by half a millimetre, its modules by 50 um: each has the part that is its own."""
    rows = found(problem, FORMS["module"]).results["parameters"]
    shift = {row["name"].removeprefix("Detector1"): row["shift"] for row in rows}
    assert abs(shift["Level1Group2Shift1"] - shift["Level1Group1Shift1"]) == pytest.approx(0.4, abs=0.1)
    modules = [value for name, value in shift.items() if name.startswith("Group") and "Shift" in name]
    assert np.abs(modules).max() < 0.2


def test_level_one_alone_leaves_the_modules_where_they_are_on_their_halves(problem):
    refined = found(problem, Hierarchical(level=1))
    before, after = problem[1][0].detector, refined.experiments[0].detector
    assert [panel.origin for panel in after.panels] == [panel.origin for panel in before.panels]
    assert across(problem, after).max() < 0.15


def test_the_prior_is_that_of_the_description_unless_an_option_says_otherwise():
    def widths(**options):
        component = Hierarchical(level="module", **options)
        names = [parameter.name for parameter in component.parameters(halves())]
        return dict(zip(names, component.prior(halves()).precision ** -0.5, strict=True))

    stated = widths()
    assert stated["Level1Group1Shift1"] == pytest.approx(1.0)  # the file's
    assert stated["Group1Shift1"] == pytest.approx(0.1)  # of modules of this make
    assert stated["Level1Group1Tau1"] == pytest.approx(5.0)
    told = widths(in_plane=0.3, turn=0.7)
    assert told["Level1Group1Shift1"] == told["Group1Shift1"] == pytest.approx(0.3)
    assert told["Group3Tau1"] == pytest.approx(0.7)
    assert told["Group3Dist"] == stated["Group3Dist"]
