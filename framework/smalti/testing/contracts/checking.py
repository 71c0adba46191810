"""Run the checks of a role on a component and collect what they found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smalti.errors import SmaltiError
from smalti.testing.contracts import (
    finders,
    form,
    indexers,
    minimisers,
    parameterisations,
    readers,
    rejectors,
    report_sections,
)
from smalti.testing.contracts.breach import BrokenContractError

__all__ = ["CONTRACTS", "BrokenContractError", "Verdict", "check"]

CONTRACTS: dict[str, tuple[Callable[[Any], None], ...]] = {
    "reader": (*form.CHECKS, *readers.CHECKS),
    "spot_finder": (*form.CHECKS, *finders.CHECKS),
    "indexer": (*form.CHECKS, *indexers.CHECKS),
    "detector_parameterisation": (*form.CHECKS, *parameterisations.CHECKS),
    "minimiser": (*form.CHECKS, *minimisers.CHECKS),
    "outlier_rejector": (*form.CHECKS, *rejectors.CHECKS),
    "report_section": (*form.CHECKS, *report_sections.CHECKS),
}
"""The checks of each role; each takes a component and raises :class:`BrokenContractError`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found: the promise, and what is wrong with it (empty when it is kept)."""

    role: str
    component: str
    check: str
    problem: str = ""


def check(role: str, cls: type[Any]) -> tuple[Verdict, ...]:
    """Try a component, with its default options, on every standard problem of its role.

    Parameters
    ----------
    role : str
        A key of :data:`smalti.roles.ROLES`.
    cls : type
        The class of the component.
    """
    return tuple(_judge(role, cls, promise) for promise in CONTRACTS[role])


def _judge(role: str, cls: type[Any], promise: Callable[[Any], None]) -> Verdict:
    name = str(getattr(cls, "name", cls.__name__))
    words = promise.__name__.replace("_", " ")
    try:
        promise(cls())
    except BrokenContractError as broken:
        return Verdict(role, name, words, str(broken))
    except SmaltiError as error:
        return Verdict(role, name, words, "it refused the problem: " + " ".join(str(error).split()))
    except Exception as error:  # the component is a plugin's code, and may fail in any way
        return Verdict(role, name, words, f"it raised {type(error).__name__}: {error}")
    return Verdict(role, name, words)
