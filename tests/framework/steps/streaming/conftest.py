"""A few simulated stills in two pairs of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from smalti.progress import silent
from smalti.steps.pools import Pool, open_pool
from smalti.steps.refining import RefineOptions
from smalti.steps.simulating import SimulateOptions, simulate_stills
from smalti.steps.streaming.common import Common, common_of
from smalti.steps.streaming.journal import Journal
from smalti.steps.streaming.law import Law
from smalti.steps.streaming.pairs import find_pairs
from smalti.steps.streaming.passing import Files, Runner
from smalti.steps.streaming.reducing import Order
from smalti.steps.streaming.refine import survey_all
from smalti.steps.streaming.survey import Survey, parts_of
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.outliers.sauter_poon import SauterPoon

SHIFT = (0.05, 0.05, 0.02)
LAW = Law(300.0, (0.006, 0.004), (0.006, 0.004), (7.0, 0.0, 0.0))


@pytest.fixture(scope="session")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 48 stills, 80 spots each, in two pairs of files; three displaced panels."""
    folder = tmp_path_factory.mktemp("stills")
    options = SimulateOptions(
        output="indexed", stills=48, files_of=24, spots_per_still=80, layout="PILATUS 300K", distance=120.0,
        shift=SHIFT, seed=5,
    )  # fmt: skip
    simulate_stills(options, folder)
    return folder


@pytest.fixture(scope="session")
def threads() -> Iterator[Pool]:
    with open_pool("threads", 1) as pool:
        yield pool


@pytest.fixture(scope="session")
def surveys(stills: Path, threads: Pool) -> tuple[Survey, ...]:
    return survey_all(find_pairs([stills]), threads)


@pytest.fixture(scope="session")
def common(surveys: tuple[Survey, ...]) -> Common:
    example = parts_of(surveys[0].pair)[0].part(0, 1)[0]
    return common_of(
        example, Hierarchical(level=1), SauterPoon(), RefineOptions(), any_detector=False, one_beam=False
    )


@pytest.fixture(scope="session")
def order(common: Common) -> Order:
    """A pass at a point beside the start, with outliers judged at another."""
    rng = np.random.default_rng(8)
    size = np.full(len(common.parameters), 0.01)
    return Order(common, LAW, size * rng.normal(size=len(size)), size * rng.normal(size=len(size)))


@pytest.fixture(scope="session")
def runner_of(surveys: tuple[Survey, ...], threads: Pool) -> Callable[..., Runner]:
    def make(batch: int = 512, pool: Pool = threads, journal: Journal | None = None) -> Runner:
        return Runner(Files(surveys, 1, batch), pool, journal or Journal(), silent, "testing")

    return make
