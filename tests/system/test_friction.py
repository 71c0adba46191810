"""What made a newcomer stumble in other programs must not happen here.

Each test is a row of the log of a newcomer: what was done, and what came instead of help. The
answer has the right exit status, at most six lines, names the file and says what to do.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smalti.cli.catalogue import COMMANDS


def test_import_of_what_is_no_image(smalti):
    """58 lines of help, status 0."""
    Path("notanimage.cbf").write_text("Dear all,\nthis is a letter.\n")
    smalti("import", "notanimage.cbf").refused(3, "notanimage.cbf")
    assert not Path("imported.expt").exists()


def test_import_of_an_empty_file(smalti):
    """The same, and no word of it being empty."""
    Path("empty.cbf").touch()
    smalti("import", "empty.cbf").refused(3, "empty.cbf", "empty")


def test_import_of_a_pattern_without_files(smalti):
    """57 lines of help, status 0."""
    smalti("import", "nosuch_*.cbf").refused(3, "nosuch_*.cbf")


@pytest.mark.parametrize("kept", [300, 1500, 20_000])
def test_import_of_a_truncated_image(smalti, images, kept):
    """A 48-line traceback. In the header, and in the pixels (found when they are read)."""
    data = (images / "small_00001.cbf").read_bytes()
    assert len(data) > kept
    Path("cut_00001.cbf").write_bytes(data[:kept])
    result = smalti("import", "cut_00001.cbf")
    if result.status == 0:
        result = smalti("find-spots", "imported.expt")
    result.refused(3, "cut_00001.cbf")
    assert not Path("strong.refl").exists()


def test_show_of_a_missing_file(smalti):
    """Usage text that never says that the file does not exist, status 0."""
    smalti("show", "nofile.expt").refused(3, "nofile.expt", "no file")


def test_refine_of_two_missing_files(smalti):
    """Two tracebacks, each file tried as both types."""
    smalti("refine", "indexed.expt", "indexed.refl").refused(3, "indexed.expt", "indexed.refl")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("refine.roundz=1", "'refine.rounds'"),
        ("levl=1", "'level'"),
        ("hierarchical.levl=1", "hierarchical.level"),
    ],
)
def test_a_misspelt_parameter(smalti, work, word, hint):
    """No suggestion."""
    smalti("refine", "indexed.expt", "indexed.refl", word).refused(2, word.split("=")[0], hint)


@pytest.mark.parametrize("value", ["one", "7", "1.5"])
def test_a_level_that_is_none(smalti, work, value):
    """A 53-line traceback: the value went through eval."""
    result = smalti("refine", "indexed.expt", "indexed.refl", "--level", value, "-q")
    result.refused(2, f"'{value}'" if value == "one" else value)


def test_a_number_that_is_none(smalti, work):
    smalti("refine", "indexed.expt", "indexed.refl", "--close-to-spindle", "near").refused(
        2, "refine.close_to_spindle", "near"
    )


def test_show_of_an_empty_file(smalti):
    """'Appears to be an invalid pickle file', of a JSON file."""
    Path("empty.expt").touch()
    result = smalti("show", "empty.expt").refused(3, "empty.expt is empty")
    assert "pickle" not in result.err


def test_index_without_files(smalti):
    """Help, and no word of what is missing, status 0."""
    smalti("index").refused(2, "experiment list", "smalti index imported.expt strong.refl")


def test_looking_at_models_and_spots_together(smalti, work):
    """'Please report this error to ...'."""
    result = smalti("show", "imported.expt", "strong.refl")
    assert result.status == 0
    assert "PILATUS" in result.out or "487 x 195" in result.out
    assert "reflections" in result.out


def test_a_report_needs_no_display(smalti, work):
    """'Unable to access the X Display', after 10 s."""
    result = smalti("report", "refined_1.expt", "refined_1.refl", "-o", "page")
    assert result.status == 0
    assert Path("page.html").stat().st_size < 1_000_000


def test_spot_finding_says_little(smalti, work):
    """One line per image, no progress."""
    result = smalti("find-spots", "imported.expt", "-o", "again.refl")
    assert result.status == 0
    assert len(result.err.splitlines()) <= 3
    assert len(result.out.splitlines()) < 30
    assert len(Path("again.log").read_text().splitlines()) < 60


def test_indexing_few_spots_is_small(smalti, work):
    """0.93 GB for 36 spots."""
    from smalti.storage import read_reflections, write_reflections

    table = read_reflections("strong.refl")
    write_reflections("few.refl", table.where(table["xyzobs.px.value"][:, 2] < 2.0))
    words = ["index", "imported.expt", "few.refl", "--unit-cell", "78,78,37,90,90,90", "--json"]
    code = f"import sys; from smalti.cli import main; sys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert done.returncode == told["status"] == 0, done.stderr
    assert 50 < told["peak_memory_mb"] < 600


def few(work, count):
    """Keep this many indexed reflections, from the first images."""
    import numpy as np

    from smalti.storage import read_reflections, write_reflections

    table = read_reflections(work / "indexed.refl")
    indexed = np.flatnonzero((table["id"] >= 0) & (table["xyzobs.px.value"][:, 2] < 3.0))
    write_reflections(work / "few.refl", table.take(indexed[:: len(indexed) // count][:count]))


def test_17_reflections_do_not_move_the_detector(smalti, work):
    """25 parameters on 17 reflections moved the detector by 46 mm, and no warning."""
    import numpy as np

    from smalti.storage import read_experiments

    few(work, 17)
    result = smalti("refine", "indexed.expt", "few.refl", "-o", "held")
    assert result.status == 0, result.err
    before, after = (read_experiments(name)[0].detector.stacked() for name in ("indexed.expt", "held.expt"))
    assert np.linalg.norm(after[:, :, 2] - before[:, :, 2], axis=1).max() < 1.0
    assert "few" in result.err
    assert "not trustworthy" in result.out
    strict = smalti("refine", "indexed.expt", "few.refl", "-o", "held", "--strict", "-q")
    strict.refused(4, "too few")
    told = json.loads(
        smalti("refine", "indexed.expt", "few.refl", "-o", "held", "--strict", "--json", "-q").out
    )
    assert "without reflections" in " ".join(told["warnings"])
    assert "without reflections" not in told["error"]["why"]


def test_7_reflections_are_refused(smalti, work):
    few(work, 7)
    smalti("refine", "indexed.expt", "few.refl", "-q").refused(1, "7")
    assert not Path("refined.expt").exists()


def test_show_of_a_missing_container(smalti):
    """A 26-line traceback about a missing Qt; the file never looked at."""
    smalti("show", "nosuch.h5").refused(3, "nosuch.h5")


def test_a_misspelt_command(smalti):
    """Usage, no suggestion."""
    smalti("shw").refused(2, "'shw'", "'show'")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_short_and_says_usage_once(smalti, name):
    """129 lines after 4.6 s; 'usage: detector2nexus [options] [options]'."""
    result = smalti(name, "--help")
    assert result.status == 0
    lines = result.out.splitlines()
    assert len(lines) < 90
    assert lines[0].startswith(f"Usage: smalti {name} [OPTIONS]")
    assert lines[0].count("[OPTIONS]") == 1
    assert "Usage" not in "\n".join(lines[1:])


def test_help_of_a_command_is_quick():
    code = (
        "from smalti.cli import main; import time; main(['calibrate', '--help']); print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert float(done.stdout.splitlines()[-1]) < 3.0


@pytest.mark.parametrize(
    "words", [("shw",), ("show", "--frob"), ("plugins", "x"), ("simulate", "x"), ("import",)]
)
def test_every_refusal_is_an_object_too(smalti, words):
    """Text-only failures, that a script cannot read."""
    result = smalti(*words, "--json").refused_as_object(2)
    assert result["command"] == (words[0] if words[0] in COMMANDS else None)


def test_ctrl_c_before_the_work_starts(smalti, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("smalti.cli.app.load", interrupted)
    assert smalti("show", "a.expt", "--json").refused_as_object(130)["command"] == "show"


def test_import_of_what_is_imported_already(smalti, work):
    """'Unable to handle the following arguments'."""
    smalti("import", "imported.expt").refused(3, "imported.expt", "smalti find-spots imported.expt")


def test_words_that_simulate_does_not_know(smalti):
    smalti("simulate", "n_images", "3").refused(2, "'n_images'")
    assert not Path("simulated").exists()


def test_the_demo_takes_bare_words_as_its_help_says(smalti):
    result = smalti("demo", "refine.close_to_spindle=0.5", "--show-params=changed")
    assert "bare word" in smalti("demo", "--help").out
    assert result.status == 0
    assert "close_to_spindle = 0.5" in result.out
