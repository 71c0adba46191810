"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from smalti.errors import InputError, UsageError
from smalti.storage import atomic_path, refuse_overwriting, write_json, write_whole


def test_write_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("trouble", [ValueError, KeyboardInterrupt, SystemExit])
def test_interruption_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, trouble: type[BaseException]
) -> None:
    path = tmp_path / "out"
    write_whole(path, b"old")
    with pytest.raises(trouble), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the ne")
        raise trouble
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


def test_temporary_file_is_beside_the_target(tmp_path: Path) -> None:
    """A rename is atomic within one file system only."""
    with atomic_path(tmp_path / "out") as temporary:
        assert temporary.parent == tmp_path
        assert not (tmp_path / "out").exists()


def test_permissions_are_those_of_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "out", b"")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_missing_folder_is_told_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mkdir -p"):
        write_whole(tmp_path / "none" / "out", b"")


def test_folder_of_that_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="A folder has that name"):
        write_whole(tmp_path / "out", b"")
    assert [found.name for found in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No space left"), atomic_path(tmp_path / "out") as temporary:
        temporary.unlink()
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_inputs_are_not_overwritten_by_any_name(tmp_path: Path) -> None:
    given = tmp_path / "a.expt"
    given.touch()
    (tmp_path / "link.expt").symlink_to(given)
    refuse_overwriting([tmp_path / "b.expt"], [given])
    for name in ("a.expt", "link.expt", "x/../a.expt"):
        with pytest.raises(UsageError, match=r"-o NAME"):
            refuse_overwriting([tmp_path / name], [given])


def test_json_holds_no_word_that_json_does_not_know(tmp_path: Path) -> None:
    import json

    import numpy as np

    write_json(
        tmp_path / "out.json",
        {"a": np.array([1.0, np.nan]), 3: np.float32(0.5), "p": tmp_path, "s": {2, 1}, "i": float("inf")},
    )
    value = json.loads((tmp_path / "out.json").read_text())
    assert value == {"a": [1.0, "nan"], "3": 0.5, "p": str(tmp_path), "s": [1, 2], "i": "inf"}
