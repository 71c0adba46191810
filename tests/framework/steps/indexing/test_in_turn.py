"""Several indexers in turn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.steps.indexing import IndexOptions, first_that_works, index

from .made_up import COMPONENTS, FAST, sweep


@dataclass(frozen=True)
class Blind:
    """An indexer that sees nothing."""

    name: ClassVar[str] = "blind"

    def candidates(self, cloud, max_cell, known_cell=None):
        return []


@dataclass(frozen=True)
class Demanding:
    """An indexer that wants to be told something."""

    name: ClassVar[str] = "demanding"

    def candidates(self, cloud, max_cell, known_cell=None):
        raise UsageError("demanding was given no cell.", "It needs one.", "Give one.")


@pytest.fixture(scope="module")
def made():
    return sweep(np.random.default_rng(6), n=500, images=120)


def attempt_of(made, **options):
    experiments, spots, _ = made
    given = IndexOptions(max_cell=75.0, search_beam=False, cycles=1, **options)
    return lambda indexer: index(experiments, spots, indexer, *COMPONENTS, given)


def test_the_first_that_explains_most_ends_the_search(made):
    result = first_that_works([Blind(), FAST, Demanding()], attempt_of(made))
    assert [(item.indexer, item.taken) for item in result.methods] == [("blind", False), ("wedge_fft", True)]
    assert "No lattice was found" in result.methods[0].problem
    summary = json.loads(json.dumps(result.summary()))
    assert [row["indexer"] for row in summary["methods"]] == ["blind", "wedge_fft"]
    assert "Indexers tried" in result.text()


def test_of_poor_results_the_least_poor_is_taken(rng):
    junk = sweep(rng, n=500, images=120, spurious=0.5)
    result = first_that_works([Blind(), FAST, Demanding()], attempt_of(junk))
    assert [item.taken for item in result.methods] == [False, True, False]
    assert result.methods[1].indexed == pytest.approx(0.55, abs=0.05)
    assert "given no cell" in result.methods[2].problem


def test_where_none_works_the_reason_of_the_first_is_told(made):
    with pytest.raises(DataError) as caught:
        first_that_works([Blind(), Demanding()], attempt_of(made))
    assert "None of blind, demanding found one" in caught.value.why
    assert caught.value.fix
    assert "--auto" not in caught.value.fix


def test_mistakes_of_the_caller_end_everything(made):
    with pytest.raises(UsageError, match="Unknown space group"):
        first_that_works([FAST, Blind()], attempt_of(made, space_group="P 412"))


def test_one_indexer_leaves_no_table(made):
    result = attempt_of(made)(FAST)
    assert result.methods == ()
    assert "Indexers tried" not in result.text()
