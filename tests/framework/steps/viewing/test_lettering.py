"""Words on pictures that are drawn without a browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.viewing import ViewOptions, render
from smalti.steps.viewing.colours import INKS, word_ink
from smalti.steps.viewing.drawing import letter_size
from smalti.steps.viewing.legend import PAPER, scale_bar
from smalti.steps.viewing.lettering import HEIGHT, width_of, write

from .film import session

INK, RIM = (10, 20, 30), (250, 0, 0)


def paper(height=30, width=60):
    return np.full((height, width, 3), 255, np.uint8)


def inked(rgb, ink=INK):
    return np.all(rgb == ink, axis=2)


def test_an_l_is_a_stem_and_a_foot():
    rgb = paper()
    write(rgb, "L", (4, 3), INK)
    dots = inked(rgb)
    assert dots[3:10, 4].all() and dots[9, 4:9].all() and dots.sum() == 11


def test_all_letters_differ_and_are_drawn_to_size():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:-–+/_#()[]=%'°×Åφ?"
    seen = set()
    for letter in letters:
        small, large = paper(), paper()
        write(small, letter, (2, 2), INK)
        write(large, letter, (2, 2), INK, 2)
        assert inked(large).sum() == 4 * inked(small).sum() > 0
        assert width_of(letter) == 5 and inked(small)[2 : 2 + HEIGHT, 2:7].sum() == inked(small).sum()
        seen.add(inked(small).tobytes())
    assert len(seen) == len(letters)


def test_a_letter_that_there_is_none_of_is_a_question_mark():
    one, other = paper(), paper()
    write(one, "猫", (0, 0), INK)
    write(other, "?", (0, 0), INK)
    np.testing.assert_array_equal(one, other)


def test_a_rim_goes_round_and_edges_are_no_trouble():
    rgb = paper()
    write(rgb, "I", (10, 10), INK, 1, RIM)
    assert inked(rgb, RIM).sum() > inked(rgb).sum() and inked(rgb, RIM)[9, 11:14].all()
    for at in ((-8, -3), (56, 27), (-500, 4), (4, 500)):
        write(rgb, "some words", at, INK, 2, RIM)


@pytest.mark.parametrize(
    ("px_per_mm", "longest", "px", "name"),
    [(2.0, 100.0, 100.0, "50 mm"), (2.0, 99.0, 40.0, "20 mm"), (400.0, 50.0, 40.0, "0.1 mm")],
)
def test_the_scale_is_a_round_number(px_per_mm, longest, px, name):
    found, text = scale_bar(px_per_mm, longest)
    assert found == pytest.approx(px) and text == name


def test_words_can_be_read_on_their_ground():
    def light(rgb):
        part = np.array(rgb) / 255.0
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    for name in INKS:
        assert 1.05 / (light(word_ink(name, "light")) + 0.05) > 4.5, name
        assert (light(word_ink(name, "dark")) + 0.05) / 0.05 > 4.5, name


def test_the_legend_is_below_and_can_be_left_away(tmp_path):
    shown = session(tmp_path)
    plain = render(shown, ViewOptions(show="none", width=600, legend=False, sum=2))
    rgb = render(shown, ViewOptions(show="none", width=600, sum=2))
    strip = rgb[len(plain) :]
    np.testing.assert_array_equal(rgb[: len(plain)], plain)
    assert len(strip) == HEIGHT + 8 and np.all(strip[0] == PAPER)
    assert len(np.unique(strip[6, 300:, 0])) > 20  # the bar of colours
    narrow = render(shown, ViewOptions(show="none", width=40))
    assert narrow.shape[1] == 40  # no room is no trouble


@pytest.mark.parametrize("layer", ["names", "resolution"])
def test_layers_are_named_on_the_picture(tmp_path, layer):
    shown = session(tmp_path)
    options = ViewOptions(show=layer, width=600, legend=False)
    ink = word_ink(layer, "light")
    assert letter_size(600) == 1
    assert inked(render(shown, options), ink).sum() > 20
    assert not inked(render(shown, replace(options, show="none")), ink).any()
