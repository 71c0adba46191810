"""Runs of a ledger add up to what all their crystals tell at once; a removed one leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.discovery import discover
from smalti.errors import DataError, InputError, UsageError
from smalti.progress import silent
from smalti.steps.ledger import Ledger, added, load, merged, problem_of, removed, run_of, save, solve
from smalti.steps.ledger.solve import sums_at
from smalti.steps.pools import Pool, open_pool
from smalti.steps.refining import RefineOptions
from smalti.steps.simulating import SimulateOptions, simulate_stills
from smalti.steps.streaming.common import common_of
from smalti.steps.streaming.fitting import Fitted, fit, linearise
from smalti.steps.streaming.journal import Journal
from smalti.steps.streaming.law import Law
from smalti.steps.streaming.pairs import find_pairs
from smalti.steps.streaming.passing import Files, Runner
from smalti.steps.streaming.reducing import Order
from smalti.steps.streaming.refine import survey_all
from smalti.steps.streaming.survey import Survey, parts_of
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.sauter_poon import SauterPoon

LAW = Law(300.0, (0.006, 0.004), (0.006, 0.004), (7.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with open_pool("threads", 1) as opened:
        yield opened


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> tuple[Survey, ...]:
    """Three pairs of files of 16 stills."""
    folder = tmp_path_factory.mktemp("stills")
    simulate_stills(
        SimulateOptions(
            output="indexed", stills=48, files_of=16, spots_per_still=60, layout="PILATUS 300K",
            distance=120.0, shift=(0.05, 0.05, 0.02), seed=9,
        ),
        folder,
    )  # fmt: skip
    return survey_all(find_pairs([folder]), pool)


def begun(surveys: tuple[Survey, ...], level: int = 1) -> Order:
    example = parts_of(surveys[0].pair)[0].part(0, 1)[0]
    common = common_of(
        example, Hierarchical(level=level), SauterPoon(), RefineOptions(), any_detector=False, one_beam=False
    )
    start = np.full(len(common.parameters), 0.005)
    return Order(common, LAW, start, start)


def fitted(surveys: tuple[Survey, ...], pool: Pool, level: int = 1) -> Fitted:
    order = begun(surveys, level)
    return linearise(order, order.common.prior, Runner(Files(surveys), pool, Journal(), silent, "testing"))


def ledger_of(surveys: tuple[Survey, ...], pool: Pool, name: str) -> Ledger:
    found = fitted(surveys, pool)
    return Ledger(problem_of(found.order.common), {name: run_of(found, surveys)})


@pytest.fixture(scope="module")
def parts(surveys: tuple[Survey, ...], pool: Pool) -> list[Ledger]:
    return [ledger_of((item,), pool, f"run{k}") for k, item in enumerate(surveys)]


def test_merged_is_joint(surveys: tuple[Survey, ...], pool: Pool, parts: list[Ledger]) -> None:
    joint = ledger_of(surveys, pool, "all")
    together = merged(merged(parts[0], parts[1]), parts[2])
    p = joint.runs["all"].point
    one, other = sums_at(together, p), joint.runs["all"].sums
    for name in ("matrix", "gradient", "objective", "panel_squares", "panel_used", "n_own"):
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max(), err_msg=name)
    assert one.n_crystals == other.n_crystals
    mine, theirs = solve(together).known, solve(joint).known
    np.testing.assert_allclose(mine.p, theirs.p, atol=1e-10 * np.abs(theirs.p).max())
    esd = theirs.uncertainty.esd
    np.testing.assert_allclose(mine.uncertainty.esd, esd, rtol=1e-9)


def test_a_run_that_was_removed_was_never_there(tmp_path: Path, parts: list[Ledger]) -> None:
    before = merged(parts[0], parts[1])
    after = removed(merged(before, parts[2]), "run2")
    save(tmp_path / "before.h5", before)
    save(tmp_path / "after.h5", after)
    assert (tmp_path / "before.h5").read_bytes() == (tmp_path / "after.h5").read_bytes()
    np.testing.assert_array_equal(solve(before).known.p, solve(after).known.p)


def test_a_ledger_goes_through_a_file(tmp_path: Path, parts: list[Ledger]) -> None:
    ledger = merged(parts[0], parts[2])
    save(tmp_path / "l.h5", ledger)
    again = load(tmp_path / "l.h5", discover())
    assert list(again.runs) == ["run0", "run2"]
    assert again.runs["run0"].facts["n_files"] == 1
    np.testing.assert_array_equal(solve(again).known.p, solve(ledger).known.p)
    assert merged(again, parts[1]).runs.keys() == {"run0", "run1", "run2"}


def test_the_same_crystals_are_not_added_twice(parts: list[Ledger]) -> None:
    run, problem = parts[0].runs["run0"], parts[0].problem
    with pytest.raises(DataError, match=r"16 experiments of run 'again' are in the ledger, in run 'run0'"):
        added(parts[0], "again", run, problem)
    part = replace(run, marks=run.marks[:3])
    with pytest.raises(DataError, match="3 experiments"):
        added(parts[0], "part", part, problem)
    with pytest.raises(UsageError, match="There is a run 'run0'"):
        added(parts[0], "run0", parts[1].runs["run1"], problem)


def test_runs_about_something_else_are_refused(
    surveys: tuple[Survey, ...], pool: Pool, parts: list[Ledger]
) -> None:
    coarse = fitted(surveys[1:2], pool, level=0)
    with pytest.raises(DataError, match=r"detector\.level is 1 in one and 0"):
        added(parts[0], "coarse", run_of(coarse, surveys[1:2]), problem_of(coarse.order.common))
    problem = parts[1].problem
    d = problem.detector.stacked()
    d[2, 1, 2] += 0.05
    moved = replace(problem.example, detector=problem.detector.with_panel_frames(d))
    other = replace(problem, common=replace(problem.common, example=moved))
    with pytest.raises(DataError, match="differ, by 50 um at panel 2"):
        added(parts[0], "moved", parts[1].runs["run1"], other)


def test_only_runs_that_are_there_are_removed(parts: list[Ledger]) -> None:
    with pytest.raises(UsageError, match="Did you mean 'run0'"):
        removed(merged(parts[0], parts[1]), "rum0")
    with pytest.raises(UsageError, match="the only run"):
        removed(parts[0], "run0")


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="not a ledger"):
        load(tmp_path / "l.h5", discover())


def test_runs_from_far_away_are_to_be_linearised_again(
    surveys: tuple[Survey, ...], pool: Pool, parts: list[Ledger]
) -> None:
    runner = Runner(Files(surveys[:1]), pool, Journal(), silent, "testing")
    order = begun(surveys)
    order = replace(order, at=np.zeros_like(order.at), judged_at=np.zeros_like(order.at))
    near = run_of(fit(order, order.common.prior, runner, GaussNewton(), 2), surveys[:1])
    assert near.curvature > 0.0
    ledger = Ledger(parts[0].problem, {"near": near})
    solved = solve(ledger)
    assert not solved.stale
    np.testing.assert_allclose(
        solved.known.p, near.point, atol=0.05 * float(solved.known.uncertainty.esd.max())
    )
    # The same run, as if it had been linearised a long way off.
    far = replace(near, point=near.point + 300.0 * solved.known.uncertainty.esd)
    both = Ledger(parts[0].problem, {"near": near, "far": replace(far, sums=near.at(far.point))})
    found = solve(both)
    assert found.stale == ("far",)
    assert "Linearise again: far" in found.text()
