"""What is kept of a run while it lasts, so that one that was killed goes on where it was.

Sums of finished passes, and of the batches of the present one that are finished, are files in a folder, each
written whole or not at all. Batches are added in their order; so a run that goes on gives the same sums, to
the last bit, as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from smalti.steps.streaming.sums import Sums
from smalti.storage import write_whole

__all__ = ["Journal", "digest_of"]

log = logging.getLogger(__name__)

_INTERVAL = 5.0
"""Seconds between one note of finished batches and the next."""


def digest_of(parts: Iterable[Any]) -> str:
    """Give one hash of arrays and of whatever tells what it is when it is printed."""
    found = hashlib.sha256()
    for part in parts:
        found.update(
            np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
        )
        found.update(b"\0")
    return found.hexdigest()[:24]


@dataclass
class Journal:
    """The folder of a run; without one nothing is kept.

    Attributes
    ----------
    folder : Path or None
    """

    folder: Path | None = None
    _noted: float = field(default=0.0, init=False)

    def open(self, *, resume: bool) -> None:
        """Make the folder; what an earlier run left in it is used again, or removed."""
        if self.folder is None:
            return
        if not resume:
            self.close()
        self.folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Remove the folder: the run has ended."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def find(self, key: str) -> tuple[int, Sums] | None:
        """Give the number of finished batches of a pass, and their sums, where any were noted."""
        if self.folder is None:
            return None
        try:
            content = io.BytesIO((self.folder / f"{key}.npz").read_bytes())
            with np.load(content) as arrays:
                count, sums = int(arrays["count"]), Sums.of_arrays(arrays)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            log.warning("What was kept of a pass cannot be read (%s): the pass is made again.", error)
            return None
        return count, sums

    def note(self, key: str, count: int, sums: Sums, *, last: bool) -> None:
        """Note the sums of the first ``count`` batches of a pass; not too often, but the last always."""
        now = time.monotonic()
        if self.folder is None or (not last and now - self._noted < _INTERVAL):
            return
        self._noted = now
        stream = io.BytesIO()
        arrays: dict[str, Any] = {"count": np.array(count), **sums.arrays()}
        np.savez(stream, **arrays)
        write_whole(self.folder / f"{key}.npz", stream.getvalue())
