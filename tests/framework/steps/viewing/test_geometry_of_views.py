"""Layouts, rings, predictions, the cursor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.panels import PanelArrays, to_mm, wave_vectors
from smalti.models import Beam, Crystal
from smalti.steps.viewing.placing import image_layout, laboratory_layout, same_paper
from smalti.steps.viewing.predicted import predictions_on
from smalti.steps.viewing.probing import panel_at, probe
from smalti.steps.viewing.profiles import BINS, histogram, line_profile, radial_bins, radial_profile
from smalti.steps.viewing.rings import ring_lines, ring_resolutions, widest_resolution
from smalti.steps.viewing.scene import Scene
from smalti.steps.viewing.seeing import MOST, Band, band_of
from smalti.steps.viewing.spots import index_spots
from smalti.tables import Flag, Reflections

from .film import DISTANCE, PIXEL, SIZE, detector, experiment, gallery

CUBE = Crystal(((40.0, 0.0, 0.0), (0.0, 40.0, 0.0), (0.0, 0.0, 40.0)))


def resolutions_at(item, panel, px):
    arrays = PanelArrays.of(item.detector)
    index = np.full(len(px), panel)
    q = wave_vectors(to_mm(px, index, arrays), index, arrays, item.beam.wavelength) - item.beam.s0
    return 1.0 / np.linalg.norm(q, axis=1)


def test_the_image_is_drawn_as_it_is():
    layout = image_layout(detector(), SIZE)
    np.testing.assert_allclose(layout.place(np.array([3]), np.array([[2.0, 3.0]])), [[72.0, 54.0]])
    np.testing.assert_allclose(layout.size, SIZE)


def test_the_laboratory_has_every_panel_at_its_place():
    layout = laboratory_layout(detector(), experiment().beam)
    flat = image_layout(detector(), SIZE)
    np.testing.assert_allclose(layout.corners(), flat.corners(), atol=1e-9)
    np.testing.assert_allclose(layout.beam, [65.0, 45.5])
    moved = laboratory_layout(detector(0.2), experiment().beam)
    np.testing.assert_allclose(moved.corners()[3] - layout.corners()[3], [[2.0, 0.0]] * 4, atol=1e-9)


def test_two_geometries_on_one_paper_differ_by_what_moved():
    drawn, other = detector(), detector(0.05)
    a = laboratory_layout(drawn, experiment().beam)
    b = same_paper(drawn, experiment().beam, other)
    np.testing.assert_allclose(b.corners()[:3], a.corners()[:3], atol=1e-9)
    np.testing.assert_allclose(b.corners()[3] - a.corners()[3], [[0.05 / PIXEL, 0.0]] * 4, atol=1e-9)


@pytest.mark.parametrize("kind", ["resolution", "ice", "cell"])
def test_rings_lie_at_their_resolution(kind):
    item = replace(experiment(crystal=CUBE), beam=Beam(wavelength=0.4))
    wanted = ring_resolutions(kind, item, CUBE)
    assert wanted and all(d >= widest_resolution(item) for d, _ in wanted)
    rings = ring_lines(wanted, item)
    assert sum(len(ring.pieces) for ring in rings) > 4
    for ring in rings:
        for panel, px in ring.pieces:
            np.testing.assert_allclose(resolutions_at(item, panel, px), ring.d, rtol=1e-9)


def test_rings_of_a_cell_are_named_by_their_indices():
    names = [name for _, name in ring_resolutions("cell", experiment(crystal=CUBE), CUBE)]
    assert names[0].endswith("40.00 Å") and names[1].endswith("28.28 Å")
    assert ring_resolutions("cell", experiment(), None) == ()


def test_predictions_are_on_the_frames_where_they_cross():
    found = gallery(crystal=CUBE)
    roll = found.rolls[0]
    first, second = (predictions_on(roll, found.experiments, k, k + 3) for k in (0, 3))
    both = predictions_on(roll, found.experiments, 0, 6)
    assert 0 < len(first) < len(both) and len(second)
    keys = [set(map(tuple, p.hkl.tolist())) for p in (first, second, both)]
    assert keys[0] < keys[2] and keys[1] < keys[2] and keys[0] != keys[1]


def test_predictions_reach_as_far_as_spots_were_seen():
    found = gallery(crystal=CUBE)
    index = index_spots(found, [spots()])
    assert index.reach.tolist() == [0.25, 0.0]
    few, more = (predictions_on(found.rolls[0], found.experiments, 2, 3, reach) for reach in (0.0, 1.0))
    wide = predictions_on(found.rolls[0], found.experiments, 1, 4)
    assert len(few) < len(more) <= len(wide)


def test_predictions_of_a_still_are_near_the_ewald_sphere():
    found = gallery(crystal=Crystal(((150.0, 0.0, 0.0), (0.0, 150.0, 0.0), (0.0, 0.0, 150.0))))
    still = predictions_on(found.rolls[1], found.experiments, 0, 1)
    item = found.experiments[1]
    off = []
    for panel, px, hkl in zip(still.panel, still.px, still.hkl, strict=True):
        q = item.crystal.A @ hkl
        off.append(abs(np.linalg.norm(item.beam.s0 + q) - 1.0) / np.linalg.norm(q))
        at = resolutions_at(item, panel, px[None])[0]
        assert at == pytest.approx(1.0 / np.linalg.norm(q), rel=1e-9)
    assert len(off) > 2 and max(off) < np.radians(0.16)


def table(**columns):
    n = len(columns["panel"])
    return Reflections({"id": np.zeros(n, dtype=np.int32), **columns})


def spots():
    return table(
        panel=np.array([0, 0, 3], dtype=np.uint64),
        **{
            "xyzobs.px.value": np.array([[31.0, 21.0, 0.5], [10.0, 10.0, 3.5], [5.0, 5.0, 2.0]]),
            "xyzcal.px": np.array([[31.5, 20.75, 0.5], [0.0, 0.0, 0.0], [5.0, 5.5, 2.0]]),
            "bbox": np.array(
                [[29, 33, 19, 23, 0, 1], [8, 12, 8, 12, 3, 4], [3, 7, 3, 7, 1, 4]], dtype=np.int32
            ),
            "miller_index": np.array([[1, 2, 3], [0, 0, 0], [4, 5, 6]], dtype=np.int32),
            "flags": np.array(
                [
                    Flag.INDEXED | Flag.PREDICTED,
                    Flag.STRONG,
                    Flag.INDEXED | Flag.PREDICTED | Flag.CENTROID_OUTLIER,
                ],
                dtype=np.uint64,
            ),
        },
    )


def test_spots_are_found_by_frame():
    index = index_spots(gallery(), [spots()])
    on = {k: sorted(index.on(0, k, k + 1).kind.tolist()) for k in range(5)}
    assert on == {0: [1], 1: [2], 2: [2], 3: [0, 2], 4: []}
    assert len(index.on(0, 0, 6)) == 3 and len(index.on(1, 0, 1)) == 0
    np.testing.assert_allclose(index.on(0, 0, 1).predicted, [[31.5, 20.75]])
    assert np.isnan(index.on(0, 3, 4).predicted[0 if on[3][0] == 0 else 1]).sum() in (0, 2)


def test_spots_without_an_experiment_go_by_their_image_set():
    stray = spots().with_columns(
        {"id": np.full(3, -1, dtype=np.int32), "imageset_id": np.array([0, 1, 9], np.int32)}
    )
    index = index_spots(gallery(), [stray])
    assert [len(index.on(k, 0, 9)) for k in (0, 1)] == [1, 1]
    assert len(index_spots(gallery(), []).on(0, 0, 6)) == 0


def test_the_cursor_is_told_everything():
    found = gallery(crystal=CUBE)
    scene = Scene(found, threads=1)
    shot = scene.shot(0, 1, "sum")
    near = index_spots(found, [spots()]).on(0, 0, 1)
    told = probe(scene, shot, 30.5, 20.5, near, found.experiments)
    assert (told["panel"], told["name"], told["px"]) == (0, "p0", [30.5, 20.5])
    assert told["value"] == float(scene.stack(shot).total[20, 30]) and told["angle"] == 0.5
    assert told["d"] == pytest.approx(
        float(resolutions_at(experiment(), 0, np.array([[30.5, 20.5]]))[0]), rel=1e-4
    )
    assert told["spot"]["hkl"] == [1, 2, 3] and told["spot"]["residual"] == [0.5, -0.25]
    odd = ((65.0, 5.0), (3, 0), (6, 5), (100, 70), (-1, 0))
    words = [probe(scene, shot, x, y, near, found.experiments)["value"] for x, y in odd]
    assert words == [
        "no pixel",
        "masked",
        "no measurement",
        "above the trusted range",
        "outside",
    ]
    assert panel_at(detector(), 69.9, 5.0) == -1 and panel_at(detector(), 70.0, 51.0) == 3


def test_the_indices_under_the_cursor_are_those_of_what_is_predicted_there():
    found = gallery(crystal=CUBE)
    scene = Scene(found, threads=1)
    shot = scene.shot(2, 1, "sum")
    predicted = predictions_on(found.rolls[0], found.experiments, 2, 3)
    off = []
    for panel, px, hkl in zip(predicted.panel, predicted.px, predicted.hkl, strict=True):
        window = found.experiments[0].detector.panels[panel].window
        told = probe(
            scene,
            shot,
            px[0] + window[0],
            px[1] + window[1],
            index_spots(found, []).on(0, 2, 3),
            found.experiments,
        )
        off.append(np.abs(np.array(told["hkl_here"][0]["hkl"]) - hkl).max())
    assert len(off) > 3 and max(off) < 0.3


def test_the_radial_profile_finds_a_ring():
    found = gallery()
    scene = Scene(found, threads=1)
    shot = scene.shot(0, 1, "sum")
    stack, ground = scene.stack(shot), scene.ground(found.rolls[0])
    bins = radial_bins(found.experiments[0], stack.total.shape)
    fast, slow = np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5)
    radius = np.hypot(fast - 65.0, slow - 45.5) * PIXEL
    q = 2.0 * np.sin(0.5 * np.arctan(radius / 50.0))
    on_panel = bins.bin < BINS
    np.testing.assert_allclose(bins.q[bins.bin[on_panel]], q[on_panel], atol=0.51 * np.diff(bins.q)[0])
    stack.total[:] = np.where(np.abs(q - 0.08) < 0.002, 20, 1)
    at, mean, _ = radial_profile(stack, ground, bins)
    assert at[np.argmax(mean)] == pytest.approx(0.08, abs=0.002) and np.median(mean) == 1.0


def test_histograms_count_the_usable_pixels():
    found = gallery()
    scene = Scene(found, threads=1)
    stack, ground = scene.stack(scene.shot(0, 1, "sum")), scene.ground(found.rolls[0])
    edges, pixels = histogram(stack, ground)
    assert pixels.sum() == ground.usable.sum() - 2
    assert pixels[2] == (stack.total[ground.usable] == 2).sum() and edges[2] == 2.0
    assert len(edges) == len(pixels) + 1
    stack = replace(stack, total=stack.total.astype(np.int32))
    stack.total[30, 30:34] = (64, 65, 1000, 10**6)
    edges, pixels = histogram(stack, ground)
    assert pixels.sum() == ground.usable.sum() - 2 and len(edges) == len(pixels) + 1
    for count in (64, 65, 1000, 10**6):
        k = np.searchsorted(edges, count, "right") - 1
        assert pixels[k] == 1 and edges[k] <= count < edges[k + 1]
    stack.total[30, 30] = -7
    edges, pixels = histogram(stack, ground)
    assert edges[0] == -7.0 and pixels[0] == 1 and pixels.sum() == ground.usable.sum() - 2


def test_a_line_is_broken_where_there_is_no_count():
    found = gallery()
    scene = Scene(found, threads=1)
    values, _ = scene.level(scene.shot(0, 1, "sum"), 0, "mean")
    line = line_profile(values, np.array([[30.2, 20.9], [65.0, 20.0], [-3.0, 0.0], [500.0, 2.0]]))
    assert line == [float(values[20, 30]), None, None, None]


def test_a_band_is_what_the_view_shows():
    models = experiment()
    layout = laboratory_layout(models.detector, models.beam)
    whole = band_of(layout, models, np.zeros(2), layout.size, 1.0)
    assert whole.low < 0.01 and whole.high == pytest.approx(1.0 / widest_resolution(models), rel=0.1)
    part = band_of(layout, models, np.array([100.0, 70.0]), np.array([10.0, 10.0]), 40.0)
    assert whole.low < part.low < part.high < whole.high and part.apart < whole.apart
    x = PIXEL * (105.0 - layout.beam[0]), PIXEL * (75.0 - layout.beam[1])
    theta = 0.5 * np.arctan(np.hypot(*x) / DISTANCE)
    assert part.low < 2.0 * np.sin(theta) / models.beam.wavelength < part.high
    assert band_of(layout, models, np.array([500.0, 500.0]), np.ones(2), 1.0) is None


def test_rings_that_lie_together_are_one_until_one_looks_closer():
    large = replace(CUBE, real_space=tuple(tuple(3.0 * part for part in axis) for axis in CUBE.real_space))
    models = experiment(crystal=large)
    d_min = widest_resolution(models)
    far = ring_resolutions("cell", models, large)
    steps = np.diff([1.0 / d for d, _ in far])
    assert 20 < len(far) <= MOST + 1 and far[-1][0] < 1.05 * d_min  # to the corner, not the first few
    assert steps.min() >= 0.999 / d_min / MOST
    names = [name for _, name in far]
    assert sum("+" in name for name in names) > 10
    assert len(ring_resolutions("cell", models, large, Band(0.0, 1.0 / d_min, 0.1 / d_min))) < 3  # a crowd
    huge = replace(CUBE, real_space=tuple(tuple(20.0 * part for part in axis) for axis in CUBE.real_space))
    assert all(d > 20.0 * d_min for d, _ in ring_resolutions("cell", models, huge))
    q = 0.8 / d_min
    near = ring_resolutions("cell", models, large, Band(q, 1.01 * q, 1e-6))
    assert len(near) > 3 and not any("+" in name for _, name in near)
    assert all(q <= 1.0 / d <= 1.01 * q for d, _ in near)


def test_round_resolutions_have_the_digits_that_the_view_needs():
    models = experiment()
    q = 0.5 / widest_resolution(models)
    near = ring_resolutions("resolution", models, None, Band(q, 1.01 * q, 1e-6))
    assert len(near) >= 4 and all(q <= 1.0 / d <= 1.011 * q for d, _ in near)
