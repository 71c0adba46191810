"""What the summary of a refinement and the history add to a report."""

from __future__ import annotations

from smalti.steps.reporting import make_report


def test_details_of_a_refinement_are_shown(compared):
    _, (experiments, table), _ = compared
    step = {"round": 1, "step": 0, "n": 7, "objective": 12.0}
    parameter = {
        "name": "Detector1Group33Dist",
        "label": "p32 Dist",
        "unit": "mm",
        "value": 0.5,
        "shift": 0.5,
    }
    shift = {"shift_fast_um": 42.0, "esd_fast_um": 1.5, "shift_slow_um": -7.0, "esd_slow_um": 1.25}
    normal = {"normal_um": 3.0, "esd_normal_um": 9.0, "rotation_mrad": 0.5, "esd_rotation_mrad": 0.05}
    tilt = {
        "tilt_fast_mrad": 0.1,
        "esd_tilt_fast_mrad": 0.2,
        "tilt_slow_mrad": 0.3,
        "esd_tilt_slow_mrad": 0.4,
    }
    details = {
        "steps": [step | {"rmsd_x_mm": 0.1234, "rmsd_y_mm": 0.05, "rmsd_phi_deg": 0.034}],
        "ended": "RMSD no longer decreasing",
        "parameters": [parameter | {"esd": 0.0123, "prior_share": 0.25}],
        "panels": [{"detector": 1, "panel": 32, "prior_share": 0.1} | shift | normal | tilt],
        "verdict": {"reasons": ["Beam Mu2 is held by a weak prior."]},
        "free": {"n": 90, "rmsd_x_mm": 0.0271, "rmsd_y_mm": 0.0313, "rmsd_phi_deg": 0.04},
    }
    report = make_report(experiments, table, details=details)
    row = report.data["panels"][32]
    assert row["displacement_um"] == [42.0, -7.0, 3.0]
    assert row["turn_esd_mrad"] == [0.2, 0.4, 0.05]
    assert report.data["steps"][0]["rmsd"] == [123.4, 50.0, 34.0]
    for text in ("42.0 ± 1.5", "RMSD no longer decreasing", "p32 Dist", "0.0123", "Beam Mu2 is held"):
        assert text in report.html
    assert report.data["verdict"]["level"] == "bad"
    assert report.data["sure"] == {"moved": 1, "of": 1}
    assert report.data["rmsd"]["free"] == {"n": 90, "um": [27.1, 31.3, 40.0]}
    assert "27.1 / 31.3" in report.html and "free RMSD" in report.html


def test_panels_that_are_not_believed_are_marked(compared):
    _, (experiments, table), _ = compared
    keys = (
        "shift_fast_um",
        "shift_slow_um",
        "normal_um",
        "tilt_fast_mrad",
        "tilt_slow_mrad",
        "rotation_mrad",
    )
    why = "two halves of its reflections place it 4.1 ESDs apart"
    doubt = {"believed": False, "why": why}
    row = {"detector": 1, "panel": 32, "prior_share": 0.1, **dict.fromkeys(keys, 10.0)}
    fine = row | {"panel": 33, "believed": True, "why": ""}
    report = make_report(experiments, table, details={"panels": [row | doubt, fine]})
    assert report.data["panels"][32]["note"] == f"not believed: {why}" and why in report.html
    assert "not believed" not in report.data["panels"][33]["note"]
    assert [row["panel"] for row in report.data["most_moved"]] == [33]
    assert report.data["not_believed"] == 1 and "Not listed: 1 panel" in report.html
    block = [row | doubt | dict.fromkeys(keys, 1e-11)]
    assert why in make_report(experiments, table, details={"panels": block}).html


def test_a_block_moves_no_panel_against_the_others(compared):
    _, (experiments, table), _ = compared
    keys = (
        "shift_fast_um",
        "shift_slow_um",
        "normal_um",
        "tilt_fast_mrad",
        "tilt_slow_mrad",
        "rotation_mrad",
    )
    rows = [{"detector": 1, "panel": k, **dict.fromkeys(keys, 1e-11)} for k in range(60)]
    report = make_report(experiments, table, details={"panels": rows})
    assert report.data["sure"] is None
    assert "moved" not in report.data["verdict"]["sentence"]
    assert report.data["map"]["displacements"] is None


def test_history_is_told(compared):
    _, (experiments, table), _ = compared
    record = {"time": "2026-05-01T10:11:12.345+00:00", "program": "smalti", "version": "0.1"}
    record |= {"command": "index", "argv": ["smalti", "index", "a b.expt"]}
    report = make_report(experiments, table, history=[record])
    assert report.data["history"] == [record]
    for words in ("2026-05-01 10:11:12", "smalti 0.1", "smalti index &#x27;a b.expt&#x27;"):
        assert words in report.html
