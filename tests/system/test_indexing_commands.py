"""The commands about lattices, one after the other, on a made-up sweep with a wrong beam centre."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.indexing.centre import plane_axes
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Reflections
from smalti.testing import synthetic

QUICK = ("--set", "index.cycles=2")
KEPT = ("panel", "xyzobs.px.value", "xyzobs.px.variance", "intensity.sum.value")


@pytest.fixture
def spots(tmp_path, monkeypatch):
    """Strong spots of a tetragonal crystal, the beam 8 and -6 px off, in the working folder."""
    rng = np.random.default_rng(12)
    truth = synthetic.experiment(
        synthetic.detector("PILATUS 2M", 250.0, modules=False),
        synthetic.crystal((44.0, 44.0, 61.0, 90.0, 90.0, 90.0)),
        n_images=150,
    )
    _, table = synthetic.observations(truth, truth, rng, d_min=2.5, n=1500)
    fast, slow = plane_axes(truth.detector, truth.beam)
    moved = truth.detector.moved({(): (np.eye(3), 0.172 * (8.0 * fast - 6.0 * slow))})
    zero = np.zeros(table.n_rows, dtype=np.int32)
    strong = Reflections({name: table[name] for name in KEPT} | {"id": zero - 1, "imageset_id": zero})
    monkeypatch.chdir(tmp_path)
    bare = Experiments((replace(truth, detector=moved, crystal=None),))
    write_experiments(tmp_path / "imported.expt", bare, {})
    write_reflections(tmp_path / "strong.refl", strong, {})
    return tmp_path


def test_index_symmetry_reindex(smalti, spots):
    told = json.loads(smalti("index", "imported.expt", "strong.refl", "--auto", "--json").out)["result"]
    assert told["fraction"] > 0.99
    assert [row["indexer"] for row in told["methods"]] == ["wedge_fft"]
    assert told["beam_shifts"][0]["px"] == pytest.approx([-8.0, 6.0], abs=0.5)
    assert told["beam_shifts"][0]["tolerance_px"] > 1.0
    found = json.loads(smalti("symmetry", "indexed.expt", "indexed.refl", "--json").out)["result"]
    assert found["recommended"] == "tP"
    symmetrised = read_experiments(spots / "symmetrised.expt")[0].crystal
    assert symmetrised.cell == pytest.approx((44.0, 44.0, 61.0, 90.0, 90.0, 90.0), rel=2e-3)
    result = smalti("reindex", "symmetrised.expt", "symmetrised.refl", "--operator", "-k,h,l")
    assert result.status == 0, result.err
    before, after = (read_reflections(spots / f"{name}.refl") for name in ("symmetrised", "reindexed"))
    rows = before["id"] >= 0
    h = before["miller_index"][rows]
    assert np.array_equal(after["miller_index"][rows], np.column_stack([-h[:, 1], h[:, 0], h[:, 2]]))
    like = smalti("reindex", "reindexed.expt", "--reference", "indexed.expt", "-o", "like")
    assert like.status == 0, like.err


def test_each_indexer_finds_the_cell(smalti, spots):
    for indexer in ("fft1d", "fft3d"):
        told = json.loads(
            smalti("index", "imported.expt", "strong.refl", "--indexer", indexer, "--json", *QUICK).out
        )
        cell = sorted(told["result"]["cell"][:3])
        assert cell == pytest.approx([44.0, 44.0, 61.0], rel=2e-3), indexer


def test_reference_comes_alone(smalti, spots):
    write_experiments(
        spots / "truth.expt",
        Experiments((synthetic.experiment(synthetic.detector(), synthetic.crystal()),)),
        {},
    )
    result = smalti("reindex", "truth.expt", "--reference", "truth.expt", "--operator", "k,-h,l")
    assert result.status == 2
    assert "--reference comes alone" in result.err
    bare = smalti("reindex", "truth.expt", "--reference", "imported.expt")
    assert "imported.expt holds no crystal" in bare.err
