"""The comparison of recovered and nominal panels with the truth."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.rotation import rotation
from smalti.models import Detector
from smalti.steps.demonstrating import compare_detectors
from smalti.testing.synthetic import detector, displaced


def shifted(d: Detector, panel: int, shift: tuple[float, float, float]) -> Detector:
    frames = d.stacked()
    frames[panel, :, 2] += shift
    return d.with_panel_frames(frames)


def test_errors_of_known_size_are_measured() -> None:
    flat = detector("PILATUS 2M", 200.0)
    off = shifted(flat, 4, (0.030, 0.040, 0.0))
    result = compare_detectors(flat, flat, off)
    assert result.nominal_raw.in_plane[4] == pytest.approx(50.0)
    assert result.nominal_raw.in_plane[:4].max() < 1e-9
    assert result.nominal_raw.corner[4] == pytest.approx(50.0)
    # 1 of 24 panels moves the best common position by 1/24.
    assert result.nominal.in_plane[4] == pytest.approx(50.0 * 23 / 24, rel=0.05)
    assert result.recovered.in_plane.max() < 1e-6


def test_a_shift_along_the_ray_is_told_from_one_across() -> None:
    flat = detector("PILATUS 2M", 200.0)
    ray = flat.stacked()[0] @ [487 * 0.172 / 2, 195 * 0.172 / 2, 1.0]
    along = shifted(flat, 0, tuple(0.1 * ray / np.linalg.norm(ray)))
    errors = compare_detectors(flat, along, along).recovered_raw
    assert errors.along_ray[0] == pytest.approx(100.0)
    assert errors.across_ray[0] == pytest.approx(0.0, abs=1e-6)
    assert errors.in_plane[0] > 20.0 and errors.normal[0] > 20.0


def test_the_detector_as_a_whole_does_not_matter_but_is_told(rng: np.random.Generator) -> None:
    truth = displaced(detector("PILATUS 2M"), rng)
    R = rotation([1.0, 1.0, 0.0], 2e-3)
    frames = R @ truth.stacked()
    frames[:, :, 2] += [0.0, 0.0, 3.0]
    moved = truth.with_panel_frames(frames)
    result = compare_detectors(truth, moved, detector("PILATUS 2M"))
    assert result.recovered.in_plane.max() < 1e-6 and result.recovered.tilt.max() < 1e-6
    assert result.recovered.common_turn == pytest.approx(2.0, rel=1e-6)
    assert result.recovered_raw.normal.min() > 2000.0
    assert result.passed and not result.warnings


def test_panels_without_reflections_are_left_out(rng: np.random.Generator) -> None:
    nominal = detector("PILATUS 2M")
    truth = displaced(nominal, rng)
    recovered = shifted(truth, 20, (40.0, 0.0, 0.0))
    counts = np.full(24, 100)
    counts[20] = 0
    result = compare_detectors(truth, recovered, nominal, counts)
    assert result.recovered.in_plane[result.with_data].max() < 1e-6
    assert result.ratio < 1e-6
    assert "23 of 24 panels" in result.text()
    assert not compare_detectors(truth, recovered, nominal).recovered.in_plane[0] < 1.0


def test_missing_the_bar_is_a_warning(rng: np.random.Generator) -> None:
    nominal = detector("PILATUS 2M")
    truth = displaced(nominal, rng)
    result = compare_detectors(truth, displaced(truth, rng), nominal)
    assert not result.passed and len(result.warnings) == 1 and result.ratio > 0.5
    summary = json.loads(json.dumps(result.summary()))
    assert summary["passed"] is False and summary["panels_with_data"] == 24
    assert summary["nominal"]["in_plane"]["median"] == pytest.approx(np.median(result.nominal.in_plane))
    assert "more than a fifth" in result.text()


def test_detectors_of_different_panels_are_refused() -> None:
    modules, whole = detector("PILATUS 2M"), detector("PILATUS 2M", modules=False)
    with pytest.raises(DataError, match="recovered detector cannot be compared"):
        compare_detectors(modules, whole, modules)
    with pytest.raises(DataError, match="No panel"):
        compare_detectors(modules, modules, modules, np.zeros(24, dtype=int))
