"""Files that are read through others: a folder of master files holds their data files, too."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from smalti.roles import Linking, Reader
from smalti.steps.guarding import guarded
from smalti.steps.importing.naming import Numbered

__all__ = ["without_linked"]

Chosen = tuple[Numbered, Reader]


def without_linked(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Leave out the series of which all files hold the pixels of other files that are read.

    Parameters
    ----------
    chosen : sequence of (Numbered, Reader)
        Series of files and who reads them.
    """
    linked = {
        os.path.realpath(path)
        for series, reader in chosen
        for own in series.paths
        for path in _of(reader, own)
    }
    if not linked:
        return list(chosen)
    return [
        (series, reader)
        for series, reader in chosen
        if not all(os.path.realpath(path) in linked for path in series.paths)
    ]


def _of(reader: Reader, path: Path) -> Sequence[Path]:
    """Give the other files that a file names; itself is none of them."""
    if not isinstance(reader, Linking):
        return ()
    told = guarded(
        partial(reader.linked, path), f"The reader '{reader.name}' broke on {path}.", "Tell its author."
    )
    return [other for other in told if os.path.realpath(other) != os.path.realpath(path)]
