"""What is shown and drawn of crystals that vary over their scans."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.reporting.over_scan import over_scan, over_scan_section
from smalti.steps.showing import describe
from smalti.testing import synthetic

IMAGES = 200


@pytest.fixture(scope="module")
def experiment():
    crystal = synthetic.crystal()
    varying = synthetic.drifting(crystal, IMAGES, turn=(0.0, 3e-3, 4e-3), growth=0.01)
    return synthetic.experiment(synthetic.detector("PILATUS 300K", 150.0), varying, n_images=IMAGES)


def test_show_tells_how_far_it_goes(experiment):
    told = describe(Experiments((experiment,)), None)
    (facts,) = told.summary()["experiments"]["crystal"]
    a = synthetic.THAUMATIN[0]
    assert facts["scan_points"] == IMAGES + 1
    assert facts["cell_least"][0] == pytest.approx(a) and facts["cell_greatest"][0] == pytest.approx(1.01 * a)
    assert facts["turn_mrad"] == pytest.approx(5.0, abs=1e-5)
    text = told.text()
    assert "axes 57.834 to 58.412, 57.834 to 58.412, 150.022 to 151.522 A" in text
    assert "turns by up to 5.000 mrad" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_report_has_it_against_angle(experiment):
    still = replace(experiment, crystal=replace(experiment.crystal, scan_points=()))
    (found,) = over_scan(Experiments((still, experiment)))
    assert found["experiment"] == 1
    assert found["angle_deg"][0] == 0.0 and found["angle_deg"][-1] == pytest.approx(0.35 * IMAGES)
    share = np.array(found["angle_deg"]) / (0.35 * IMAGES)
    cell = np.array(found["cell"])
    np.testing.assert_allclose(cell[:, 0], synthetic.THAUMATIN[0] * (1.0 + 0.01 * share), rtol=1e-5)
    np.testing.assert_allclose(np.array(found["turn_mrad"])[-1], [0.0, 3.0, 4.0], atol=1e-3)
    drawn = over_scan_section({"over_scan": [found]})
    assert drawn.count("<svg") == 2  # axes and turns: the angles stay
    assert "a, b, c" in drawn
    assert over_scan_section({"over_scan": over_scan(Experiments((still,)))}) == ""
