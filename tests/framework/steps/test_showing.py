"""Models and tables in words: right numbers, and one screen however many there are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector, Experiment, Experiments, Goniometer, ImageSet, vector
from smalti.steps.showing import describe
from smalti.steps.showing.model_facts import space_group_name
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic


def experiment(detector: Detector | None = None) -> Experiment:
    made = synthetic.experiment(detector or synthetic.detector("PILATUS 6M", 264.5, (1230.5, 1260.25)))
    return replace(made, crystal=synthetic.crystal())


def test_distance_beam_centre_and_two_theta_of_a_flat_detector() -> None:
    item = experiment(synthetic.detector("PILATUS 300K", 200.0, (243.0, 500.0), modules=False))
    facts = describe(Experiments((item,)), None).summary()["experiments"]["detector"][0]
    assert facts["distance_mm"] == pytest.approx(200.0)
    assert facts["two_theta_deg"] == pytest.approx(0.0, abs=1e-9)
    assert facts["beam_centre"]["inside"]
    assert facts["beam_centre"]["px"] == pytest.approx([243.0, 500.0])
    assert facts["beam_centre"]["mm"] == pytest.approx([243.0 * 0.172, 500.0 * 0.172])
    corner = np.hypot(0.172 * 244, 0.172 * 500)
    theta = 0.5 * np.arctan(corner / 200.0)
    assert facts["resolution"][0] is None
    assert facts["resolution"][1] == pytest.approx(item.beam.wavelength / (2 * np.sin(theta)), rel=1e-3)


def test_two_theta_arm_turns_the_detector_about_the_crystal() -> None:
    flat = synthetic.detector("PILATUS 300K", 200.0, modules=False)
    arm = rotation(np.array([1.0, 0.0, 0.0]), np.radians(26.0))
    turned = flat.moved({(): (arm, np.zeros(3))})
    facts = describe(Experiments((experiment(turned),)), None).summary()["experiments"]["detector"][0]
    assert facts["distance_mm"] == pytest.approx(200.0)
    assert facts["two_theta_deg"] == pytest.approx(26.0)


def test_beam_beyond_the_edge_and_beam_that_misses() -> None:
    beside = experiment(synthetic.detector("PILATUS 300K", 200.0, (-50.0, 100.0), modules=False))
    shown = describe(Experiments((beside,)), None)
    centre = shown.summary()["experiments"]["detector"][0]["beam_centre"]
    assert not centre["inside"] and centre["px"] == pytest.approx([-50.0, 100.0])
    assert "beyond its edge" in shown.text()
    behind = replace(beside, beam=Beam(direction=(0.0, 0.0, -1.0)))
    assert "does not meet the plane" in describe(Experiments((behind,)), None).text()


def test_one_experiment_in_words() -> None:
    text = describe(Experiments((experiment(),)), None).text()
    assert "distance 264.500 mm" in text
    assert "60 panels of 487 x 195 px, pixels of 0.172 x 0.172 mm" in text
    assert "0.32 mm Si" in text and "parallax corrected" in text
    assert "  0: root Detector\n" in text
    assert "  1: 60 panels Panel0 ... Panel59; held to 0.1 mm in plane" in text
    assert "... and 56 more" in text
    assert "P 4 (no. 75), cell 57.834 57.834 150.022 A" in text
    assert "two-theta 0.000 deg" in text


def test_panels_are_listed_where_they_are_few() -> None:
    text = describe(Experiments((experiment(synthetic.detector("PILATUS 300K")),)), None).text()
    assert all(f"Panel{k}" in text for k in range(3))
    assert "more, all of them" not in text


def test_panels_that_differ_are_counted() -> None:
    plain = synthetic.detector("PILATUS 300K")
    odd = replace(plain, panels=(*plain.panels[:2], replace(plain.panels[2], thickness=1.0)))
    assert "0.32 mm Si, mu 3.96 /mm, parallax corrected (1 differ)" in (
        describe(Experiments((experiment(odd),)), None).text()
    )


def many(n: int) -> Experiments:
    """Stills of many crystals, one detector, equal beams that are not shared, in two space groups."""
    base = experiment()
    items = []
    for k in range(n):
        a = 57.0 + 0.01 * k
        lattice = synthetic.crystal((a, a, 150.0, 90, 90, 90), " P 4" if k % 3 else " P 4nw 2abw")
        beam = replace(base.beam, wavelength=0.9 + 1e-5 * k)
        items.append(Experiment(beam, base.detector, crystal=lattice, identifier=f"still-{k}"))
    return Experiments(tuple(items))


def test_three_hundred_experiments_take_one_screen() -> None:
    shown = describe(many(300), None)
    text = shown.text()
    assert len(text.splitlines()) < 40
    assert max(map(len, text.splitlines())) < 135
    assert "300 experiments (stills)" in text
    assert "200 in P 4, 100 in P 43 21 2" in text
    assert "wavelength 0.90000 to 0.90299 A" in text
    assert "57.000" in text and "59.990" in text
    everything = shown.summary()["experiments"]
    assert len(everything["crystal"]) == 300 and len(everything["detector"][0]["panels"]) == 60
    assert (
        everything["experiments"][7] | {"crystal": 7, "detector": 0, "beam": 7}
        == (everything["experiments"][7])
    )
    json.dumps(shown.summary(), allow_nan=False)


def test_everything_is_listed_on_request() -> None:
    shown = describe(many(300), None)
    short, long = shown.text(), shown.text(every=True)
    assert long.startswith(short)
    listed = long[len(short) :].splitlines()
    head = next(k for k, line in enumerate(listed) if line.startswith("every experiment:"))
    assert listed[head + 4].split()[0] == "0" and listed[head + 303].split()[0] == "299"
    assert "57.000" in listed[head + 4] and "P 4" in listed[head + 4]
    panels = next(k for k, line in enumerate(listed) if line.startswith("every panel:"))
    assert len(listed) - panels - 4 == 60


def test_crystals_far_from_the_others_are_named() -> None:
    experiments = many(60)
    odd = experiments[41]
    grown = synthetic.crystal((80.0, 80.0, 150.0, 90, 90, 90), " P 4")
    items = (*experiments[:41], replace(odd, crystal=grown), *experiments[42:])
    text = describe(Experiments(items), None).text()
    assert "far from the others: experiment 41 (" in text
    assert "far from the others" not in describe(experiments, None).text()


def test_alike_models_are_told_once_and_few_are_told_with_their_experiments() -> None:
    base = experiment()
    others = [replace(base, beam=replace(base.beam)) for _ in range(3)]
    assert "4 beams, all alike" in describe(Experiments((base, *others)), None).text()
    far = replace(base, beam=replace(base.beam, wavelength=1.5))
    text = describe(Experiments((base, others[0], far)), None).text()
    assert "3 beams, 2 different\n  experiments 0-1\n    wavelength" in text
    assert "  experiment 2\n    wavelength 1.50000" in text


def test_chain_of_axes_and_images_in_words() -> None:
    chain = Goniometer.multi_axis(
        (vector([1, 0, 0]), vector([0.643, -0.766, 0]), vector([1, 0, 0])),
        (0.1, -0.5, 0.0), ("PHI", "KAPPA", "OMEGA"), 2,
    )  # fmt: skip
    images = ImageSet(template="th_####.cbf", params={"reader": "pilatus_cbf"}, mask="hot.npy")
    text = describe(Experiments((replace(experiment(), goniometer=chain, imageset=images),)), None).text()
    assert "(OMEGA)" in text and "KAPPA    (0.6430, -0.7660, 0.0000) at -28.65 deg" in text
    assert "th_####.cbf, read by pilatus_cbf, mask hot.npy" in text


@pytest.mark.parametrize(
    ("hall", "name", "number"),
    [
        (" P 4", "P 4", 75),
        (" P 2ac 2ab", "P 21 21 21", 19),
        (" I 2 2 3 (y+z,x+z,x+y)", "I 2 3 (basis y+z,x+z,x+y)", 197),
        ("nonsense", "unknown (nonsense)", None),
    ],
)
def test_space_groups_by_name(hall: str, name: str, number: int | None) -> None:
    assert space_group_name(hall) == (name, number)


def table(n: int = 100, experiments: int = 2) -> Reflections:
    flags = np.full(n, int(Flag.STRONG), dtype=np.uint64)
    flags[: n // 2] |= np.uint64(int(Flag.INDEXED))
    flags[:5] |= np.uint64(int(Flag.CENTROID_OUTLIER))
    xyz = np.zeros((n, 3))
    xyz[:, 0] = np.arange(n)
    xyz[3, 1] = np.nan
    return Reflections(
        {
            "id": np.arange(n) % experiments,
            "panel": np.arange(n) % 2,
            "flags": flags,
            "xyzobs.px.value": xyz,
            "entering": np.arange(n) < 25,
        },
        {k: f"e{k}" for k in range(experiments)},
    )


def test_columns_flags_and_counts_of_a_table() -> None:
    shown = describe(None, table())
    facts = shown.summary()["reflections"]
    column = next(c for c in facts["columns"] if c["name"] == "xyzobs.px.value")
    assert column["min"] == [0, 0, 0] and column["max"] == [99, 0, 0]
    assert column["median"] == [50, 0, 0] and column["n_not_finite"] == 1
    assert facts["flags"] == {"indexed": 50, "strong": 100, "centroid_outlier": 5}
    assert facts["experiments"][1] == {
        "id": 1, "identifier": "e1", "n": 50, "n_indexed": 25, "n_used": 0, "n_outliers": 2,
    }  # fmt: skip
    text = shown.text()
    rows = [line.split() for line in text.splitlines()]
    start = next(k for k, row in enumerate(rows) if row[:1] == ["xyzobs.px.value"])
    assert rows[start][1:] == ["px", "0", "50", "99", "1", "not", "finite"]
    assert rows[start + 1 : start + 3] == [["px", "0", "0", "0"], ["image", "0", "0", "0"]]
    assert "100 reflections in 5 columns" in text
    assert "25 true (25.0 %)" in text and "1 not finite" in text
    assert "indexed" in text and "50.0" in text


def test_many_experiments_of_a_table_are_summed_up() -> None:
    text = describe(None, table(1000, 300)).text()
    assert len(text.splitlines()) < 35
    assert "by experiment, of 300" in text and "fewest in experiments 100 (3)" in text


def test_panels_without_reflections_are_named() -> None:
    item = experiment(synthetic.detector("PILATUS 300K"))
    shown = describe(Experiments((item, item)), table().with_columns(identifiers={}))
    assert "1 panel without: 2" in shown.text()
    assert shown.warnings == ()


def test_a_table_that_does_not_belong_to_the_models_is_told() -> None:
    item = replace(experiment(synthetic.detector("PILATUS 300K", modules=False)), identifier="other")
    warnings = describe(Experiments((item,)), table()).warnings
    assert any("experiment 1, and the list ends at 0" in line for line in warnings)
    assert any("'other' in the list and 'e0' in the table" in line for line in warnings)
    assert any("panel 1, and the detectors end at 0" in line for line in warnings)


@pytest.mark.parametrize("reflections", [Reflections({}), Reflections({"id": np.zeros(0, np.int32)})])
def test_empty_tables_and_lists(reflections: Reflections) -> None:
    assert "0 reflections" in describe(None, reflections).text()
    assert "0 experiments" in describe(Experiments(()), reflections).text()
    assert describe(None, None).text() == ""


@pytest.mark.data
@pytest.mark.parametrize("name", ["cspad_300", "narrow_wedges", "i23_24_panels", "four_sweeps_indexed"])
def test_real_data_take_one_screen_each(data: Path, name: str) -> None:
    folder = data / "tables" / name
    experiments, reflections = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    for shown in (describe(experiments, None), describe(None, reflections)):
        lines = shown.text().splitlines()
        assert len(lines) <= 70 and max(map(len, lines)) <= 100
        json.dumps(shown.summary(), allow_nan=False)


@pytest.mark.data
def test_agrees_with_what_dials_shows_of_the_same_file(data: Path) -> None:
    """Distances and beam centres as printed by dials.show 3.12."""
    experiments = read_experiments(data / "tables" / "four_sweeps_indexed" / "data.expt")
    facts = describe(experiments, None).summary()["experiments"]["detector"][0]
    assert facts["distance_mm"] == pytest.approx(93.498, abs=1e-3)
    assert facts["beam_centre"]["mm"] == pytest.approx([41.35, 97.50], abs=0.005)
    assert facts["beam_centre"]["px"] == pytest.approx([240.39, 567.01], abs=0.005)
