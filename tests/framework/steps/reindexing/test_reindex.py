"""Other axes: nothing moves, everything agrees, and the way back leads back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.geometry.change_of_basis import as_operator
from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed
from smalti.steps.reindexing import ReindexOptions, reindex
from smalti.tables import Flag
from smalti.testing import synthetic


@pytest.fixture(scope="module")
def indexed():
    """A tetragonal crystal as indexing leaves it: primitive, reduced, P 1."""
    rng = np.random.default_rng(2)
    crystal = synthetic.crystal((44.0, 44.0, 61.0, 90.0, 90.0, 90.0), " P 4")
    truth = synthetic.experiment(synthetic.detector("PILATUS 2M", 250.0), crystal, n_images=60)
    return synthetic.observations(truth, truth, rng, d_min=3.0, n=800)


def predicted(experiments, table):
    return predict_indexed(experiments, table)["xyzcal.mm"]


@pytest.mark.parametrize("operator", ["k,-h,l", "-h,l,k", "h+k,-h,l", "-h,-k-l,l"])
def test_predictions_stay_and_the_way_back_leads_back(indexed, operator):
    experiments, table = indexed
    there = reindex(experiments, table, ReindexOptions(operator=operator))
    crystal = there.experiments[0].crystal
    assert crystal.A == pytest.approx(crystal.U @ crystal.B, abs=1e-12)
    assert np.linalg.det(crystal.U) == pytest.approx(1.0)
    assert crystal.A @ there.reflections["miller_index"].T == pytest.approx(
        experiments[0].crystal.A @ table["miller_index"].T, abs=1e-12
    )
    assert predicted(there.experiments, there.reflections) == pytest.approx(
        predicted(experiments, table), abs=1e-9
    )
    back = reindex(
        there.experiments,
        there.reflections,
        ReindexOptions(operator=as_operator(np.linalg.inv(there.operator))),
    )
    assert np.array_equal(back.reflections["miller_index"], table["miller_index"])
    assert back.experiments[0].crystal.A == pytest.approx(experiments[0].crystal.A, abs=1e-12)
    assert back.space_group == "P 4"
    assert np.array_equal(back.reflections["id"], table["id"])


def test_to_the_reduced_cell_and_to_a_space_group(indexed):
    experiments, table = indexed
    odd = reindex(experiments, table, ReindexOptions(operator="l,h,k"))
    assert odd.crystal.cell[0] == pytest.approx(61.0)
    reduced = reindex(odd.experiments, odd.reflections, ReindexOptions(space_group="P1"))
    assert reduced.crystal.cell[:3] == pytest.approx((44.0, 44.0, 61.0))
    four = reindex(odd.experiments, odd.reflections, ReindexOptions(space_group="P4"))
    assert four.crystal.cell == pytest.approx((44.0, 44.0, 61.0, 90.0, 90.0, 90.0))
    assert four.crystal.space_group == " P 4"
    assert predicted(four.experiments, four.reflections) == pytest.approx(
        predicted(experiments, table), abs=1e-9
    )


def test_a_larger_cell_is_centred_and_a_smaller_one_loses_reflections(indexed):
    experiments, table = indexed
    large = reindex(experiments, table, ReindexOptions(operator="h-k,h+k,l"))
    assert large.lost == 0
    assert large.crystal.volume == pytest.approx(2 * experiments[0].crystal.volume)
    assert not np.any(large.reflections["miller_index"][:, :2].sum(axis=1) % 2)
    small = reindex(experiments, table, ReindexOptions(operator="1/2h,k,l"))
    odd = table["miller_index"][:, 0] % 2 != 0
    assert small.lost == odd.sum()
    assert np.all(small.reflections["id"][odd] == -1)
    assert not small.reflections.flagged(Flag.INDEXED)[odd].any()
    assert small.reflections.flagged(Flag.INDEXED)[~odd].all()
    assert any("not indexed any more" in warning for warning in small.warnings)


def test_a_centred_lattice_finds_its_setting(indexed):
    experiments, table = indexed
    body = replace(experiments[0].crystal, space_group=" I 4")
    even = table.where(table["miller_index"].sum(axis=1) % 2 == 0)
    centred = replace(experiments, items=(replace(experiments[0], crystal=body),))
    primitive = reindex(centred, even, ReindexOptions(space_group="P 1"))
    assert abs(primitive.crystal.volume) == pytest.approx(abs(body.volume) / 2)
    assert primitive.lost == 0
    back = reindex(primitive.experiments, primitive.reflections, ReindexOptions(space_group="I4"))
    assert back.crystal.cell == pytest.approx(body.cell)
    assert not np.any(back.reflections["miller_index"].sum(axis=1) % 2)


def test_crystals_that_vary_change_at_every_point_and_shared_ones_stay_shared(indexed):
    experiments, table = indexed
    A = experiments[0].crystal.A
    varying = replace(
        experiments[0].crystal,
        scan_points=tuple(tuple((A * (1 + 1e-4 * k)).ravel().tolist()) for k in range(61)),
        extra={"B_covariance": [0.0] * 81, "mosaicity": 0.1},
    )
    item = replace(experiments[0], crystal=varying)
    both = Experiments((item, item))
    result = reindex(both, None, ReindexOptions(operator="l,h,k"))
    first, second = (item.crystal for item in result.experiments)
    assert first is second
    assert dict(first.extra) == {"mosaicity": 0.1}
    assert np.reshape(first.scan_points[60], (3, 3)) == pytest.approx(
        1.006 * A @ np.linalg.inv(result.operator), rel=1e-9
    )
    assert result.reflections is None


def test_summary_and_text(indexed):
    result = reindex(*indexed, ReindexOptions(operator="k,-h,l"))
    summary = json.loads(json.dumps(result.summary()))
    assert summary["operator"] == "k,-h,l"
    assert summary["space_group"] == "P 4"
    assert "New indices: k,-h,l" in result.text()


def test_mistakes_are_refused_in_words(indexed):
    experiments, table = indexed
    for options in (ReindexOptions(), ReindexOptions(operator="k,-h,l", space_group="P4")):
        with pytest.raises(UsageError, match="operator or a space group"):
            reindex(experiments, table, options)
    with pytest.raises(DataError, match="does not fit"):
        reindex(experiments, table, ReindexOptions(space_group="P23"))
    bare = replace(experiments, items=(replace(experiments[0], crystal=None),))
    with pytest.raises(DataError, match="no crystal"):
        reindex(bare, table, ReindexOptions(operator="k,-h,l"))
