"""How long one waits in the viewer: for the first image, for the next, for a sum.

The budgets are those for a machine that does nothing else; where WebGL is done by the processor, as in a
browser without a screen, drawing is the larger part.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from smalti.discovery import discover
from smalti.models import LAYOUTS
from smalti.steps.importing import import_images
from smalti.steps.simulating.cbf import cbf_bytes
from smalti.steps.viewing import Scene, open_gallery
from smalti.storage import read_experiments, write_experiments

READERS = [component.cls() for component in discover().role("reader")]
SMALTI = [sys.executable, "-c", "import sys; from smalti.cli import main; sys.exit(main())"]
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
N_FRAMES = 25
MEAN = 0.6
SIZES = {"6M": ("PILATUS 6M", 172e-6, 1.0, 0.1), "16M": ("EIGER 16M", 75e-6, 2.0, 0.2)}
"""Layout, pixel in metres, and the budgets in seconds: first image, next image."""


def frame(layout: str, number: int) -> np.ndarray:
    """Weak background, 2000 spots, -1 in the gaps."""
    modules = next(item for item in LAYOUTS if item.name == layout)
    rng = np.random.default_rng(number)
    counts = np.full(modules.frame[::-1], -1, dtype=np.int32)
    width, height = modules.module
    for fast, slow in modules.windows():
        counts[slow : slow + height, fast : fast + width] = rng.poisson(MEAN, (height, width))
    spots = rng.integers(0, counts.size, 2000)
    counts.reshape(-1)[spots] = np.where(counts.reshape(-1)[spots] < 0, -1, rng.integers(5, 900, 2000))
    return counts


@pytest.fixture(scope="module", params=SIZES)
def data_set(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A sweep on disk, imported: (name of the size, experiment list)."""
    layout, pixel, *_ = SIZES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    n = N_FRAMES if request.param == "6M" else 8
    for number in range(1, n + 1):
        words = (
            f"# Detector: {layout}, S/N 60-0000\n# Pixel_size {pixel:g} m x {pixel:g} m\n"
            "# Wavelength 0.9686 A\n# Detector_distance 0.3 m\n# Beam_xy (1230, 1260) pixels\n"
            "# Count_cutoff 1000000 counts\n# Angle_increment 0.1 deg.\n"
            f"# Start_angle {0.1 * (number - 1):.1f} deg."
        )
        path = folder / f"a_{number:04d}.cbf"
        path.write_bytes(cbf_bytes(path.stem, frame(layout, number % 4), words))
    experiments = import_images([folder], READERS).experiments
    write_experiments(folder / "a.expt", experiments)
    return request.param, folder / "a.expt"


def scene_of(expt: Path) -> Scene:
    return Scene(open_gallery(read_experiments(expt), READERS), threads=1)


def overview(scene: Scene, number: int, n: int = 1) -> None:
    shot = scene.shot(number, n, "sum")
    scene.payload(shot, scene.overview(scene.roll(shot)), "mean", None)
    scene.contrast(shot)


def test_first_overview_of_the_server(benchmark: BenchmarkFixture, data_set: tuple[str, Path]) -> None:
    name, expt = data_set
    benchmark.pedantic(overview, setup=lambda: ((scene_of(expt), 0), {}), rounds=5)
    assert benchmark.stats.stats.min < SIZES[name][2] / 2


def test_next_frame_of_the_server(benchmark: BenchmarkFixture, data_set: tuple[str, Path]) -> None:
    name, expt = data_set
    scene = scene_of(expt)
    overview(scene, 0)
    numbers = iter(range(1, len(scene.gallery)))
    benchmark.pedantic(lambda: overview(scene, next(numbers)), rounds=6)
    assert benchmark.stats.stats.min < 2 * SIZES[name][3]


def test_next_sum_of_twenty(benchmark: BenchmarkFixture, data_set: tuple[str, Path]) -> None:
    name, expt = data_set
    if name != "6M":
        pytest.skip("there are not so many of these frames")
    scene = scene_of(expt)
    overview(scene, 0, 20)
    numbers = iter(range(1, 6))
    benchmark.pedantic(lambda: overview(scene, next(numbers), 20), rounds=5)
    assert benchmark.stats.stats.min < 0.2


@pytest.fixture
def address(data_set: tuple[str, Path]) -> Iterator[str]:
    words = [*SMALTI, "view", str(data_set[1]), "--no-browser"]
    process = subprocess.Popen(words, cwd=data_set[1].parent, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    yield next(found[1] for line in process.stderr if (found := re.search(r"Open (http\S+)", line)))
    process.send_signal(2)
    process.wait(10)
    process.stderr.close()


NEXT = """async () => {
  const began = performance.now();
  viewer.step(1);
  const wanted = viewer.values.frame - 1;
  const told = () => document.body.dataset.ready;
  const next = () => new Promise((done) => requestAnimationFrame(done));
  while (!told() || JSON.parse(told()).frame !== wanted) await next();
  const ready = performance.now();
  const { gl } = viewer.painter; // to read a pixel waits until all that was drawn is there
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return [(ready - began) / 1000, (performance.now() - began) / 1000];
}"""


def test_in_the_browser(
    address: str,
    data_set: tuple[str, Path],
    capsys: pytest.CaptureFixture[str],
    benchmark: BenchmarkFixture,
) -> None:
    """First image after the page begins to load, and a key step once the next frames are ready.

    A browser that has just been started begins with starting what draws for it; users have one that runs.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium on the PATH")
    name, _ = data_set
    with sync_api.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=FLAGS)
        firsts, steps = [], []
        for _ in range(4):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector("body[data-ready^='{']", state="attached")
            firsts.append(page.evaluate("viewer.firstPaint") / 1000)
            page.wait_for_timeout(700)
            if len(firsts) < 4:
                context.close()
        for _ in range(6):
            steps.append(page.evaluate(NEXT))
            page.wait_for_timeout(700)
        browser.close()
    started, first = firsts[0], float(np.median(firsts[1:]))
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info.update(first_images_s=firsts, step_s=steps)
    with capsys.disabled():
        handed, drawn = np.median(steps, axis=0)
        print(
            f"\n{name}: first image {first:.2f} s ({started:.2f} s in a browser just started), "
            f"next handed over in {handed:.3f} s, drawn in {drawn:.3f} s"
        )
    assert first < SIZES[name][2]
    assert drawn < SIZES[name][3]
