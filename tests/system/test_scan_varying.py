"""A crystal that slips, on the command line: integrated reflections of a long l-cysteine sweep."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.data


def test_a_slipping_crystal_is_followed(smalti, data):
    """DIALS with a static crystal: 0.423 px 0.437 px 1.107 images; the crystal turns by 4.5 mrad."""
    pair = [str(data / "tables" / "l_cysteine_20" / f"data.{kind}") for kind in ("expt", "refl")]
    found = {}
    for what in ("off", "all"):
        result = smalti("refine", *pair, "--scan-varying", what, "-o", what, "--json")
        assert result.status == 0, result.err
        found[what] = json.loads(result.out)["result"]
    stays, varies = (found[what]["experiments"][0] for what in ("off", "all"))
    assert varies["n_used"] > stays["n_used"]
    assert varies["rmsd_x_px"] < 0.75 * stays["rmsd_x_px"]
    assert varies["free_rmsd_z_images"] < 0.15 < 0.3 < stays["free_rmsd_z_images"]
    scan = found["all"]["crystals"][0]["scan"]
    assert scan["turn_range_mrad"] == pytest.approx(4.5, abs=0.7)
    shown = smalti("show", "all.expt")
    assert "varies over the scan, given at" in shown.out and "turns by up to" in shown.out
    report = smalti("report", "all.expt", "all.refl", "-o", "report")
    assert report.status == 0, report.err
    with open("report.html") as page:
        assert "Crystals over the scan" in page.read()
    again = smalti("refine", "all.expt", "all.refl", "-o", "again", "--json")
    told = json.loads(again.out)
    assert any("refined without variation" in warning for warning in told["warnings"])
    assert told["result"]["crystals"][0]["scan"] is None


def test_the_dry_run_counts_the_samples(smalti, data):
    pair = [str(data / "tables" / "l_cysteine_20" / f"data.{kind}") for kind in ("expt", "refl")]
    result = smalti("refine", *pair, "--scan-varying", "orientation", "--dry-run", "--json")
    parameters = json.loads(result.out)["result"]["parameters"]
    assert parameters["crystal orientation"] == 21 and parameters["crystal cell"] == 3
