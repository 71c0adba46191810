"""The viewer in a real browser: what users and other programs do with it, and what goes wrong."""

from __future__ import annotations

import json
import urllib.request

import numpy as np
from tests.system.viewer.driving import READY, VIEWPORT, pixels, shown, smalti, until


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
