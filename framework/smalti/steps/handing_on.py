"""The commands by which other programs take a refined geometry."""

from __future__ import annotations

import shlex

__all__ = ["dials_import"]


def dials_import(models: str, n_panels: int, images: str = "IMAGES") -> str:
    """Give the call that puts the detector of ``models`` under other images.

    ``dials.import`` takes detectors made of modules as one flat panel unless it is told, and refuses a
    reference of another number of panels.
    """
    form = "multi_panel=True " if n_panels > 1 else ""
    return f"dials.import {form}reference_geometry={shlex.quote(models)} {images}"
