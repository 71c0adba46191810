"""Charts as data: their numbers, their pictures for papers, and sections that plugins bring."""

from __future__ import annotations

import functools
import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

from smalti.charts import Chart, Curve, Section, Sheet
from smalti.errors import PluginError
from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining.telling.correlation_rows import correlation_rows
from smalti.steps.reporting import figures, make_report
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic

UM = 1e3


@functools.cache
def data() -> tuple[Experiments, Reflections]:
    """Indexed reflections of three modules, all of them used."""
    rng = np.random.default_rng(9)
    detector = synthetic.detector("PILATUS 300K", distance=150.0)
    truth = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    experiments, table = synthetic.observations(truth, truth, rng, n=3000)
    flags = table["flags"] | np.uint64(int(Flag.USED_IN_REFINEMENT))
    return experiments, predict_indexed(experiments, table.with_columns(flags=flags))


def off(table: Reflections) -> Any:
    return (table["xyzcal.mm"] - table["xyzobs.mm.value"])[:, :2] * UM


def test_residuals_against_intensity_are_those_of_equal_parts() -> None:
    experiments, table = data()
    trend = make_report(experiments, table).data["intensity"]
    order = np.argsort(table["intensity.sum.value"], kind="stable")
    parts = np.array_split(order, 25)
    assert trend["n"] == [len(part) for part in parts]
    for k in (0, 12, 24):
        want = np.sqrt(np.mean(off(table)[parts[k]] ** 2, axis=0))
        assert trend["rmsd"][k][:2] == pytest.approx(want, rel=1e-2)
        middle = np.log10(table["intensity.sum.value"][parts[k]]).mean()
        assert trend["log10_counts"][k] == pytest.approx(middle, abs=1e-2)


def test_without_intensities_there_is_no_trend() -> None:
    experiments, table = data()
    report = make_report(experiments, table.without("intensity.sum.value"))
    assert report.data["intensity"]["log10_counts"] == []
    assert 'id="intensity"' not in report.html and 'id="resolution"' in report.html


def test_quantiles_of_normal_residuals_lie_on_the_line_and_heavy_tails_leave_it() -> None:
    experiments, table = data()
    found = make_report(experiments, table).data["quantiles"]
    inner = slice(8, -8)
    assert found["normal"][-1] == pytest.approx(stats.norm.isf(0.5 / table.n_rows), abs=1e-2)
    assert np.abs(np.array(found["x"]) - found["normal"])[inner].max() < 0.25
    moved = table["xyzobs.mm.value"].copy()
    moved[::20, 0] += 0.2
    heavy = make_report(experiments, table.with_columns({"xyzobs.mm.value": moved})).data["quantiles"]
    assert heavy["x"][0] < -4.0 and heavy["y"][0] > -4.5


def test_what_a_refinement_tells_of_rejection_and_correlation_is_shown() -> None:
    details = {
        "parameters": [],
        "left_out": {"close to the spindle": 12},
        "rejected": {"n": 34, "fraction": 0.011, "expected_of_good": 0.004, "n_mislabelled": 5},
        "gauge": "held: the scale of lengths (wavelength)",
        "weak_modes": [{"name": "distance against <cell>", "kind": "weak", "eigenvalue": 1e-6}],
        "correlations": [{"first": "Detector1Dist", "second": "Crystal1g_param_0", "correlation": -0.97}],
    }  # fmt: skip
    report = make_report(*data(), details=details)
    assert "left out: close to the spindle" in report.html and ">34<" in report.html
    assert "distance against &lt;cell&gt;" in report.html and "−0.97" in report.html
    assert report.data["rejected"]["left_out"] == {"close to the spindle": 12}
    assert "the scale of lengths" in report.html


def test_correlations_are_the_largest() -> None:
    covariance = np.diag([4.0, 1.0, 9.0, 0.0])
    covariance[0, 1] = covariance[1, 0] = -1.8
    covariance[1, 2] = covariance[2, 1] = 1.5
    covariance[0, 2] = covariance[2, 0] = 0.6
    rows = correlation_rows(covariance, ("a", "b", "c", "held"))
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b"), ("b", "c")]
    assert [row["correlation"] for row in rows] == pytest.approx([-0.9, 0.5])
    assert correlation_rows(np.eye(1), ("a",)) == []


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_every_figure_is_drawn_for_papers(kind: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'smalti[plots]'")
    report = make_report(*data(), extra=[Bars()])
    drawn = dict(figures(report.data, kind))
    expected = {"map-rms", "angle-1", "resolution-3", "intensity-2", "distributions-4", "images", "bars"}
    assert expected <= set(drawn)
    for name, again in islice(figures(report.data, kind), 2):
        assert drawn[name] == again, "the same data give the same bytes"
    for content in drawn.values():
        if kind == "png":
            assert content.startswith(b"\x89PNG")
        else:
            assert ET.fromstring(content).tag.endswith("svg")


@dataclass(frozen=True)
class Bars:
    """A section with one of everything."""

    name: ClassVar[str] = "bars"

    def section(self, experiments: Experiments, reflections: Reflections, figures: Any) -> Section | None:
        curves = [Curve("one", [1, 2, 3]), Curve("two", [1, 0, None])]
        charts = [Chart("A", "x (mm)", "n", [0.0, 1.0, 2.0], curves, "bars")]
        return Section("Bars & <more>", ["A text <b>."], charts, [Sheet(["k", "n"], [["a", 1], ["b", None]])])


def test_a_section_of_a_plugin_is_drawn_and_kept() -> None:
    report = make_report(*data(), extra=[Bars()])
    assert "Bars &amp; &lt;more&gt;" in report.html and "A text &lt;b&gt;." in report.html
    assert 'id="section-bars"' in report.html
    assert json.loads(json.dumps(report.data))["sections"]["bars"]["charts"][0]["curves"][1]["label"] == "two"


@dataclass(frozen=True)
class Broken:
    """Gives whatever it is told to."""

    name: ClassVar[str] = "broken"
    given: Any = None

    def section(self, experiments: Experiments, reflections: Reflections, figures: Any) -> Any:
        if self.given == "raise":
            raise ZeroDivisionError("nothing to divide")
        return self.given


GOOD = Section("T", charts=[Chart("C", "x", "y", [1.0, 2.0], [Curve("", [1.0, 2.0])])])
CHART = GOOD.charts[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("raise", "ZeroDivisionError"),
        ("text", "it gave str"),
        (replace(GOOD, title=" "), "no title"),
        (replace(GOOD, charts=[replace(CHART, x=[1.0])]), "not as long as its x"),
        (replace(GOOD, charts=[replace(CHART, kind="stairs")]), "not as long as its x"),
        (replace(GOOD, charts=[replace(CHART, curves=[])]), "is empty"),
        (replace(GOOD, charts=[replace(CHART, curves=[Curve("", [1.0, float("nan")])])]), "no finite number"),
        (replace(GOOD, charts=[replace(CHART, curves=[Curve("", [1, 2], [1])])]), "not as long as its x"),
        (replace(GOOD, sheets=[Sheet(["a"], [["b", "c"]])]), "not as long as its heads"),
    ],
)
def test_a_section_that_fails_costs_no_report(given: Any, words: str) -> None:
    report = make_report(*data(), extra=[Broken(given), Bars()])
    assert len(report.warnings) == 1 and words in report.warnings[0] and "broken" in report.warnings[0]
    assert list(report.data["sections"]) == ["bars"]


def test_figures_without_matplotlib_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    report = make_report(*data())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PluginError, match="need matplotlib") as caught:
        next(figures(report.data, "png"))
    assert "pip install 'smalti[plots]'" in str(caught.value)
