"""A few thousand mutated files and payloads: each is read, or refused with a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fuzzing import run


@pytest.mark.parametrize("seed", [1, 2])
def test_mutations_end_well(tmp_path: Path, seed: int) -> None:
    ends = run(2000, seed, tmp_path)
    assert sum(ends.values()) == 2000
    # All four ends are reached, so that the harness tests what it is meant to test.
    assert (
        min(ends[name] for name in ("file read", "file refused", "payload decoded", "payload refused")) > 20
    )
