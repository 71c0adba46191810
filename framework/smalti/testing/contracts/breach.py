"""How a check says that a contract is broken."""

from __future__ import annotations

__all__ = ["BrokenContractError", "require"]


class BrokenContractError(AssertionError):
    """A component does not do what its role promises; the message says what was expected and what came."""


def require(condition: object, problem: str) -> None:
    """Raise unless a condition holds.

    Raises
    ------
    BrokenContractError
    """
    if not condition:
        raise BrokenContractError(problem)
