"""``smalti view`` without a browser: pictures, and mistakes in three lines."""

from __future__ import annotations

import shutil
import struct

import pytest


@pytest.fixture
def imported(smalti, images):
    assert smalti("import", images, "-o", "imported.expt").status == 0
    return smalti


def test_a_picture_is_drawn_into_a_file(imported, tmp_path):
    result = imported(
        "view", "imported.expt", "--png", "view.png", "--frame", "3", "--sum", "4", "--width", "200",
        "--show", "panels,resolution", "view.colours=viridis", "--json",
    )  # fmt: skip
    assert result.status == 0, result.err
    width, height = struct.unpack(">II", (tmp_path / "view.png").read_bytes()[16:24])
    assert width == 200 and 150 < height < 400


def test_images_that_are_gone_hide_no_others(smalti, images, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in sorted(images.glob("*.cbf"))[:4]:
        shutil.copy(path, folder)
    assert smalti("import", folder, "-o", "some.expt").status == 0
    first, second, *others = sorted(folder.glob("*.cbf"))
    first.unlink()
    others[0].write_bytes(others[0].read_bytes()[:3000])
    words = "view", "some.expt", "--width", "100", "--png"
    assert smalti(*words, "second.png", "--frame", "2").status == 0
    smalti(*words, "first.png").refused(3, first.name)
    smalti(*words, "third.png", "--frame", "3").refused(3, others[0].name, "damaged")
    smalti(*words, "sum.png", "--frame", "2", "--sum", "3").refused(3, others[0].name)
    for path in (second, *others):
        path.unlink()
    smalti(*words, "none.png").refused(3, "not there", "Bring the images back")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["nosuch.expt"], 3, "nosuch.expt"),
        ([], 2, "one experiment list"),
        (["imported.expt", "--frame", "9999", "--png", "a.png"], 2, "no such frame"),
        (["imported.expt", "--frame", "0", "--png", "a.png"], 2, "view.frame"),
        (["imported.expt", "--show", "spts", "--png", "a.png"], 2, "no layer 'spts'"),
        (["imported.expt", "--png", "imported.expt"], 2, "overwritten"),
        (["imported.expt", "--mask-file", "mask.txt"], 2, "mask.txt"),
        (["imported.expt", "--port", "x", "--no-browser"], 2, "--port x"),
        (["imported.expt", "--before", "nosuch.expt"], 3, "nosuch.expt"),
        (["IMAGE"], 3, "smalti import"),
    ],
)
def test_mistakes_are_told_in_three_lines(imported, images, words, status, told):
    image = str(sorted(images.glob("*.cbf"))[0])
    result = imported("view", *(image if word == "IMAGE" else word for word in words))
    result.refused(status, told)
