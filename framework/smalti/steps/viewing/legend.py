"""What is written below a picture: image and angles, what the colours mean, and how long a millimetre is."""

from __future__ import annotations

from math import degrees, floor, log10
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.colours import lookup
from smalti.steps.viewing.drawing import View, letter_size
from smalti.steps.viewing.explained import COUNTS
from smalti.steps.viewing.lettering import HEIGHT, width_of, write

__all__ = ["scale_bar", "title_of", "with_legend"]

PAPER, INK = (255, 255, 255), (40, 44, 50)
BAR = 80
"""Dots that the bar of colours is long."""
SHARE = 0.14
"""Part of the picture that the bar of millimetres is long, at most."""
GAP = 12
"""Dots between what stands in the line."""


def title_of(view: View) -> str:
    """Name the images: file, number, how many and how they are taken together, angles."""
    scene, shot = view.session.scene, view.shot
    roll, index = scene.gallery.find(shot.frame)
    words = [f"{Path(roll.file(index)).name}  image {roll.start + index + 1}"]
    if shot.n > 1:
        words.append(f"{shot.how} of {shot.n}")
    if view.options.map != COUNTS:
        words.append(view.options.map)
    first, last = roll.angles(index), roll.angles(index + shot.n - 1)
    if first is not None and last is not None:
        words.append(f"φ {degrees(first[0]):.2f}–{degrees(last[1]):.2f}°")
    return "  ".join(words)


def scale_bar(px_per_mm: float, longest: float) -> tuple[float, str]:
    """Give the largest of 1, 2, 5, 10 ... mm that is no longer than so many px: its px and its name."""
    room = longest / px_per_mm
    power = 10.0 ** floor(log10(room))
    mm = power * max(step for step in (1.0, 2.0, 5.0) if step * power <= room * (1.0 + 1e-9))
    return mm * px_per_mm, f"{mm:g} mm"


def with_legend(rgb: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Put a line of legend below a picture; what there is no room for is left away, the scale first."""
    size = letter_size(rgb.shape[1])
    strip = np.empty(((HEIGHT + 8) * size, rgb.shape[1], 3), dtype=np.uint8)
    strip[:] = PAPER
    left, top = 4 * size, 4 * size
    title = title_of(view)
    write(strip, title, (left, top), INK, size)
    taken = left + width_of(title, size) + GAP * size
    right = rgb.shape[1] - 4 * size
    for part in (_colours, _scale):
        right = part(strip, view, taken, right) - GAP * size
    return np.concatenate([rgb, strip])


def _colours(strip: NDArray[np.uint8], view: View, left: int, right: int) -> int:
    """Draw the colours with their counts, ending at ``right``; give where they begin."""
    size = letter_size(strip.shape[1])
    contrast, options = view.session.scene.contrast(view.shot), view.options
    low = contrast.low if options.low is None else options.low
    high = contrast.high if options.high is None else options.high
    ends = (f"{low:.4g}", f"{high:.4g}" + ("" if options.scale == "linear" else f" {options.scale}"))
    wide = [width_of(text, size) for text in ends]
    bar, gap = BAR * size, 3 * size
    begin = right - wide[0] - wide[1] - bar - 2 * gap
    if begin < left:
        return right
    top, bottom = 4 * size, (4 + HEIGHT) * size
    table = lookup(options.colours, options.invert, bar)
    strip[top - size : bottom + size, begin + wide[0] + gap : right - wide[1] - gap] = INK
    strip[top:bottom, begin + wide[0] + gap + size : right - wide[1] - gap - size] = table[size : bar - size]
    write(strip, ends[0], (begin, top), INK, size)
    write(strip, ends[1], (right - wide[1], top), INK, size)
    return begin


def _scale(strip: NDArray[np.uint8], view: View, left: int, right: int) -> int:
    """Draw a bar of some millimetres on the detector, ending at ``right``; give where it begins."""
    size = letter_size(strip.shape[1])
    pixel = float(np.median([panel.pixel_size for panel in view.roll.experiment.detector.panels]))
    long, name = scale_bar(view.camera.zoom / pixel, SHARE * strip.shape[1])
    begin = right - width_of(name, size) - 3 * size - round(long)
    if begin < left:
        return right
    top, middle, bottom = 4 * size, (4 + HEIGHT // 2) * size, (4 + HEIGHT) * size
    end = begin + round(long)
    strip[middle : middle + size, begin:end] = INK
    strip[top:bottom, begin : begin + size] = INK
    strip[top:bottom, end - size : end] = INK
    write(strip, name, (end + 3 * size, top), INK, size)
    return begin
