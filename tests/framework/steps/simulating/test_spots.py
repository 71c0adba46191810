"""Which spots a simulated sweep shows, and on which images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiment
from smalti.steps.predicting import predict_sweep
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.crystals import absent, make_crystal
from smalti.steps.simulating.instrument import nominal, true
from smalti.steps.simulating.spots import expose, lorentz_polarisation, predict_spots, resolution_limit, zeta

OPTIONS = SimulateOptions(layout="PILATUS 300K", distance=150.0, n_images=40, width=0.5, mosaicity=0.4)


@pytest.fixture(scope="module")
def truth() -> Experiment:
    return replace(true(OPTIONS), crystal=make_crystal(OPTIONS))


def test_positions_are_those_of_the_displaced_detector(truth: Experiment) -> None:
    table = predict_spots(truth, OPTIONS)
    inside = table.where((table["xyzcal.px"][:, 2] >= 0) & (table["xyzcal.px"][:, 2] < 40))
    plain = predict_sweep(truth, resolution_limit(truth))
    plain = plain.where(~absent(plain["miller_index"], OPTIONS.space_group))
    np.testing.assert_array_equal(inside["miller_index"], plain["miller_index"])
    np.testing.assert_allclose(inside["xyzcal.px"], plain["xyzcal.px"], atol=1e-9)
    flat = nominal(OPTIONS).detector.stacked()
    moved = np.abs(truth.detector.stacked() - flat)[:, :2, 2]
    assert 0.005 < moved.max() < 0.5


def test_no_extinct_reflection_is_shown(truth: Experiment) -> None:
    table = predict_spots(truth, OPTIONS)
    h, k, l = np.abs(table["miller_index"]).T  # noqa: E741 - the index of the field
    assert not np.any((h == 0) & (k == 0) & (l % 4 != 0))
    assert not np.any((k == 0) & (l == 0) & (h % 2 == 1))
    every = predict_sweep(truth, resolution_limit(truth))
    assert absent(every["miller_index"], OPTIONS.space_group).any()


def test_the_mean_intensity_is_what_was_asked_for(truth: Experiment) -> None:
    table = predict_spots(truth, replace(OPTIONS, counts=123.0))
    assert table["intensity.sum.value"].mean() == pytest.approx(123.0)
    low, high = table["d"] > 4.0, table["d"] < 2.5
    assert table["intensity.sum.value"][low].mean() > 3 * table["intensity.sum.value"][high].mean()


def test_the_rocking_curve_is_spread_over_images(truth: Experiment) -> None:
    """Mean and variance of each spread: the angle of reflection, and (mosaicity / zeta)^2 plus 1/12."""
    table = predict_spots(truth, OPTIONS)
    exposures = expose(table, OPTIONS)
    assert np.all(np.diff(exposures.image) >= 0)
    n, total = table.n_rows, table["intensity.sum.value"]
    seen = np.bincount(exposures.spot, exposures.counts, n)
    z = table["xyzcal.px"][:, 2]
    sigma = 0.8 / np.abs(table["zeta"])
    whole = (z > 5 * sigma) & (z < 40 - 5 * sigma)
    assert whole.sum() > 500
    np.testing.assert_allclose(seen[whole], total[whole], rtol=1e-4)
    middle = exposures.image + 0.5
    mean = np.bincount(exposures.spot, exposures.counts * middle, n)[whole] / seen[whole]
    second = np.bincount(exposures.spot, exposures.counts * (middle - z[exposures.spot]) ** 2, n)
    np.testing.assert_allclose(mean, z[whole], atol=5e-3)
    np.testing.assert_allclose(second[whole] / seen[whole], sigma[whole] ** 2 + 1 / 12, rtol=0.02)
    # Half of a reflection in the moment the sweep starts is seen, of one far outside nothing.
    start = np.abs(z) < 0.02
    np.testing.assert_allclose(seen[start] / total[start], 0.5, atol=0.05)
    assert seen.max() <= total.max() * (1 + 1e-12)


def test_entries_of_an_image_are_its_own(truth: Experiment) -> None:
    exposures = expose(predict_spots(truth, OPTIONS), OPTIONS)
    assert (exposures.image[exposures.on(7)] == 7).all()
    assert sum(len(exposures.image[exposures.on(k)]) for k in range(40)) == len(exposures.image)


def test_zeta_and_lorentz_factor_by_finite_differences(truth: Experiment) -> None:
    """Lorentz: the inverse of the speed at which points pass the sphere, in units of |s0| and turn."""
    table = predict_spots(truth, OPTIONS).take(np.arange(0, 1000, 50))
    gonio, beam, crystal = truth.goniometer, truth.beam, truth.crystal
    assert gonio is not None and crystal is not None
    s1 = table["s1"]
    r = s1 - beam.s0
    step = np.cross(gonio.laboratory_axis, r)  # dr/dphi
    u1 = s1 / np.linalg.norm(s1, axis=1)[:, None]
    speed = np.abs(np.einsum("ni,ni->n", step, u1)) * beam.wavelength
    sine = np.linalg.norm(np.cross(u1, beam.unit_s0), axis=1)
    np.testing.assert_allclose(speed, np.abs(zeta(s1, truth)) * sine, rtol=1e-9)
    unpolarised = replace(truth, beam=replace(beam, polarization_fraction=0.5))
    cosine = u1 @ beam.unit_s0
    np.testing.assert_allclose(lorentz_polarisation(s1, unpolarised) * speed, (1 + cosine**2) / 2, rtol=1e-9)


def test_resolution_limit_is_at_the_furthest_corner() -> None:
    flat = nominal(replace(OPTIONS, layout="PILATUS 6M", distance=400.0))
    radius = np.hypot(2463 / 2 * 0.172, 2527 / 2 * 0.172)
    expected = 0.9686 / (2 * np.sin(np.arctan(radius / 400.0) / 2))
    assert resolution_limit(flat) == pytest.approx(expected, rel=1e-12)
