"""A CS-PAD from its image to a table, at every level of its tree, by the commands."""

import json
from pathlib import Path

import numpy as np
import pytest

from smalti.storage import read_experiments, read_reflections

pytestmark = pytest.mark.data

GAIN = ("--finder", "dispersion", "--set", "dispersion.gain=10")


def ran(result):
    assert result.status == 0, result.err
    return result


def places(table, detector):
    """Where spots are in the laboratory, (N, 3) mm."""
    d = detector.stacked()[table["panel"].astype(int)]
    mm = np.column_stack([table["xyzobs.mm.value"][:, :2], np.ones(table.n_rows)])
    return np.einsum("nij,nj->ni", d, mm)


def test_a_still_of_sixty_four_arrays(smalti, data, tmp_path):
    (image,) = (data / "cspad_lysozyme").glob("*.cbf.gz")
    imported = ran(smalti("import", image, "-o", "imported.expt"))
    assert "Warning" not in imported.err
    shown = ran(smalti("show", "imported.expt")).out
    for line in (
        "0: root AXIS_D0_R",
        "1: 4 groups FS_D0Q0 ... FS_D0Q3",
        "2: 32 groups FS_D0Q0S0 ... FS_D0Q3S7",
    ):
        assert line in shown
    assert "3: 64 panels ARRAY_D0Q0S0A0 ... ARRAY_D0Q3S7A1" in shown
    found = json.loads(ran(smalti("find-spots", "imported.expt", *GAIN, "-o", "strong.refl", "--json")).out)
    assert found["result"]["spots"] == 162
    # The two ASICs of a sensor lie in one plane, and are joined to 32 panels without loss.
    joined = ran(smalti("panels", "imported.expt", "strong.refl", "--panels", "single", "-o", "joined"))
    assert "64      32   0.0" in joined.out
    before, after = read_experiments("imported.expt")[0].detector, read_experiments("joined.expt")[0].detector
    assert [node.name for node in after.nodes(2)] == [node.name for node in before.nodes(2)]
    spots, moved = read_reflections("strong.refl"), read_reflections("joined.refl")
    np.testing.assert_allclose(places(moved, after), places(spots, before), atol=1e-6)


def test_models_of_dials_do_not_say_where_arrays_are(smalti, data):
    """dials.import gives every panel the window (0, 0): the reader of the images is asked instead."""
    (image,) = (data / "cspad_lysozyme").glob("*.cbf.gz")
    ran(smalti("import", image, "-o", "imported.expt"))
    text = json.loads(Path("imported.expt").read_text())
    for panel in text["detector"][0]["panels"]:
        panel["raw_image_offset"] = [0, 0]
    Path("dials.expt").write_text(json.dumps(text))
    for name in ("imported", "dials"):
        ran(smalti("find-spots", f"{name}.expt", *GAIN, "-o", f"{name}.refl"))
    ours, theirs = (read_reflections(f"{name}.refl") for name in ("imported", "dials"))
    for column in ("panel", "bbox", "xyzobs.px.value"):
        np.testing.assert_array_equal(theirs[column], ours[column])


def test_models_that_nobody_can_place_are_refused(smalti, data):
    """Panels of another size than the reader's: all would be read from one array."""
    (image,) = (data / "cspad_lysozyme").glob("*.cbf.gz")
    ran(smalti("import", image, "-o", "imported.expt"))
    text = json.loads(Path("imported.expt").read_text())
    for panel in text["detector"][0]["panels"]:
        panel["raw_image_offset"] = [0, 0]
        panel["image_size"] = [panel["image_size"][0] - 1, panel["image_size"][1]]
    Path("other.expt").write_text(json.dumps(text))
    smalti("find-spots", "other.expt", "-o", "x.refl").refused(3, "lies over another one", "smalti import")
