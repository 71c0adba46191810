"""Measure how time and memory of a stream grow with the number of stills, and draw it for the documentation.

    python tests/benchmarks/streams.py measure FOLDER 1000 3000 10000 > streams.json
    python tests/benchmarks/streams.py draw streams.json docs/explanation/many-crystals.svg

FOLDER is filled with simulated stills of a CS-PAD, 200 spots each, where it has none. Time is that of the
processor, over the passes that were made; the sample's passes are over a thousand crystals.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

SMALTI = Path(sys.executable).with_name("smalti")
SAMPLE = 1000
SIMULATION = ("--make", "indexed", "--layout", "CS-PAD", "--distance", "120", "simulate.wavelength=1.3")
ONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 300, 70, 70, 20, 50
GRID, TIME, MEMORY = "#d0d4d9", "#1f5f99", "#b5541c"


def measure(folder: Path, numbers: list[int]) -> list[dict[str, float]]:
    """Refine the first files of a folder, so many stills at a time."""
    if not list(folder.glob("indexed*.expt")):
        words = [SMALTI, "simulate", "--n-stills", str(max(numbers)), *SIMULATION, "-o", str(folder)]
        subprocess.run(words, check=True, capture_output=True)
    models = sorted(folder.glob("indexed*.expt"))
    rows = []
    for number in numbers:
        files = models[: math.ceil(number / 1000)]
        table = folder / f"{number}.txt"
        table.write_text("".join(f"{file}\n{file.with_suffix('.refl')}\n" for file in files))
        words = ["refine", str(table), "--level", "3", "--jobs", "1", "stream.write=none", "--json"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(
            [SMALTI, *words, "-o", str(folder / str(number))],
            check=True, capture_output=True, text=True, env={**os.environ, **ONE},
        )  # fmt: skip
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        rows.append(row_of(json.loads(done.stdout), seconds))
    return rows


def row_of(told: dict, seconds: float) -> dict[str, float]:
    """Divide the time of a run by the crystals of all its passes."""
    result = told["result"]
    stills, passes = result["n_crystals"], len(result["steps"])
    visits = stills * passes + (SAMPLE * 8 if "sample" in result["seconds"] else 0)
    return {
        "stills": stills,
        "reflections": result["n_used"],
        "seconds_of_a_pass": seconds / visits * stills,
        "ms_of_a_crystal": 1e3 * seconds / visits,
        "memory_mb": told["peak_memory_mb"],
    }


def draw(rows: list[dict[str, float]]) -> str:
    """Draw time (left scale) and memory (right scale) against the number of stills, both scales from zero."""
    most = max(row["stills"] for row in rows)
    slowest = 1.15 * max(row["seconds_of_a_pass"] for row in rows)
    memory = 2.0 * max(row["memory_mb"] for row in rows)
    inner = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x * inner[0], TOP + (1.0 - y) * inner[1]

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for k in range(5):
        share = k / 4
        (a, v), (b, _), (u, w) = place(0, share), place(1, share), place(share, 0)
        parts.append(f'<line x1="{a}" x2="{b}" y1="{v:.1f}" y2="{v:.1f}" stroke="{GRID}"/>')
        parts.append(text(a - 8, v + 4, f"{share * slowest:.0f}", "end", TIME))
        parts.append(text(b + 8, v + 4, f"{share * memory:.0f}", "start", MEMORY))
        parts.append(text(u, w + 18, f"{share * most:,.0f}", "middle"))
    for key, most_y, colour in (("seconds_of_a_pass", slowest, TIME), ("memory_mb", memory, MEMORY)):
        points = [place(row["stills"] / most, row[key] / most_y) for row in rows]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in points]
    middle = LEFT + inner[0] / 2
    parts.append(text(middle, HEIGHT - 10, "stills of 200 spots on 64 tiles", "middle"))
    parts.append(text(LEFT, 14, "CPU time of a pass (s)", "middle", TIME))
    parts.append(text(WIDTH - RIGHT, 14, "peak memory (MB)", "middle", MEMORY))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">'
    return "\n".join([head, *parts, "</svg>", ""])


def text(x: float, y: float, words: str, anchor: str, colour: str = "#30343a") -> str:
    """One label."""
    style = f'font-family="sans-serif" font-size="12" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>'


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        print(json.dumps(measure(Path(sys.argv[2]), [int(word) for word in sys.argv[3:]]), indent=1))
    else:
        Path(sys.argv[3]).write_text(draw(json.loads(Path(sys.argv[2]).read_text())))
