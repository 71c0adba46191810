"""The two dispersion finders as components."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.options import build
from smalti_ext.dispersion import dispersion, dispersion_extended
from smalti_plugins.spots.dispersion import Dispersion
from smalti_plugins.spots.dispersion_extended import DispersionExtended


def test_options_reach_the_kernel(rng: np.random.Generator) -> None:
    counts = rng.poisson(rng.exponential(6.0, (80, 90))).astype(np.int32)
    mask = rng.random(counts.shape) > 0.05
    values = {
        "gain": 1.5,
        "kernel_size": (2, 4),
        "sigma_background": 1.0,
        "sigma_strong": 0.5,
        "min_local": 20,
        "global_threshold": 4.0,
    }
    plain = build(Dispersion, values, name="dispersion")
    np.testing.assert_array_equal(plain.find(counts, mask), dispersion(counts, mask, **values))
    for rule, flagged in (("flagged", True), ("unflagged", False)):
        extended = build(
            DispersionExtended, {**values, "masked_neighbours": rule}, name="dispersion_extended"
        )
        expected = dispersion_extended(counts, mask, masked_flagged=flagged, **values)
        assert expected.size > 0
        np.testing.assert_array_equal(extended.find(counts, mask), expected)


@pytest.mark.parametrize("cls", [Dispersion, DispersionExtended])
@pytest.mark.parametrize(
    "values",
    [
        {"kernel_size": "0,3"},
        {"kernel_size": "9,9"},
        {"gain": "0"},
        {"sigma_strong": "-1"},
        {"kernel_size": "3"},
    ],
)
def test_bad_options_are_usage_errors(cls: type, values: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        build(cls, values, name=cls.name)


def test_options_are_read_from_text() -> None:
    finder = build(
        DispersionExtended,
        {"kernel_size": "4,5", "masked_neighbours": "unflagged"},
        name="dispersion_extended",
    )
    assert finder.kernel_size == (4, 5)
    assert finder.masked_neighbours == "unflagged"
