"""A look at an HDF5 file from a process of its own, for a damaged one can bring HDF5 itself down.

HDF5 trusts what a file says of its own structure: of files with bytes changed at random it crashes on about
one in a thousand (measured with HDF5 2.0: tests/plugins/formats/nexus/fuzzing_nxmx.py). No check of ours can
come before, since it is the opening of an object that crashes. So files are opened elsewhere first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

__all__ = ["survives"]

_PATIENCE = 120.0
"""Seconds; a sound file takes a fraction of one, and on a slow file system a few."""

_SMALL = 100_000

_LAUNCHERS = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDI_", "HYDRA_", "MPI", "I_MPI_", "SLURM_", "PALS_")
"""By these launchers of MPI tell a process its place: an h5py that was built with MPI would take ours."""

_MOST = 128
"""Codes of ends that a program chooses are smaller; Windows tells of crashes by far larger ones."""


def survives(path: Path) -> bool:
    """Tell whether HDF5 lives through opening all objects of a file and reading the small ones.

    Where there is no interpreter to start (a program that was frozen, or has Python inside) nobody looks.
    """
    if getattr(sys, "frozen", False) or not sys.executable:
        return True
    return _survives(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1024)
def _survives(path: Path, written: int) -> bool:
    command = [sys.executable, "-P", __file__, str(path)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCHERS)}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False, env=alone
        )
    except subprocess.TimeoutExpired:
        return False
    except OSError:  # the interpreter cannot be started: some limit on processes
        return True
    # Errors that HDF5 reports are no crash: who opens the file here gets them too, and tells the user.
    return 0 <= done.returncode < _MOST


def look(path: Path) -> None:
    """Open every object and attribute; read what is small, and one frame of what is large."""

    def visit(name: str) -> None:
        try:
            item = file.get(name)
            if item is None:
                return
            for key in item.attrs:
                np.asarray(item.attrs[key])
            if isinstance(item, h5py.Dataset):
                _touch(item)
        except Exception:  # whatever h5py raises is no crash
            return

    with h5py.File(path, "r", locking=False) as file:
        file.visit_links(visit)


def _touch(item: h5py.Dataset) -> None:
    if item.is_virtual:
        item.virtual_sources()
    if (item.size or 0) <= _SMALL:
        item[()]
    elif item.ndim > 2 and item[:0].nbytes == 0 and int(np.prod(item.shape[1:])) < 2**28:
        item[0]


if __name__ == "__main__":
    try:
        # Some builds of HDF5 need its filters to read the first frame; without them nothing is lost.
        import hdf5plugin  # noqa: F401
    except ImportError:
        pass
    try:
        look(Path(sys.argv[1]))
    except Exception:  # whatever h5py raises is no crash
        sys.exit(1)
