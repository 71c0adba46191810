"""Reports of many crystals, of stills, of detectors with groups, and of drift."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Detector, Experiments, Group
from smalti.steps.predicting import predict_indexed
from smalti.steps.reporting import make_report
from smalti.storage import read_experiments, read_reflections
from smalti.testing import synthetic

LIMIT = 1_000_000
"""Bytes of a page that can be mailed."""


def sweep(n=3000, seed=8):
    """One sweep of a nominal detector, with predictions."""
    rng = np.random.default_rng(seed)
    detector = synthetic.detector("PILATUS 2M", 250.0, modules=True)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    experiments, table = synthetic.observations(nominal, nominal, rng, n=n)
    return experiments, predict_indexed(experiments, table)


def grouped(detector):
    """The same panels as three groups of rows, so that a level lies between the root and them."""
    rows = [tuple(range(k, k + 8)) for k in range(0, 24, 8)]
    children = tuple(Group(f"rows-{k}", children=row) for k, row in enumerate(rows))
    return Detector(detector.panels, replace(detector.root, children=children))


def parameter(name, label, shift, esd, unit, share):
    return {"name": name, "label": label, "value": shift, "shift": shift, "esd": esd, "unit": unit,
            "prior_share": share}  # fmt: skip


def test_groups_have_their_own_figures_and_motions():
    (one,), table = sweep()
    experiments = Experiments((replace(one, detector=grouped(one.detector)),))
    details = {
        "parameters": [
            parameter("Detector1Group2Shift1", "rows-1 Shift1", 0.0123, 0.002, "mm", 0.1),
            parameter("Detector1Group2Tau1", "rows-1 Tau1", -0.25, 0.05, "mrad", 0.3),
            parameter("Crystal1Phi1", "crystal Phi1", 0.1, 0.01, "mrad", 0.0),
        ]
    }
    report = make_report(experiments, table, details=details)
    groups = report.data["groups"]
    assert [row["name"] for row in groups] == ["rows-0", "rows-1", "rows-2"]
    assert [row["level"] for row in groups] == [1, 1, 1]
    panels = report.data["panels"]
    for row in groups:
        assert row["used"] == sum(panels[k]["used"] for k in row["panels"])
    squares = sum(panels[k]["used"] * panels[k]["rmsd_px"][0] ** 2 for k in range(8))
    assert groups[0]["rmsd_px"][0] == pytest.approx((squares / groups[0]["used"]) ** 0.5, rel=2e-3)
    motion = groups[1]["motion"]
    assert motion["Shift1"] == [12.3, 2.0] and motion["Tau1"] == [-0.25, 0.05]
    assert motion["prior_share"] == 0.2
    assert groups[0]["motion"] is None
    assert "Groups of panels" in report.html
    assert "--level auto" in json.dumps(report.data["verdict"]) or report.data["verdict"]["level"] == "good"


def test_a_flat_tree_has_no_groups():
    report = make_report(*sweep(n=600))
    assert report.data["groups"] == [] and "Groups of panels" not in report.html
    assert report.data["drift"] is None and ">Drift<" not in report.html


def test_drift_is_drawn_and_told():
    values = {"values": [-2.0, 0.5, 1.5], "esds": [0.3, 0.2, 0.3], "range": 3.5, "rate": 1.7, "rate_esd": 0.2}
    moving = {"name": "Dist", "unit": "um", **values, "probability": 1e-9, "drifts": True}
    steady = {"name": "Tau2", "unit": "mrad", **values, "probability": 0.4, "drifts": False}
    steps = [{"time": t, "detector": 1, "experiments": [0], "n_used": 9} for t in (0.0, 1.0, 2.0)]
    chain = {"start": 0.0, "steps": steps, "parameters": [moving, steady]}
    details = {"parameters": [], "drift": {"unit": "h", "chance": 1e-3, "chains": [chain]}}
    report = make_report(*sweep(n=600), details=details)
    assert report.data["drift"]["chains"][0]["steps"][1]["time"] == 1.0
    assert "Dist: 1.7 ± 0.2 um per h, 3.5 um in all; more than noise." in report.html
    assert "noise alone would look like this in 40 % of cases" in report.html
    assert report.html.count("from the mean (um)") == report.html.count("from the mean (mrad)") > 0


def test_parameters_of_many_crystals_are_in_the_json_only():
    rows = [parameter(f"Crystal{k}Phi1", "crystal Phi1", 0.1, 0.01, "mrad", 0.0) for k in range(2000)]
    rows.append(parameter("Detector1Dist", "detector Dist", 0.1, 0.01, "mm", 0.0))
    report = make_report(*sweep(n=600), details={"parameters": rows})
    assert len(report.data["parameters"]) == 2001
    assert "2,001 parameters, 1 of them here, all in the JSON file" in report.html
    assert "Crystal7Phi1" not in report.html and "Detector1Dist" in report.html


@pytest.mark.data
def test_three_hundred_stills(data: Path):
    experiments = read_experiments(data / "tables" / "cspad_300" / "data.expt")
    table = read_reflections(data / "tables" / "cspad_300" / "data.refl")
    details = {"parameters": [], "experiments": [{"experiment": 7, "why": "its spots fit no model"}]}
    report = make_report(experiments, table, details=details)
    found = report.data
    assert len(report.html.encode()) < LIMIT
    assert found["third"] == "DeltaPsi" and found["map"]["kind"] == "flat"
    assert len(found["experiments"]) == 300 and all(row["still"] for row in found["experiments"])
    assert found["experiments"][7]["why"] == "its spots fit no model"
    assert found["angle"]["angle_deg"] == [] and "Against rotation angle" not in report.html
    assert sum(found["order"]["n"]) == found["totals"]["used"] == 8790
    assert found["images"]["of"] == "experiment" and sum(found["images"]["used"]) == 8790
    assert [row["level"] for row in found["groups"]] == [1] * 4 + [2] * 32
    assert found["groups"][4]["panels"] == [0, 1]
    # The third residual is that of the table, in mdeg.
    psi = np.degrees(table["delpsical.rad"]) * 1e3
    assert found["rmsd"]["after"]["um"][2] == pytest.approx(np.sqrt((psi**2).mean()), rel=1e-3)
    summary = found["experiments_summary"]
    assert (summary["n"], summary["stills"]) == (300, 300)
    cell = next(item for item in summary["distributions"] if item["key"] == "a")
    cells = [item.crystal.cell[0] for item in experiments if item.crystal is not None]
    assert cell["five"] == pytest.approx(np.percentile(cells, [0, 25, 50, 75, 100]), abs=1e-3)


def test_stills_and_sweeps_together():
    """DeltaPsi of the stills, the angle of the sweep; the page names both."""
    (one,), table = sweep(n=800)
    half = np.arange(table.n_rows) % 2
    still = replace(one, goniometer=None, scan=None, identifier="still")
    psi = np.linspace(-1e-3, 1e-3, table.n_rows)
    both = table.with_columns({"id": half.astype(np.int32), "delpsical.rad": psi})
    report = make_report(Experiments((one, still)), both)
    assert report.data["third"] == "mixed" and "φ, ΔΨ" in report.html
    mine = half == 1
    expected = np.sqrt(((np.degrees(psi[mine]) * 1e3) ** 2).mean())
    assert report.data["experiments"][1]["rmsd"][2] == pytest.approx(expected, rel=1e-3)
