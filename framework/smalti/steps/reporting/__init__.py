"""One page that shows what moved, whether to believe it, and what to do next."""

from smalti.steps.reporting.paper import KINDS, figures
from smalti.steps.reporting.report import Report, make_report

__all__ = ["KINDS", "Report", "figures", "make_report"]
