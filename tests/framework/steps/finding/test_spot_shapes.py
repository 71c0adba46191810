"""What thresholds leave of spots whose shape is known, and what is made of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from smalti.geometry.prediction import zeta
from smalti.models import Experiments
from smalti.steps.finding import FindOptions, find_spots
from smalti.steps.finding.linking import Groups, link
from smalti.steps.finding.measuring import measure
from smalti.steps.finding.pixels import Pixels
from smalti.steps.finding.shapes import PIXEL_VARIANCE, Shape, Sums, seen, shape_of
from smalti.steps.finding.uncertainty import end_variance, significance, variances
from smalti.tables import Reflections
from smalti_ext.components import label
from smalti_plugins.spots.dispersion_extended import DispersionExtended

from .frames_on_disk import ArrayReader, assert_same, find, places, spotty, sweep

Array = NDArray[np.float64]


def clouds(peaks: list[float], widths: tuple[float, float, float], background: float) -> Sums:
    """Gaussians without noise on a fine grid of pixels, cut off three sigmas above the background."""
    z, y, x = np.meshgrid(*(np.arange(-4.0 * w, 4.0 * w + 1.0) for w in reversed(widths)), indexing="ij")
    shape = np.exp(-0.5 * ((x / widths[0]) ** 2 + (y / widths[1]) ** 2 + (z / widths[2]) ** 2))
    rows = []
    for peak in peaks:
        w = np.where(peak * shape > 3.0 * background**0.5 + 0.5, peak * shape, 0.0)
        second = [(w * axis**2).sum() / w.sum() for axis in (x, y, z)]
        images = np.count_nonzero(w.any(axis=(1, 2)))
        rows.append([w.sum(), np.count_nonzero(w), background, *second, images])
    out = np.array(rows)
    return Sums(out[:, 0], out[:, 1], out[:, 2], out[:, 3:6], np.zeros((len(rows), 3)), out[:, 6])


def test_what_is_left_tells_what_was_cut_away() -> None:
    widths = (9.0, 7.0, 5.0)
    peaks = [6.0, 10.0, 30.0, 300.0]
    sums = clouds(peaks, widths, 1.0)
    shown = seen(sums)
    radius = np.sqrt(2.0 * np.log(np.array(peaks) / 3.5))
    np.testing.assert_allclose(shown.radius, radius, rtol=0.02)
    for axis, width in enumerate(widths):
        np.testing.assert_allclose(sums.second[:, axis] / shown.part, width**2, rtol=0.03)
    # The weakest shows a fifth of its second moment only.
    assert shown.part[0] < 0.25
    assert shown.part[-1] > 0.8


def test_the_shape_comes_from_the_strongest() -> None:
    widths = (4.0, 3.0, 2.0)
    sums = clouds([5.0] * 60 + [60.0] * 30, widths, 1.0)
    cosine = np.full(90, 0.5)
    shape = shape_of(sums, cosine)
    assert shape is not None
    # The grid is sampled, not integrated: no 1/12 is in these moments, but it is taken off along z.
    np.testing.assert_allclose(shape.second, (16.0, 9.0), rtol=0.05)
    np.testing.assert_allclose(shape.along_z(cosine) + PIXEL_VARIANCE, 4.0, rtol=0.05)
    # Half as fast through the sphere, twice as wide.
    np.testing.assert_allclose(shape.along_z(cosine / 2.0), 4.0 * shape.along_z(cosine))
    nothing = Sums(np.zeros(4), np.ones(4), np.zeros(4), np.zeros((4, 3)), np.zeros((4, 3)), np.ones(4))
    assert shape_of(nothing, np.ones(4)) is None


def one(photons: float, second: float = 1.0, scatter: float = 0.0, size: float = 30.0) -> Sums:
    return Sums(
        np.array([photons]),
        np.array([size]),
        np.array([0.5]),
        np.full((1, 3), second),
        np.full((1, 3), scatter),
        np.array([2.0]),
    )


def test_variances_fall_with_photons_down_to_the_width_of_bins(rng: np.random.Generator) -> None:
    shape, cosine = Shape((0.2, 0.2), 0.02), np.ones(1)
    strong = variances(one(1e9, 0.2), shape, cosine)[0]
    # What is left is that of a Gaussian counted in bins at a random place, which can be tried.
    for axis, variance in ((0, 0.2 - PIXEL_VARIANCE), (2, 0.02)):
        centre = rng.random(4000)
        edges = np.arange(-6, 8)[None, :]
        share = np.diff(ndtr((edges - centre[:, None]) / variance**0.5), axis=1)
        found = share @ (np.arange(-6, 7) + 0.5)
        assert strong[axis] == pytest.approx(np.mean((found - centre) ** 2), rel=0.1)
    falling = [variances(one(photons), shape, cosine)[0] for photons in (300.0, 1000.0, 1e4)]
    assert np.all(np.diff(np.array(falling), axis=0) < 0.0)


def test_no_spot_is_off_by_more_than_its_width() -> None:
    shape, cosine = Shape((1.0, 1.0), 4.0), np.ones(1)
    worst = variances(one(0.0), shape, cosine)[0]
    assert np.all(worst[:2] <= 2.0)
    assert worst[2] <= 4.0
    assert end_variance(shape, cosine)[0] == pytest.approx(0.6 * (4.0 + PIXEL_VARIANCE))


def test_scatter_is_added() -> None:
    shape, cosine = Shape((1.0, 1.0), 1.0), np.ones(1)
    more = variances(one(100.0, scatter=0.01), shape, cosine) - variances(one(100.0), shape, cosine)
    np.testing.assert_allclose(more, 0.01)


def test_zeta_is_one_across_the_spindle_and_nothing_along_it() -> None:
    s0, axis = np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0])
    s1 = np.array([[0.0, 0.6, -0.8], [0.6, 0.0, -0.8], [0.0, -0.6, -0.8]])
    np.testing.assert_allclose(zeta(s1, s0, axis), [-1.0, 0.0, 1.0], atol=1e-15)


def test_significance_is_that_of_li_and_ma() -> None:
    # Equation 17 written out: S = sqrt(2 (20 ln 1.714 + 50 ln 0.857)).
    alpha, on, off = 0.2, 20.0, 50.0
    inside = on * np.log((1 + alpha) / alpha * on / (on + off))
    outside = off * np.log((1 + alpha) * off / (on + off))
    expected = np.sqrt(2 * (inside + outside))
    found = significance(np.array([on]), np.array([off]), np.array([10]), np.array([50.0]))
    assert found[0] == pytest.approx(expected)
    assert found[0] == pytest.approx(2.479, abs=0.001)
    # As many as expected: none; fewer: negative; no background counted, or no pixels of it.
    total = np.array([10.0, 2.0, 8.0, 8.0])
    behind = np.array([50.0, 50.0, 0.0, 0.0])
    values = significance(total, behind, np.array([10] * 4), np.array([50.0, 50.0, 50.0, 0.0]))
    assert values[0] == pytest.approx(0.0, abs=1e-7)
    assert values[1] < -2.0
    assert values[2] > 4.0
    assert values[3] == 0.0


def test_significance_of_poisson_noise_is_a_standard_normal(rng: np.random.Generator) -> None:
    total, behind = rng.poisson(20.0, 4000).astype(float), rng.poisson(200.0, 4000).astype(float)
    values = significance(total, behind, np.full(4000, 10), np.full(4000, 100.0))
    assert abs(values.mean()) < 0.08
    assert abs(values.std() - 1.0) < 0.06


def test_moments_against_plain_sums(rng: np.random.Generator) -> None:
    """One blob of pixels on three frames, both definitions, summed by hand."""
    n_fast, places = 20, [(0, 45), (0, 46), (1, 45), (1, 46), (1, 65), (2, 46)]
    frame = np.array([f for f, _ in places], dtype=np.int32)
    index = np.array([k for _, k in places], dtype=np.int32)
    value = rng.integers(5, 40, 6).astype(np.int32)
    starts = np.searchsorted(frame, [0, 1, 2, 3]).astype(np.int64)
    labels = label(starts, np.array([False, True, True]), index, np.zeros(6, dtype=np.int16), n_fast)
    assert labels.n_groups == 1
    pixels = Pixels(
        frame, index, value, np.zeros(6, dtype=np.int16), np.full(6, 2.0), np.full(6, 80, dtype=np.int32),
        np.zeros(6, dtype=bool), np.zeros(6, dtype=bool),
    )  # fmt: skip
    groups = Groups(pixels, labels.group, 1)
    where = np.column_stack([index % n_fast, index // n_fast, frame]) + 0.5
    for definition, weight in (("net", value - 2.0), ("dials", value.astype(float))):
        spots = measure(groups, n_fast, np.array([1.5]), definition)  # type: ignore[arg-type]
        mean = weight @ where / weight.sum()
        np.testing.assert_allclose(spots.centroid[0], mean)
        squares = (where - mean) ** 2
        if definition == "net":
            np.testing.assert_allclose(spots.second[0], weight @ squares / weight.sum())
            expected = (1.5 * value) @ squares / weight.sum() ** 2
        else:
            spread = weight @ squares * weight.sum() / (weight.sum() ** 2 - (weight**2).sum())
            expected = spread / weight.sum() + PIXEL_VARIANCE
        np.testing.assert_allclose(spots.variance[0], expected)
        assert spots.weight[0] == pytest.approx(weight.sum())


def found_in(folder: Path, frames: NDArray[np.int32], **options: object) -> Reflections:
    """Spots of a sweep of images 0.5 deg wide."""
    item = sweep(folder, frames, width=0.5)
    return find_spots(
        Experiments((item,)),
        [ArrayReader()],
        DispersionExtended(),
        FindOptions(**options),  # type: ignore[arg-type]
    ).reflections


def test_ends_of_scans_and_gaps_are_told(rng: np.random.Generator, tmp_path: Path) -> None:
    # All of them far from the spindle, which is along fast.
    truth = np.array(
        [[48.0, 20.0, 0.3], [50.0, 8.0, 5.0], [48.0, 75.0, 9.8], [57.2, 22.0, 5.0], [75.0, 89.6, 0.4]]
    )
    table = found_in(tmp_path, spotty(rng, 10, truth))
    window = np.where(table["panel"] == 0, 0.0, 64.0)
    places = table["xyzobs.px.value"][:, :2] + np.column_stack([window, np.zeros(len(window))])
    rows = [int(np.argmin(np.abs(places - spot[:2]).sum(axis=1))) for spot in truth]
    assert table["truncated"][rows].tolist() == [2, 0, 2, 1, 3]
    variance = table["xyzobs.px.variance"][rows, 2]
    assert variance[0] > variance[1] + 0.3
    assert variance[2] > variance[1] + 0.3
    assert variance[3] < variance[0]
    # DIALS's definition has no such term: its variances are those of DIALS.
    theirs = found_in(tmp_path, spotty(rng, 10, truth), centroid="dials")
    assert set(theirs) == set(table)
    assert np.all(theirs["xyzobs.px.variance"][:, 2] < 0.2)


def test_a_missing_image_is_an_end(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = np.array([[20.0, 20.0, 4.5], [20.0, 60.0, 9.5], [90.0, 20.0, 9.5]])
    frames = spotty(rng, 14, truth)
    item = sweep(tmp_path, frames, width=0.5)
    (tmp_path / "frame_006.npy").write_bytes(b"nothing")
    found = find_spots(
        Experiments((item,)), [ArrayReader()], DispersionExtended(), FindOptions(on_bad_image="skip")
    ).reflections
    ends = found["truncated"] == 2
    assert np.all(found["bbox"][ends, 5] == 5)
    assert ends.sum() == 1
    assert (~ends).sum() == 2


def test_the_account_tells_the_shape(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = np.meshgrid([8.0, 23.0, 38.0, 71.0, 85.0, 99.0, 112.0], [12.0, 28.0, 44.0, 60.0, 76.0])
    truth = np.column_stack([(g + rng.uniform(-2, 2, g.shape)).ravel() for g in (x, y)])
    truth = np.column_stack([truth, rng.uniform(4.0, 10.0, len(truth))])
    item = sweep(tmp_path, spotty(rng, 14, truth, sigma=(1.3, 0.9)), width=0.5)
    found = find_spots(Experiments((item,)), [ArrayReader()], DispersionExtended(), FindOptions())
    (shape,) = found.shapes
    assert abs(shape.fast - 1.3) < 0.1
    assert abs(shape.slow - 1.3) < 0.1
    assert "Width of the spots: 1." in found.text()
    assert found.summary()["shapes"][0]["experiment"] == 0


@pytest.mark.parametrize("definition", ["net", "dials"])
def test_chunks_do_not_show_in_any_column(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, definition: str
) -> None:
    """Variances and flags, too: the shape of spots comes from all of them, however they came."""
    item = sweep(tmp_path, spotty(rng, 23, places(rng, 23)), width=0.5)
    whole = find(Experiments((item,)), centroid=definition, min_spot_size=1)
    assert set(whole.reflections["truncated"].tolist()) >= {0, 1}
    for chunk in (1, 2, 7):
        monkeypatch.setattr("smalti.steps.finding.finder.link", partial(link, chunk=chunk))
        parts = find(Experiments((item,)), centroid=definition, min_spot_size=1, jobs=chunk)
        assert_same(parts.reflections, whole.reflections)
        assert parts.summary() == whole.summary()
