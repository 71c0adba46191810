"""What finders tell of themselves leads to the strong pixels that they find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.roles import Explaining
from smalti_plugins.spots.dispersion import Dispersion
from smalti_plugins.spots.dispersion_extended import DispersionExtended
from smalti_plugins.spots.radial_profile import RadialProfile

OPTIONS: list[dict[str, Any]] = [
    {},
    {"kernel_size": (2, 4), "gain": 2.0},
    {"min_local": 0, "sigma_background": 3.0},
    {"sigma_strong": 1.0, "global_threshold": 6.0},
]


def frame(rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    y, x = np.indices((120, 150))
    expected = np.full(y.shape, 1.2)
    for _ in range(25):
        r, c = rng.uniform(0, 120), rng.uniform(0, 150)
        expected += rng.exponential(60.0) * np.exp(-((y - r) ** 2 + (x - c) ** 2) / 2.0)
    counts = rng.poisson(expected).astype(np.int32)
    mask = rng.random(y.shape) > 0.01
    mask[:, 70:76] = False
    counts[~mask] = -1
    counts[5, 5] = 1 << 25
    return counts, mask


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(
    "cls",
    [Dispersion, DispersionExtended, lambda **o: DispersionExtended(masked_neighbours="unflagged", **o)],
)
def test_the_last_image_is_what_is_found(rng: np.random.Generator, cls: Any, options: dict[str, Any]) -> None:
    counts, mask = frame(rng)
    finder = cls(**options)
    assert isinstance(finder, Explaining)
    told = finder.explain(counts, mask)
    strong = finder.find(counts, mask)
    assert strong.size > 50
    np.testing.assert_array_equal(np.flatnonzero(told["strong"]), strong)
    assert all(image.shape == counts.shape for image in told.values())
    assert np.all(told["flags"] | ~told["strong"])


def test_the_numbers_are_those_of_the_window(rng: np.random.Generator) -> None:
    counts, mask = frame(rng)
    told = DispersionExtended().explain(counts, mask)
    for r, c in ((0, 0), (60, 69), (119, 149), (40, 30)):
        box = np.s_[max(r - 3, 0) : r + 4, max(c - 3, 0) : c + 4]
        values = counts[box][mask[box] & (counts[box] < 1 << 24)]
        assert told["mean"][r, c] == pytest.approx(values.mean())
        assert told["dispersion"][r, c] == pytest.approx(values.var(ddof=1) / values.mean())


def test_a_finder_need_not_explain_itself() -> None:
    assert not isinstance(RadialProfile(), Explaining)
