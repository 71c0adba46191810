"""The hooks: each only brings classes, once, at start-up.

A plugin is a module (or object) named by an entry point of the group ``smalti.plugins`` that
implements any of these with :data:`hookimpl` and declares ``SMALTI_API = 1``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from smalti.roles import (
    DetectorParameterisation,
    Indexer,
    Minimiser,
    OutlierRejector,
    Reader,
    ReportSection,
    SpotFinder,
)

__all__ = ["API", "HOOKS", "PROJECT", "hookimpl"]

PROJECT = "smalti"
API = 1
"""The number that a plugin declares as ``SMALTI_API``; it changes when a role changes."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

HOOKS = {
    "smalti_readers": "reader",
    "smalti_spot_finders": "spot_finder",
    "smalti_indexers": "indexer",
    "smalti_detector_parameterisations": "detector_parameterisation",
    "smalti_minimisers": "minimiser",
    "smalti_outlier_rejectors": "outlier_rejector",
    "smalti_report_sections": "report_section",
}
"""Hook to role."""


@hookspec
def smalti_readers() -> Sequence[type[Reader]]:  # type: ignore[empty-body]
    """Bring readers of image formats."""


@hookspec
def smalti_spot_finders() -> Sequence[type[SpotFinder]]:  # type: ignore[empty-body]
    """Bring spot finders."""


@hookspec
def smalti_indexers() -> Sequence[type[Indexer]]:  # type: ignore[empty-body]
    """Bring indexers."""


@hookspec
def smalti_detector_parameterisations() -> Sequence[type[DetectorParameterisation]]:  # type: ignore[empty-body]
    """Bring parameterisations of detectors."""


@hookspec
def smalti_minimisers() -> Sequence[type[Minimiser]]:  # type: ignore[empty-body]
    """Bring minimisers."""


@hookspec
def smalti_outlier_rejectors() -> Sequence[type[OutlierRejector]]:  # type: ignore[empty-body]
    """Bring outlier rejectors."""


@hookspec
def smalti_report_sections() -> Sequence[type[ReportSection]]:  # type: ignore[empty-body]
    """Bring sections of the report."""
