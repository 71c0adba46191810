"""From frames to stacks, levels and contrast."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import InputError, UsageError
from smalti.steps.viewing.contrast import judge
from smalti.steps.viewing.counts import ground_of, load
from smalti.steps.viewing.pyramid import Code, coded_level, level_shape, overview_level, tile
from smalti.steps.viewing.scene import Scene, Shot, packed
from smalti.steps.viewing.stacking import shifted, stacked

from .film import FakeSeries, counts, gallery


@pytest.fixture
def roll():
    return gallery().rolls[0]


def test_a_frame_knows_its_pixels_without_counts(roll):
    ground = ground_of(roll)
    frame = load(roll, 0, ground)
    assert (91 * 130 - ground.usable.sum(), ground.masked.tolist()) == (len(ground.gaps) + 8, list(range(8)))
    assert frame.missing.tolist() == [5 * 130 + 6] and frame.over.tolist() == [70 * 130 + 100]
    assert frame.values.dtype == np.uint8
    good = ground.usable.copy()
    good[5, 6] = good[70, 100] = False
    np.testing.assert_array_equal(frame.values[good], counts(0)[good])
    assert not frame.values[~good].any()


def test_stacks_are_sums_and_maxima(roll):
    ground = ground_of(roll)
    frames = [load(roll, k, ground) for k in range(5)]
    raw = np.stack([np.where(ground.usable, counts(k), 0) for k in range(5)])
    raw[:, 5, 6] = raw[:, 70, 100] = 0
    np.testing.assert_array_equal(stacked(frames[:4], "sum").total, raw[:4].sum(axis=0))
    np.testing.assert_array_equal(stacked(frames[:4], "max").total, raw[:4].max(axis=0))
    lost = [(frame.missing, frame.over) for frame in frames[1:]]
    moved = shifted(stacked(frames[:4], "sum"), frames[0], frames[4], lost)
    np.testing.assert_array_equal(moved.total, raw[1:].sum(axis=0))
    assert moved.bound == stacked(frames[1:], "sum").bound >= moved.total.max()
    assert moved.n == 4 and moved.over.tolist() == [70 * 130 + 100]


def test_a_sum_is_wide_enough(roll):
    ground = ground_of(roll)
    frame = load(roll, 0, ground)
    large = replace(frame, values=np.full((91, 130), 2**30, dtype=np.int32), largest=2**30)
    assert int(stacked([large] * 4, "sum").total.max()) == 2**32
    one = stacked([large], "sum")
    assert one.total.dtype == np.int32
    moved = shifted(stacked([large, frame], "sum"), frame, large, [(frame.missing, frame.over)] * 2)
    assert int(moved.total.max()) > 2**31 - 100


@pytest.mark.parametrize("level", [1, 2, 3])
def test_levels_hold_means_and_maxima_of_the_usable_pixels(roll, level):
    ground = ground_of(roll)
    stack = stacked([load(roll, k, ground) for k in range(3)], "mean")
    good = ground.usable.copy()
    good[5, 6] = good[70, 100] = False
    step = 1 << level
    for pool in ("mean", "max"):
        values, divisor = coded_level(stack, ground, level, pool)
        assert values.shape == level_shape((91, 130), level) and values.dtype == np.int16
        lowest = np.iinfo(np.int16).min
        for j in range(values.shape[0]):
            for i in range(values.shape[1]):
                part = np.s_[j * step : (j + 1) * step, i * step : (i + 1) * step]
                inside = stack.total[part][good[part]]
                if j == 70 >> level and i == 100 >> level:
                    assert values[j, i] == lowest + Code.OVER
                elif inside.size == 0:
                    assert values[j, i] < lowest + len(Code)
                else:
                    expected = (inside.mean() if pool == "mean" else inside.max()) / 3.0
                    assert values[j, i] / divisor == pytest.approx(expected, abs=0.51 / divisor)


def test_the_first_level_has_every_count_and_every_code(roll):
    ground = ground_of(roll)
    values, divisor = coded_level(stacked([load(roll, 0, ground)], "sum"), ground, 0, "mean")
    lowest = np.iinfo(np.int16).min
    assert divisor == 1 and values[20, 30] == counts(0)[20, 30]
    places = {Code.GAP: (10, 65), Code.MASKED: (0, 3), Code.MISSING: (5, 6), Code.OVER: (70, 100)}
    assert {code: int(values[place]) - lowest for code, place in places.items()} == {c: c for c in Code}
    assert (values == lowest + Code.GAP).sum() == len(ground.gaps)


def test_large_counts_travel_in_32_bits(roll):
    ground = ground_of(roll)
    stack = stacked([load(roll, 0, ground)], "sum")
    stack = replace(stack, total=stack.total.astype(np.int32))
    stack.total[20, 30] = 100_000
    values, _ = coded_level(stack, ground, 0, "mean")
    assert values.dtype == np.int32 and values[20, 30] == 100_000
    assert values[10, 65] == np.iinfo(np.int32).min


def test_overviews_and_tiles():
    assert [overview_level(shape) for shape in ((195, 487), (1300, 1300), (2527, 2463), (4362, 4148))] == [
        0,
        0,
        1,
        2,
    ]
    values = np.arange(1500 * 1200).reshape(1500, 1200)
    np.testing.assert_array_equal(tile(values, 1, 1), values[1024:, 1024:])


def test_contrast_is_not_moved_by_few_pixels(roll):
    ground = ground_of(roll)
    stack = stacked([load(roll, 0, ground)], "sum")
    before = judge(stack, ground)
    assert before.low == 0.0 and 5.0 <= before.high <= 15.0 and before.median == 2.0
    assert before.mean == pytest.approx(2.0, abs=0.2) and before.over == 1
    stack = replace(stack, total=stack.total.astype(np.int32))
    stack.total[20, 30] = 10**6
    after = judge(stack, ground)
    assert (after.low, after.high) == (before.low, before.high) and after.largest == 1e6


def test_contrast_where_hardly_a_pixel_has_a_photon(roll):
    ground = ground_of(roll)
    stack = stacked([load(roll, 0, ground)], "sum")
    stack.total[:] = 0
    stack.total[::40, ::40] = 1
    limits = judge(stack, ground)
    assert limits.low == 0.0 and limits.high >= 1.0
    ground.usable[:] = False
    assert judge(stack, ground).usable == 0


def test_payloads_are_packed_where_it_pays():
    rng = np.random.default_rng(1)
    weak = packed(rng.poisson(0.3, (300, 400)).astype(np.int16), 1)
    assert weak.packed and np.frombuffer(zlib.decompress(weak.body), "<i2").size == 300 * 400
    noise = packed(rng.integers(-(2**15), 2**15, (300, 400)).astype(np.int16), 4)
    assert not noise.packed and noise.shape == (300, 400) and noise.divisor == 4


def test_a_scene_reads_each_frame_once_and_sums_by_steps():
    found = gallery()
    scene = Scene(found, threads=1)
    series = found.rolls[0].series
    assert isinstance(series, FakeSeries)
    first = scene.stack(scene.shot(0, 4, "sum"))
    mean = scene.stack(scene.shot(0, 4, "mean"))
    assert mean.total is first.total and mean.divisor == 4
    second = scene.stack(scene.shot(1, 4, "sum"))
    np.testing.assert_array_equal(second.total, stacked([scene.frame(k) for k in range(1, 5)], "sum").total)
    assert sorted(series.seen) == [0, 1, 2, 3, 4]
    assert scene.stack(scene.shot(2, 4, "sum")).over.tolist() == [70 * 130 + 100]
    assert scene.shot(4, 10, "sum") == Shot(4, 2, "sum")
    scene.close()


def test_frames_ahead_are_ready_when_they_are_asked_for():
    found = gallery()
    scene = Scene(found, threads=1)
    scene.read_ahead(scene.shot(0, 1, "sum"), "mean", 1, depth=3)
    scene._pool.shutdown(wait=True)
    assert set(found.rolls[0].series.seen) == {1, 2, 3}
    scene.payload(scene.shot(2, 1, "sum"), 0, "mean", None)
    assert found.rolls[0].series.seen.count(2) == 1


def test_frames_have_numbers_through_all_rolls():
    found = gallery()
    assert len(found) == 7 and found.firsts == (0, 6)
    assert found.find(6)[0].number == 1 and found.span(4, 5) == 2
    assert found.search("film_0003.cbf") == 2 == found.search("/data/film_0003.cbf")
    assert found.search("/data/still.cbf", 1) == 6
    assert found.rolls[0].angles(2) == pytest.approx((np.radians(2.0), np.radians(3.0)))
    assert found.rolls[1].angles(0) is None
    with pytest.raises(UsageError, match="no such frame"):
        found.find(7)
    with pytest.raises(InputError, match="not among the images shown"):
        found.search("/etc/passwd")
