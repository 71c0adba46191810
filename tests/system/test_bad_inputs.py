"""Every kind of bad input is refused in words, with the status that scripts go by."""

import gzip
import shutil
from pathlib import Path

import pytest

STEPS = (
    ("find-spots", "imported.expt"),
    ("index", "imported.expt", "strong.refl"),
    ("refine", "indexed.expt", "indexed.refl"),
    ("report", "refined_1.expt", "refined_1.refl"),
    ("show", "indexed.expt", "indexed.refl"),
    ("history", "indexed.expt", "indexed.refl"),
)
"""Calls that work on the files of the calibration."""

POSITIONS = [(step, k) for step in STEPS for k in range(1, len(step))]


def spoilt(step, position):
    """Give a call with one file to be spoilt, and the name of that file."""
    return step, step[position]


@pytest.mark.parametrize(("step", "position"), POSITIONS)
def test_a_missing_file(smalti, work, step, position):
    call, name = spoilt(step, position)
    Path(name).unlink()
    smalti(*call).refused(3, name)


@pytest.mark.parametrize(("step", "position"), POSITIONS)
def test_an_empty_file(smalti, work, step, position):
    call, name = spoilt(step, position)
    Path(name).write_bytes(b"")
    smalti(*call).refused(3, name, "empty")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
@pytest.mark.parametrize(("step", "position"), POSITIONS)
def test_a_truncated_file(smalti, work, step, position, part):
    call, name = spoilt(step, position)
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[: int(part * len(data))])
    smalti(*call).refused(3, name)


@pytest.mark.parametrize(("step", "position"), POSITIONS)
@pytest.mark.parametrize("content", [b"\x00" * 5000, b"Dear all\n", b"[1, 2, 3]", b"{}", b'{"a": 1}'])
def test_a_file_of_something_else(smalti, work, step, position, content):
    call, name = spoilt(step, position)
    Path(name).write_bytes(content)
    smalti(*call).refused(3, name)


@pytest.mark.parametrize(("step", "position"), POSITIONS)
def test_an_image_in_the_wrong_place(smalti, work, images, step, position):
    call, name = spoilt(step, position)
    given = [str(images / "small_00001.cbf") if word == name else word for word in call]
    smalti(*given).refused(3, "small_00001.cbf")


@pytest.mark.parametrize(
    ("step", "position"), [(s, p) for s, p in POSITIONS if s[0] not in ("show", "history")]
)
def test_a_file_of_the_other_kind(smalti, work, step, position):
    call, name = spoilt(step, position)
    other = "indexed.refl" if name.endswith(".expt") else "indexed.expt"
    result = smalti(*[other if word == name else word for word in call])
    assert result.status in (2, 3)
    result.refused(result.status, other if len(step) == 2 else "needs")


def test_a_pickle_is_refused_and_never_loaded(smalti, work):
    bomb = b"\x80\x02cdials_array_family_flex_ext\nreflection_table\nq\x00."
    for name in ("old.refl", "old.pickle"):
        Path(name).write_bytes(bomb)
        for call in (("show", name), ("refine", "indexed.expt", name)):
            result = smalti(*call)
            assert result.status == 3
            assert len(result.err.splitlines()) <= 3
            assert name in result.err
            assert "pickle" in result.err
            assert "dials.python" in result.err


def test_models_and_reflections_that_do_not_belong_together(smalti, work):
    result = smalti("refine", "imported.expt", "strong.refl", "-q")
    assert result.status == 1
    result.refused(1)


def test_refining_what_is_not_indexed(smalti, work):
    smalti("refine", "indexed.expt", "strong.refl", "-q").refused(1)


def test_detectors_mixed_in_one_sweep(smalti, images):
    made = ("simulate", "--layout", "PILATUS 300K", "--n-images", "2", "prefix=small", "-o", "other", "-q")
    assert smalti(*made).status == 0
    Path("mixed").mkdir()
    shutil.copy(images / "small_00001.cbf", "mixed/a_00001.cbf")
    shutil.copy("other/small_00002.cbf", "mixed/a_00002.cbf")
    smalti("import", "mixed").refused(3, "a_00002.cbf")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("find-spots", "imported.expt", "--min-spot-size", "0"), ("find-spots.min_spot_size", "'0'")),
        (("find-spots", "imported.expt", "--jobs", "many"), ("find-spots.jobs", "many")),
        (("index", "imported.expt", "strong.refl", "--unit-cell", "78,78"), ("six numbers",)),
        (("index", "imported.expt", "strong.refl", "--unit-cell", "78,78,-37,90,90,90"), ("-37",)),
        (("index", "imported.expt", "strong.refl", "--space-group", "P432121"), ("P432121",)),
        (("index", "imported.expt", "strong.refl", "--space-group", "P43212",
          "--unit-cell", "78,60,37,90,90,90"), ("60",)),
        (("refine", "indexed.expt", "indexed.refl", "--outliers", "tuckey"), ("tuckey", "'tukey'")),
        (("refine", "indexed.expt", "indexed.refl", "--minimiser", "guass-newton"), ("gauss_newton",)),
        (("refine", "indexed.expt", "indexed.refl", "--fix-beam", "in_spindel_plane"), ("in_spindle_plane",)),
        (("import", "images", "--panels", "module"), ("import.panels", "modules")),
        (("panels", "indexed.expt", "--panels", "singel"), ("'single'",)),
        (("panels", "indexed.expt"), ("--panels",)),
        (("simulate", "--distance", "-3"), ("simulate.distance", "greater than 0")),
        (("simulate", "--layout", "PILATUS 7M"), ("PILATUS 6M",)),
        (("calibrate",), ("images",)),
        (("report", "refined_1.expt"), ("reflection table",)),
    ],
)  # fmt: skip
def test_an_impossible_parameter(smalti, work, images, call, words):
    Path("images").symlink_to(images)
    if call[0] not in ("panels", "report", "calibrate"):
        call = (*call, "-q")
    smalti(*call).refused(2, *words)


def test_an_input_is_never_overwritten(smalti, work):
    before = Path("indexed.expt").read_bytes()
    smalti("refine", "indexed.expt", "indexed.refl", "-o", "indexed", "-q").refused(2, "indexed.expt")
    smalti("refine", "indexed.expt", "indexed.refl", "-o", "./indexed.h5", "-q").refused(2, "indexed.expt")
    smalti("find-spots", "imported.expt", "--log", "x.log", "-o", "imported.expt", "-q")
    assert Path("indexed.expt").read_bytes() == before


def test_outputs_into_nowhere(smalti, work):
    smalti("refine", "indexed.expt", "indexed.refl", "-o", "nowhere/refined", "-q").refused(3, "nowhere")
    smalti("calibrate", "x.cbf", "-o", "nowhere/deeper").refused(3, "nowhere")


def test_a_folder_that_holds_files(smalti, work, images):
    smalti("simulate", "-o", ".").refused(2, "--force")
    smalti("calibrate", images, "-o", ".").refused(2, "--force")


def test_images_that_went_away(smalti, work):
    text = Path("imported.expt").read_text()
    Path("imported.expt").write_text(text.replace("small_", "gone_"))
    smalti("find-spots", "imported.expt").refused(3, "gone_")


def test_a_damaged_archive(smalti, images):
    data = gzip.compress((images / "small_00001.cbf").read_bytes())
    Path("a_00001.cbf.gz").write_bytes(data[: len(data) // 2])
    result = smalti("import", "a_00001.cbf.gz")
    if result.status == 0:
        result = smalti("find-spots", "imported.expt")
    result.refused(3, "a_00001.cbf.gz")


def test_files_without_a_partner_are_refused(smalti, work):
    smalti("refine", "indexed.expt", "indexed.refl", "refined_0.refl").refused(
        3, "refined_0.refl", "no partner"
    )


def test_images_taken_as_stills_are_indexed(smalti, images):
    assert smalti("import", images / "small_*.cbf", "--stills", "-o", "stills.expt").status == 0
    assert smalti("find-spots", "stills.expt", "-o", "stills.refl").status == 0
    assert smalti("index", "stills.expt", "stills.refl").status == 0
