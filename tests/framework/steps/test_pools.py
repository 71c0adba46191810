"""Pools of threads, processes and Dask workers do the same work, and lose nothing with a worker."""

from __future__ import annotations

import builtins
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from smalti.errors import InputError, PluginError, UsageError
from smalti.steps.pools import open_pool


def square(x: int) -> int:
    return x * x


def fatal_once(work: tuple[int, str]) -> int:
    """Kill the process that does piece 7, the first time."""
    number, mark = work
    if number == 7 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def fatal(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def test_threads() -> None:
    with open_pool("threads", 3) as pool:
        assert pool.workers == 3
        assert list(pool.ordered(square, range(50))) == [x * x for x in range(50)]


def test_a_lost_process_changes_nothing(tmp_path: Path) -> None:
    mark = str(tmp_path / "lost")
    with open_pool("processes", 2) as pool:
        assert list(pool.ordered(fatal_once, [(k, mark) for k in range(20)])) == [k * k for k in range(20)]
    assert Path(mark).exists()


def test_work_that_kills_every_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.steps.executing.LOSSES", 1)
    with open_pool("processes", 1) as pool, pytest.raises(InputError, match="lost again and again"):
        list(pool.ordered(fatal, range(3)))


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_a_lost_worker_of_dask_changes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    mark = str(tmp_path / "lost")
    with open_pool("dask", 2) as pool:
        assert pool.workers == 2
        assert list(pool.ordered(fatal_once, [(k, mark) for k in range(20)])) == [k * k for k in range(20)]
    assert Path(mark).exists()


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("smalti.steps.pools.PATIENCE", 0.5)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1"), open_pool("dask", 1, "tcp://127.0.0.1:1"):
        pass


def test_kinds_are_checked() -> None:
    with pytest.raises(UsageError, match=r"Did you mean 'threads'"), open_pool("thread"):
        pass
    with pytest.raises(UsageError, match="which only dask knows"), open_pool("threads", 1, "tcp://a:1"):
        pass


@pytest.mark.parametrize(("kind", "package"), [("dask", "distributed"), ("mpi", "mpi4py")])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, package: str) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == package:
            raise ImportError(f"No module named '{name}'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PluginError, match=f"needs {package}") as caught, open_pool(kind):
        pass
    assert "--executor processes" in str(caught.value)
