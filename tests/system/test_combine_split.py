"""``smalti combine`` and ``smalti split`` as people type them."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.testing import synthetic


@pytest.fixture
def pairs(tmp_path):
    """Two data sets a and b of one detector, displaced alike, in the current folder of ``smalti``."""
    rng = np.random.default_rng(8)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    moved = synthetic.displaced(detector, rng, (0.2, 0.2, 0.1))
    for k, name in enumerate("ab"):
        crystal = synthetic.crystal(orientation=(0.3 + k, 0.5, 1.0))
        nominal = synthetic.experiment(detector, crystal, n_images=60)
        truth = replace(nominal, detector=moved)
        experiments, table = synthetic.observations(truth, nominal, rng, d_min=3.0, n=250)
        item = replace(experiments[0], identifier=name)
        write_experiments(tmp_path / f"{name}.expt", Experiments((item,)))
        write_reflections(tmp_path / f"{name}.refl", table.with_columns(identifiers={0: name}))
    return tmp_path


def test_join_refine_together_and_split_again(smalti, pairs):
    joined = smalti("combine", "a.expt", "a.refl", "b.expt", "b.refl", "-o", "ab")
    assert joined.status == 0, joined.err
    assert "2 experiments with 1 beam, 1 detector, 1 goniometer, 2 crystals" in joined.out
    refined = smalti("refine", "ab.expt", "ab.refl", "--level", "1", "-o", "r", "--json")
    assert refined.status == 0, refined.err
    assert len(json.loads(refined.out)["result"]["experiments"]) == 2
    parts = smalti("split", "r.expt", "r.refl", "-o", "part")
    assert parts.status == 0, parts.err
    whole = read_experiments("r.expt")
    for k in range(2):
        part, table = read_experiments(f"part_{k}.expt"), read_reflections(f"part_{k}.refl")
        assert part[0] == whole[k]
        assert set(np.unique(table["id"])) == {0} and table.identifiers == {0: "ab"[k]}
    history = smalti("history", "part_1.expt")
    assert all(word in history.out for word in ("combine", "refine", "split"))


def test_a_metrology_is_put_under_a_new_data_set(smalti, pairs):
    assert smalti("refine", "a.expt", "a.refl", "--level", "1", "-o", "known").status == 0
    told = smalti("combine", "b.expt", "b.refl", "--metrology", "known.expt", "-o", "b2", "--json")
    assert told.status == 0, told.err
    assert json.loads(told.out)["result"]["experiments"][0]["metrology_um"] > 50.0
    before, after = (
        json.loads(smalti("refine", f"{name}.expt", "b.refl", "-o", f"{name}_r", "--json").out)["result"]
        for name in ("b", "b2")
    )
    # The panels were not refined here: only the metrology of the other data set makes the difference.
    assert after["experiments"][0]["rmsd_x_px"] < 0.3 * before["experiments"][0]["rmsd_x_px"]


def test_what_cannot_be_joined(smalti, pairs):
    smalti("combine", "a.expt", "a.refl", "b.expt").refused(2, "in pairs", "2 experiment lists and 1")
    smalti("combine", "a.expt", "a.refl", "a.expt", "a.refl").refused(1, "are the same")
    smalti("combine", "a.expt", "b.refl", "b.expt", "a.refl").refused(1, "do not belong together")
    smalti("combine", "a.expt", "--metrology", "missing.expt").refused(3, "missing.expt")
    smalti("combine").refused(2, "in pairs")
    smalti("combine", "a.expt", "a.refl", "-o", "a").refused(2, "a.expt")
    assert not list(Path().glob("combined.[er]*"))


@pytest.mark.dials
def test_dials_reads_what_was_joined(smalti, pairs, dials):
    assert smalti("combine", "a.expt", "a.refl", "b.expt", "b.refl", "-o", "ab").status == 0
    done = subprocess.run(
        [f"{dials}/dials.show", "ab.expt", "ab.refl"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Experiment 1" in done.stdout and "contains 500 reflections" in done.stdout
