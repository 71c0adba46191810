"""Several indexers in turn, until one finds a lattice that explains most of the spots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from smalti.errors import DataError, UsageError
from smalti.roles import Indexer
from smalti.steps.indexing.diagnosing import OTHERS
from smalti.steps.indexing.methods import Method
from smalti.steps.indexing.result import Indexed

__all__ = ["first_that_works"]

ENOUGH = 0.6
"""Part of the spots from which on no other indexer is asked."""


def first_that_works(indexers: Sequence[Indexer], attempt: Callable[[Indexer], Indexed]) -> Indexed:
    """Index with each indexer in turn; stop at the first that explains most of the spots.

    Where none does, the result that explains most is taken.

    Parameters
    ----------
    indexers : sequence of Indexer
        In the order in which they are to be tried.
    attempt : Callable
        Does everything with one of them.

    Raises
    ------
    DataError
        None found anything: the reason of the first, and that the others failed too.
    """
    methods, place = list[Method](), 0
    best: Indexed | None = None
    first: DataError | None = None
    for indexer in indexers:
        try:
            found = attempt(indexer)
        except (DataError, UsageError) as error:
            # A mistake of the caller fails the first already; later ones may only need what was not given.
            if isinstance(error, UsageError) and not methods:
                raise
            methods.append(Method(indexer.name, None, 0.0, f"{error.what} {error.why}".strip()))
            first = first or (error if isinstance(error, DataError) else None)
            continue
        part = sum(found.indexed) / max(sum(found.total), 1)
        methods.append(Method(indexer.name, found.crystal.cell, part))
        if best is None or part > methods[place].indexed:
            best, place = found, len(methods) - 1
        if part >= ENOUGH:
            break
    if best is None:
        raise _none(methods, first)
    methods[place] = replace(methods[place], taken=True)
    return replace(best, methods=tuple(methods))


def _none(methods: Sequence[Method], first: DataError | None) -> DataError:
    names = ", ".join(item.indexer for item in methods)
    assert first is not None, "the first indexer fails with a DataError or ends everything"
    return DataError(
        first.what, f"{first.why} None of {names} found one.", first.fix.removesuffix(OTHERS).strip()
    )
