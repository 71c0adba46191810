"""The viewer in a real browser: pictures, layers and the view itself, on a simulated low-dose sweep."""

from __future__ import annotations

import urllib.error
import urllib.request

import numpy as np
import pytest
from tests.system.viewer.driving import DRAWN, N_IMAGES, READY, VIEWPORT, pixels, shown, until


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
