"""How exactly the parts of a detector are mounted."""

from dataclasses import replace

import pytest

from smalti.errors import DataError
from smalti.models import Detector, Experiments, Group, Tolerances, tolerances
from smalti.models.tolerances import OF_CHILDREN, OWN
from smalti.storage import read_experiments, write_experiments
from smalti.testing import synthetic
from smalti.units import MRAD


def test_modules_of_a_known_make():
    found = tolerances(synthetic.detector("PILATUS 1M"))
    assert len(found) == 10
    assert {item.in_plane for item in found.values()} == {0.1}
    assert all("tutorial" in item.source for item in found.values())
    assert tolerances(synthetic.detector("EIGER 4M"))[0,] == found[0,]


def test_what_is_not_known_is_said_to_be_assumed():
    found = tolerances(synthetic.detector("PILATUS 1M", modules=False))
    assert found[0,].source.startswith("assumed")


def cspad():
    """A quadrant of two sensors, and a sensor by itself; two tiles on each."""
    tile = replace(
        synthetic.detector("PILATUS 100K").panels[0], image_size=(194, 185), pixel_size=(0.10992,) * 2
    )
    sensors = tuple(Group(f"S{k}", children=(2 * k, 2 * k + 1)) for k in range(3))
    return Detector((tile,) * 6, Group("CS-PAD", children=(Group("Q0", children=sensors[:2]), sensors[2])))


def test_tiles_of_a_sensor_hold_together_and_quadrants_do_not():
    found = tolerances(cspad())
    tile, sensor, quadrant = found[0, 0, 1], found[0, 0], found[0,]
    assert tile.in_plane < 0.1 * sensor.in_plane < 0.1 * quadrant.in_plane
    assert found[1,] == sensor and found[1, 0] == tile
    # Without its tree a tile is not known to share its sensor with another.
    assert tolerances(Detector.flat(cspad().panels))[0,] == sensor


def test_what_the_file_says_comes_first():
    detector = synthetic.detector("PILATUS 1M")
    survey = Tolerances(0.03, 0.02, 0.2 * MRAD, 0.1 * MRAD, "survey of 2026")
    panels = list(detector.panels)
    panels[4] = replace(panels[4], extra={OWN: {"in_plane_mm": 0.5, "turn_mrad": 8}})
    root = replace(detector.root, extra={OF_CHILDREN: survey.as_stated()})
    found = tolerances(replace(detector, panels=tuple(panels), root=root))
    assert found[3,] == survey
    assert found[4,] == Tolerances(0.5, 0.02, pytest.approx(8 * MRAD), 0.1 * MRAD, "stated in the file")


def test_files_carry_them(tmp_path):
    detector = synthetic.detector("PILATUS 1M")
    said = {"in_plane_mm": 0.07, "source": "drawing 17"}
    detector = replace(detector, root=replace(detector.root, extra={OF_CHILDREN: said}))
    path = tmp_path / "a.expt"
    write_experiments(path, Experiments((synthetic.experiment(detector),)))
    again = tolerances(read_experiments(path)[0].detector)
    assert again[0,].in_plane == 0.07 and again[0,].source == "drawing 17"


@pytest.mark.parametrize(
    "said",
    [
        {"in_plane_mm": 0},
        {"in_plane_mm": -1.0},
        {"turn_mrad": "2"},
        {"tilt_mrad": True},
        {"inplane": 1.0},
        {"normal_mm": float("nan")},
        {"normal_mm": float("inf")},
        0.1,
    ],
)
def test_nonsense_is_refused_with_the_cure(said):
    detector = synthetic.detector("PILATUS 1M")
    detector = replace(detector, root=replace(detector.root, extra={OF_CHILDREN: said}))
    with pytest.raises(DataError, match="tolerances of 'Detector'") as caught:
        tolerances(detector)
    assert "in_plane_mm, normal_mm, turn_mrad, tilt_mrad" in caught.value.fix


def test_a_group_without_panels_does_no_harm():
    detector = synthetic.detector("PILATUS 1M")
    root = replace(detector.root, children=(*detector.root.children, Group("spare")))
    assert len(tolerances(replace(detector, root=root))) == 11
