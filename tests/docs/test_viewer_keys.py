"""The keys of the viewer, as the page has them, against the reference."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS = ROOT / "framework/smalti/steps/viewing/serving/assets/keys.js"
LARGEST = 300_000


def test_the_reference_has_every_key_of_the_page():
    source = KEYS.read_text(encoding="utf-8")
    rows = re.findall(r'^    \["(?:[^"\\]|\\.)+", "((?:[^"\\]|\\.)+)", "([^"]+)",', source, re.M)
    told = re.findall(r"^\| `(.+?)` \| (.+) \|$", (ROOT / "docs/reference/viewer.md").read_text(), re.M)
    assert len(rows) > 40
    assert told[: len(rows)] == [(key.replace("\\\\", "\\"), text) for key, text in rows]


def test_no_two_keys_are_the_same():
    names = re.findall(r'^    \["((?:[^"\\]|\\.)+)", "', KEYS.read_text(encoding="utf-8"), re.M)
    assert len(set(names)) == len(names)


def test_files_of_the_page_are_short():
    for path in KEYS.parent.iterdir():
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path.name


def test_pictures_are_small():
    pictures = list((ROOT / "docs/pictures").glob("*.png"))
    assert pictures and all(path.stat().st_size < LARGEST for path in pictures)
