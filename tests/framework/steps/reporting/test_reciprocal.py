"""The reciprocal lattice in the report."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Crystal, Experiments
from smalti.steps.reporting.reciprocal_section import MOST, reciprocal_points, reciprocal_section
from smalti.tables import Reflections
from smalti.testing import synthetic


def made(rng, n=6000, unindexed=0.2, n_crystals=1):
    crystal = synthetic.crystal()
    item = synthetic.experiment(synthetic.detector(modules=False), crystal, n_images=10)
    turned = Crystal.from_A(rotation([0.0, 0.0, 1.0], 0.5) @ crystal.A)
    items = [item, replace(item, crystal=turned)][:n_crystals]
    h = rng.integers(-9, 10, size=(n, 3))
    h[:, 0] = np.where(np.any(h != 0, axis=1), h[:, 0], 1)
    of = rng.integers(0, n_crystals, n)
    A = np.array([each.crystal.A for each in items])[of]
    ids = np.where(rng.random(n) < unindexed, -1, of).astype(np.int32)
    rlp = np.einsum("nij,nj->ni", A, h)
    table = Reflections(
        {"id": ids, "imageset_id": of.astype(np.int32), "rlp": rlp, "miller_index": h.astype(np.int32)}
    )
    return Experiments(tuple(items)), table


def back(found, kind, crystal):
    """Indices of the points drawn."""
    points = np.array(found[kind]).reshape(-1, 3) * found["step"]
    return points @ np.linalg.inv(crystal.A).T


@pytest.mark.parametrize("n_crystals", [1, 2])
def test_points_are_thinned_and_lie_on_the_first_lattice(n_crystals, rng):
    experiments, table = made(rng, n_crystals=n_crystals)
    found = reciprocal_points(experiments, table)
    assert found["total"]["indexed"] == int((table["id"] >= 0).sum())
    assert len(found["indexed"]) == 3 * MOST["indexed"]
    assert len(found["unindexed"]) == 3 * found["total"]["unindexed"]
    for kind in ("indexed", "unindexed"):
        h = back(found, kind, experiments[0].crystal)
        assert np.abs(h - np.rint(h)).max() < 0.02
    assert np.array(found["axes"]) == pytest.approx(experiments[0].crystal.A.T, abs=1e-7)


def test_nothing_is_drawn_where_there_is_nothing(rng):
    experiments, table = made(rng, n=50)
    assert reciprocal_points(experiments, table.without("rlp")) is None
    bare = Experiments((replace(experiments[0], crystal=None),))
    assert reciprocal_points(bare, table) is None
    assert reciprocal_points(experiments, table.with_columns({"rlp": np.zeros((50, 3))})) is None
    assert reciprocal_section({"reciprocal": None}) == ""


def test_the_section_is_small_whole_and_told_in_words(rng):
    experiments, table = made(rng)
    text = reciprocal_section({"reciprocal": reciprocal_points(experiments, table)})
    assert len(text) < 150_000
    stored = re.search(r'<script type="application/json" id="reciprocal-data">(.*?)</script>', text)
    assert len(json.loads(stored[1])["indexed"]) == 3 * MOST["indexed"]
    assert 'tabindex="0"' in text and "aria-label" in text and 'aria-pressed="true"' in text
    assert "arrow keys" in text
    assert "http" not in text
