"""A small data set with known truth, made and calibrated once, and a way to run the program."""

import contextlib
import io
import json
import os
import shutil
from dataclasses import dataclass

import pytest

from smalti.cli import main

SIMULATION = (
    "simulate", "--layout", "PILATUS 1M", "--distance", "170", "--n-images", "20", "--width", "1",
    "--mosaicity", "0.3", "--unit-cell", "78,78,37,90,90,90", "--space-group", "P 43 21 2",
    "--seed", "4", "d_min=2.2", "prefix=small",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """How a call ended and what it said."""

    status: int
    out: str
    err: str

    def refused(self, status, *words):
        """Check that it ended in three lines that hold these words."""
        assert self.status == status, self.err
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith(("Error:", "  Why:", "  Fix:"))]
        assert 2 <= len(lines) <= 3, self.err
        assert lines[0].startswith("Error:"), self.err
        assert lines[-1].startswith("  Fix:"), self.err
        assert len((self.out + self.err).splitlines()) <= 6, self.out + self.err
        for word in words:
            assert word in self.err, f"{word!r} is not in {self.err!r}"
        return self

    def refused_as_object(self, status):
        """Check that it ended with one whole object that tells the error; gives it."""
        told = json.loads(self.out)
        assert self.status == told["status"] == told["error"]["status"] == status, self.err
        assert set(told) == {
            "smalti", "command", "inputs", "outputs", "result", "seconds", "peak_memory_mb", "warnings",
            "status", "error",
        }  # fmt: skip
        assert told["peak_memory_mb"] > 1
        return told


def call(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    return Result(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def program():
    """Run the program in the folder that one is in."""
    return call


@pytest.fixture
def smalti(tmp_path, monkeypatch):
    """Run the program in an empty folder: ``smalti("show", "a.expt")``."""
    monkeypatch.chdir(tmp_path)
    return call


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of 20 simulated images, with the truth."""
    folder = tmp_path_factory.mktemp("data") / "images"
    result = call(*SIMULATION, "-o", folder)
    assert result.status == 0, result.err
    return folder


@pytest.fixture(scope="session")
def calibrated(images, tmp_path_factory):
    """The folder of their calibration; it must not be changed."""
    folder = tmp_path_factory.mktemp("results") / "calibrated"
    result = call("calibrate", images / "small_*.cbf", "--space-group", "P43212", "-o", folder)
    assert result.status == 0, result.err
    (folder / "screen.txt").write_text(result.out)
    return folder


@pytest.fixture
def work(calibrated, tmp_path):
    """The files of the calibration, to be spoilt at will, in the current folder of ``smalti``."""
    for path in calibrated.iterdir():
        if path.suffix in (".expt", ".refl"):
            shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def no_display(monkeypatch):
    """Nothing here may need a display."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
