"""Index many seeds of the stress cases, on as many cores as there are, and tell what became of them.

``python -m tests.benchmarks.indexing_seeds --seeds 20 --jobs 16 --out FILE.jsonl``

Every run is a line of FILE; runs that are there already are not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from smalti.text import table

from .thaumatin_twins import CASES, made, outcome

Run = dict[str, Any]


def run_seed(names: list[str], seed: int) -> list[Run]:
    """Index one seed of several cases; those of one seed share their simulations."""
    runs = []
    for name in names:
        twin = made(CASES[name], seed)
        begin = time.process_time()
        found = outcome(twin)
        seconds = round(time.process_time() - begin, 2)
        runs.append({"case": name, "seed": seed, "cpu": seconds, "shift": found.shift, **asdict(found)})
    return runs


def summary(runs: Iterable[Run]) -> str:
    """Table of the cases: how many right, how exact, and whether the uncertainties stated are those seen."""
    rows = []
    runs = list(runs)
    for name in dict.fromkeys(run["case"] for run in runs):
        mine = [run for run in runs if run["case"] == name]
        right = [run for run in mine if run["right"]]
        if not right:
            rows.append((name, f"0 of {len(mine)}", "", "", "", ""))
            continue
        errors = np.array([run["errors"] for run in right])
        pulls = errors / np.array([run["esds"] for run in right])
        rows.append(
            (
                name,
                f"{len(right)} of {len(mine)}",
                f"{100 * max(run['cell'] for run in right):.3f} %",
                f"{np.abs(errors).max():.3f} px",
                f"{np.sqrt(np.mean(pulls**2)):.2f}",
                f"{max(run['cpu'] for run in mine):.1f} s",
            )
        )
    return table(("case", "right cell", "worst axis", "worst beam", "RMS pull", "most CPU"), rows)


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing of the seeds of all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="JSON, one line for each run")
    given = parser.parse_args(arguments)
    lines = given.out.read_text().splitlines() if given.out.exists() else []
    done = {(run["case"], run["seed"]) for run in map(json.loads, lines)}
    missing = {
        seed: [name for name in given.cases if (name, seed) not in done] for seed in range(given.seeds)
    }
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool, given.out.open("a") as out:
        waiting = [pool.submit(run_seed, names, seed) for seed, names in missing.items() if names]
        for item in as_completed(waiting):
            out.writelines(json.dumps(run) + "\n" for run in item.result())
            out.flush()
    sys.stdout.write(summary(map(json.loads, given.out.read_text().splitlines())) + "\n")


if __name__ == "__main__":
    main()
