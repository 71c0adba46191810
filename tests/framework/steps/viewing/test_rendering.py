"""Views drawn without a screen."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.steps.png import png_bytes
from smalti.steps.viewing import ViewOptions, render
from smalti.steps.viewing.colours import INKS, NO_COUNT, SCALES, lookup
from smalti.steps.viewing.strokes import Strokes

from .film import session
from .test_geometry_of_views import spots

PLAIN = ViewOptions(show="none", width=130, low=0.0, high=10.0, legend=False)


def decoded(data):
    """Undo a PNG as written here: one IDAT, unfiltered rows, with or without a palette."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert depth == 8 and not rows[:, 0].any()
    if colour == 3:
        return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[rows[:, 1:]]
    assert colour == 2
    return rows[:, 1:].reshape(height, width, 3)


@pytest.mark.parametrize("colours", [5, 256])
def test_png_files_hold_the_picture(colours):
    rng = np.random.default_rng(2)
    rgb = rng.integers(0, colours, (37, 53, 3)).astype(np.uint8)
    data = png_bytes(rgb)
    np.testing.assert_array_equal(decoded(data), rgb)
    assert (b"PLTE" in data) == (colours == 5)


def test_a_pixel_has_the_colour_of_its_count(tmp_path):
    shown = session(tmp_path)
    rgb = render(shown, PLAIN)
    assert rgb.shape == (91, 130, 3)
    total = shown.scene.stack(shown.scene.shot(0, 1, "sum")).total
    table = lookup("grey", True)
    for y, x in ((10, 10), (20, 30), (60, 80)):
        expected = table[round(min(1.0, total[y, x] / 10.0) * 255)]
        np.testing.assert_array_equal(rgb[y, x], expected)
    for name, (y, x) in {"gap": (10, 65), "masked": (0, 3), "missing": (5, 6), "over": (70, 100)}.items():
        np.testing.assert_array_equal(rgb[y, x], NO_COUNT["light"][name])


def test_zoom_and_centre_choose_the_part(tmp_path):
    whole = render(session(tmp_path), PLAIN)
    part = render(session(tmp_path), replace(PLAIN, zoom=4.0, centre=(31.0, 21.0), width=40, height=40))
    np.testing.assert_array_equal(part[::4, ::4], whole[16:26, 26:36])


def test_scales_order_the_greys(tmp_path):
    shown = session(tmp_path)
    grey = {
        scale: int(render(shown, replace(PLAIN, scale=scale, high=100.0, invert=False))[20, 30, 0])
        for scale in ("linear", "sqrt", "log")
    }
    assert grey["linear"] < grey["sqrt"] < grey["log"]


def test_the_laboratory_and_layers_are_drawn(tmp_path):
    shown = session(tmp_path, spots())
    bare = render(shown, replace(PLAIN, width=520))
    for name in ("indexed", "panels", "resolution", "arrows", "threshold"):
        drawn = render(shown, replace(PLAIN, width=520, show=name))
        changed = np.any(drawn != bare, axis=2)
        assert 20 < changed.sum() < bare.shape[0] * bare.shape[1] / 4, name
        assert (np.abs(drawn[changed].astype(int) - np.array(INKS[name])).max(axis=1) < 75).any(), name
    lab = render(shown, replace(PLAIN, place="lab"))
    np.testing.assert_array_equal(lab[5:35, 5:55], render(shown, PLAIN)[5:35, 5:55])
    np.testing.assert_array_equal(lab[45, 20], NO_COUNT["light"]["nothing"])
    with pytest.raises(UsageError, match="no layer 'spts'"):
        render(shown, replace(PLAIN, show="spts"))


def test_a_line_covers_the_pixels_it_passes():
    strokes = Strokes((20, 30))
    strokes.polyline(np.array([[2.5, 10.5], [27.5, 10.5]]))
    rgb = np.zeros((20, 30, 3), dtype=np.uint8)
    strokes.onto(rgb, (200, 100, 50))
    assert (rgb[10, 2:28] == (200, 100, 50)).all() and not rgb[[8, 12]].any() and not rgb[10, [0, 29]].any()


def test_lightness_rises_along_every_scale():
    for name in SCALES:
        light = lookup(name, False).astype(float) @ (0.299, 0.587, 0.114)
        assert (np.diff(light) > -0.6).all() and light[-1] - light[0] > 150, name
