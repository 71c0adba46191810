"""The command line: ``smalti COMMAND``."""

from smalti.cli.app import main

__all__ = ["main"]
