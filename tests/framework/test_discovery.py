"""A broken plugin is a line in a report, and the good ones keep working."""

import sys
import types
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest

from smalti import discovery
from smalti.errors import UsageError
from smalti.hookspecs import hookimpl
from smalti.options import option


@dataclass(frozen=True)
class Keeper:
    name: ClassVar[str] = "keeper"
    limit: float = option(4.0, "How far is too far.", gt=0)

    def weights(self, residuals, sigmas, strata):
        return np.ones(len(residuals))


def plugin(**contents):
    module = types.SimpleNamespace(SMALTI_API=1)
    for name, value in contents.items():
        setattr(module, name, value)
    return module


def bringing(*classes):
    @hookimpl
    def smalti_outlier_rejectors():
        return list(classes)

    return plugin(smalti_outlier_rejectors=smalti_outlier_rejectors)


@pytest.fixture
def install(monkeypatch):
    """Install plugin objects under names, in place of all entry points; returns the registry."""

    def put(disable=(), **objects):
        entries = []
        for name, value in objects.items():
            module = types.ModuleType(f"fake_{name}")
            monkeypatch.setitem(sys.modules, f"fake_{name}", module)
            if value is not None:
                module.plugin = value
            entries.append(EntryPoint(name, f"fake_{name}:plugin", discovery.GROUP))
        monkeypatch.setattr(discovery, "entry_points", lambda group: entries)
        return discovery.discover(disable)

    return put


def the_problem(registry, name):
    (found,) = [item for item in registry.plugins if item.name == name]
    return found.problem


def test_a_good_plugin_beside_every_kind_of_broken_one(install):
    @hookimpl
    def smalti_outlier_rejecters():
        return [Keeper]

    @hookimpl
    def smalti_outlier_rejectors(config):
        return [Keeper]

    @hookimpl(specname="smalti_outlier_rejectors")
    def raising():
        raise RuntimeError("no licence")

    registry = install(
        a_good=bringing(Keeper),
        missing=None,
        old=types.SimpleNamespace(SMALTI_API=0),
        silent=types.SimpleNamespace(),
        misspelt=plugin(smalti_outlier_rejecters=smalti_outlier_rejecters),
        extra=plugin(smalti_outlier_rejectors=smalti_outlier_rejectors),
        raising=plugin(smalti_outlier_rejectors=raising),
        empty=plugin(),
    )
    assert [component.name for component in registry.components] == ["keeper"]
    assert the_problem(registry, "a_good") == ""
    assert len(registry.broken) == 7
    assert "AttributeError" in the_problem(registry, "missing")
    assert "SMALTI_API = 0" in the_problem(registry, "old")
    assert "SMALTI_API = None" in the_problem(registry, "silent")
    assert "smalti_outlier_rejecters" in the_problem(registry, "misspelt")
    assert "config" in the_problem(registry, "extra")
    assert "RuntimeError: no licence" in the_problem(registry, "raising")
    assert "no hook" in the_problem(registry, "empty")


def test_an_import_that_fails(install, monkeypatch, tmp_path):
    (tmp_path / "explodes.py").write_text("raise OSError('libdetector.so is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    entries = [EntryPoint("explodes", "explodes", discovery.GROUP)]
    monkeypatch.setattr(discovery, "entry_points", lambda group: entries)
    registry = discovery.discover()
    assert "libdetector.so is missing" in the_problem(registry, "explodes")


@dataclass(frozen=True)
class Needy:
    limit: float
    name: ClassVar[str] = "needy"

    def weights(self, residuals, sigmas, strata):
        return np.ones(len(residuals))


@dataclass
class Changing:
    name: ClassVar[str] = "changing"

    def weights(self, residuals, sigmas, strata):
        return np.ones(len(residuals))


@dataclass(frozen=True)
class Nameless:
    def weights(self, residuals, sigmas, strata):
        return np.ones(len(residuals))


@dataclass(frozen=True)
class Idle:
    name: ClassVar[str] = "idle"


@pytest.mark.parametrize(
    ("cls", "words"),
    [
        (Needy, "every option needs a default"),
        (Changing, "not a frozen dataclass"),
        (Nameless, "has no name"),
        (Idle, "lacks weights"),
    ],
)
def test_a_class_that_is_no_component(install, cls, words):
    registry = install(good=bringing(Keeper), odd=bringing(cls))
    assert words in the_problem(registry, "odd")
    assert [component.name for component in registry.components] == ["keeper"]


def test_two_components_of_one_name(install):
    registry = install(first=bringing(Keeper), second=bringing(Keeper))
    assert "already brought by the plugin 'first'" in the_problem(registry, "second")


def test_two_plugins_of_one_name(monkeypatch, install):
    install(twin=bringing(Keeper))
    entries = [EntryPoint("twin", "fake_twin:plugin", discovery.GROUP)] * 2
    monkeypatch.setattr(discovery, "entry_points", lambda group: entries)
    registry = discovery.discover()
    assert [bool(item.problem) for item in registry.plugins] == [False, True]
    assert "renamed" in registry.plugins[1].problem


def test_leaving_a_plugin_out(install, monkeypatch):
    registry = install(disable=["one"], one=bringing(Keeper), two=None)
    assert registry.components == ()
    assert [item.disabled for item in registry.plugins] == [True, False]
    monkeypatch.setenv("SMALTI_DISABLE", "one,two")
    registry = install(one=bringing(Keeper), two=None)
    assert [item.disabled for item in registry.plugins] == [True, True]
    assert registry.broken == ()


@pytest.mark.parametrize("word", ["pilatus-cbf", "pilatus_cbf"])
def test_a_plugin_is_left_out_under_either_spelling(install, monkeypatch, word):
    assert install(disable=[word], **{"pilatus-cbf": bringing(Keeper)}).plugins[0].disabled
    monkeypatch.setenv("SMALTI_DISABLE", f" {word}")
    assert install(**{"pilatus-cbf": bringing(Keeper)}).plugins[0].disabled


def test_names_that_no_plugin_has_are_kept_for_a_warning(install, monkeypatch):
    monkeypatch.setenv("SMALTI_DISABLE", "one, tw_o,nobody")
    registry = install(one=bringing(Keeper), **{"tw-o": None})
    assert registry.unmatched == ("nobody",)


def test_a_misspelt_component_gets_a_suggestion(install):
    registry = install(good=bringing(Keeper), missing=None)
    with pytest.raises(UsageError) as caught:
        registry.find("outlier_rejector", "keper")
    assert "'keeper'" in caught.value.fix
    assert "missing" in caught.value.why
    assert registry.make("outlier_rejector", "keeper", {"limit": "5"}).limit == 5.0


def test_every_built_in_comes_through_an_entry_point():
    registry = discovery.discover()
    assert {item.distribution for item in registry.plugins if not item.disabled} >= {"smalti"}
    assert {component.plugin for component in registry.components} <= {item.name for item in registry.plugins}
