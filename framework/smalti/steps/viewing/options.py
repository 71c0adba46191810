"""What can be chosen of a view, on the command line and in the address of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.options import option

__all__ = ["LAYERS", "ViewOptions"]

LAYERS = (
    "spots", "indexed", "outliers", "predicted", "arrows", "panels", "names", "resolution", "ice", "cell",
    "threshold",
)  # fmt: skip
"""What can be drawn over the picture."""


@dataclass(frozen=True)
class ViewOptions:
    """Which frames are shown, from where, and what is drawn over them; the page keeps it in its address."""

    frame: int = option(1, "First frame shown, counted from 1 through all images.", ge=1)
    sum: int = option(1, "Frames taken together.", ge=1, le=1000)
    how: Literal["sum", "mean", "max"] = option("sum", "How frames are taken together.")
    place: Literal["image", "lab"] = option(
        "image", "Show the raw image, or every panel at its true place in the laboratory."
    )
    zoom: float = option(0.0, "Screen pixels for a pixel of the detector; 0 shows all of it.", ge=0, le=100)
    centre: tuple[float, float] | None = option(
        None, "What is in the middle of the view (fast, slow); none: the middle of the detector.", unit="px"
    )
    low: float | None = option(None, "Count shown as the first colour; none: by quantiles.", unit="counts")
    high: float | None = option(None, "Count shown as the last colour; none: by quantiles.", unit="counts")
    scale: Literal["linear", "sqrt", "log"] = option("linear", "How counts become colours.")
    colours: Literal["grey", "viridis", "ember", "ice"] = option("grey", "The colours.")
    invert: bool = option(True, "Show few counts bright and many dark, as on paper.")
    pool: Literal["mean", "max"] = option(
        "mean", "What a screen pixel shows of several pixels of the detector: their mean, or the largest."
    )
    map: str = option(
        "counts",
        "What is shown: the counts, or a picture by which the spot finder judges, such as mean, variance or "
        "dispersion.",
    )
    show: str = option(
        "spots,outliers", "What is drawn over it, with commas: " + ", ".join(LAYERS) + "; none."
    )
    magnify: float = option(20.0, "By how much residual arrows are drawn too long.", gt=0)
    legend: bool = option(
        True,
        "Write below a picture made with --png what it shows: image, angles, counts of the colours, scale.",
    )
    width: int = option(1000, "Width of a picture made with --png.", unit="px", ge=16, le=20000)
    height: int = option(
        0, "Height of a picture made with --png; 0: as the detector asks for.", unit="px", ge=0
    )
