"""The viewer in a real browser: Chromium, driven by Playwright, on a simulated low-dose sweep."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smalti.cli import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
EXPECTED = ("WebGL", "GPU", "willReadFrequently", "status of 400", "status of 404")
"""What the browser may say: this one has no graphics card, is read back from, and is refused some things."""
READY = "body[data-ready^='{']"
VIEWPORT = {"width": 900, "height": 640}
RESET = """() => {
  const open = ["fold-histogram", "fold-layers"];
  for (const part of document.querySelectorAll("#side details")) part.open = open.includes(part.id);
  document.getElementById("message").hidden = true;
  document.body.classList.remove("wide");
  viewer.regions.choose("pan");
  viewer.set({ ...viewer.state.defaults });
}"""
"""The view to begin with, without loading the page again."""
N_IMAGES = 28
SMALTI = [sys.executable, "-c", "import sys; from smalti.cli import main; sys.exit(main())"]


def smalti(*words: str, folder: Path) -> None:
    with contextlib.chdir(folder):
        assert main(words) == 0


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    smalti(
        "simulate", "layout=PILATUS 300K", f"n_images={N_IMAGES}", "width=0.1", "distance=120", "counts=30",
        "background=0.3", "mosaicity=0.3", "-o", "low", folder=folder,
    )  # fmt: skip
    smalti("import", "low", "-o", "low.expt", folder=folder)
    smalti("find-spots", "low.expt", "-o", "strong.refl", folder=folder)
    return folder


@pytest.fixture(scope="module")
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
    """One page for all tests, opened as a user opens it; with what it said and whom it asked."""
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


DRAWN = """(() => { viewer.overlay.draw(); const over = document.getElementById("over");
  const { data } = over.getContext("2d").getImageData(0, 0, over.width, over.height);
  let n = 0; for (let k = 3; k < data.length; k += 4) n += data[k] > 0; return n; })()"""
"""Pixels that are drawn over the picture. A canvas that a graphics processor draws, or what stands for one,
may be read back as it was a moment ago: what is expected is waited for."""


def test_it_opens_with_a_picture_and_steps(page):
    assert page.title().startswith("1: simulated_#####.cbf")
    first = pixels(page)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 6
    page.keyboard.press("ArrowRight")
    shown(page, frame=1)
    assert np.any(pixels(page) != first) and page.input_value("#frame") == "2"
    page.keyboard.press("End")
    shown(page, frame=N_IMAGES - 1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    shown(page, frame=0)
    np.testing.assert_array_equal(pixels(page), first)


def test_a_sum_of_frames_shows_what_one_does_not(page):
    for _ in range(5):
        page.keyboard.press("]")
    shown(page, frame=0, n=20)
    about = page.evaluate("viewer.about")
    assert about["n"] == 20 and about["mean"] == pytest.approx(20 * 0.3, rel=0.5)
    one = page.evaluate("fetch('api/spots?frame=0&n=1').then((r) => r.json())")["total"]
    many = page.evaluate("fetch('api/spots?frame=0&n=20').then((r) => r.json())")["total"]
    assert many > 2 * one > 0
    page.keyboard.press("\\")
    shown(page, frame=0, n=20, how="mean")
    page.keyboard.press("\\")
    shown(page, frame=0, n=20, how="max")


def test_contrast_asks_nobody(page):
    before, asked = pixels(page), []
    page.wait_for_timeout(300)  # charts, which ask, are drawn a little later

    def note(request):
        asked.append(request.url)

    page.on("request", note)
    for key in ("ArrowUp", "i", "c", "g"):
        page.keyboard.press(key)
        after = pixels(page)
        assert np.any(after != before), key
        before = after
    page.remove_listener("request", note)
    assert [url for url in asked if "/api/" in url] == []
    page.keyboard.press("h")
    assert page.evaluate("[viewer.values.low, viewer.values.high]") == [None, None]


def test_zoom_writes_the_counts_and_the_cursor_tells_them(page):
    page.keyboard.press("4")
    page.mouse.move(300, 300)
    page.wait_for_selector("#cursor .count:has-text('count')")
    told = page.evaluate("viewer.probe.told")
    x, y = told["px"]
    assert told["panel"] in (0, 1, 2) and 0 <= x < 487 and 0 <= y < 195
    assert page.evaluate("viewer.camera.zoom") == pytest.approx(40.0)
    until(page, f"{DRAWN} > 2000")
    assert "zoom=40" in page.evaluate("(viewer.state.write(), location.hash)")
    page.dispatch_event("#stage", "wheel", {"deltaY": -300, "clientX": 300, "clientY": 300})
    assert page.evaluate("viewer.camera.zoom") > 50.0
    page.keyboard.press("0")
    assert page.evaluate("viewer.values.zoom") == 0


def test_layers_are_drawn_and_taken_away(page):
    page.evaluate("viewer.set({ show: 'none' })")
    until(page, f"{DRAWN} === 0")
    for key, layer in (("s", "spots"), ("e", "panels"), ("n", "names"), ("r", "resolution"), ("y", "ice")):
        page.keyboard.press(key)
        page.wait_for_selector(f"#layer-{layer}:checked")
        page.evaluate("viewer.layers.update()")
        until(page, f"{DRAWN} > 100")
        page.keyboard.press(key)
        until(page, f"{DRAWN} === 0")


def test_the_threshold_is_live_and_copied_as_a_command(page):
    page.keyboard.press("t")
    page.wait_for_selector("#fold-threshold .code:visible")
    before = page.evaluate("viewer.layers.threshold.strong")
    page.fill("#option-sigma_strong", "8")
    page.wait_for_selector("#fold-threshold .code:has-text('sigma_strong=8')")
    assert 0 <= page.evaluate("viewer.layers.threshold.strong") < before
    page.fill("#option-sigma_strong", "-1")
    page.wait_for_selector("#message.bad:has-text('sigma_strong')")


def test_regions_are_saved_and_come_back(page, address, data_set):
    page.keyboard.press("m")
    page.mouse.move(200, 250)
    page.mouse.down()
    page.mouse.move(420, 420)
    page.mouse.up()
    page.click("#tool-circle")
    page.mouse.move(450, 200)
    page.mouse.down()
    page.mouse.move(480, 200)
    page.mouse.up()
    page.keyboard.press("Shift+S")
    page.wait_for_selector("#message:has-text('Saved 2 regions')")
    mask = np.load(data_set / "mask.npy")
    assert mask.shape == (619, 487) and 2000 < (~mask).sum() < mask.size / 2
    page.goto(address)
    page.reload()
    page.wait_for_selector(READY, state="attached")
    page.wait_for_selector("#fold-mask :text('2 regions.')", state="attached")
    assert page.evaluate("viewer.regions.shapes.map((shape) => shape.kind)") == ["rectangle", "circle"]
    smalti("find-spots", "low.expt", "--mask", "mask.npy", "-o", "masked.refl", folder=data_set)
    smalti("import", "low", "--mask", "mask.npy", "-o", "masked.expt", folder=data_set)
    assert str(data_set / "mask.npy") in (data_set / "masked.expt").read_text()


def test_the_laboratory_and_the_other_geometry(page):
    image = pixels(page)
    page.keyboard.press("v")
    lab = pixels(page)
    assert np.any(lab != image)
    page.keyboard.press("b")
    page.evaluate("viewer.set({ moved: 30 })")
    assert np.any(pixels(page) != lab) and page.get_attribute("#which", "aria-pressed") == "true"
    page.keyboard.press("b")
    np.testing.assert_array_equal(pixels(page), lab)


def test_profiles_are_drawn(page):
    page.keyboard.press("q")
    page.wait_for_selector("#fold-radial .curve", state="attached")
    page.keyboard.press("l")
    page.mouse.move(250, 200)
    page.mouse.down()
    page.mouse.move(400, 500)
    page.mouse.up()
    page.wait_for_selector("#fold-line .curve", state="attached")
    assert page.locator("#fold-histogram .limit").count() == 2


def test_the_address_is_the_view(page, address, browser):
    page.evaluate("viewer.set({ frame: 5, sum: 3, colours: 'viridis', invert: false })")
    page.evaluate("viewer.set({ place: 'lab', zoom: 2, x: 200, y: 300 })")
    page.evaluate("viewer.state.write()")
    other = browser.new_page(viewport=VIEWPORT)
    other.goto(page.url)
    other.wait_for_selector(READY, state="attached")
    shown(page, frame=4, n=3)
    shown(other, frame=4, n=3)
    for opened in (page, other):
        opened.evaluate("viewer.bring()")
    np.testing.assert_array_equal(pixels(other), pixels(page))
    other.close()


def test_the_plain_canvas_shows_the_same(page, address, browser):
    other = browser.new_page(viewport=VIEWPORT)
    other.goto(address + "#painter=2d")
    other.wait_for_selector(READY, state="attached")
    for each in (page, other):
        each.evaluate("(viewer.set({ zoom: 1.7, x: 240.3, y: 300.2 }), viewer.bring())")
    assert [p.evaluate("viewer.painter.name") for p in (page, other)] == ["gl", "2d"]
    same = np.abs(pixels(page).astype(int) - pixels(other)).max(axis=2) <= 2
    assert same.mean() > 0.97
    other.close()


def test_another_program_has_a_frame_shown(page, address):
    with urllib.request.urlopen(address + "api/show?file=simulated_00007.cbf", timeout=10) as answer:
        assert json.load(answer)["browsers"] >= 1
    shown(page, frame=6)


def test_a_frame_that_is_gone_leaves_no_other_in_its_place(page, data_set):
    path = data_set / "low/simulated_00027.cbf"
    content = path.read_bytes()
    path.unlink()
    try:
        page.evaluate("viewer.go(27)")
        page.wait_for_selector("#message.bad:has-text('simulated_00027.cbf')")
        assert "frame 27 cannot be shown" in page.inner_text("#title")
        assert len(np.unique(pixels(page).reshape(-1, 3), axis=0)) == 1
        page.keyboard.press("ArrowRight")
        shown(page, frame=27)
        assert not page.is_visible("#message") and len(np.unique(pixels(page).reshape(-1, 3), axis=0)) > 6
    finally:
        path.write_bytes(content)
    page.keyboard.press("ArrowLeft")
    shown(page, frame=26)


def test_a_lost_context_comes_back_with_the_same_view(page):
    page.evaluate("(viewer.set({ frame: 3, zoom: 2, show: 'none' }), window.same = true)")
    shown(page, frame=2)
    before = pixels(page)
    page.evaluate("(window.lose = viewer.painter.gl.getExtension('WEBGL_lose_context')).loseContext()")
    until(page, "viewer.painter.lost")
    page.evaluate("lose.restoreContext()")
    until(page, "!viewer.painter.lost")
    np.testing.assert_array_equal(pixels(page), before)
    assert page.evaluate("window.same && viewer.values.zoom") == 2


def test_many_pages_of_one_browser_do_not_stop_one_another(address, browser):
    context = browser.new_context(viewport=VIEWPORT)
    pages = [context.new_page() for _ in range(9)]
    for page in pages:
        page.goto(address)
        page.wait_for_selector(READY, state="attached")
    with urllib.request.urlopen(address + "api/show?frame=5", timeout=10) as answer:
        assert json.load(answer)["browsers"] >= 1
    for page in (pages[0], pages[-1]):
        shown(page, frame=4)
    context.close()


def test_the_pictures_of_the_spot_finder_are_shown(page):
    counts = pixels(page)
    page.keyboard.press("d")
    shown(page, map="mean")
    until(page, "viewer.about.high !== viewer.about.largest && viewer.auto.key.endsWith('mean')")
    assert np.any(pixels(page) != counts)
    page.select_option("#fold-threshold select[aria-label='Picture']", "variance")
    shown(page, map="variance")
    page.mouse.move(300, 300)
    page.wait_for_selector("#cursor .count:has-text('variance')")
    page.fill("#option-kernel_size", "2,2")
    shown(page, **{"o.kernel_size": "2,2"})
    until(page, "(viewer.state.write(), location.hash.includes('tuned=kernel_size'))")
    page.select_option("#fold-threshold select[aria-label='Spot finder']", "radial_profile")
    until(page, "viewer.values.map === 'counts'")
    page.keyboard.press("d")
    page.wait_for_selector("#message:has-text('no pictures')")


def test_play_goes_on_and_stops(page):
    page.keyboard.press(" ")
    until(page, "viewer.pyramid.shown && JSON.parse(viewer.pyramid.shown.key).frame > 2")
    page.keyboard.press(" ")
    assert page.get_attribute("#play", "aria-pressed") == "false"


def test_the_keys_are_told(page):
    page.keyboard.press("?")
    assert page.locator("#keys dt").count() > 40 and page.is_visible("#keys")
    page.keyboard.press("Escape")
    assert not page.is_visible("#keys")


def test_a_wrong_token_opens_nothing(browser, address):
    host, token = address.rstrip("/").rsplit("/", 1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{host}/{token[::-1]}/", timeout=10)
    opened = browser.new_page()
    answer = opened.goto(f"{host}/")
    assert answer.status == 403
    opened.close()
