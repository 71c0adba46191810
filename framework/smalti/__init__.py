"""smalti: where every module of an X-ray detector really is, from diffraction images.

Importing this package is free: the public names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.errors import SmaltiError
    from smalti.models import Beam, Crystal, Detector, Experiment, Experiments, Goniometer, Group, Panel, Scan
    from smalti.tables import Flag, Reflections

__all__ = [
    "Beam",
    "Crystal",
    "Detector",
    "Experiment",
    "Experiments",
    "Flag",
    "Goniometer",
    "Group",
    "Panel",
    "Reflections",
    "Scan",
    "SmaltiError",
    "__version__",
]

_HOME = {
    **dict.fromkeys(
        ("Beam", "Crystal", "Detector", "Experiment", "Experiments", "Goniometer", "Group", "Panel", "Scan"),
        "smalti.models",
    ),
    **dict.fromkeys(("Flag", "Reflections"), "smalti.tables"),
    "SmaltiError": "smalti.errors",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version("smalti")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'smalti' has no attribute '{name}'")
