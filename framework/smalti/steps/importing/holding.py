"""Images that a reader has opened, held to what their role promises: a broken reader is named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, PluginError
from smalti.models import Beam, Detector, Goniometer
from smalti.roles import Growing, Series
from smalti.solution import FrameHeader
from smalti.steps.answers import broken, kind_of

__all__ = ["Held"]


@dataclass(frozen=True)
class Held:
    """A series whose answers are checked as they come.

    Attributes
    ----------
    reader : str
        Name of the component, for messages.
    series : Series
        What it opened.
    """

    reader: str
    series: Series

    def __len__(self) -> int:
        return len(self.series)

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame.

        Raises
        ------
        PluginError
            It is no header, or one of its models or numbers is none.
        """
        header = self.series.header(index)
        if not isinstance(header, FrameHeader):
            raise self._broken(index, "a FrameHeader", kind_of(header))
        models = {"beam": Beam, "detector": Detector}
        if header.goniometer is not None:
            models["goniometer"] = Goniometer
        for name, model in models.items():
            if not isinstance(getattr(header, name), model):
                raise self._broken(index, f"a {model.__name__} for {name}", kind_of(getattr(header, name)))
        for name in ("start", "width", "exposure", "epoch"):
            value = getattr(header, name)
            if not isinstance(value, int | float | np.number) or not math.isfinite(value):
                raise self._broken(index, f"a finite number for {name}", repr(value))
        return header

    def read(self, index: int) -> NDArray[Any]:
        """Give the counts of one frame, (slow, fast).

        Raises
        ------
        PluginError
            They are no whole numbers, or no picture.
        """
        counts = self.series.read(index)
        if not isinstance(counts, np.ndarray) or counts.ndim != 2 or counts.dtype.kind not in "iu":
            raise self._broken(index, "whole counts (slow, fast)", kind_of(counts))
        return counts

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the mask of them all, (slow, fast).

        Raises
        ------
        PluginError
            It is neither a mask nor None.
        """
        mask = self.series.mask()
        if mask is not None and not (
            isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.dtype == np.bool_
        ):
            raise self._broken(None, "a mask (slow, fast) of bool, or None", kind_of(mask))
        return mask

    def refreshed(self) -> Series:
        """Give the series as its files are now.

        Raises
        ------
        InputError
            The reader cannot tell.
        """
        if not isinstance(self.series, Growing):
            raise InputError(
                "The images cannot be followed.",
                f"They are in one file, and the reader '{self.reader}' cannot tell when there are more.",
                "Wait until the file is complete.",
            )
        return Held(self.reader, self.series.refreshed())

    def _broken(self, index: int | None, wanted: str, given: str) -> PluginError:
        of = "" if index is None else f" of frame {index + 1}"
        return broken(f"The reader '{self.reader}'", f"{wanted}{of}", given)
