"""A thousand and two thousand stills on a CS-PAD: joined, split, described, reported in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.combining import CombineOptions, SplitOptions, combine, split
from smalti.steps.reporting import make_report
from smalti.steps.showing import describe
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Reflections

pytestmark = pytest.mark.data


def repeated(data: Path, n: int) -> tuple[Experiments, Reflections]:
    """The 300 stills over and over, under names of their own."""
    folder = data / "tables" / "cspad_300"
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    items = tuple(replace(experiments[k % 300], identifier=f"still-{k}") for k in range(n))
    order = np.argsort(table["id"], kind="stable")
    bounds = np.searchsorted(table["id"][order], np.arange(301))
    rows = [order[bounds[k % 300] : bounds[k % 300 + 1]] for k in range(n)]
    ids = np.repeat(np.arange(n, dtype=np.int32), [len(part) for part in rows])
    names = {k: item.identifier for k, item in enumerate(items)}
    return Experiments(items), table.take(np.concatenate(rows)).with_columns({"id": ids}, identifiers=names)


WORK: dict[str, Callable[[Experiments, Reflections], object]] = {
    "combine": lambda experiments, table: combine([(experiments, table)]),
    "metrology": lambda experiments, table: combine(
        [(experiments, table)], CombineOptions(), experiments[0].detector
    ),
    "split": lambda experiments, table: split(experiments, table, SplitOptions("experiment")),
    "show": lambda experiments, table: describe(experiments, table).text(),
    "report": lambda experiments, table: make_report(experiments, table),
}


def seconds(
    work: Callable[[Experiments, Reflections], object], data: tuple[Experiments, Reflections]
) -> float:
    """Processor time, the best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work(*data)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", WORK)
def test_time_grows_with_the_number_of_experiments_and_no_faster(name: str, data: Path) -> None:
    small, large = (seconds(WORK[name], repeated(data, n)) for n in (1000, 4000))
    print(f"{name}: {small:.2f} s for 1,000 experiments, {large:.2f} s for 4,000")
    # Four times as much; sixteen times would be a loop over pairs.
    assert large < 8.0 * small + 0.1
    assert small < 3.0
