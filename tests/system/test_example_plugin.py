"""The example package of the how-to pages, installed as anyone would and used from the command line."""

from __future__ import annotations

import json
import os
import site
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "example-plugin"
MOST_LINES = 40


@pytest.fixture(scope="module")
def smalti(tmp_path_factory):
    """A fresh environment that sees this one's packages and holds the example; gives a runner of smalti."""
    root = tmp_path_factory.mktemp("fresh")
    venv.create(root / "venv", with_pip=True)
    python = root / "venv" / "bin" / "python"
    fresh = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # addsitedir, unlike PYTHONPATH, also follows the .pth files of editable installs.
    lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
    Path(fresh, "outer.pth").write_text("\n".join(lines) + "\n")
    pip = [python, "-m", "pip", "install", "--no-deps", "--disable-pip-version-check", str(EXAMPLE)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution found for hatchling" in done.stderr:
        pytest.skip("the build backend of the example (hatchling) cannot be fetched here")
    assert done.returncode == 0, done.stderr

    def run(*words, cwd=root, status=0):
        call = [python, "-c", "import sys; from smalti.cli import main; sys.exit(main())", *map(str, words)]
        env = {**os.environ, "NO_COLOR": "1"}
        found = subprocess.run(call, capture_output=True, text=True, cwd=cwd, env=env, check=False)
        assert found.returncode == status, found.stdout + found.stderr
        return found

    return run


def frames(folder: Path, n: int = 6) -> None:
    """Frames of the made-up detector with a spot that grows and fades, and background."""
    rng = np.random.default_rng(8)
    slow, fast = np.indices((300, 408))
    for k in range(n):
        head = {"wavelength": 1.2, "distance": 150.0, "beam": [204, 150], "start": 0.5 * k, "width": 0.5}
        spot = 200.0 * np.exp(-((slow - 80) ** 2 + (fast - 300) ** 2) / 2.0 - (k - 2.5) ** 2)
        counts = rng.poisson(0.5 + spot).astype("<i4")
        data = b"TESSERA " + json.dumps(head).encode() + b"\n" + counts.tobytes()
        (folder / f"tile_{k + 1:04d}.tes").write_bytes(data)


@pytest.mark.slow
def test_every_plugin_of_the_example_keeps_its_contract(smalti):
    found = json.loads(smalti("plugins", "--check", "--json").stdout)["result"]
    text = json.dumps(found)
    for name in ("tessera", "well-determined", "soft", "quarters", "smalti-tessera"):
        assert name in text


@pytest.mark.slow
def test_its_reader_reads_its_detector(smalti, tmp_path):
    frames(tmp_path)
    smalti("import", *sorted(tmp_path.glob("*.tes")), "-o", "imported.expt", cwd=tmp_path)
    shown = smalti("show", "imported.expt", cwd=tmp_path).stdout
    assert "150" in shown
    smalti("find-spots", "imported.expt", "-o", "strong.refl", cwd=tmp_path)
    from smalti.storage import read_experiments, read_reflections

    experiment = read_experiments(tmp_path / "imported.expt")[0]
    assert experiment.imageset.params["reader"] == "tessera"
    assert len(experiment.detector) == 2
    assert experiment.beam.wavelength == pytest.approx(1.2)
    assert experiment.scan.n_images == 6
    spots = read_reflections(tmp_path / "strong.refl")
    strongest = int(np.argmax(spots["intensity.sum.value"]))
    assert spots["panel"][strongest] == 1
    assert spots["xyzobs.px.value"][strongest] == pytest.approx([300.5 - 208, 80.5, 3.0], abs=0.3)


@pytest.mark.slow
def test_a_frame_cut_short_is_refused_in_words(smalti, tmp_path):
    frames(tmp_path, 2)
    whole = tmp_path / "tile_0002.tes"
    whole.write_bytes(whole.read_bytes()[:1000])
    smalti("import", whole, "-o", "imported.expt", cwd=tmp_path, status=3)


@pytest.mark.slow
def test_its_minimiser_and_rejector_refine(smalti, tmp_path):
    smalti(
        "simulate", "--make", "indexed", "--layout", "PILATUS 300K", "--distance", "150",
        "--n-images", "120", "-o", "made", cwd=tmp_path,
    )  # fmt: skip
    ends = {}
    for minimiser, outliers in (("well-determined", "soft"), ("levenberg_marquardt", "soft")):
        choice = ("--minimiser", minimiser, "--outliers", outliers, "--set", "soft.bend=4")
        pair = ("made/indexed.expt", "made/indexed.refl")
        found = smalti("refine", *pair, *choice, "-o", minimiser, "--json", cwd=tmp_path)
        result = json.loads(found.stdout)["result"]
        ends[minimiser] = [result["experiments"][0][key] for key in ("rmsd_x_px", "rmsd_y_px")]
    # Another way to the same minimum.
    assert ends["well-determined"] == pytest.approx(ends["levenberg_marquardt"], rel=1e-3)


@pytest.mark.parametrize("module", ["reader", "minimiser", "rejector", "section"])
def test_each_plugin_is_short(module):
    text = (EXAMPLE / "src" / "smalti_tessera" / f"{module}.py").read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) < MOST_LINES
