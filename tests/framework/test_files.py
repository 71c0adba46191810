"""Bytes of files, compressed or not."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

from smalti.errors import InputError
from smalti.files import read_head, read_whole

TEXT = bytes(range(256)) * 100


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".cbf", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)]
)
def test_compression_is_undone(suffix: str, pack: object, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(pack(TEXT))  # type: ignore[operator]
    assert read_whole(path) == TEXT
    assert read_head(path, 300) == TEXT[:300]
    assert read_head(path, 10**6) == TEXT


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_damaged_compression_names_the_file(suffix: str, pack: object, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    whole = pack(TEXT)  # type: ignore[operator]
    for data in (whole[: len(whole) // 2], b"no compressed data", whole[:20] + b"\0\0\0\0" + whole[24:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match=path.name):
            read_whole(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_whole(tmp_path / "none.cbf")
    with pytest.raises(InputError, match="cannot be read"):
        read_head(tmp_path)
