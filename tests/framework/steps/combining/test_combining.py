"""Joining data sets, splitting them again, and carrying a metrology to another distance."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.superposition import panel_motions
from smalti.models import Experiments, ImageSet
from smalti.steps.combining import CombineOptions, SplitOptions, combine, split, with_metrology
from smalti.steps.predicting import predict_indexed
from smalti.steps.simulating.instrument import displaced
from smalti.testing import synthetic


@pytest.fixture(scope="module")
def two_sets():
    """Two sweeps of different crystals on equal, unshared detectors; some spots without an index."""
    rng = np.random.default_rng(1)
    sets = []
    for k, n in enumerate((300, 200)):
        detector = synthetic.detector("PILATUS 300K", 150.0)
        nominal = synthetic.experiment(detector, synthetic.crystal(orientation=(k, 0.5, 1.0)), n_images=60)
        experiments, table = synthetic.observations(nominal, nominal, rng, d_min=3.0, n=n)
        ids, names = np.array(table["id"]), {0: f"set-{k}"}
        ids[:7] = -1
        item = replace(experiments[0], identifier=f"set-{k}", imageset=ImageSet(f"s{k}_####.cbf"))
        columns = {"id": ids, "imageset_id": np.zeros(len(ids), dtype=np.int32)}
        sets.append((Experiments((item,)), table.with_columns(columns, identifiers=names)))
    return sets


def test_what_is_joined_can_be_split_again(two_sets):
    joined = combine(two_sets)
    assert joined.shared == {"beam": 1, "detector": 1, "goniometer": 1, "crystal": 2}
    assert joined.experiments[0].detector is joined.experiments[1].detector
    assert joined.reflections.identifiers == {0: "set-0", 1: "set-1"}
    assert joined.reflections.n_rows == sum(table.n_rows for _, table in two_sets)
    for part, (experiments, table) in zip(
        split(joined.experiments, joined.reflections), two_sets, strict=True
    ):
        assert tuple(part.experiments) == tuple(experiments)
        assert part.reflections.identifiers == table.identifiers
        for name in table:
            np.testing.assert_array_equal(part.reflections[name], table[name], err_msg=name)


def test_predictions_are_the_same_before_and_after(two_sets):
    joined = combine(two_sets)
    together = predict_indexed(joined.experiments, joined.reflections)["xyzcal.mm"]
    apart = [predict_indexed(experiments, table)["xyzcal.mm"] for experiments, table in two_sets]
    np.testing.assert_array_equal(together, np.concatenate(apart))


def test_models_that_are_equal_may_stay_apart(two_sets):
    joined = combine(two_sets, CombineOptions(join_equal=False))
    assert joined.shared == {"beam": 2, "detector": 2, "goniometer": 2, "crystal": 2}


def test_splitting_by_what_is_shared(two_sets):
    joined = combine(two_sets)
    assert len(split(joined.experiments, joined.reflections, SplitOptions(by="detector"))) == 1
    assert len(split(joined.experiments, None, SplitOptions(by="crystal"))) == 2


def test_a_shared_detector_that_moves_far_is_said(two_sets):
    (first, table), (second, other) = two_sets
    far = replace(second[0], detector=synthetic.detector("PILATUS 300K", 210.0))
    joined = combine([(first, table), (Experiments((far,)), other)], CombineOptions(share=("detector",)))
    assert joined.rows[1]["moved_um"] == pytest.approx(60e3, rel=1e-6)
    assert "60.0 mm" in joined.warnings[-1]


@pytest.mark.parametrize(
    ("change", "share", "words"),
    [
        (lambda e: replace(e, identifier="set-0"), (), "are the same"),
        (lambda e: replace(e, detector=synthetic.detector("PILATUS 1M", 150.0)), ("detector",), "panels"),
        (
            lambda e: replace(e, crystal=synthetic.crystal((90.0, 90.0, 40.0, 90.0, 90.0, 90.0))),
            ("crystal",),
            "not of one crystal",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(two_sets, change, share, words):
    (first, table), (second, _) = two_sets
    other = Experiments((change(second[0]),))
    with pytest.raises(DataError, match=words):
        combine([(first, table), (other, None)], CombineOptions(share=share))


def test_tables_of_other_experiments_are_refused(two_sets):
    (first, table), (second, other) = two_sets
    with pytest.raises(DataError, match="do not belong together"):
        combine([(first, other), (second, table)])


def test_a_metrology_keeps_the_place_of_the_detector_it_is_carried_to():
    rng = np.random.default_rng(2)
    drawn = synthetic.detector("PILATUS 1M", 300.0)
    reference = displaced(drawn, rng, (0.06, 0.06, 0.03))
    new = synthetic.detector("PILATUS 1M", 180.0, beam_centre=(400.0, 610.0))
    carried = with_metrology(new, reference)
    size = np.array([panel.size_mm for panel in new.panels])
    # Relative to one another the panels are as in the reference ...
    left = panel_motions(reference.stacked(), carried.detector.stacked(), size)
    assert left.corners.max() < 1e-9
    # ... and as a whole the detector stayed: no common motion of all corners.
    whole = panel_motions(new.stacked(), carried.detector.stacked(), size, rigid=False)
    assert np.abs(whole.centre.mean(axis=0)).max() < 1e-3
    assert 0.03 < np.sqrt(np.mean(carried.moved**2)) < 0.2


def test_a_metrology_found_at_one_distance_serves_another():
    rng = np.random.default_rng(3)
    near, far = (synthetic.detector("PILATUS 300K", distance) for distance in (160.0, 240.0))
    misplaced = displaced(near, rng, (0.15, 0.15, 0.05))
    truth = with_metrology(far, misplaced).detector
    nominal = synthetic.experiment(far, synthetic.crystal(), n_images=90)
    experiments, table = synthetic.observations(
        replace(nominal, detector=truth), nominal, rng, d_min=2.6, n=800
    )
    with_it = combine([(experiments, table)], reference=misplaced)

    def rmsd(models):
        found = predict_indexed(models, table)
        return np.sqrt(np.mean((found["xyzcal.mm"] - table["xyzobs.mm.value"])[:, :2] ** 2))

    assert rmsd(with_it.experiments) < 0.25 * rmsd(experiments)
    assert with_it.rows[0]["metrology_um"] > 50.0 and with_it.rows[0]["moved_um"] < 20.0


def test_columns_that_one_table_lacks_are_named(two_sets):
    (first, table), (second, other) = two_sets
    joined = combine([(first, table), (second, other.without("flags"))])
    assert "flags" not in joined.reflections
    assert "flags" in joined.warnings[0]


def test_what_one_set_holds_out_stays_held_out(two_sets):
    (first, table), second = two_sets
    free = np.arange(table.n_rows) % 20 == 0
    joined = combine([(first, table.with_columns({"free": free})), second])
    np.testing.assert_array_equal(joined.reflections["free"][: table.n_rows], free)
    assert not joined.reflections["free"][table.n_rows :].any() and not joined.warnings
    assert "free" not in combine(two_sets).reflections
