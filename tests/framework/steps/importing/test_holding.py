"""A reader whose answers keep no contract is named, whatever it gives."""

from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pytest

from smalti.errors import PluginError
from smalti.models import Beam
from smalti.solution import FrameHeader
from smalti.steps.importing.holding import Held
from smalti.testing import synthetic

HEADER = FrameHeader(
    Beam((0.0, 0.0, 1.0), 1.0), synthetic.detector("PILATUS 300K"), None, 0.0, 0.01, 0.1, 0.0, (487, 619)
)


class Series:
    """One frame, of which everything can be replaced."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"header": HEADER, "read": np.zeros((619, 487), np.int32), "mask": None} | answers

    def __len__(self) -> int:
        return 1

    def header(self, index: int) -> Any:
        return self.answers["header"]

    def read(self, index: int) -> Any:
        return self.answers["read"]

    def mask(self) -> Any:
        return self.answers["mask"]


def test_what_is_good_passes():
    held = Held("fine", Series(mask=np.ones((619, 487), bool)))
    assert len(held) == 1 and held.header(0) is HEADER
    assert held.read(0).shape == held.mask().shape == (619, 487)
    assert Held("fine", Series()).mask() is None


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        (None, "a FrameHeader of frame 1; it gave nothing"),
        (replace(HEADER, beam=None), "a Beam for beam of frame 1; it gave nothing"),
        (replace(HEADER, detector=7), "a Detector for detector of frame 1; it gave a int"),
        (replace(HEADER, goniometer="yes"), "a Goniometer for goniometer"),
        (replace(HEADER, width=nan), "a finite number for width of frame 1; it gave nan"),
        (replace(HEADER, epoch=None), "a finite number for epoch"),
    ],
)
def test_headers_that_are_none(answer, given):
    with pytest.raises(PluginError, match=rf"The reader 'odd' did not give[\s\S]*{given}"):
        Held("odd", Series(header=answer)).header(0)


@pytest.mark.parametrize("answer", [None, [[1]], np.zeros((3, 3)), np.zeros(9, int)])
def test_counts_that_are_none(answer):
    with pytest.raises(PluginError, match="whole counts"):
        Held("odd", Series(read=answer)).read(0)


@pytest.mark.parametrize("answer", ["all", np.ones((3, 3), int), np.ones(9, bool)])
def test_masks_that_are_none(answer):
    with pytest.raises(PluginError, match="a mask"):
        Held("odd", Series(mask=answer)).mask()
