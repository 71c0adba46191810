"""What a stream adds up to does not depend on who adds it, in which portions, or on interruptions."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from smalti.steps.pools import open_pool
from smalti.steps.refining.problem.partition import partition_of
from smalti.steps.refining.problem.reducing import reduce_crystals
from smalti.steps.streaming import reducing
from smalti.steps.streaming.common import SHARED
from smalti.steps.streaming.gathering import Gathered, gather
from smalti.steps.streaming.journal import Journal
from smalti.steps.streaming.passing import Files, Runner
from smalti.steps.streaming.reducing import Batch, Order, reduce_batch
from smalti.steps.streaming.source import StreamSource
from smalti.steps.streaming.sums import Sums
from smalti.steps.streaming.survey import Survey
from smalti_plugins.outliers.none import NoOutliers


def same(one: Sums, other: Sums, relative: float = 0.0) -> None:
    for field in fields(Sums):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "classes":
            a, b = a.sums, b.sums
        if field.name == "left_out":
            assert a == b
        else:
            size = np.abs(np.asarray(a)).max()
            np.testing.assert_allclose(a, b, rtol=relative, atol=relative * size, err_msg=field.name)


def test_batches_do_not_matter(order: Order, runner_of: Callable[..., Runner]) -> None:
    same(runner_of(512).run(order), runner_of(1).run(order), 1e-12)


def test_workers_do_not_matter(order: Order, runner_of: Callable[..., Runner]) -> None:
    alone = runner_of(8).run(order)
    with open_pool("threads", 3) as pool:
        same(runner_of(8, pool).run(order), alone)


def test_the_order_of_files_does_not_matter(order: Order, surveys: tuple[Survey, ...]) -> None:
    parts = [reduce_batch(order, batch) for batch in Files(surveys, 1, 1).batches()]
    there = Sums.none(len(order.at), order.common.n_panels)
    back = there
    for part in parts:
        there = there.plus(part)
    for part in reversed(parts):
        back = back.plus(part)
    same(there, back, 1e-12)


def test_sums_are_those_of_all_crystals_at_once(order: Order, surveys: tuple[Survey, ...]) -> None:
    """Two groups, each by itself, against one problem with the crystals of both."""
    options = replace(order.common.options, crystals_that_do_not_fit="keep")
    common = replace(order.common, rejector=NoOutliers(), options=options)
    order = replace(order, common=common, judged_at=order.at)
    groups = list(surveys[0].groups())
    assert len(groups) > 1
    apart = reduce_batch(order, tuple(groups))
    first, last = groups[0], groups[-1]
    whole = replace(first, stop=last.stop, last=last.last, size=sum(group.size for group in groups))
    gathered = gather(order.common, whole)
    assert isinstance(gathered, Gathered)
    variance = order.law.variance(gathered.data)
    source = replace(gathered.observed_at(order.common.frames(order.at)), weights=1.0 / variance)
    partition = partition_of(gathered.layout, always_shared=SHARED, eliminate=True)
    p = partition.with_shared(np.zeros(gathered.layout.n), order.at)
    joint = reduce_crystals(source, partition, p)
    scale = np.sqrt(np.outer(np.diag(joint.matrix), np.diag(joint.matrix)))
    difference = np.abs(apart.matrix.sum(axis=0) - joint.matrix) / np.where(scale > 0.0, scale, 1.0)
    assert difference.max() < 1e-6, "crystals end within rounding and 0.01 ESDs of their best"
    np.testing.assert_allclose(apart.objective.sum(), joint.objective, rtol=1e-7)
    assert apart.n_used == joint.n_reflections


def test_the_gradient_is_that_of_the_objective(order: Order, runner_of: Callable[..., Runner]) -> None:
    """Crystals at their best for every point: the objective's slope is the gradient handed over."""
    runner, step = runner_of(), 2e-3
    source = StreamSource(
        order.common, order.common.prior, lambda p: runner.run(replace(order, at=np.array(p)))
    )
    at = order.at
    exact = source.normal_equations(at)
    direction = np.random.default_rng(3).normal(size=len(at))
    numeric = (source.objective(at + step * direction) - source.objective(at - step * direction)) / (2 * step)
    assert numeric == pytest.approx(float(exact.gradient @ direction), rel=2e-3)


def test_an_interrupted_pass_goes_on_where_it_was(
    order: Order, runner_of: Callable[..., Runner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = runner_of(8).run(order)
    monkeypatch.setattr("smalti.steps.streaming.journal._INTERVAL", 0.0)
    worked = []

    def counted(order: Order, batch: Batch) -> Sums:
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append(batch)
        return reduce_batch(order, batch)

    journal = Journal(tmp_path / "work")
    journal.open(resume=False)
    monkeypatch.setattr("smalti.steps.streaming.passing.reduce_batch", counted)
    with pytest.raises(KeyboardInterrupt):
        runner_of(8, journal=journal).run(order)
    worked.clear()
    monkeypatch.setattr("smalti.steps.streaming.passing.reduce_batch", reduce_batch)
    again = Journal(tmp_path / "work")
    again.open(resume=True)
    key = next((tmp_path / "work").glob("*.npz")).stem
    found = again.find(key)
    assert found is not None
    assert found[0] == 3
    same(runner_of(8, journal=again).run(order), whole)
    # Nothing is left to be done, and a pass at another point is another pass.
    monkeypatch.setattr("smalti.steps.streaming.passing.reduce_batch", counted)
    same(runner_of(8, journal=again).run(order), whole)
    assert not worked
    again.close()
    assert not (tmp_path / "work").exists()


def test_a_journal_that_is_damaged_is_not_believed(
    order: Order, runner_of: Callable[..., Runner], tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "work")
    journal.open(resume=False)
    whole = runner_of(8, journal=journal).run(order)
    path = next((tmp_path / "work").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:-40])
    same(runner_of(8, journal=journal).run(order), whole)


def killed_once(order: Order, batch: Batch) -> Sums:
    mark = Path(os.environ["SMALTI_TEST_MARK"])
    if batch[0].start > 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return reduce_batch(order, batch)


@pytest.mark.filterwarnings("default::ResourceWarning")
@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_a_worker_killed_in_the_middle_changes_nothing(
    order: Order,
    runner_of: Callable[..., Runner],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    if kind == "dask":
        pytest.importorskip("distributed")
    alone = runner_of(8).run(order)
    monkeypatch.setenv("SMALTI_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setattr("smalti.steps.streaming.passing.reduce_batch", killed_once)
    assert reducing.reduce_batch is reduce_batch
    with open_pool(kind, 2) as pool:
        same(runner_of(8, pool).run(order), alone)
    assert (tmp_path / "mark").exists()


def test_sums_go_through_arrays(order: Order, runner_of: Callable[..., Runner]) -> None:
    sums = runner_of().run(order)
    same(Sums.of_arrays(sums.arrays()), sums)


def test_moved_sums_are_those_of_a_quadratic(order: Order, runner_of: Callable[..., Runner]) -> None:
    sums = runner_of().run(order)
    step = 1e-3 * np.random.default_rng(1).normal(size=len(order.at))
    there_and_back = sums.moved(step).moved(-step)
    np.testing.assert_allclose(there_and_back.gradient, sums.gradient, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(there_and_back.objective, sums.objective, rtol=1e-12)
    matrix = sums.matrix.sum(axis=0)
    expected = sums.objective.sum() + sums.gradient.sum(axis=0) @ step + 0.5 * step @ matrix @ step
    assert sums.moved(step).objective.sum() == pytest.approx(expected, rel=1e-12)
