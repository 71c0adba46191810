"""Outputs go where -o says; a place that cannot hold them is refused before the work."""

import os
import shlex

import pytest

from smalti.cli import places
from smalti.cli.places import claim_folder, folder_of, stem
from smalti.errors import InputError, UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("output", "name"),
    [("refined", "refined"), ("a/strong.refl", "a/strong"), ("s.h5", "s"), ("run.3", "run.3")],
)
def test_the_name_of_outputs(output, name):
    assert stem(output) == name


def test_the_folder_of_outputs(here):
    with pytest.raises(InputError) as caught:
        folder_of("nowhere/refined")
    assert "mkdir" in caught.value.fix
    assert claim_folder("fresh", again=False).is_dir()
    (here / "fresh" / "calibrate.log").write_text("an earlier try")
    claim_folder("fresh", again=False)
    (here / "fresh" / "indexed.expt").write_text("{}")
    with pytest.raises(UsageError) as refused:
        claim_folder("fresh", again=False)
    assert "--force" in refused.value.fix
    claim_folder("fresh", again=True)
    (here / "models.expt").write_text("{}")
    with pytest.raises(UsageError, match="is a file"):
        claim_folder("models.expt", again=True)


@pytest.mark.parametrize("output", ["there/", ".", "..", "there/.."])
def test_a_folder_is_no_name(here, output):
    (here / "there").mkdir()
    with pytest.raises(UsageError, match="no name"):
        folder_of(output)


def test_a_folder_that_cannot_be_written(here, monkeypatch):
    monkeypatch.setattr(places.os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(InputError, match="Nothing can be written"):
        folder_of("refined")
    for output in ("fresh", "."):
        with pytest.raises(InputError, match="Nothing can be written"):
            claim_folder(output, again=True)


def test_advice_can_be_pasted_into_a_shell(here):
    with pytest.raises(InputError) as caught:
        folder_of("my folder/refined")
    assert shlex.split(caught.value.fix)[-1] == "my folder"


def test_a_job_that_can_go_on_says_so(here):
    (here / "indexed.expt").write_text("{}")
    with pytest.raises(UsageError) as refused:
        claim_folder(".", again=False, resumable=True)
    assert "--resume" in refused.value.fix
    with pytest.raises(UsageError) as refused:
        claim_folder(".", again=False)
    assert "--resume" not in refused.value.fix
