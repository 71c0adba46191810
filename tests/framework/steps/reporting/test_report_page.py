"""The report in a real browser: Chromium without a network, driven by Playwright."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from smalti.charts import Chart, Curve, Section
from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed
from smalti.steps.reporting import Report, make_report
from smalti.tables import Flag
from smalti.testing import synthetic

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu"]
MOTION = {"shift_fast_um": 42.0, "esd_fast_um": 1.5, "shift_slow_um": -7.0, "esd_slow_um": 1.22}
MOTION |= {"normal_um": 3.0, "esd_normal_um": 9.0, "rotation_mrad": 0.5, "esd_rotation_mrad": 0.05}
MOTION |= {"tilt_fast_mrad": 0.1, "esd_tilt_fast_mrad": 0.2, "tilt_slow_mrad": 0.3, "esd_tilt_slow_mrad": 0.4}
MOTION |= {"corner_um": [50.0, 61.0, 40.0, 30.0], "esd_corner_um": [4.0, 5.0, 4.0, 4.0]}


@dataclass(frozen=True)
class Nan:
    """A section that cannot be drawn."""

    name: ClassVar[str] = "nan"

    def section(self, experiments: Any, reflections: Any, figures: Any) -> Section:
        return Section("T", charts=[Chart("C", "x", "y", [1.0], [Curve("", [float("nan")])])])


@pytest.fixture(scope="module")
def report() -> Report:
    """A displaced Pilatus 2M of 24 modules before and after."""
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 2M", 250.0, modules=True)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    truth = replace(nominal, detector=synthetic.displaced(nominal.detector, rng))
    before, table = synthetic.observations(truth, nominal, rng, n=4000, outliers=0.02)
    after = Experiments((replace(truth, crystal=before[0].crystal),))
    refined = predict_indexed(after, table)
    off = np.abs(refined["xyzcal.mm"] - refined["xyzobs.mm.value"])
    rejected = (off > [0.1, 0.1, 0.01]).any(axis=1)
    flags = np.array(refined["flags"])
    flags[rejected] |= np.uint64(int(Flag.CENTROID_OUTLIER))
    flags[~rejected] |= np.uint64(int(Flag.USED_IN_REFINEMENT))
    details = {"panels": [{"detector": 1, "panel": k, "prior_share": k / 24, **MOTION} for k in range(24)]}
    return make_report(
        after,
        refined.with_columns({"flags": flags}),
        before=(before, predict_indexed(before, table)),
        details=details,
        extra=[Nan()],
    )


@pytest.fixture(scope="module")
def place(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (smalti[test])"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on the PATH")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Opened:
    """Pages opened without a network; all that they ask for and complain of is kept."""

    def __init__(self, browser: Any) -> None:
        self.browser, self.asked, self.troubles, self.contexts = browser, [], [], []

    def __call__(self, address: str, **options: Any) -> Any:
        options = {"viewport": {"width": 1440, "height": 900}} | options
        context = self.browser.new_context(offline=True, **options)
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", lambda said: self.troubles.append(said.text))
        page.goto(address)
        return page


@pytest.fixture
def visit(browser: Any) -> Iterator[Opened]:
    opened = Opened(browser)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.asked and all(url.startswith("file:") for url in opened.asked)
    assert opened.troubles == []


def colours(page: Any) -> list[str]:
    return page.eval_on_selector_all("#cells rect", "all => all.map(r => r.getAttribute('class'))")


def test_nothing_but_the_file_is_asked_for(place: str, visit: Opened) -> None:
    page = visit(place)
    page.wait_for_load_state("networkidle")
    assert visit.asked == [place]
    assert page.inner_text(".say").startswith("✓ The geometry explains the data")
    # Even a script that tries is stopped, by the page's own policy.
    tried = page.evaluate("fetch('https://example.org/').then(() => 'went', () => 'stopped')")
    assert tried == "stopped"
    assert [said for said in visit.troubles if "Content Security Policy" not in said] == []
    visit.troubles.clear()
    visit.asked[:] = [url for url in visit.asked if url.startswith("file:")]


def test_the_first_screen_holds_what_decides(place: str, visit: Opened) -> None:
    page = visit(place)
    for what in (".say", ".figures", "#map", "#legend", ".side ol"):
        box = page.locator(what).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, what


def test_a_panel_under_the_pointer_gives_its_figures_and_leads_to_its_row(
    report: Report, place: str, visit: Opened
) -> None:
    page = visit(place)
    page.hover("#outline-7")
    said = page.inner_text("#readout")
    row = report.data["panels"][7]
    assert f"Panel 7 ({row['name']})" in said and f"{row['used']:,} / 0 / {row['rejected']}" in said
    assert "42.0 ± 1.5" in said and "−7.0 ± 1.2" in said and "0.10 ± 0.20" in said
    page.hover(".say")
    assert page.is_hidden("#readout")
    page.click("#outline-7")
    page.hover("#outline-3")
    assert "Panel 7" in page.inner_text("#readout"), "what was clicked stays"
    page.click("#readout a")
    assert page.evaluate("document.querySelector('tr.on').id") == "panel-7"
    assert page.locator("#panel-7").bounding_box()["y"] < 900
    page.click("#panel-7 a")
    assert "Panel 7" in page.inner_text("#readout")


def test_a_tap_gives_the_figures_of_a_panel_on_a_phone(place: str, visit: Opened) -> None:
    page = visit(place, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#outline-4").tap()
    assert "Panel 4" in page.inner_text("#readout")
    box = page.locator("#readout").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 845


def test_the_map_is_switched_on_one_scale_before_and_after(report: Report, place: str, visit: Opened) -> None:
    page = visit(place)
    layers = {layer["key"]: layer for layer in report.data["map"]["layers"]}
    assert {"rms", "x", "y", "phi", "chi2", "count", "moved", "esd", "share"} <= set(layers)
    for key, layer in layers.items():
        page.click(f'[data-set="layer={key}"]')
        assert page.inner_text("#what") == layer["label"]
        drawn = colours(page)
        assert [name == "none" for name in drawn] == [value is None for value in layer["after"]]
    page.click('[data-set="layer=x"]')
    after, scale = colours(page), page.inner_text("#high")
    page.keyboard.press("b")
    assert colours(page) != after and page.inner_text("#high") == scale
    assert page.get_attribute('[data-set="when=before"]', "aria-pressed") == "true"
    page.click('[data-set="arrows=moves"]')
    assert "Displacement arrows magnified" in page.inner_text("#scale")
    assert "layer=x" in page.url and "arrows=moves" in page.url
    again = visit(page.url)
    assert again.inner_text("#what") == layers["x"]["label"], "a view can be sent"


def test_the_keyboard_goes_from_panel_to_panel_and_to_the_row(place: str, visit: Opened) -> None:
    page = visit(place)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "outline-0":
            break
    # Panel 0 is the upper left of 3 x 8.
    for key, panel in (("ArrowRight", 1), ("ArrowDown", 4), ("ArrowLeft", 3), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.id") == f"outline-{panel}"
        assert f"Panel {panel} " in page.inner_text("#readout")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('tr').id") == "panel-0"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "outline-0"
    page.keyboard.press("Escape")
    assert page.is_hidden("#readout")
    label = page.get_attribute("#outline-1", "aria-label")
    assert re.fullmatch(r"panel 1 \(.+\): \d+ reflections used, RMSD [\d.]+ and [\d.]+ µm", label)


def test_the_table_of_panels_is_sorted_by_any_column(report: Report, place: str, visit: Opened) -> None:
    page = visit(place)
    heads = page.eval_on_selector_all("table.panels th button", "all => all.map(b => b.textContent)")
    wanted = [
        "used",
        "free",
        "rejected",
        "moved fast\nµm",
        "turned normal\nmrad",
        "RMSD X\nµm",
        "before X\nµm",
    ]
    assert {*wanted, "worst corner\nµm", "chi²\nX, Y", "prior\nshare"} - {"free"} <= set(heads)
    page.locator("table.panels th button").nth(heads.index("used")).focus()
    page.keyboard.press("Enter")
    order = "all => all.map(row => Number(row.id.slice(6)))"
    by_count = [row["panel"] for row in sorted(report.data["panels"], key=lambda row: row["used"])]
    assert page.eval_on_selector_all("table.panels tbody tr", order) == by_count
    assert page.get_attribute("table.panels th[aria-sort]", "aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert page.eval_on_selector_all("table.panels tbody tr", order)[0] == by_count[-1]


def test_the_dark_scheme_is_dark_and_can_be_read(place: str, visit: Opened) -> None:
    page = visit(place, color_scheme="dark")
    ground, ink, quiet = (
        page.evaluate(f"getComputedStyle(document.querySelector('{where}')).{what}")
        for where, what in (("body", "backgroundColor"), ("body", "color"), (".quiet", "color"))
    )
    assert luminance(ground) < 0.02
    for colour in (ink, quiet):
        assert (luminance(colour) + 0.05) / (luminance(ground) + 0.05) > 4.5, "WCAG 2.1, 1.4.3"


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    parts = np.array([int(v) / 255 for v in re.findall(r"\d+", colour)[:3]])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_it_prints(place: str, visit: Opened, tmp_path: Path) -> None:
    page = visit(place)
    made = page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True)
    assert made.startswith(b"%PDF") and 2 <= len(re.findall(rb"/Type\s*/Page\b", made)) <= 20
    page.emulate_media(media="print")
    assert page.is_hidden(".controls >> nth=0") and page.is_visible("#map")


def test_a_section_that_failed_is_named_on_the_page(report: Report, place: str, visit: Opened) -> None:
    said = visit(place).inner_text(".warnings")
    assert "nan" in said and "no finite number" in said
    assert said.strip() in report.data["warnings"]


def test_every_number_of_the_tables_is_in_the_json(report: Report, place: str, visit: Opened) -> None:
    """Each number that is shown is one of the JSON file's, rounded to the digits that are shown."""
    known: set[float] = set()

    def gather(item: Any) -> None:
        if isinstance(item, dict):
            [gather(value) for value in item.values()]
        elif isinstance(item, list):
            [gather(value) for value in item]
        elif isinstance(item, (int, float)):
            known.add(float(item))

    data = json.loads(json.dumps(report.data))
    gather(data)
    values = np.array(sorted(known))
    page = visit(place)
    cells = page.eval_on_selector_all("td.n", "all => all.map(cell => cell.textContent)")
    texts = [text for cell in cells for text in cell.split(" ± ") if text != "–"]
    assert len(texts) > 500
    for text in texts:
        value, digits = number_of(text)
        near = np.abs(values - value).min()
        assert near <= 0.5000001 * digits, text
    cards = " ".join(page.eval_on_selector_all(".figures b", "all => all.map(b => b.textContent)"))
    for k in range(2):
        assert f"{data['rmsd']['before']['um'][k]:.3g} → {data['rmsd']['after']['um'][k]:.3g}" in cards


def number_of(text: str) -> tuple[float, float]:
    """Give a number as it is shown, and what the last of at least three digits is worth."""
    plain = text.replace(",", "").replace("−", "-")
    mantissa, _, power = plain.partition("e")
    places = len(mantissa.partition(".")[2])
    return float(plain), 10.0 ** (float(power or 0) - places)
