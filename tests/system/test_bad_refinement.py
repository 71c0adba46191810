"""What cannot be refined is refused in words that name the files, and nothing is written."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.panelling import convert_panels
from smalti.storage import write_experiments, write_reflections
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic

N = 1500


@pytest.fixture(scope="module")
def problem():
    """Ten modules and 1,500 of their reflections."""
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=60)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.08, 0.08, 0.04)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.4, n=N)
    return experiments, table.with_columns(identifiers={0: "synthetic"})


@pytest.fixture
def refine(smalti, problem):
    """Write models and table and refine them; all of refine's complaints must leave nothing behind."""

    def call(experiments=None, table=None, *words):
        write_experiments("bad.expt", problem[0] if experiments is None else experiments)
        write_reflections("bad.refl", problem[1] if table is None else table)
        result = smalti("refine", "bad.expt", "bad.refl", "-q", *words)
        if result.status not in (0, 4):
            assert {path.name for path in Path().iterdir()} <= {"bad.expt", "bad.refl", "refined.log"}
        return result

    return call


def with_value(name, rows, value):
    """Change values of one column of a table."""

    def change(table):
        column = np.array(table[name])
        column[rows] = value
        return table.with_columns({name: column})

    return change


TABLES = {
    "empty": (lambda t: t.take(np.arange(0)), ("Only 0 reflections", "Index the spots first")),
    "one reflection": (lambda t: t.take(np.array([300])), ("Only 1 reflection can", "Find more")),
    "nine reflections": (lambda t: t.take(np.arange(300, 309)), ("Only 9 reflections", "Find more")),
    "nothing indexed": (with_value("id", slice(None), -1), ("0 are indexed", "smalti index")),
    "no index": (with_value("miller_index", slice(None), 0), ("0 are indexed", "smalti index")),
    "not a number": (with_value("xyzobs.mm.value", (7, 1), np.nan), ("no number as observed", "row 7")),
    "infinite": (with_value("xyzobs.mm.value", (7, 2), np.inf), ("no number as observed", "row 7")),
    "pixels that are none": (with_value("xyzobs.px.value", (7, 0), np.nan), ("xyzobs.px.value", "row 7")),
    "far away": (with_value("xyzobs.mm.value", (7, 0), 1e300), ("10 m away", "row 7")),
    "variance of no number": (with_value("xyzobs.mm.variance", 7, np.nan), ("not positive", "row 7")),
    "variance of 0": (with_value("xyzobs.mm.variance", (7, 0), 0.0), ("not positive", "row 7")),
    "variances all 0": (with_value("xyzobs.mm.variance", slice(None), 0.0), ("1,500 indexed reflections",)),
    "negative variance": (with_value("xyzobs.mm.variance", (7, 2), -1.0), ("not positive", "row 7")),
    "infinite variance": (with_value("xyzobs.mm.variance", 7, np.inf), ("not positive", "row 7")),
    "tiny variance": (with_value("xyzobs.mm.variance", (7, 1), 1e-300), ("no centroid", "row 7")),
    "huge variance": (with_value("xyzobs.mm.variance", (7, 1), 1e300), ("no centroid", "row 7")),
    "a panel too many": (with_value("panel", 7, 10), ("1 reflection is on", "panel 10 of a detector of 10")),
    "panels beyond counting": (with_value("panel", slice(None), 2**63), ("detector of 10", "smalti panels")),
    "an experiment too many": (with_value("id", 7, 1), ("experiment 1", "There is 1 experiment")),
    "indices beyond reason": (with_value("miller_index", slice(None), 2**30), ("not predicted", "not fit")),
    "after the scan": (
        lambda t: t.with_columns({"xyzobs.mm.value": t["xyzobs.mm.value"] + (0.0, 0.0, 9.0)}),
        ("outside the scan", "belong together"),
    ),
    "overloaded": (with_value("flags", slice(None), int(Flag.INDEXED | Flag.OVERLOADED)), ("overloaded",)),
    "one reflection many times": (lambda t: t.take(np.full(500, 300)), ("499 in the table already",)),
    "another experiment": (
        lambda t: t.with_columns(identifiers={0: "elsewhere"}),
        ("'elsewhere'", "'synthetic'", "one command wrote"),
    ),
}  # fmt: skip
COLUMNS = ("id", "miller_index", "panel", "xyzobs.mm.value", "xyzobs.mm.variance")


@pytest.mark.parametrize("case", TABLES)
def test_a_table(refine, problem, case):
    spoil, words = TABLES[case]
    refine(None, spoil(problem[1])).refused(1, "bad.expt and bad.refl", *words)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column(refine, problem, column):
    refine(None, problem[1].without(column)).refused(1, column, "bad.refl", "previous step")


def test_a_complaint_as_an_object(refine, problem):
    spoil, _ = TABLES["not a number"]
    told = refine(None, spoil(problem[1]), "--json").refused_as_object(1)
    assert "bad.refl" in told["error"]["why"] and told["outputs"] == [] and told["result"] is None


def other(experiments, **changes):
    return Experiments((replace(experiments[0], **changes),))


MODELS = {
    "a smaller detector": (
        lambda e: other(e, detector=synthetic.detector("PILATUS 300K", 160.0)),
        ("of a detector of 3", "smalti panels"),
    ),
    "another scan": (
        lambda e: other(e, scan=replace(e[0].scan, oscillation=(2.0, e[0].scan.oscillation[1]))),
        ("outside the scan", "belong together"),
    ),
    "a cell against its symmetry": (
        lambda e: other(e, crystal=synthetic.crystal((80.0, 90.0, 100.0, 90.0, 90.0, 90.0))),
        ("does not fit its space group", "P 4"),
    ),
    "no crystal": (lambda e: other(e, crystal=None), ("Only data of indexed crystals", "Index")),
    "no scan": (lambda e: other(e, scan=None), ("is a still", "no scan")),
    "no goniometer": (lambda e: other(e, goniometer=None), ("is a still", "no goniometer")),
    "no experiment": (lambda e: Experiments(()), ("There are 0 experiments",)),
}


@pytest.mark.parametrize("case", MODELS)
def test_models_that_do_not_fit_the_table(refine, problem, case):
    change, words = MODELS[case]
    refine(change(problem[0]), problem[1]).refused(1, "bad.expt", *words)


def test_modules_here_and_a_single_panel_there(refine, problem):
    experiments, table = problem
    single = convert_panels(experiments, table, "single")
    refine(experiments, single.reflections).refused(1, "beside the panel", "smalti panels")
    refine(single.experiments, table).refused(1, "of a detector of 1", "smalti panels")


BROKEN = {
    "wavelength of 0": (("beam", 0, "wavelength"), 0.0),
    "negative wavelength": (("beam", 0, "wavelength"), -1.0),
    "wavelength that is none": (("beam", 0, "wavelength"), float("nan")),
    "beam from nowhere": (("beam", 0, "direction"), [0.0, 0.0, 0.0]),
    "axis of no length": (("goniometer", 0, "rotation_axis"), [0.0, 0.0, 0.0]),
    "flat cell": (("crystal", 0, "real_space_a"), [0.0, 0.0, 0.0]),
    "cell of no number": (("crystal", 0, "real_space_b"), [float("nan"), 0.0, 0.0]),
    "panel without width": (("detector", 0, "panels", 3, "fast_axis"), [0.0, 0.0, 0.0]),
    "panel nowhere": (("detector", 0, "panels", 3, "origin"), [0.0, float("nan"), 0.0]),
    "pixels of no size": (("detector", 0, "panels", 3, "pixel_size"), [0.0, 0.172]),
    "panel of no pixels": (("detector", 0, "panels", 3, "image_size"), [0, 0]),
    "skew panel": (("detector", 0, "panels", 3, "slow_axis"), [1.0, 0.0, 0.0]),
    "no such crystal": (("experiment", 0, "crystal"), 5),
}


@pytest.mark.parametrize("case", BROKEN)
def test_degenerate_models(smalti, problem, case):
    (*path, last), value = BROKEN[case]
    write_experiments("bad.expt", problem[0])
    write_reflections("bad.refl", problem[1])
    content = json.loads(Path("bad.expt").read_text())
    place = content
    for step in path:
        place = place[step]
    place[last] = value
    Path("bad.expt").write_text(json.dumps(content))
    smalti("refine", "bad.expt", "bad.refl", "-q").refused(3, "bad.expt", str(path[0]))
    assert not Path("refined.expt").exists()


def few(table, keep):
    return table.where(keep(table["miller_index"], table["panel"]))


POOR = {
    "indices in a plane": (lambda h, panel: h[:, 2] == 0, "c*.c*"),
    "indices on a line": (lambda h, panel: (h[:, 0] == 4) & (h[:, 1] == 4), "too few"),
    "spots on one panel": (lambda h, panel: panel == 2, "9 panels without reflections"),
}


@pytest.mark.parametrize("case", POOR)
@pytest.mark.parametrize("level", [0, 1])
def test_what_is_singular_is_held_and_told(smalti, problem, case, level):
    """No choice of data stops a refinement or runs away; what nothing determines is named."""
    nominal = problem[0][0]
    experiments, table = synthetic.observations(nominal, nominal, np.random.default_rng(2), d_min=2.2)
    keep, words = POOR[case]
    write_experiments("poor.expt", experiments)
    write_reflections("poor.refl", few(table, keep))
    call = ("refine", "poor.expt", "poor.refl", "--level", level, "minimum_reflections=3", "--json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = json.loads(smalti(*call).out)
    assert words in " ".join(told["warnings"])
    parameters = told["result"]["parameters"]
    assert all(np.isfinite(row["esd"]) and row["esd"] > 0.0 for row in parameters)
    # Truth is the start: nothing strays from it beyond what it is said to be uncertain by.
    assert max(abs(row["shift"]) / row["esd"] for row in parameters) < 5.0


def test_copies_count_once(refine, problem):
    table = problem[1]
    plain = json.loads(refine(None, table, "--json").out)["result"]
    Path("refined.expt").unlink()
    thrice = json.loads(refine(None, Reflections.concatenate([table] * 3), "--json").out)["result"]
    assert thrice["left_out"]["in the table already"] == 2 * N
    for one, same in zip(plain["parameters"], thrice["parameters"], strict=True):
        assert same["value"] == pytest.approx(one["value"], abs=1e-6 * one["esd"])
        assert same["esd"] == pytest.approx(one["esd"], rel=1e-6)


def test_wrong_indices_are_never_trusted(refine, problem):
    table, rng = problem[1], np.random.default_rng(1)
    mixed = np.ascontiguousarray(table["miller_index"][rng.permutation(N)])
    result = refine(None, table.with_columns({"miller_index": mixed}), "--strict")
    assert result.status == 4
    assert "from their predictions" in result.err
