"""Pools of threads, processes and Dask workers do the same work, and lose nothing with a worker."""

from __future__ import annotations

import builtins
import os
import shutil
import signal
import subprocess
import sys
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


IN_RANKS = """
import operator, os
from smalti.steps.pools import open_pool

if __name__ == "__main__":  # ranks import what they help
    with open_pool("mpi") as pool:
        print(pool.workers == 2)
        print(list(pool.ordered(operator.neg, range(40))) == [-k for k in range(40)])
        print({os.getpid()}.isdisjoint(pool.ordered(eval, ["__import__('os').getpid()"] * 8)))
"""


def test_ranks_of_mpi_do_the_work(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("no MPI library is installed (Debian: apt-get install openmpi-bin)")
    (tmp_path / "ranks.py").write_text(IN_RANKS)
    # Open MPI starts neither as root nor more ranks than cores unless it is told to.
    told = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    told |= {
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(tmp_path / "ranks.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | told)
    assert (done.returncode, done.stdout.split()) == (0, ["True"] * 3), done.stderr


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
