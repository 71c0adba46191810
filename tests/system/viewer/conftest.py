"""A simulated low-dose sweep, a viewer of it, and a page of Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.viewer.driving import N_IMAGES, READY, VIEWPORT, shown, smalti

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
EXPECTED = ("WebGL", "GPU", "willReadFrequently", "status of 400", "status of 404")
"""What the browser may say: this one has no graphics card, is read back from, and is refused some things."""
RESET = """() => {
  const open = ["fold-histogram", "fold-layers"];
  for (const part of document.querySelectorAll("#side details")) part.open = open.includes(part.id);
  document.getElementById("message").hidden = true;
  document.body.classList.remove("wide");
  viewer.regions.choose("pan");
  viewer.set({ ...viewer.state.defaults });
}"""
"""The view to begin with, without loading the page again."""
SMALTI = [sys.executable, "-c", "import sys; from smalti.cli import main; sys.exit(main())"]


@pytest.fixture(scope="package")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    smalti(
        "simulate", "layout=PILATUS 300K", f"n_images={N_IMAGES}", "width=0.1", "distance=120", "counts=30",
        "background=0.3", "mosaicity=0.3", "-o", "low", folder=folder,
    )  # fmt: skip
    smalti("import", "low", "-o", "low.expt", folder=folder)
    smalti("find-spots", "low.expt", "-o", "strong.refl", folder=folder)
    return folder


@pytest.fixture(scope="package")
def address(data_set: Path) -> Iterator[str]:
    """A viewer started as a user starts it; ended by Ctrl-C."""
    words = ["view", "low.expt", "strong.refl", "--before", "low/truth.expt", "--no-browser"]
    process = subprocess.Popen([*SMALTI, *words], cwd=data_set, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "Ctrl-C" in line:
            break
    found = re.search(r"Open (http://127\.0\.0\.1:\d+/\S+)", "".join(said))
    assert found is not None and "ssh -N -L" in "".join(said), said
    yield found[1]
    process.send_signal(2)
    assert process.wait(10) == 0
    process.stderr.close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (smalti[test])"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on the PATH")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(browser, address):
    """One page for the tests of a file, opened as a user opens it; with what it said and whom it asked."""
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    troubles: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda told: troubles.append(told.text) if told.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector(READY, state="attached")
    yield page, troubles, asked
    context.close()


@pytest.fixture
def page(opened, address):
    """The page as it is when opened; nothing it does may fail or ask anybody else."""
    page, troubles, asked = opened
    troubles.clear()
    asked.clear()
    page.evaluate(RESET)
    shown(page, frame=0, n=1, how="sum", pool="mean")
    yield page
    server = address.rsplit("/", 2)[0]
    assert [url for url in asked if not url.startswith((server, "blob:", "data:"))] == []
    assert [told for told in troubles if not any(word in told for word in EXPECTED)] == []
