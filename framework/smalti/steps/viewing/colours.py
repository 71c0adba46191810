"""Colour scales, readable in their order by the colour-blind: lightness rises evenly along each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["INKS", "NO_COUNT", "SCALES", "ground_of", "lookup", "word_ink"]

SCALES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "grey": ((0, 0, 0), (255, 255, 255)),
    # Nine even steps of viridis [S. van der Walt and N. Smith, 2015, matplotlib, CC0].
    "viridis": (
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ),
    "ember": (
        (0, 0, 6), (31, 12, 66), (78, 16, 95), (125, 32, 92), (171, 52, 72),
        (211, 82, 46), (240, 126, 22), (252, 182, 48), (252, 250, 190),
    ),
    "ice": (
        (3, 8, 22), (18, 38, 74), (30, 72, 120), (52, 110, 152), (90, 148, 178),
        (140, 186, 204), (198, 222, 230), (246, 250, 252),
    ),
}  # fmt: skip
"""Colours at even steps of each scale, first to last; those between are interpolated."""

NO_COUNT: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "dark": {
        "gap": (48, 54, 62), "masked": (84, 76, 54), "missing": (122, 98, 44), "over": (240, 110, 20),
        "nothing": (26, 29, 33),
    },
    "light": {
        "gap": (205, 212, 221), "masked": (226, 214, 180), "missing": (232, 200, 140), "over": (213, 94, 0),
        "nothing": (232, 235, 239),
    },
}  # fmt: skip
"""Colours of pixels without a count, and of what is no detector, where few counts are dark or light."""

INKS: Mapping[str, tuple[int, int, int]] = {
    "spots": (0, 114, 178), "indexed": (0, 158, 115), "outliers": (213, 94, 0), "predicted": (204, 121, 167),
    "arrows": (230, 159, 0), "panels": (120, 144, 170), "names": (120, 144, 170),
    "resolution": (86, 180, 233),
    "ice": (0, 170, 200), "cell": (190, 140, 70), "threshold": (213, 94, 0), "regions": (230, 159, 0),
}  # fmt: skip
"""Colours of what is drawn over the picture [M. Okabe and K. Ito, Color Universal Design, 2008].

Their shapes differ too.
"""


def lookup(name: str, invert: bool, n: int = 256) -> NDArray[np.uint8]:
    """Give n colours of a scale, (n, 3)."""
    steps = np.array(SCALES[name], dtype=float)
    at = np.linspace(0.0, len(steps) - 1.0, n)
    table = np.column_stack([np.interp(at, np.arange(len(steps)), column) for column in steps.T])
    return np.round(table[::-1] if invert else table).astype(np.uint8)


def word_ink(name: str, ground: str) -> tuple[int, int, int]:
    """The ink of a layer for words on a "dark" or "light" ground: letters are thinner than lines.

    Its contrast to the ground is above 4.5 [W3C, WCAG 2.1, success criterion 1.4.3].
    """
    red, green, blue = INKS[name]
    if ground == "light":
        return round(0.6 * red), round(0.6 * green), round(0.6 * blue)
    return tuple(round(0.6 * part + 0.4 * 255) for part in (red, green, blue))  # type: ignore[return-value]


def ground_of(table: NDArray[np.uint8]) -> str:
    """Tell whether a table of colours (n, 3) begins "dark" or "light"."""
    return "light" if int(table[0].astype(int).sum()) > 3 * 128 else "dark"
