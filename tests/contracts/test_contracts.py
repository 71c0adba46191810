"""Every component that is installed keeps every promise of its role."""

import pytest

from smalti.discovery import discover
from smalti.roles import ROLES
from smalti.testing.contracts import CONTRACTS, check

REGISTRY = discover()
PROMISES = [
    (component, promise) for component in REGISTRY.components for promise in CONTRACTS[component.role]
]


def _name(pair):
    component, promise = pair
    return f"{component.role}-{component.name}-{promise.__name__}"


@pytest.mark.parametrize("pair", PROMISES, ids=map(_name, PROMISES))
def test_promise_is_kept(pair):
    component, promise = pair
    promise(component.cls())


def test_no_built_in_plugin_is_broken():
    assert [f"{plugin.name}: {plugin.problem}" for plugin in REGISTRY.broken] == []


def test_every_role_has_a_contract_and_a_component():
    assert set(CONTRACTS) == set(ROLES)
    assert {component.role for component in REGISTRY.components} == set(ROLES)


def test_verdicts_name_component_and_promise():
    component = REGISTRY.find("outlier_rejector", "none")
    verdicts = check(component.role, component.cls)
    assert len(verdicts) == len(CONTRACTS["outlier_rejector"])
    assert {verdict.component for verdict in verdicts} == {"none"}
    assert not any(verdict.problem for verdict in verdicts)
