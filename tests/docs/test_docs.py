"""The documentation against the program: every command parses, every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from smalti.cli.asking import make_request
from smalti.cli.building import typer_command
from smalti.cli.catalogue import COMMANDS, load

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
EXAMPLE = ("well-determined", "soft", "bend", "cautious")
"""Words that only the examples bring; tests of their own run those commands."""
REDIRECTIONS = (">", "<", "|", "2>", "&&")


def blocks(text: str) -> list[str]:
    """Commands in fenced sh and console blocks, continued lines joined."""
    found = []
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M):
        if language in ("sh", "bash", "console"):
            found += body.replace("\\\n", " ").splitlines()
    return found


def commands() -> list[tuple[str, str]]:
    """Every smalti command line of every page, as (page, line)."""
    found = []
    for page in PAGES:
        for line in blocks(page.read_text(encoding="utf-8")):
            line = re.sub(r"^\s*\$\s*", "", line).strip().removeprefix(".venv/bin/")
            if line.startswith("smalti "):
                found.append((str(page.relative_to(ROOT)), line))
    return found


def words_of(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    ends = [k for k, word in enumerate(words) if word in REDIRECTIONS]
    return words[1 : ends[0] if ends else None]


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_line_parses(page, line, tmp_path, monkeypatch):
    words = words_of(line)
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version", "--install-completion", "-h"), line
        return
    assert words[0] in COMMANDS, f"{page}: there is no command {words[0]}"
    if "COMMAND" in words or "--help" in words:
        return
    spec = load(words[0])
    context = typer_command(spec).make_context(words[0], words[1:], obj=tuple(words))
    if not any(name in line for name in EXAMPLE):
        monkeypatch.chdir(tmp_path)
        for name in context.params.get("params") or ():
            (tmp_path / name).write_text("# as --show-params=changed wrote it\n")
        make_request(spec, context.params, ("smalti", *words))


def test_commands_are_found_at_all():
    pages = {page for page, _ in commands()}
    assert "README.md" in pages
    assert "docs/tutorials/multi-tile-metrology.md" in pages
    assert len(commands()) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_named_in_the_text_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for name in re.findall(r"`smalti ([a-z][a-z-]*)", text):
        assert name in COMMANDS, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}, (
                target
            )
