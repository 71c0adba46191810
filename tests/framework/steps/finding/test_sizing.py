"""The smallest size of spots, chosen by noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.steps.finding import FindOptions, Found, find_spots, runs_of
from smalti.steps.finding.sizing import sized
from smalti_plugins.spots.dispersion import Dispersion

from .frames_on_disk import SIZE, ArrayReader, spotty, sweep

LOOSE = Dispersion(sigma_background=1.0, sigma_strong=1.5)
"""Makes many spots of noise."""


def find(folder: Path, frames: np.ndarray, finder: Dispersion = LOOSE, **options: object) -> Found:
    return find_spots(
        Experiments((sweep(folder, frames),)),
        [ArrayReader()],
        finder,
        FindOptions(**options),  # type: ignore[arg-type]
    )


def test_noise_is_expected_as_often_as_it_is_found(rng: np.random.Generator, tmp_path: Path) -> None:
    """On images without any spot all that is found is noise."""
    frames = rng.poisson(1.0, (12, SIZE[1], SIZE[0])).astype(np.int32)
    runs = runs_of(Experiments((sweep(tmp_path, frames),)))
    options, rule = sized(runs, [ArrayReader()], LOOSE, FindOptions(false_spots=0.01))
    assert rule is not None
    assert options.min_spot_size == rule.smallest > 3
    assert rule.images == 9
    # What is close to a strong pixel is not drawn anew: here that is a good part of all.
    assert rule.found[0] > 20.0
    assert 0.2 < rule.noise[0] / rule.found[0] < 1.2
    assert list(rule.noise) == sorted(rule.noise, reverse=True)
    assert rule.found[0] == pytest.approx(find(tmp_path, frames, min_spot_size=1).groups / 12, rel=0.2)


def test_the_chosen_size_is_the_one_used_and_told(rng: np.random.Generator, tmp_path: Path) -> None:
    x, y = np.meshgrid([10.0, 30.0, 46.0, 75.0, 90.0, 108.0], [12.0, 30.0, 48.0, 66.0, 80.0])
    truth = np.column_stack([x.ravel(), y.ravel(), rng.uniform(2.0, 10.0, x.size)])
    frames = spotty(rng, 12, truth)
    loose = find(tmp_path, frames, false_spots=0.02)
    assert loose.rule is not None
    k = loose.rule.smallest
    assert k > 2
    assert loose.rule.noise[k - 1] <= 0.02 * loose.rule.found[k - 1]
    assert loose.rule.noise[k - 2] > 0.02 * loose.rule.found[k - 2]
    assert loose.reflections["n_signal"].min() >= k
    assert f"Smallest spot: {k} pixels. Noise drawn from the background of 9 images" in loose.text()
    assert loose.filters[0].reason == f"fewer than {k} pixels"
    assert loose.summary()["size_rule"]["smallest"] == k
    # The same size given by hand gives the same table, and a stricter finder needs fewer pixels.
    same = find(tmp_path, frames, min_spot_size=k)
    assert same.rule is None
    for name in same.reflections:
        np.testing.assert_array_equal(same.reflections[name], loose.reflections[name])
    strict = find(tmp_path, frames, Dispersion(), false_spots=0.02)
    assert strict.rule is not None
    assert strict.rule.smallest == 2


def test_the_size_is_not_chosen_twice(rng: np.random.Generator, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both given"):
        find(tmp_path, spotty(rng, 3, np.array([[20.0, 20.0, 1.5]])), false_spots=0.1, min_spot_size=3)
