"""The reference of the JSON says what a refinement says, and a refinement says what the reference says."""

import json
import re
from pathlib import Path

import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "refine-json.md"

NAMED_BY_DATA = ("left_out", "terms", "shares", "parameters of a mode")
"""Objects whose keys are reasons, terms, motions and parameters, and not words of the reference."""


def keys(value, inside=""):
    """All keys of an object, but of those that are named by data."""
    if isinstance(value, dict):
        of_mode = {"eigenvalue", "kind"} <= set(value)
        for key, item in value.items():
            yield key
            named = key in NAMED_BY_DATA or (of_mode and key == "parameters")
            if not named:
                yield from keys(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item, inside)


@pytest.fixture(scope="module")
def results(displaced_problem):
    _, experiments, table = displaced_problem
    made = [
        refine(
            experiments,
            table,
            Hierarchical(level=level),
            GaussNewton(),
            Tukey(),
            RefineOptions(rounds=2, **more),
        )
        for level, more in ((1, {}), ("auto", {"scan_varying": "orientation", "scan_interval": 50.0}))
    ]
    # Through JSON, as people see it.
    return [json.loads(json.dumps(refined.summary())) for refined in made]


def test_every_key_is_in_the_reference(results):
    quoted = re.findall(r"`([^`]+)`", PAGE.read_text(encoding="utf-8"))
    words = {part for word in quoted for part in re.split(r"\.|\[\]\.", word)}
    found = {key for result in results for key in keys(result)}
    assert len(found) > 150
    # Free and working RMSDs in mm are said to be RMSDs, of candidates and of steps.
    said = {key for key in found if key in words or re.fullmatch(r"(free_)?rmsd_(x_mm|y_mm|phi_deg)", key)}
    assert found == said


def test_every_word_of_the_first_column_is_a_key(results):
    found = {key for result in results for key in keys(result)}
    first = [
        line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    words = {
        part
        for cell in first
        for word in re.findall(r"`([^`]+)`", cell)
        for part in re.split(r"\.|\[\]\.", word)
    }
    assert words - found == set()


def test_what_the_issue_asks_of_panels_and_parameters_is_there(results):
    row = results[0]["panels"][0]
    for key in ("panel", "name", "n_used", "n_free", "n_rejected", "rmsd_x_px", "rmsd_y_px", "rmsd_z_images"):
        assert key in row
    assert {"free_rmsd_x_px", "shift_um", "esd_um", "rotation_mrad", "prior_share", "believed"} <= set(row)
    assert {"name", "unit", "value", "shift", "esd", "prior_share"} <= set(results[0]["parameters"][0])
