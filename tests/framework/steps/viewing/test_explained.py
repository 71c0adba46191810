"""The pictures by which a spot finder judges, as the viewer shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.steps.viewing import ViewOptions, render
from smalti.steps.viewing.contrast import judge
from smalti.steps.viewing.counts import Ground
from smalti.steps.viewing.explained import BAND, Picture, explained, pictures_of
from smalti.steps.viewing.pyramid import Code
from smalti.steps.viewing.stacking import Stack
from smalti_plugins.spots.dispersion import Dispersion
from smalti_plugins.spots.dispersion_extended import DispersionExtended
from smalti_plugins.spots.radial_profile import RadialProfile

from .film import session

NONE = np.zeros(0, np.int32)


def stack_of(counts, good):
    masked = np.flatnonzero(~good).astype(np.int32)
    return Stack(counts, 1, "sum", int(counts.max()), NONE, NONE), Ground(good, NONE, masked)


@pytest.fixture(scope="module")
def frame():
    """Three bands and a bit, with spots, a masked corner and a spot on the seam of two bands."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(1.5, (3 * BAND + 17, 90)).astype(np.int32)
    for y in (40, BAND - 1, 2 * BAND, 700):
        counts[y : y + 3, 50:53] += 40
    good = np.ones(counts.shape, bool)
    good[:9, :11] = False
    return counts, good


@pytest.mark.parametrize(
    "finder", [Dispersion(), DispersionExtended(), DispersionExtended(kernel_size=(5, 2))]
)
def test_bands_give_what_the_whole_frame_gives(frame, finder):
    counts, good = frame
    found = explained(*stack_of(counts, good), finder)
    told = finder.explain(counts, good)
    assert set(told) | {"variance"} == set(found) == set(pictures_of(finder))
    for name, expected in told.items():
        stack = found[name]
        known = good & np.isfinite(expected)
        np.testing.assert_allclose(stack.total[known] / stack.divisor, expected[known], atol=0.0006)
        assert not stack.total[~known].any()
        np.testing.assert_array_equal(stack.missing, np.flatnonzero(good & ~known))
    assert found["strong"].total.any()


def test_the_variance_is_that_of_the_window(frame):
    counts, good = frame
    variance = explained(*stack_of(counts, good), Dispersion())["variance"]
    y, x = 300, 40
    expected = np.var(counts[y - 3 : y + 4, x - 3 : x + 4], ddof=1)
    assert variance.total[y, x] / variance.divisor == pytest.approx(expected, abs=1e-3)


def test_the_contrast_of_a_dispersion_is_that_of_the_background(frame):
    stack, ground = stack_of(*frame)
    contrast = judge(explained(stack, ground, Dispersion())["dispersion"], ground)
    assert 0.3 < contrast.low < 1.0 < contrast.high < 3.0


def test_finders_without_pictures_say_so(frame):
    assert pictures_of(RadialProfile()) == ()
    with pytest.raises(UsageError, match="does not tell how it judges"):
        explained(*stack_of(*frame), RadialProfile())


def test_a_finder_that_breaks_has_no_pictures():
    @dataclass(frozen=True)
    class Broken:
        name = "broken"

        def explain(self, counts, mask):
            raise RuntimeError("no")

    assert pictures_of(Broken()) == ()


def test_a_picture_is_shown_like_counts(tmp_path):
    shown = session(tmp_path)
    scene = shown.scene
    shot = scene.shot(0, 2, "sum", Picture(Dispersion(), "mean"))
    values, divisor = scene.level(shot, 1, "mean")
    lowest = np.iinfo(values.dtype).min
    assert divisor == 4000 and values[10, 32] == lowest + Code.GAP
    assert values[25, 10] / divisor == pytest.approx(4.0, rel=0.3)  # two frames of 2 counts
    options = ViewOptions(show="none", width=130, map="dispersion")
    assert np.any(render(shown, options) != render(shown, replace(options, map="counts")))
    with pytest.raises(UsageError, match="no picture 'dispersio'"):
        render(shown, replace(options, map="dispersio"))
