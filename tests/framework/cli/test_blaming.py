"""An exception of a third party's component is told as theirs; one of ours stays ours."""

import types

import pytest

from smalti.cli.blaming import blame
from smalti.discovery import Component, Plugin, Registry

SOURCE = """
from dataclasses import dataclass

import numpy as np
from smalti.options import build


def helper(residuals):
    return {}[len(residuals)]


@dataclass(frozen=True)
class Breaking:
    name = "breaking"

    def weights(self, residuals, sigmas, strata):
        return helper(residuals)


@dataclass(frozen=True)
class Multiplying:
    name = "multiplying"

    def weights(self, residuals, sigmas, strata):
        return np.ones((3, 2)) @ np.ones(5)


@dataclass(frozen=True)
class Handing:
    name = "handing"

    def weights(self, residuals, sigmas, strata):
        return build(None, {}, name="nothing")
"""


def registry(distribution="theirs"):
    module = types.ModuleType("their_package.rejectors")
    exec(SOURCE, module.__dict__)
    classes = [module.Breaking, module.Multiplying, module.Handing]
    return Registry(
        (Plugin("their-plugin", distribution, "1.2"),),
        tuple(Component("outlier_rejector", cls.name, cls, "their-plugin") for cls in classes),
    )


def raised_by(component):
    try:
        component.cls().weights([1.0], [1.0], [0])
    except Exception as error:
        return error
    raise AssertionError("it should have failed")


@pytest.mark.parametrize(
    ("number", "name", "word"), [(0, "breaking", "KeyError: 1"), (1, "multiplying", "matmul")]
)
def test_what_fails_in_a_component_or_what_it_calls_names_it(number, name, word):
    installed = registry()
    found = blame(raised_by(installed.components[number]), installed)
    assert found.exit_status == 5
    for expected in (f"outlier rejector '{name}'", "'their-plugin'", word):
        assert expected in found.what
    assert "theirs 1.2" in found.why


def test_what_fails_in_smalti_under_a_component_is_ours():
    installed = registry()
    assert blame(raised_by(installed.components[2]), installed) is None


def test_what_fails_outside_components_is_ours():
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        assert blame(error, registry()) is None


def test_what_smalti_ships_is_ours():
    installed = registry("smalti")
    assert blame(raised_by(installed.components[0]), installed) is None
