"""What every component promises: that it is a value whose options explain themselves."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

from smalti.options import describe
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]


def is_a_value(component: Any) -> None:
    """Two components with the same options are equal, and none can be changed."""
    require(type(component)() == component, "two components with default options are not equal")
    option = next(iter(dataclasses.fields(component)), None)
    if option is None:
        return
    try:
        setattr(component, option.name, option.default)
    except dataclasses.FrozenInstanceError:
        return
    require(False, f"its option {option.name} can be set; the dataclass must be frozen")


def survives_the_way_to_a_worker(component: Any) -> None:
    """It can be pickled, for process pools and clusters."""
    try:
        back = pickle.loads(pickle.dumps(component))
    except Exception as error:  # anything may go wrong in pickling
        require(False, f"it cannot be pickled: {error}")
    require(back == component, "it comes back from pickling as something else")


def explains_its_options(component: Any) -> None:
    """Every option has a meaning, declared with ``smalti.options.option``."""
    mute = [option.name for option in describe(type(component)) if not option.help.strip()]
    require(not mute, f"options without a meaning: {', '.join(mute)}")


CHECKS = (is_a_value, survives_the_way_to_a_worker, explains_its_options)
