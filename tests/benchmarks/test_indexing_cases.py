"""How far indexing carries: 20 simulated sweeps of every case, no cell told, headers wrong.

Prints its table: ``pytest --benchmark-only -s tests/benchmarks/test_indexing_cases.py``.
"""

from __future__ import annotations

import pytest

from smalti.text import table

from .thaumatin_twins import CASES, made, outcome

SEEDS = 20
FULL, NARROW = 0.1, 0.5
"""Pixels to which the place of the beam has to be found, on a full sweep and on other ones."""

MAY_BE_LESS_EXACT = ("20 deg", "panels misplaced by 60 um")
"""Cases in which the beam itself is no better defined than to ``NARROW``."""


@pytest.mark.parametrize("name", CASES)
def test_the_cell_and_the_beam_are_found(benchmark, name):
    found = benchmark.pedantic(lambda: [outcome(made(CASES[name], seed)) for seed in range(SEEDS)])
    right = [item for item in found if item.right]
    row = (name, f"{len(right)} of {SEEDS}", f"{100 * max(item.cell for item in right):.3f} %",
           f"{max(item.shift for item in right):.2f} px")  # fmt: skip
    print("\n" + table(("case", "right cell", "worst axis", "worst beam"), [row]))
    assert len(right) == SEEDS, [item.remark for item in found if not item.right]
    assert max(item.shift for item in found) < (NARROW if name in MAY_BE_LESS_EXACT else FULL)
