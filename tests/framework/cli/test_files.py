"""Files are told by what they hold, in any order; what is wrong with one is said by name."""

import gzip

import pytest

from smalti.cli.files import Kind, check_exist, recognise, refuse_results, sort_files
from smalti.errors import InputError, SmaltiError, UsageError

PAIR = (Kind.EXPERIMENTS, Kind.REFLECTIONS)
EXAMPLE = "smalti index imported.expt strong.refl"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    contents = {
        "models.expt": b'{"__id__": "ExperimentList", "experiment": []}',
        "models_renamed.txt": b'\n {"__id__": "ExperimentList", "experiment": []}',
        "strong.refl": b"\x93\xbbdials::af::reflection_table\x01\x80",
        "table": b"\x93\xbbdials::af::reflection_table\x01\x80",
        "big.h5": b"\x89HDF\r\n\x1a\n",
        "refined.covariance.h5": b"\x89HDF\r\n\x1a\n",
        "x_master.h5": b"\x89HDF\r\n\x1a\n",
        "thau.h5": b"\x89HDF\r\n\x1a\n" + bytes(900) + b"entry" + bytes(50),
        "master.h5": b"\x89HDF\r\n\x1a\n" + bytes(900) + b"smalti reflections" + bytes(50),
        "a_0001.cbf": b"###CBF: VERSION 1.5\n",
        "b_0001.img": b"{\nHEADER_BYTES=  512;\n",
        "c_0001.cbf.gz": gzip.compress(b"###CBF: VERSION 1.5\n"),
        "old.refl": b"\x80\x02cdials_array_family_flex_ext",
        "result.json": b'{"smalti": "0.1"}',
        "report.html": b"<!DOCTYPE html><html></html>",
        "letter.txt": b"Dear all",
        "empty.refl": b"",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("models.expt", Kind.EXPERIMENTS),
        ("models_renamed.txt", Kind.EXPERIMENTS),
        ("strong.refl", Kind.REFLECTIONS),
        ("table", Kind.REFLECTIONS),
        ("big.h5", Kind.REFLECTIONS),
        ("refined.covariance.h5", Kind.COVARIANCES),
        ("x_master.h5", Kind.IMAGE),
        ("thau.h5", Kind.IMAGE),
        ("master.h5", Kind.REFLECTIONS),
        ("a_0001.cbf", Kind.IMAGE),
        ("b_0001.img", Kind.IMAGE),
        ("c_0001.cbf.gz", Kind.IMAGE),
        ("old.refl", Kind.PICKLE),
        ("result.json", Kind.JSON),
        ("report.html", Kind.HTML),
        ("letter.txt", Kind.UNKNOWN),
        (".", Kind.FOLDER),
    ],
)
def test_files_are_told_by_their_contents(folder, name, kind):
    assert recognise(folder / name) is kind


@pytest.mark.parametrize("order", [("models.expt", "strong.refl"), ("strong.refl", "models.expt")])
def test_the_order_does_not_matter(folder, order):
    assert [path.name for path in sort_files("index", order, PAIR, EXAMPLE)] == ["models.expt", "strong.refl"]


def test_files_of_one_kind_keep_their_order(folder):
    wanted = (*PAIR, Kind.EXPERIMENTS, Kind.REFLECTIONS)
    given = ["table", "models_renamed.txt", "models.expt", "strong.refl"]
    assert [p.name for p in sort_files("report", given, wanted, EXAMPLE)] == [
        "models_renamed.txt", "table", "models.expt", "strong.refl",
    ]  # fmt: skip


def refusal(*names):
    with pytest.raises(SmaltiError) as caught:
        sort_files("index", names, PAIR, EXAMPLE)
    return caught.value


def test_nothing_given(folder):
    error = refusal()
    assert isinstance(error, UsageError)
    assert "an experiment list (.expt)" in error.what
    assert EXAMPLE in error.fix


def test_one_missing_from_the_call(folder):
    error = refusal("models.expt")
    assert isinstance(error, UsageError)
    assert "a reflection table (.refl)" in error.what
    assert "smalti find-spots" in error.fix


def test_one_too_many(folder):
    error = refusal("models.expt", "strong.refl", "table")
    assert isinstance(error, UsageError)
    assert error.what.startswith("table is one file too many")


@pytest.mark.parametrize("name", ["a_0001.cbf", "result.json", "report.html", "letter.txt", "."])
def test_one_of_the_wrong_kind(folder, name):
    error = refusal("models.expt", name)
    assert isinstance(error, InputError)
    assert name in error.what
    if name == "a_0001.cbf":
        assert "smalti import" in error.fix


def test_a_pickle_goes_on_to_the_reader_of_tables(folder):
    assert [path.name for path in sort_files("index", ["models.expt", "old.refl"], PAIR, EXAMPLE)] == [
        "models.expt",
        "old.refl",
    ]


def test_missing_files_are_all_named_with_their_neighbours(folder):
    error = refusal("model.expt", "nowhere/strong.refl")
    assert isinstance(error, InputError)
    assert "model.expt, nowhere/strong.refl" in error.what
    assert "models.expt" in error.fix
    assert "nowhere does not exist" in error.why


def test_a_pattern_without_files(folder):
    with pytest.raises(InputError) as caught:
        check_exist(["nosuch_*.cbf"])
    assert "matches the pattern" in caught.value.why


def test_an_empty_file(folder):
    error = refusal("models.expt", "empty.refl")
    assert isinstance(error, InputError)
    assert error.what == "empty.refl is empty."


def test_what_is_missing_is_made_by_the_step_before(folder):
    with pytest.raises(UsageError) as caught:
        sort_files("refine", ["models.expt"], PAIR, EXAMPLE)
    assert "smalti index" in caught.value.fix


@pytest.mark.parametrize(("name", "onward"), [("models.expt", "find-spots"), ("strong.refl", "show")])
def test_results_are_no_images(folder, name, onward):
    refuse_results("import", ["a_0001.cbf", "b_0001.img", "letter.txt", ".", "nosuch_*.cbf"])
    with pytest.raises(InputError) as caught:
        refuse_results("import", ["a_0001.cbf", name])
    assert name in caught.value.what
    assert f"smalti {onward} {name}" in caught.value.fix
