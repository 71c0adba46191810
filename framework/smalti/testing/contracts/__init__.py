"""The contract of every role, as checks on standard problems with known answers.

Plugin writers run them on their own classes::

    from smalti.testing.contracts import check

    assert not [verdict for verdict in check("minimiser", MyMinimiser) if verdict.problem]

and ``smalti plugins --check`` runs them on everything that is installed.
"""

from smalti.testing.contracts.checking import CONTRACTS, BrokenContractError, Verdict, check

__all__ = ["CONTRACTS", "BrokenContractError", "Verdict", "check"]
