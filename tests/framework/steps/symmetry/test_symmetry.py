"""The symmetry of lattices with known truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.geometry.lattice import primitive
from smalti.models import Crystal
from smalti.steps.indexing.cycles import Refinery
from smalti.steps.reindexing import ReindexOptions, reindex
from smalti.steps.symmetry import SymmetryOptions, find_symmetry
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.tukey import Tukey

REFINERY = Refinery(Hierarchical(), LevenbergMarquardt(), Tukey())


def indexed(cell, group=" P 1", centring="P", n=500):
    """A crystal as indexing leaves it: primitive and reduced, with its reflections."""
    rng = np.random.default_rng(5)
    truth = synthetic.experiment(
        synthetic.detector("PILATUS 2M", 250.0), synthetic.crystal(cell, group), n_images=90
    )
    experiments, table = synthetic.observations(truth, truth, rng, d_min=2.5, n=n)
    axes = np.array(truth.crystal.real_space)
    if centring != "P":
        rule = {"C": lambda h: (h[:, 0] + h[:, 1]) % 2 == 0, "I": lambda h: h.sum(axis=1) % 2 == 0}[centring]
        table = table.where(rule(table["miller_index"]))
        basis = primitive(axes, centring)
        h = table["miller_index"] @ np.linalg.inv(axes).T @ basis.T
        table = table.with_columns({"miller_index": np.rint(h).astype(np.int32)})
        small = Crystal.from_A(np.linalg.inv(basis))
        return replace(experiments, items=(replace(experiments[0], crystal=small),)), table
    return experiments, table


@pytest.mark.parametrize(
    ("cell", "centring", "expected"),
    [
        ((44.0, 44.0, 61.0, 90.0, 90.0, 90.0), "P", "tP"),
        ((44.0, 44.6, 61.0, 90.0, 90.0, 90.0), "P", "oP"),
        ((44.0, 52.0, 61.0, 90.0, 93.0, 90.0), "P", "mP"),
        ((31.2, 42.5, 55.1, 83.0, 97.0, 104.0), "P", "aP"),
        ((60.0, 44.0, 52.0, 90.0, 101.0, 90.0), "C", "mC"),
        ((61.0, 61.0, 61.0, 90.0, 90.0, 90.0), "I", "cI"),
    ],
)
def test_the_true_lattice_is_recommended(cell, centring, expected):
    found = find_symmetry(*indexed(cell, centring=centring), REFINERY)
    assert found.recommended == expected
    chosen = found.chosen.refined.experiments[0].crystal
    assert sorted(chosen.cell[:3]) == pytest.approx(sorted(cell[:3]), rel=2e-3)
    assert found.choices[0].setting.bravais == "aP"
    assert found.choices[0].ratio == 1.0


@pytest.fixture(scope="module")
def nearly_tetragonal():
    experiments, table = indexed((44.0, 44.6, 61.0, 90.0, 90.0, 90.0))
    return experiments, table, find_symmetry(experiments, table, REFINERY)


def test_a_symmetry_that_is_not_there_shows_in_its_residuals(nearly_tetragonal):
    *_, found = nearly_tetragonal
    rows = {item.setting.bravais: item for item in found.choices}
    assert rows["tP"].ratio > 2.0
    assert rows["oP"].ratio < 1.1
    # judged on the same reflections, although the wrong symmetry may reject most of them
    assert rows["tP"].refined.experiments[0].crystal.cell[0] == pytest.approx(
        rows["tP"].refined.experiments[0].crystal.cell[1]
    )


def test_summary_and_table(nearly_tetragonal):
    *_, found = nearly_tetragonal
    summary = json.loads(json.dumps(found.summary()))
    assert summary["recommended"] == summary["taken"] == "oP"
    assert [row["lattice"] for row in summary["lattices"]] == [item.setting.bravais for item in found.choices]
    assert all(row["rmsd_x_px"] > 0 for row in summary["lattices"])
    text = found.text()
    assert "Recommended: oP" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_user_may_take_another(nearly_tetragonal):
    experiments, table, _ = nearly_tetragonal
    found = find_symmetry(experiments, table, REFINERY, SymmetryOptions(lattice="mP"))
    assert found.recommended == "oP"
    assert found.chosen.setting.bravais == "mP"
    with pytest.raises(UsageError, match="not close to cF") as caught:
        find_symmetry(experiments, table, REFINERY, SymmetryOptions(lattice="cF"))
    assert "oP" in caught.value.why


def test_odd_axes_and_a_centred_start_make_no_difference():
    experiments, table = indexed((44.0, 44.0, 61.0, 90.0, 90.0, 90.0))
    odd = reindex(experiments, table, ReindexOptions(operator="l,h-k,h"))
    assert find_symmetry(odd.experiments, odd.reflections, REFINERY).recommended == "tP"


def test_without_a_crystal_there_is_nothing_to_do():
    experiments, table = indexed((44.0, 44.0, 61.0, 90.0, 90.0, 90.0), n=100)
    bare = replace(experiments, items=(replace(experiments[0], crystal=None),))
    with pytest.raises(DataError, match="no crystal"):
        find_symmetry(bare, table, REFINERY)
