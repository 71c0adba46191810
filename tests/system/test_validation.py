"""What is held out, halved and chosen, as users meet it."""

import json

import numpy as np
import pytest

from smalti.storage import read_reflections


def test_a_level_is_chosen_on_the_command_line(smalti, work):
    result = smalti("refine", "indexed.expt", "indexed.refl", "--level", "auto", "-o", "auto", "--json")
    assert result.status == 0, result.err
    told = json.loads(result.out)["result"]
    choice = told["level_choice"]
    names = [row["name"] for row in choice["candidates"]]
    assert names == ["level 0", "level 1"] and choice["chosen"] == "level 1"
    assert told["n_free"] > 50 and told["halves"]["split"] == "reflections"
    assert json.loads((work / "auto.json").read_text())["level_choice"] == choice
    assert smalti("refine", "indexed.expt", "indexed.refl", "--level", "auto", "--dry-run").status == 0


def test_levels_after_one_another_hold_out_the_same(smalti, work):
    """Calibrating refines level 0, then level 1 from its files."""
    first, second = (read_reflections(work / f"refined_{level}.refl") for level in (0, 1))
    assert first["free"].sum() > 50
    np.testing.assert_array_equal(first["free"], second["free"])
    again = smalti("refine", "refined_1.expt", "refined_1.refl", "--level", "1", "--set", "refine.seed=5")
    assert again.status == 0, again.err
    np.testing.assert_array_equal(read_reflections(work / "refined.refl")["free"], first["free"])


def test_everything_can_be_fitted(smalti, work):
    words = ("refine", "refined_1.expt", "refined_1.refl", "--level", "1", "--json", "refine.halves=off")
    result = smalti(*words, "refine.free_fraction=0")
    assert result.status == 0, result.err
    told = json.loads(result.out)["result"]
    assert told["n_free"] == 0 and told["halves"] is None and told["free"]["gap"] is None


@pytest.mark.slow
def test_calibration_with_a_level_that_is_chosen(smalti, images, tmp_path):
    result = smalti(
        "calibrate", images / "small_*.cbf", "--space-group", "P43212", "--levels", "0,auto", "-o", "cal"
    )
    assert result.status == 0, result.err
    told = json.loads((tmp_path / "cal" / "refined_auto.json").read_text())
    assert told["level_choice"]["chosen"].startswith("level 1")
    assert "level auto" in result.out


def test_a_fraction_that_is_none_is_refused(smalti, work):
    smalti("refine", "indexed.expt", "indexed.refl", "refine.free_fraction=0.7").refused(2, "free_fraction")
