"""Which reflections are used, and what tables are refused with which words."""

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.steps.refining import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.tables import Flag
from smalti_plugins.detectors.hierarchical import Hierarchical


def choose(problem, table=None, **options):
    _, experiments, original = problem
    settings = RefineOptions(**options)
    layout = Layout.of(experiments, Hierarchical(), settings)
    return select(original if table is None else table, layout, settings)


def changed(table, name, row, value):
    column = np.array(table[name])
    column[row] = value
    return table.with_columns({name: column})


def test_good_reflections_are_used_and_sorted_by_panel(displaced_problem):
    _, _, table = displaced_problem
    found = choose(displaced_problem)
    assert found.observations.n + sum(found.left_out.values()) == table.n_rows
    assert found.observations.n > 0.99 * table.n_rows
    panel = found.observations.spots.panel
    assert (np.diff(panel) >= 0).all()
    rows = found.observations.rows
    np.testing.assert_array_equal(panel, table["panel"][rows])
    np.testing.assert_array_equal(found.observations.observed, table["xyzobs.mm.value"][rows])


def test_chunks_cover_all_and_never_cross_panels(displaced_problem):
    data = choose(displaced_problem).observations
    assert data.chunks[0] == 0 and data.chunks[-1] == data.n
    for a, b in zip(data.chunks[:-1], data.chunks[1:], strict=True):
        assert 0 < b - a <= 1024
        assert len(set(data.spots.panel[a:b])) == 1


def test_the_crossing_is_found_without_being_told(displaced_problem):
    _, _, table = displaced_problem
    found = choose(displaced_problem, table.without("entering"))
    rows = found.observations.rows
    np.testing.assert_array_equal(found.entering[rows], table["entering"][rows])


def test_every_reason_is_counted(displaced_problem):
    _, experiments, table = displaced_problem
    start, end = experiments[0].scan.angle_range
    table = changed(table, "flags", slice(0, 3), int(Flag.OVERLOADED | Flag.INDEXED))
    angles = np.array(table["xyzobs.mm.value"])
    angles[10:14, 2] = end + 0.1
    table = table.with_columns({"xyzobs.mm.value": angles})
    left = choose(displaced_problem, table, close_to_spindle=0.2, scan_margin=2.0).left_out
    assert left["overloaded"] == 3
    assert left["outside the scan"] >= 4
    assert left["close to the spindle"] > 0
    assert left["close to an end of the scan"] > 0


def test_the_cut_at_the_spindle_is_that_of_dials(displaced_problem):
    _, experiments, table = displaced_problem
    found = choose(displaced_problem, close_to_spindle=0.2)
    s1 = table["s1"][found.observations.rows]
    axis = experiments[0].goniometer.laboratory_axis
    volume = np.abs(np.cross(s1, experiments[0].beam.s0) @ axis)
    assert 0.19 < volume.min() < 0.21


def test_the_cut_at_the_spindle_is_a_pure_number_too(displaced_problem):
    _, experiments, table = displaced_problem
    found = choose(displaced_problem, spindle_cut=0.2)
    s1 = table["s1"][found.observations.rows]
    across = np.cross(s1, experiments[0].beam.s0)
    zeta = np.abs(across @ experiments[0].goniometer.laboratory_axis) / np.linalg.norm(across, axis=1)
    assert 0.19 < zeta.min() < 0.21
    assert found.left_out["close to the spindle"] > 0


def test_nothing_is_cut_at_the_spindle_unless_asked_for(displaced_problem):
    assert "close to the spindle" not in choose(displaced_problem).left_out


def test_a_random_part_is_the_same_each_time(displaced_problem):
    one, two = (
        choose(displaced_problem, use_all=False, reflections_per_degree=20).observations.rows
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    assert len(one) == pytest.approx(20 * 105, abs=30)


def test_rows_that_were_only_predicted_are_not_used(displaced_problem):
    _, _, table = displaced_problem
    table = changed(table, "flags", slice(0, 500), int(Flag.PREDICTED | Flag.DONT_INTEGRATE))
    table = changed(table, "xyzobs.mm.variance", slice(0, 500), 0.0)
    assert choose(displaced_problem, table).observations.rows.min() >= 500


BAD = {
    "no number": ("xyzobs.mm.value", np.nan, "has no number"),
    "an infinite number": ("xyzobs.mm.value", np.inf, "has no number"),
    "a negative variance": ("xyzobs.mm.variance", -1.0, "variance that is not positive"),
    "a variance that is no number": ("xyzobs.mm.variance", np.nan, "variance that is not positive"),
    "a panel too many": ("panel", 10, "panels that the detector does not have"),
    "an experiment too many": ("id", 3, "speaks of experiment 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_have_been_measured_is_refused(displaced_problem, case):
    name, value, words = BAD[case]
    table = changed(displaced_problem[2], name, 77, value)
    with pytest.raises(DataError, match=words) as caught:
        choose(displaced_problem, table)
    assert caught.value.fix
    if name not in ("id",):
        assert "row 77" in caught.value.why


def test_bad_values_of_reflections_without_index_do_not_matter(displaced_problem):
    table = changed(displaced_problem[2], "xyzobs.mm.value", 5, np.nan)
    table = changed(table, "miller_index", 5, 0)
    assert 5 not in choose(displaced_problem, table).observations.rows


def test_a_missing_column_is_named(displaced_problem):
    with pytest.raises(DataError, match="xyzobs.mm.variance"):
        choose(displaced_problem, displaced_problem[2].without("xyzobs.mm.variance"))


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_too_few_are_refused_with_the_reasons(displaced_problem, rows):
    table = displaced_problem[2].take(np.arange(100, 100 + rows))
    with pytest.raises(
        DataError, match=f"Only {rows} reflections? can be used; a refinement needs 10"
    ) as caught:
        choose(displaced_problem, table)
    assert f"Of {rows} in the table" in caught.value.why and caught.value.fix


def test_spots_cut_by_an_edge_of_their_panel_are_left_out(displaced_problem):
    _, experiments, table = displaced_problem
    size = np.array([panel.image_size for panel in experiments[0].detector.panels])[table["panel"]]
    middle = np.floor(table["xyzobs.px.value"]).astype(np.int32)
    box = np.stack([middle - 2, middle + 3], axis=2)
    box[:, :2] = np.clip(box[:, :2], 0, size[:, :, None])
    boxed = table.with_columns({"bbox": box.reshape(-1, 6)})
    reason = "cut by an edge of the panel"
    near = (middle[:, :2] < 3) | (middle[:, :2] > size - 4)
    found = choose(displaced_problem, boxed)
    assert found.left_out[reason] == near.any(axis=1).sum() > 0
    assert not near[found.observations.rows].any()
    assert reason not in choose(displaced_problem, boxed, edge_spots=True).left_out
    assert reason not in choose(displaced_problem).left_out  # a table without boxes does not tell
