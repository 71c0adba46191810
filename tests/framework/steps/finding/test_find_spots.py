"""The whole step on made-up images whose spots are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.errors import DataError, InputError, UsageError
from smalti.geometry.panels import PanelArrays, laboratory, to_mm
from smalti.models import Experiments
from smalti.options import build
from smalti.steps.finding import Execution, FindOptions, find_spots
from smalti.steps.pools import open_pool
from smalti.tables import Flag, Reflections
from smalti_plugins.spots.dispersion import Dispersion
from smalti_plugins.spots.dispersion_extended import DispersionExtended

from .frames_on_disk import DETECTOR, GAP, ArrayReader, assert_same, find, places, spotty, stills, sweep

READERS = [ArrayReader()]


def matched(table: Reflections, truth: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each true spot the row that is it, and its centroid in the raw frame."""
    window = np.array([panel.window for panel in DETECTOR.panels])[table["panel"].astype(int)]
    found = table["xyzobs.px.value"] + np.column_stack([window, np.zeros(len(window))])
    distance = np.linalg.norm(found[None] - truth[:, None], axis=2)
    rows = np.argmin(distance, axis=1)
    assert np.all(distance.min(axis=1) < 1.0)
    return rows, found[rows]


def test_true_spots_are_found_where_they_are(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = places(rng, 12)
    table = find(Experiments((sweep(tmp_path, spotty(rng, 12, truth)),))).reflections
    assert table.n_rows == len(truth)
    rows, found = matched(table, truth)
    assert len(set(rows.tolist())) == len(truth)
    np.testing.assert_array_equal(table["panel"][rows], (truth[:, 0] > GAP[1]).astype(int))
    difference = found - truth
    spread = difference.std(axis=0)
    assert np.all(spread < 0.12)
    assert np.all(np.abs(difference.mean(axis=0)) < 4 * spread / np.sqrt(len(truth)))
    pulls = difference / np.sqrt(table["xyzobs.px.variance"][rows])
    assert np.all(pulls.std(axis=0) < 1.35)
    assert np.all(pulls.std(axis=0) > 0.55)
    # The variance of DIALS adds 1/12 to the counting error: pulls are narrower than 1.
    theirs = find(Experiments((sweep(tmp_path, spotty(rng, 12, truth)),)), centroid="dials").reflections
    rows, found = matched(theirs, truth)
    assert np.all(((found - truth) / np.sqrt(theirs["xyzobs.px.variance"][rows])).std(axis=0) < 0.5)


def test_columns_fit_the_models(rng: np.random.Generator, tmp_path: Path) -> None:
    experiment = sweep(tmp_path, spotty(rng, 10, places(rng, 10)))
    table = find(Experiments((experiment,))).reflections
    arrays = PanelArrays.of(DETECTOR)
    panel = table["panel"].astype(int)
    px, mm = table["xyzobs.px.value"], table["xyzobs.mm.value"]
    np.testing.assert_allclose(mm[:, :2], to_mm(px[:, :2], panel, arrays), atol=1e-12)
    np.testing.assert_allclose(mm[:, 2], 0.3 + 0.01 * px[:, 2], atol=1e-12)
    np.testing.assert_allclose(
        table["xyzobs.mm.variance"], table["xyzobs.px.variance"] * np.array([0.2, 0.2, 0.01]) ** 2
    )
    ray = laboratory(mm, panel, arrays)
    np.testing.assert_allclose(table["s1"], ray / np.linalg.norm(ray, axis=1)[:, None], atol=1e-12)
    # On the Ewald sphere, and a rotation keeps the length.
    np.testing.assert_allclose(
        np.linalg.norm(table["rlp"], axis=1),
        np.linalg.norm(table["s1"] - np.array([0.0, 0.0, -1.0]), axis=1),
        atol=1e-12,
    )
    box = table["bbox"]
    assert np.all(box[:, ::2] <= px)
    assert np.all(px <= box[:, 1::2])
    assert np.all(box[:, 1] <= np.array([p.image_size[0] for p in DETECTOR.panels])[panel])
    assert np.all(table["flags"] == int(Flag.STRONG))
    assert np.all(table["n_signal"] >= 3)
    assert table.identifiers == {0: tmp_path.name}


def test_intensity_is_net_of_background(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = places(rng, 12)
    frames = spotty(rng, 12, truth, photons=3000.0, background=8.0)
    table = find(Experiments((sweep(tmp_path, frames),))).reflections
    rows, _ = matched(table, truth)
    intensity = table["intensity.sum.value"][rows]
    # Strong pixels hold most of a spot, and without the background no more than that.
    assert 0.85 * 3000 < intensity.mean() < 3000
    assert abs(table["background.mean"].mean() - 8.0) < 0.1
    raw = intensity + table["background.mean"][rows] * table["n_signal"][rows]
    np.testing.assert_allclose(raw, np.round(raw), atol=1e-9)
    assert raw.mean() > 3200
    assert np.all(table["intensity.sum.variance"][rows] > raw)


def test_workers_do_not_show(rng: np.random.Generator, tmp_path: Path) -> None:
    experiments = Experiments(
        (
            sweep(tmp_path / "a", spotty(rng, 37, places(rng, 37))),
            sweep(tmp_path / "b", spotty(rng, 5, places(rng, 5))),
        )
    )
    one = find(experiments, jobs=1)
    many = find(experiments, jobs=3)
    with open_pool("threads", 2) as pool:
        given = find_spots(
            experiments, READERS, DispersionExtended(), FindOptions(), execution=Execution(pool)
        )
    assert one.reflections.n_rows > 60
    assert_same(one.reflections, many.reflections)
    assert_same(one.reflections, given.reflections)
    assert one.summary() == many.summary() == given.summary()


def test_several_sweeps_share_one_table(rng: np.random.Generator, tmp_path: Path) -> None:
    truths = [places(rng, 12), places(rng, 12)[:20]]
    items = tuple(sweep(tmp_path / name, spotty(rng, 12, t)) for name, t in zip("ab", truths, strict=True))
    found = find(Experiments(items))
    for number, truth in enumerate(truths):
        own = found.reflections.where(found.reflections["id"] == number)
        assert own.n_rows == len(truth)
        matched(own, truth)
        np.testing.assert_array_equal(own["imageset_id"], number)
    assert [item.experiment for item in found.images] == [0, 1]
    assert found.reflections.identifiers == {0: "a", 1: "b"}


def test_two_lattices_on_the_same_images_are_searched_once(rng: np.random.Generator, tmp_path: Path) -> None:
    item = sweep(tmp_path, spotty(rng, 6, places(rng, 6)))
    once = find(Experiments((item,)))
    twice = find(Experiments((item, item)))
    assert_same(once.reflections, twice.reflections)


def test_stills_are_not_linked(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = places(rng, 12)
    frames = np.stack([spotty(rng, 1, np.column_stack([truth[:, :2], np.full(len(truth), 0.5)]))[0]] * 3)
    found = find(stills(tmp_path, frames))
    table = found.reflections
    for number in range(3):
        own = table["id"] == number
        assert own.sum() == len(truth)
        np.testing.assert_array_equal(table["xyzobs.px.value"][own, 2], number + 0.5)
        np.testing.assert_array_equal(table["bbox"][own][:, 4:], [[number, number + 1]] * len(truth))
    np.testing.assert_allclose(table["rlp"], table["s1"] - np.array([0.0, 0.0, -1.0]), atol=1e-12)
    np.testing.assert_array_equal(table["xyzobs.mm.value"][:, 2], 0.0)
    assert [item.spots for item in found.images] == [(len(truth),)] * 3


def test_hot_pixels_are_reported_and_removed(rng: np.random.Generator, tmp_path: Path) -> None:
    frames = spotty(rng, 12, places(rng, 12))
    clean = find(Experiments((sweep(tmp_path / "clean", frames),)))
    frames[:, 32, 18] = 900
    hot = Experiments((sweep(tmp_path / "hot", frames),))
    found = find(hot)
    assert found.hot == ((18, 32),)
    assert "hot pixel" in found.warnings[0]
    assert "(18, 32)" in found.text()
    assert found.reflections.n_rows == clean.reflections.n_rows
    kept = find(hot, hot_pixels="keep")
    assert kept.hot == ()
    assert kept.groups == clean.groups + 1


def test_spots_beside_overloads_are_flagged(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = places(rng, 8)
    frames = spotty(rng, 8, truth)
    x, y, z = truth[20]
    frames[int(z), int(y), int(x)] = 60000
    table = find(Experiments((sweep(tmp_path, frames),))).reflections
    flagged = np.flatnonzero(table["flags"] & int(Flag.OVERLOADED))
    assert flagged.size == 1
    window = DETECTOR.panels[int(table["panel"][flagged[0]])].window
    assert np.linalg.norm(table["xyzobs.px.value"][flagged[0], :2] + window - truth[20, :2]) < 1.5


def test_each_filter_counts(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = places(rng, 12)
    experiments = Experiments((sweep(tmp_path, spotty(rng, 12, truth)),))
    everything = find(experiments, min_spot_size=1)
    d = 1.0 / np.linalg.norm(everything.reflections["rlp"], axis=1)
    middle = float(np.mean(np.sort(d)[19:21]))
    found = find(experiments, min_spot_size=1, d_min=middle)
    removed = {item.reason: item.removed for item in found.filters}
    assert removed[f"beyond {middle:g} A resolution"] == np.count_nonzero(d < middle)
    assert found.reflections.n_rows == np.count_nonzero(d >= middle)
    assert found.groups == sum(removed.values()) + found.reflections.n_rows
    size = everything.reflections["n_signal"]
    cut = int(np.median(size))
    small = find(experiments, min_spot_size=1, max_spot_size=cut)
    assert small.reflections.n_rows == np.count_nonzero(size <= cut)
    low = find(experiments, min_spot_size=1, d_max=middle)
    assert low.reflections.n_rows == np.count_nonzero(d <= middle)


def test_nothing_found_says_why(rng: np.random.Generator, tmp_path: Path) -> None:
    blank = Experiments((sweep(tmp_path / "blank", spotty(rng, 3, np.empty((0, 3)))),))
    with pytest.raises(DataError, match="No spots were found"):
        find(blank)
    with pytest.raises(DataError, match="no images to search"):
        find(Experiments())
    spots = Experiments((sweep(tmp_path / "spots", spotty(rng, 4, places(rng, 8))),))
    with pytest.raises(DataError, match="the filters took all: .*fewer than 900 pixels"):
        find(spots, min_spot_size=900)


def test_models_without_images_are_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    item = sweep(tmp_path, spotty(rng, 3, places(rng, 8)))
    bare = type(item)(item.beam, item.detector, item.goniometer, item.scan)
    with pytest.raises(InputError, match="Experiment 0 has no images"):
        find(Experiments((bare,)))


def test_options_are_read_from_text() -> None:
    options = build(FindOptions, {"min_spot_size": "4", "d_min": "none", "jobs": "2"}, name="find-spots")
    assert (options.min_spot_size, options.d_min, options.jobs) == (4, None, 2)
    for values in ({"min_spot_size": "0"}, {"max_strong_fraction": "1.5"}, {"on_bad_image": "perhaps"}):
        with pytest.raises(UsageError, match=next(iter(values))):
            build(FindOptions, values, name="find-spots")


def test_the_account_reads_well(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = places(rng, 12)
    calls: list[tuple[str, int, int]] = []
    found = find_spots(
        Experiments((sweep(tmp_path, spotty(rng, 12, truth)),)),
        READERS,
        Dispersion(),
        FindOptions(),
        lambda stage, done, total: calls.append((stage, done, total)),
    )
    assert calls == [("finding spots", k, 12) for k in range(1, 13)]
    text = found.text()
    assert f"{found.reflections.n_rows} spots on 12 images of 1 experiment." in text
    assert "fewer than 3 pixels" in text
    assert "Spots per image" in text
    summary = json.loads(json.dumps(found.summary()))
    assert summary["spots"] == found.reflections.n_rows
    assert sum(summary["experiments"][0]["spots"]) == found.reflections.n_rows
