"""A run ends with the right status, says things in the right place and leaves a log."""

import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from smalti import errors
from smalti.cli import progress
from smalti.cli.command import Command, Outcome, Switch
from smalti.cli.running import execute
from smalti.cli.telling import as_json, from_os_error, three_lines


def command(run, **details):
    standard = {"usage": "FILES", "details": "", "example": "smalti show a.expt", "output": "done"}
    return Command("show", run, **{**standard, **details})


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a function as a command; gives status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def go(function, details=None, **values):
        status = execute(command(function, **(details or {})), values, ("smalti", "show"))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return go


def fine(request):
    logging.getLogger("smalti.steps.anything").info("worked on %s", request.files)
    return Outcome(
        {"rmsd": np.float64(0.25), "gap": float("nan")}, "a table", (Path("done.expt"),), ("thin",)
    )


def doubtful(request):
    return Outcome({}, "a table", doubts=("17 reflections hold 25 parameters.",))


def raising(error):
    def function(request):
        raise error

    return function


def test_a_good_run(run):
    status, out, err = run(fine, words=["a.expt"])
    assert status == 0
    assert out == "a table\nWritten: done.expt\n"
    assert err == "Warning: thin\n"
    log = Path("done.log").read_text()
    for words in ("smalti show", "worked on ('a.expt',)", "thin", "a table", "Written: done.expt"):
        assert words in log


def test_json_puts_one_object_on_standard_output(run):
    status, out, err = run(fine, words=["a.expt"], json=True)
    told = json.loads(out)
    assert status == told["status"] == 0
    assert set(told) == {
        "smalti", "command", "inputs", "outputs", "result", "seconds", "peak_memory_mb", "warnings", "status",
    }  # fmt: skip
    assert told["inputs"] == ["a.expt"]
    assert told["outputs"] == ["done.expt"]
    assert told["result"] == {"rmsd": 0.25, "gap": None}
    assert told["warnings"] == ["thin"]
    assert told["seconds"] >= 0
    assert told["peak_memory_mb"] > 10
    assert "a table" in err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.DataError("Too few spots.", "There are 3.", "Lower the threshold."), 1),
        (errors.UsageError("Bad call.", "Why.", "Fix."), 2),
        (errors.InputError("No file.", "Why.", "Fix."), 3),
        (errors.UntrustworthyError("Do not believe it.", "Why.", "Fix."), 4),
        (errors.PluginError("Broken plugin.", "Why.", "Fix."), 5),
        (ZeroDivisionError("division by zero"), 70),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "No such file or directory", "gone.cbf"), 3),
        (OSError(28, "No space left on device", "done.expt"), 3),
        (OSError(5, "Input/output error", "done.expt"), 1),
    ],
)
def test_every_error_is_three_lines_and_a_status(run, error, status):
    ended, out, err = run(raising(error))
    assert ended == status
    assert out == ""
    assert "Traceback" not in err
    assert [line.split(":")[0].strip() for line in err.splitlines()] == ["Error", "Why", "Fix"]
    ended, out, _ = run(raising(error), json=True)
    told = json.loads(out)
    assert ended == told["status"] == told["error"]["status"] == status
    assert told["error"]["what"]
    assert told["error"]["fix"]


def test_debug_adds_the_traceback_and_the_log_has_it_anyway(run):
    _, _, err = run(raising(ZeroDivisionError("division by zero")), debug=True)
    assert "Traceback" in err
    run(raising(ZeroDivisionError("division by zero")))
    assert "Traceback" in Path("done.log").read_text()
    run(raising(errors.DataError("Too few spots.", "There are 3.", "Lower it.")))
    log = Path("done.log").read_text()
    assert "Too few spots." in log
    assert "Traceback" not in log


def test_strict_turns_doubts_into_status_4(run):
    status, out, err = run(doubtful)
    assert status == 0
    assert "17 reflections" in err
    status, out, err = run(doubtful, strict=True)
    assert status == 4
    assert "a table" in out
    assert "17 reflections" in err.splitlines()[-2]
    status, out, _ = run(doubtful, strict=True, json=True)
    assert json.loads(out)["error"]["status"] == 4


def test_quiet_says_nothing_and_verbose_says_more(run):
    assert run(fine, quiet=True) == (0, "", "")
    _, _, err = run(fine, verbose=1)
    assert "worked on" in err


def test_a_log_by_name_and_no_log_without_outputs(run):
    run(fine, log="mine.log")
    assert Path("mine.log").exists()
    assert not Path("done.log").exists()
    run(doubtful, {"output": ""})
    assert [path.name for path in Path().iterdir()] == ["mine.log"]
    status, _, err = run(fine, log="nowhere/mine.log")
    assert status == 3
    assert "nowhere/mine.log" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_ends_the_log_and_not_the_run(run):
    status, out, err = run(fine, log="/dev/full")
    assert status == 0
    assert "Written: done.expt" in out
    assert "Traceback" not in err
    assert err.count("No space left on device") == 1


def test_handlers_do_not_pile_up(run):
    before = list(logging.getLogger("smalti").handlers)
    run(fine)
    run(raising(ValueError("x")))
    assert logging.getLogger("smalti").handlers == before


def test_plain_progress_is_a_line_every_ten_seconds():
    now, stream = [0.0], io.StringIO()
    plain = progress.PlainProgress(stream, lambda: now[0])
    for done in range(1, 31):
        now[0] = float(done)
        plain("finding spots", done, 60)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("finding spots: 11 of 60, 1.1/s, about 4")
    plain("linking", 1, 2)
    assert len(stream.getvalue().splitlines()) == 2


def test_progress_never_goes_to_the_log(run, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)

    def slow(request):
        request.progress("finding spots", 1, 60)
        request.progress("finding spots", 2, 60)
        return Outcome({}, "")

    _, out, err = run(slow)
    assert "finding spots: 2 of 60" in err
    assert out == ""
    assert "finding spots" not in Path("done.log").read_text()


def test_json_of_everything():
    value = {"a": np.arange(3), "b": (np.int64(2), float("inf")), "c": Path("x"), "d": {1: None}, "e": True}
    assert json.loads(as_json(value)) == {
        "a": [0, 1, 2], "b": [2, None], "c": "x", "d": {"1": None}, "e": True,
    }  # fmt: skip


def test_three_lines_are_three_lines_whatever_the_text_holds():
    error = errors.DataError("What\nhappened.", "A long\n  story.", "")
    assert three_lines(error) == "Error: What happened.\n  Why: A long story."


def test_errors_of_the_system():
    assert from_os_error(PermissionError(13, "Permission denied", "x.expt")).exit_status == 3
    full = from_os_error(OSError(28, "No space left on device", "x.expt"))
    assert full.exit_status == 3
    assert "space" in full.fix
    assert "shorter" in from_os_error(OSError(36, "File name too long", "x" * 300)).fix


@pytest.mark.parametrize(
    ("details", "advice"),
    [
        ({}, "Run the same command again."),
        ({"folder": True}, "Run the same command again with --force."),
        (
            {"folder": True, "switches": (Switch("--resume", "Go on."),)},
            "Go on with the same command and --resume.",
        ),
    ],
)
def test_after_an_interruption_the_advice_is_one_that_the_command_knows(run, details, advice):
    status, _, err = run(raising(KeyboardInterrupt()), details)
    assert status == 130
    assert err.splitlines()[-1] == f"  Fix: {advice}"
