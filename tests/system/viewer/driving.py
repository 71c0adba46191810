"""What the tests of the viewer have in common: commands, the page, and waiting for what it shows."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import numpy as np

from smalti.cli import main

READY = "body[data-ready^='{']"
VIEWPORT = {"width": 900, "height": 640}
N_IMAGES = 28
DRAWN = """(() => { viewer.overlay.draw(); const over = document.getElementById("over");
  const { data } = over.getContext("2d").getImageData(0, 0, over.width, over.height);
  let n = 0; for (let k = 3; k < data.length; k += 4) n += data[k] > 0; return n; })()"""
"""Pixels that are drawn over the picture. A canvas that a graphics processor draws, or what stands for one,
may be read back as it was a moment ago: what is expected is waited for."""


def smalti(*words: str, folder: Path) -> None:
    with contextlib.chdir(folder):
        assert main(words) == 0


def shown(page, **words) -> None:
    """Wait until the picture is that of some frames."""
    page.wait_for_selector(
        "body[data-ready*='" + ",".join(f'"{k}":{json.dumps(v)}' for k, v in words.items()) + "']",
        state="attached",
    )


def until(page, condition: str) -> None:
    """Wait until an expression is true; the page runs no code made of text, so that it cannot wait itself."""
    for _ in range(300):
        if page.evaluate(f"Boolean({condition})"):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def pixels(page) -> np.ndarray:
    """The picture as it is on the canvas, (height, width, 3)."""
    found = page.evaluate(
        """() => { const from = document.getElementById("picture"), to = document.createElement("canvas");
        to.width = from.width; to.height = from.height;
        const context = to.getContext("2d"); viewer.draw(); context.drawImage(from, 0, 0);
        const { data } = context.getImageData(0, 0, from.width, from.height);
        let bytes = "", k = 0;
        for (; k < data.length; k += 32768) bytes += String.fromCharCode(...data.subarray(k, k + 32768));
        return [from.height, from.width, btoa(bytes)]; }"""
    )
    return np.frombuffer(base64.b64decode(found[2]), np.uint8).reshape(found[0], found[1], 4)[:, :, :3]
