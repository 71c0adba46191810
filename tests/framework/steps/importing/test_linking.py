"""Folders that hold files and the files that those name for their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from smalti.errors import InputError, PluginError
from smalti.solution import Match
from smalti.steps.importing import ImportOptions, import_images

from .fake_reader import FakeReader, FakeSeries, sweep, write


@dataclass(frozen=True)
class LinkingReader:
    """Takes what a file names in a note beside it for its pixels."""

    name: ClassVar[str] = "linking"

    def match(self, path: Path, head: bytes) -> Match:
        return Match.FORMAT if head.startswith(b"FAKE") else Match.NO

    def linked(self, path: Path) -> Sequence[Path]:
        note = path.with_suffix(".names")
        return [path.parent / name for name in note.read_text().split()] if note.exists() else []

    def open(self, paths: Sequence[Path]) -> FakeSeries:
        return FakeSeries(tuple(paths))


def names(folder: Path, *given: Path) -> list[str]:
    experiments = import_images([*(given or [folder])], [LinkingReader()], ImportOptions()).experiments
    return [Path(item.imageset.template).name for item in experiments if item.imageset is not None]


def test_files_that_others_name_are_left_out(tmp_path: Path) -> None:
    data = sweep(tmp_path, range(1, 4), "m_data_{:04d}.fake")
    other = sweep(tmp_path, range(1, 3), "other_{:04d}.fake")
    write(tmp_path / "m_master.fake", 0.0)
    assert names(tmp_path) == ["m_data_####.fake", "m_master.fake", "other_####.fake"]
    (tmp_path / "m_master.names").write_text(" ".join(path.name for path in [*data, tmp_path / "gone.fake"]))
    assert names(tmp_path) == ["m_master.fake", "other_####.fake"]
    assert names(tmp_path, *data, *other, tmp_path / "m_master.fake") == ["other_####.fake", "m_master.fake"]
    assert names(tmp_path, *data) == ["m_data_####.fake"]


def test_a_file_that_names_itself_or_part_of_a_series_stays(tmp_path: Path) -> None:
    data = sweep(tmp_path, range(1, 4))
    write(tmp_path / "master.fake", 0.0)
    (tmp_path / "master.names").write_text(f"./master.fake {data[0].name}")
    assert names(tmp_path) == ["a_####.fake", "master.fake"]


def test_readers_that_break_are_named(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Breaking(FakeReader):
        name: ClassVar[str] = "breaking"

        def linked(self, path: Path) -> Sequence[Path]:
            raise (ZeroDivisionError if "break" in path.name else InputError)(f"{path}: no.", "", "")

    with pytest.raises(PluginError, match="'breaking' broke on .*break"):
        import_images([write(tmp_path / "break.fake", 0.0)], [Breaking()], ImportOptions())
    with pytest.raises(InputError, match="mine"):
        import_images([write(tmp_path / "mine.fake", 0.0)], [Breaking()], ImportOptions())
