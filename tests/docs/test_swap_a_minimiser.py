"""The minimiser of the how-to page, copied word for word, takes part."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.storage import write_experiments, write_reflections
from smalti.testing import synthetic
from smalti.testing.contracts.checking import check

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "swap-a-minimiser.md"


def block(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the page makes, as pip would leave it; and a small job."""
    root = tmp_path_factory.mktemp("swap")
    (root / "cautious.py").write_text(block("python"))
    project = block("toml")
    group, line = re.search(r'\[project\.entry-points\."(.*?)"\]\n(.*)\n', project).groups()
    info = root / "cautious-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cautious\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{line}\n".replace('"', ""))
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.2, 0.2, 0.1)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=3.0, n=400)
    write_experiments(root / "indexed.expt", experiments)
    write_reflections(root / "indexed.refl", table)
    return root


def smalti(folder, *words):
    program = "import sys; from smalti.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_short_and_takes_part(folder):
    method = re.search(r"    def minimise.*?(?=\n\n@)", block("python"), flags=re.DOTALL).group()
    assert method.count("\n") < 20
    command = next(line for line in PAGE.read_text().splitlines() if "cautious.part=0.5" in line)
    told = json.loads(smalti(folder, *command.split()[1:], "--json"))["result"]
    rows = {row["minimiser"]: row for row in told["minimisers"]}
    assert rows["cautious"]["steps"] > rows["gauss_newton"]["steps"]
    assert rows["cautious"]["converged"] and rows["cautious"]["distance_esd"] < 0.1


def test_it_passes_the_checks_of_its_role(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    verdicts = check("minimiser", importlib.import_module("cautious").Cautious)
    assert len(verdicts) >= 5
    assert [verdict.problem for verdict in verdicts if verdict.problem] == []
