"""The flat detector, against DIALS 3.12 and against the root of the hierarchical one."""

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.models import Detector
from smalti.testing import synthetic
from smalti_plugins.detectors.flat import Flat
from smalti_plugins.detectors.hierarchical import Hierarchical

# Three PILATUS modules, displaced by millimetres and turned by hundredths of a radian, before and after
# DIALS 3.12 added P to the parameters of its DetectorParameterisationMultiPanel, whose frame was that of
# panel 2 (its centre is nearest to the beam along -z). Rows fast, slow, origin (mm).
P = np.array([0.7, -0.5, 0.9, 4.0, -3.0, 6.0])
BEFORE = np.array(
    [
        [
            [0.9588946169, 0.0345485518, -0.2816514003],
            [0.0155073211, -0.9974574418, -0.0695569892],
            [-82.5098396278, 66.5584061124, -124.2724940206],
        ],
        [
            [0.9577631815, 0.0992240814, -0.2698967763],
            [0.0780432630, -0.9930466187, -0.0881343415],
            [-82.6774880540, 25.7231137857, -129.3516704951],
        ],
        [
            [0.9600005283, 0.0963180964, -0.2629102698],
            [0.0706507892, -0.9919154221, -0.1054147118],
            [-79.0851319433, -8.2109282968, -132.5883265661],
        ],
    ]
).transpose(0, 2, 1)
AFTER = np.array(
    [
        [
            [0.9606630679, 0.0300201942, -0.2760892211],
            [0.0122245180, -0.9977478385, -0.0659531033],
            [-83.0212031738, 65.8948128520, -125.3492918111],
        ],
        [
            [0.9597016974, 0.0947406713, -0.2645691919],
            [0.0748850163, -0.9936331082, -0.0841752974],
            [-83.3100452983, 25.0426841801, -130.2856256999],
        ],
        [
            [0.9618869575, 0.0918512273, -0.2575593776],
            [0.0675989930, -0.9925359016, -0.1015030056],
            [-79.8243052497, -8.9156033712, -133.3815100485],
        ],
    ]
).transpose(0, 2, 1)


@pytest.fixture
def three():
    flat = synthetic.detector("PILATUS 300K")
    return Detector.flat(flat.panels).with_panel_frames(BEFORE)


def test_the_flat_detector_of_dials(three):
    after = Flat(frame_panel=2).compose(three, P).stacked()
    np.testing.assert_allclose(after, AFTER, atol=1e-8)


def test_panels_keep_their_places_in_the_frame(three):
    before, after = three.stacked(), Flat().compose(three, P).stacked()

    def basis(d):
        return np.column_stack([d[:, 0], d[:, 1], np.cross(d[:, 0], d[:, 1])])

    for k in (1, 2):
        was = basis(before[0]).T @ (before[k, :, 2] - before[0, :, 2])
        np.testing.assert_allclose(basis(after[0]).T @ (after[k, :, 2] - after[0, :, 2]), was, atol=1e-9)


def test_tilts_leave_the_foot_where_it_is():
    detector = synthetic.detector("PILATUS 300K", 150.0, beam_centre=(100.0, 200.0))
    foot = np.array([0.0, 0.0, -150.0])
    for tilt in (4, 5):
        p = np.zeros(6)
        p[tilt] = 10.0
        d = Flat().compose(detector, p).stacked()[0]
        normal = np.cross(d[:, 0], d[:, 1])
        assert normal @ (foot - d[:, 2]) == pytest.approx(0.0, abs=1e-9)


def test_the_same_six_directions_as_the_root(three):
    def slopes(component):
        values = component.derivatives(three, np.zeros(6)).values
        return values.transpose(1, 0, 2, 3).reshape(6, -1)

    both = np.concatenate([slopes(Flat()), slopes(Hierarchical(level=0))])
    assert np.linalg.matrix_rank(both, tol=1e-9) == 6


def test_a_frame_that_is_not_there(three):
    with pytest.raises(UsageError, match="no panel 3") as caught:
        Flat(frame_panel=3).parameters(three)
    assert "from 0 to 2" in caught.value.fix
