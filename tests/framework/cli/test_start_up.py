"""The help is there at once: the heavy packages stay away until a command needs them."""

import os
import subprocess
import sys

import pytest

from smalti.cli.catalogue import COMMANDS, load

HEAVY = {"numpy", "scipy", "h5py", "fabio", "pandas", "matplotlib"}
BUDGET = 0.2
"""Seconds of CPU for ``smalti --help``."""


def start(*words):
    code = (
        "import sys, time\n"
        "from smalti.cli import main\n"
        f"status = main({list(words)!r})\n"
        "print(time.process_time(), status, *{name.split('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    seconds, status, *modules = done.stderr.splitlines()[-1].split()
    return done.stdout, float(seconds), int(status), set(modules)


def test_help_imports_nothing_heavy_and_is_quick():
    runs = [start("--help") for _ in range(3)]
    text, _, status, modules = runs[0]
    assert status == 0
    assert modules & HEAVY == set()
    assert min(seconds for _, seconds, _, _ in runs) < BUDGET
    for name, entry in COMMANDS.items():
        assert f"  {name} " in text
        assert entry.section in text


@pytest.mark.parametrize("words", [("refin",), ("--vresion",), ("--version",), ()])
def test_neither_does_a_mistake(words):
    _, _, status, modules = start(*words)
    assert modules & HEAVY == set()
    assert status == (0 if words == ("--version",) else 2)


def test_discovery_loads_no_package_that_one_plugin_alone_needs():
    code = "import sys; from smalti.discovery import discover; discover(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"fabio", "h5py", "pandas", "scipy.optimize", "scipy.spatial", "scipy.fft"} & set(
        done.stdout.split()
    ) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_parses(name, capsys):
    from smalti.cli import main

    spec = load(name)
    assert spec.name == name
    assert main([name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert COMMANDS[name].summary in text
    assert f"Example: {' '.join(spec.example.split())}" in text
    assert spec.example.startswith(f"smalti {name}")
    for daily in spec.daily:
        assert daily.flag in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_daily_option_is_a_parameter_that_exists(name):
    from smalti.cli.settings import Schema
    from smalti.discovery import discover

    spec = load(name)
    schema = Schema(spec.stages, discover())
    for daily in spec.daily:
        scope, option = schema.resolve(daily.target)
        assert schema.options(scope)[option].help
        assert f"{scope}.{option}" == daily.target, "written in full"
    for stage in spec.stages:
        for choice in stage.choices:
            assert schema.registry.find(choice.role, choice.default)
