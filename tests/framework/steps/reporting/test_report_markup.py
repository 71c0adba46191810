"""The page as text: whole, without links to elsewhere, readable without its script."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Collects what a page would load, and checks that its elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.ids, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.loads += [found[k] for k in ("src", "href", "action", "data") if k in found]
        if tag not in ("meta", "rect", "path", "line", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("meta", "rect", "path", "line", "br"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(compared):
    html = compared[2].html
    page = Page()
    page.feed(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(target.startswith("#") for target in page.loads)
    assert {target[1:] for target in page.loads} <= set(page.ids)
    assert not re.search(r"\b[a-z]+:" + "//", html)
    assert "@import" not in html
    assert "default-src 'none'" in html
    assert "a &lt; b &amp; c" in html
    assert "a < b" not in html
    assert page.ids.count("panel-59") == 1


def test_the_page_is_readable_without_its_script(compared):
    html = re.sub(r"<script.*?</script>", "", compared[2].html, flags=re.S)
    assert compared[2].data["verdict"]["sentence"] in html
    assert re.search(r'<g id="outlines">(.*?)</g>', html, re.S).group(1).count("<rect") == 60
    assert (
        len(re.findall(r'<rect x="[^"]*" y="[^"]*" width="[^"]*" height="[^"]*" class="s[0-6]"/>', html))
        > 100
    )


def test_numbers_of_the_script_are_those_of_the_report(compared):
    report = compared[2]
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', report.html, re.S)
    data = json.loads(block.group(1))
    columns, rows = data["panels"], report.data["panels"]
    assert {"used", "rmsd", "displacement_um"} <= set(columns)
    assert {key: [row[key] for row in rows] for key in columns} == columns
    for key in ("bounds", "middles", "layers", "vectors"):
        assert data["map"][key] == report.data["map"][key]
    json.dumps(report.data, allow_nan=False)
