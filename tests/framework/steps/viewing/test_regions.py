"""Regions drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import InputError, UsageError
from smalti.models import ImageSet
from smalti.steps.masking import frame_mask, masked_by
from smalti.steps.viewing.masks import Shape, mask_of, read_shapes, shape_from, write_mask
from smalti.steps.viewing.placing import image_layout, laboratory_layout

from .film import SIZE, FakeSeries, detector, experiment

LAYOUTS = {
    "image": image_layout(detector(), SIZE),
    "lab": laboratory_layout(detector(0.5), experiment().beam),
}


def covered(*shapes):
    return ~mask_of(shapes, LAYOUTS, SIZE)


def test_a_rectangle_reaches_over_panels():
    bad = covered(Shape("rectangle", "image", ((50.0, 30.0), (80.0, 60.0))))
    expected = np.zeros_like(bad)
    expected[30:60, 50:80] = True
    on_panel = np.zeros_like(bad)
    for panel in detector().panels:
        (x, y), (w, h) = panel.window, panel.image_size
        on_panel[y : y + h, x : x + w] = True
    np.testing.assert_array_equal(bad, expected & on_panel)


def test_a_circle_covers_its_area():
    bad = covered(Shape("circle", "image", ((30.0, 20.0), (40.0, 20.0))))
    assert bad.sum() == pytest.approx(np.pi * 100.0, rel=0.02) and bad[20, 30] and not bad[20, 41]


def test_a_polygon_with_a_notch():
    corners = ((10.0, 5.0), (30.0, 5.0), (30.0, 25.0), (20.0, 15.0), (10.0, 25.0))
    bad = covered(Shape("polygon", "image", corners))
    assert bad[6, 20] and bad[22, 11] and not bad[22, 20] and bad.sum() == pytest.approx(300.0, rel=0.03)


def test_a_shape_drawn_in_the_laboratory_follows_the_panels():
    """The last panel is 5 px farther along fast there than on the raw image."""
    bad = covered(Shape("rectangle", "lab", ((85.0, 60.0), (95.0, 70.0))))
    rows, columns = np.nonzero(bad)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (80, 89, 60, 69)


def test_masks_are_saved_and_taken_by_finding(tmp_path):
    shapes = (
        Shape("rectangle", "image", ((5.0, 5.0), (9.0, 8.0))),
        Shape("polygon", "lab", ((0.25, 0.0), (10.0, 0.0), (5.0, 8.0))),
    )
    mask = mask_of(shapes, LAYOUTS, SIZE)
    path, told = write_mask(tmp_path / "mine.npy", mask, shapes)
    assert read_shapes(path) == shapes and told.name == "mine.toml"
    item = replace(experiment(), imageset=ImageSet("/data/film_####.cbf", mask=str(path)))
    good = frame_mask(item, FakeSeries(6))
    np.testing.assert_array_equal(good, frame_mask(experiment(), FakeSeries(6)) & mask)
    np.testing.assert_array_equal(good, masked_by(frame_mask(experiment(), FakeSeries(6)), path))


def test_what_is_no_region_is_refused(tmp_path):
    for item in (
        None,
        {"kind": "star", "place": "image", "points": [[0, 0], [1, 1]]},
        {"kind": "polygon", "place": "image", "points": [[0, 0], [1, 1]]},
        {"kind": "circle", "place": "image", "points": [[0, 0], [float("nan"), 1]]},
        {"kind": "circle", "place": "moon", "points": [[0, 0], [1, 1]]},
        {"kind": "circle", "place": "lab", "points": [[0, 0, 0], [1, 1, 1]]},
    ):
        with pytest.raises(UsageError, match="region"):
            shape_from(item)
    (tmp_path / "mask.toml").write_text("[[region]]\nkind = 3\n")
    with pytest.raises(InputError, match="does not hold regions"):
        read_shapes(tmp_path / "mask.npy")
    assert read_shapes(tmp_path / "none.npy") == ()
