"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("SMALTI_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_configure() -> None:
    """Let programs that tests start hear Ctrl-C, even where the tests run in the background of a shell."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real diffraction data, beside the checkout or named by SMALTI_DATA."""
    if not DATA.is_dir():
        pytest.skip(f"the real diffraction data are not here ({DATA}); SMALTI_DATA may name them")
    return DATA


@pytest.fixture(scope="session")
def dials() -> str:
    """The folder of the DIALS programs."""
    program = shutil.which("dials.import")
    if program is None:
        pytest.skip("DIALS is not installed (Debian: apt-get install dials)")
    return str(Path(program).parent)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(20260501)
