"""Refinement of stills: what is held, what is weighed how, who is judged and which crystals are left out."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Crystal, Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.solving.leaving_out import FAR, FEW, held_for, too_few
from smalti.steps.refining.weighing.leverage import crystal_leverages, leverages
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.instrument import nominal
from smalti.tables import Flag
from smalti.testing.many_crystals import observed_stills
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.sauter_poon import SauterPoon
from smalti_plugins.outliers.tukey import Tukey

WHOLE = Hierarchical(level=0)
SIMULATION = SimulateOptions(
    output="indexed",
    stills=24,
    layout="PILATUS 300K",
    distance=130.0,
    wavelength=1.0,
    unit_cell=(79.0, 79.0, 38.0, 90.0, 90.0, 90.0),
    space_group="P 43 21 2",
    mosaicity=0.06,
    cell_spread=0.001,
    d_min=2.5,
    outliers=0.0,
    mislabelled=0.0,
)


@pytest.fixture(scope="module")
def stills():
    """24 stills of some 50 spots each, with DeltaPsi of 1.05 mrad."""
    return observed_stills(nominal(SIMULATION).detector, SIMULATION)


def run(experiments, table, rejector=None, **options):
    given = {"free_fraction": 0.0, "halves": "off"} | options
    judge = NoOutliers() if rejector is None else rejector
    return refine(experiments, table, WHOLE, GaussNewton(), judge, RefineOptions(**given))


def layout_of(experiments, **options):
    return Layout.of(experiments, WHOLE, RefineOptions(**options))


def names(layout):
    return [parameter.name for parameter in layout.parameters]


def test_beams_that_only_stills_use_are_held_unless_asked_for(stills):
    experiments, _ = stills
    assert not any(name.startswith("Beam") for name in names(layout_of(experiments)))
    freed = names(layout_of(experiments, refine_still_beams=True))
    assert [name for name in freed if name.startswith("Beam")] == ["Beam1Mu2"]


def test_a_goniometer_beside_a_still_is_not_asked(stills):
    from smalti.models import Goniometer, matrix

    experiments, table = stills
    turned = Goniometer((1.0, 0.0, 0.0), matrix(rotation([0.0, 1.0, 0.0], 0.4)))
    beside = replace(experiments, items=tuple(replace(item, goniometer=turned) for item in experiments))
    a, b = run(experiments, table), run(beside, table)
    assert a.results["steps"] == b.results["steps"]
    assert b.experiments[0].goniometer == turned


def test_residuals_are_those_of_the_noise_and_chi_squared_is_one(stills):
    experiments, table = stills
    found = run(experiments, table)
    final, classes = found.results["steps"][-1], found.results["noise"]["classes"]
    assert np.radians(final["rmsd_phi_deg"]) == pytest.approx(np.radians(0.06), rel=0.1)
    whole = classes[0]
    assert whole["class"] == "all"
    for kind in ("x", "y", "phi"):
        assert whole[f"reduced_chi2_{kind}"] == pytest.approx(1.0, abs=0.03)
    predicted = found.reflections
    assert np.sqrt(np.mean(predicted["delpsical.rad"] ** 2)) == pytest.approx(1.05e-3, rel=0.1)
    assert (predicted["xyzcal.mm"][:, 2] == 0.0).all()
    assert predicted.flagged(Flag.PREDICTED).all()


def test_mosaic_crystals_have_a_wider_delta_psi_of_their_own():
    """Half of the crystals are three times as mosaic: the weights know without being told."""
    tables, items = [], []
    for k, mosaicity in enumerate((0.05, 0.15)):
        options = replace(SIMULATION, mosaicity=mosaicity, stills=12, seed=5 + k, d_min=2.2)
        experiments, table = observed_stills(nominal(options).detector, options)
        items += [replace(item, detector=(items or experiments)[0].detector) for item in experiments]
        tables.append((table, 12 * k))
    joint = {
        name: np.concatenate([table[name] + (first if name == "id" else 0) for table, first in tables])
        for name in ("id", "miller_index", "panel", "xyzobs.mm.value", "xyzobs.mm.variance")
        + ("xyzobs.px.value", "intensity.sum.value", "flags")
    }
    table = type(tables[0][0])({**joint, "id": joint["id"].astype(np.int32)})
    found = run(Experiments(tuple(items)), table)
    rows = found.results["experiments"]
    narrow, wide = (
        np.median([row["rmsd_delta_psi_mrad"] for row in rows[part]]) for part in (slice(12), slice(12, 24))
    )
    assert 2.0 < wide / narrow < 4.0
    for row in found.results["noise"]["classes"][:1]:
        assert row["reduced_chi2_phi"] == pytest.approx(1.0, abs=0.05)
    weights = found.results["final"]["weight_phi_per_deg2"]
    assert weights[4] / weights[0] > 5.0
    factors = np.array([row["factor_delta_psi"] for row in found.results["noise"]["stills"]])
    ratio = np.median(factors[12:]) / np.median(factors[:12])
    assert ratio == pytest.approx(9.0, rel=0.25)


def test_delta_psi_is_weighed_as_the_user_says(stills):
    experiments, table = stills
    found = run(experiments, table, delta_psi_sigma=5.0)
    weights = np.array(found.results["final"]["weight_phi_per_deg2"])
    np.testing.assert_allclose(weights, np.degrees(5e-3) ** -2.0, rtol=1e-12)
    free, weighed = (item.results["steps"][-1] for item in (found, run(experiments, table)))
    assert free["rmsd_x_mm"] <= weighed["rmsd_x_mm"]
    assert free["rmsd_phi_deg"] > weighed["rmsd_phi_deg"]


@pytest.mark.parametrize("rejector", [Tukey(), SauterPoon()], ids=lambda item: item.name)
def test_outliers_of_crystals_of_fifty_spots_are_found_and_good_spots_are_kept(stills, rng, rejector):
    experiments, table = stills
    wrong = rng.random(table.n_rows) < 0.04
    moved = np.zeros((table.n_rows, 3))
    moved[wrong, :2] = rng.choice([-1.0, 1.0], (wrong.sum(), 2)) * rng.uniform(0.5, 1.5, (wrong.sum(), 2))
    spoilt = table.with_columns(
        {
            "xyzobs.mm.value": table["xyzobs.mm.value"] + moved,
            "xyzobs.px.value": table["xyzobs.px.value"] + moved / 0.172,
        }
    )
    found = run(experiments, spoilt, rejector)
    rejected = found.reflections.flagged(Flag.CENTROID_OUTLIER)
    assert rejected[wrong].mean() > 0.95
    assert rejected[~wrong].mean() < 0.05
    assert (
        found.results["steps"][-1]["rmsd_x_mm"]
        < 1.1 * run(experiments, table).results["steps"][-1]["rmsd_x_mm"]
    )


def with_bad_ones(stills):
    """Crystal 3 is another one than its spots say; of crystal 7 six spots are left."""
    experiments, table = stills
    items = list(experiments)
    crystal = items[3].crystal
    other = rotation([1.0, 2.0, 0.5], 0.004) @ crystal.A
    items[3] = replace(items[3], crystal=Crystal.from_A(other, crystal.space_group, crystal.extra))
    scattered = np.random.default_rng(3).normal(size=(table.n_rows, 3)) * (0.15, 0.15, 0.0)
    scattered[table["id"] != 3] = 0.0
    spoilt = table.with_columns(
        {
            "xyzobs.mm.value": table["xyzobs.mm.value"] + scattered,
            "xyzobs.px.value": table["xyzobs.px.value"] + scattered / 0.172,
        }
    )
    seventh = np.flatnonzero(table["id"] == 7)
    keep = np.ones(table.n_rows, dtype=bool)
    keep[seventh[6:]] = False
    return Experiments(tuple(items)), spoilt.where(keep)


def test_crystals_that_do_not_fit_are_left_out_and_named_with_the_reason(stills):
    experiments, table = with_bad_ones(stills)
    found = run(experiments, table, SauterPoon())
    rows = found.results["experiments"]
    assert {row["experiment"]: row["why"] for row in rows if row["why"]} == {3: FAR, 7: FEW}
    assert rows[3]["n_used"] == rows[7]["n_used"] == 0
    for k in (3, 7):
        assert found.experiments[k].crystal.A == pytest.approx(experiments[k].crystal.A)
        mine = found.reflections["id"] == k
        assert found.reflections.flagged(Flag.EXCLUDED_FOR_REFINEMENT)[mine].all()
    assert found.results["left_out"][FEW] == 6
    assert not any(row["name"].startswith(("Crystal4", "Crystal8")) for row in found.results["parameters"])
    kept = run(experiments, table, SauterPoon(), crystals_that_do_not_fit="keep")
    assert kept.results["experiments"][3]["n_used"] > 0


def test_the_rest_is_refined_as_if_they_had_never_been_there(stills):
    experiments, table = with_bad_ones(stills)
    good = [k for k in range(len(experiments)) if k not in (3, 7)]
    number = np.full(len(experiments), -1, dtype=np.int32)
    number[good] = np.arange(len(good))
    rows = np.flatnonzero(np.isin(table["id"], good))
    alone = table.take(rows).with_columns({"id": number[table["id"][rows]]}, identifiers={})
    a = run(experiments, table)
    b = run(Experiments(tuple(experiments[k] for k in good)), alone)
    assert a.results["n_used"] == b.results["n_used"]
    np.testing.assert_allclose(
        a.experiments[0].detector.stacked(), b.experiments[0].detector.stacked(), atol=1e-7
    )


def test_a_few_good_crystals_are_not_told_to_be_unlike_the_others(stills):
    experiments, table = stills
    assert run(experiments, table).results["left_out"] == {}
    layout = layout_of(experiments)
    selection = select(table, layout, RefineOptions())
    assert too_few(layout, selection, RefineOptions()) == {}
    assert len(too_few(layout, selection, RefineOptions(minimum_per_crystal=50))) > 5
    # Where all are too small none is: then it is the limit that is wrong.
    assert too_few(layout, selection, RefineOptions(minimum_per_crystal=10_000)) == {}
    held = held_for(layout, [0, 2])
    assert layout.n - held.n == 10  # three angles and two lengths of each


def test_halves_are_those_of_every_other_crystal_where_there_are_many(stills):
    experiments, table = stills
    found = run(experiments, table, halves="crystals")
    halves = found.results["halves"]
    assert halves["split"] == "crystals"
    by_crystal = np.bincount(table["id"])
    assert halves["n"] == [by_crystal[::2].sum(), by_crystal[1::2].sum()]
    assert halves["reduced_chi_squared"] < 3.0
    never = run(experiments, table, halves="crystals", eliminate_crystals="never")
    assert never.results["halves"]["split"] == "reflections"
    assert run(experiments, table, halves="auto").results["halves"]["split"] == "reflections"


def test_the_free_set_of_stills_is_drawn_panel_by_panel(stills):
    experiments, table = stills
    layout = layout_of(experiments)
    selection = select(table, layout, RefineOptions(free_minimum=100))
    free, panel = selection.held_out, selection.observations.spots.panel
    for k in np.unique(panel):
        mine = panel == k
        assert abs(free[mine].sum() - 0.05 * mine.sum()) <= 1.0
    assert len(np.unique(selection.observations.spots.experiment[free])) > 5


def test_leverages_by_crystals_add_up_to_their_parameters(stills):
    experiments, table = stills
    layout = layout_of(experiments, weak_priors=False)
    data = select(table, layout, RefineOptions()).observations
    weights = np.tile([1.0 / 0.03**2, 1.0 / 0.03**2, 1e6], (data.n, 1))
    found, columns = crystal_leverages(layout, data, weights, np.zeros(layout.n))
    assert len(columns) == 5 * len(experiments)
    assert all(layout.parameters[k].name.startswith("Crystal") for k in columns)
    total = np.bincount(data.spots.experiment, weights=found.sum(axis=1))
    np.testing.assert_allclose(total, 5.0, rtol=1e-8)
    # Two angles bring points onto the sphere: DeltaPsi pays for them.
    assert found[:, 2].sum() > 1.2 * found[:, 0].sum()
    everything = leverages(layout, np.ones(layout.n), np.ones(data.n), data.spots.panel, (found, columns))
    assert everything.sum() == pytest.approx(layout.n, rel=1e-6)


def test_nothing_of_the_table_is_asked_about_angles_of_stills(stills):
    """DIALS writes a variance of 0 and any angle for them."""
    experiments, table = stills
    value, variance = np.array(table["xyzobs.mm.value"]), np.array(table["xyzobs.mm.variance"])
    value[:, 2], variance[:, 2] = 1.3, 0.0
    other = table.with_columns({"xyzobs.mm.value": value, "xyzobs.mm.variance": variance})
    assert run(experiments, other).results["steps"] == run(experiments, table).results["steps"]
