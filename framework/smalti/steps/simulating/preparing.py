"""What is checked before anything is simulated, and the folder it goes into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smalti.errors import UsageError
from smalti.steps.simulating.instrument import find_layout, is_cspad
from smalti.steps.simulating.options import SimulateOptions, check_options

__all__ = ["prepared"]


def prepared(options: SimulateOptions, directory: Path) -> SimulateOptions:
    """Check options, write the layout as it is listed, and make the folder."""
    check_options(options)
    _check_format(options)
    _make_directory(directory)
    return options if is_cspad(options) else replace(options, layout=find_layout(options.layout).name)


def _check_format(options: SimulateOptions) -> None:
    if is_cspad(options) and (options.output == "images" or not options.stills):
        raise UsageError(
            f"{'Images' if options.stills else 'Sweeps'} of a CS-PAD cannot be simulated.",
            "Of this detector there are tables of stills only.",
            "Ask for simulate.stills=100 simulate.output=indexed, or choose another layout.",
        )
    if options.stills and options.output == "images" and options.image_format != "cbf":
        raise UsageError(
            "Images of stills cannot be written as NXmx.",
            "They are written one by one, as miniCBF.",
            "Choose image_format=cbf, or --make indexed or --make strong for tables.",
        )
    cbf = options.output == "images" and options.image_format == "cbf"
    if cbf and not options.layout.strip().upper().startswith("PILATUS"):
        raise UsageError(
            f"Images of the layout '{options.layout}' cannot be written as miniCBF.",
            "This is the format of PILATUS detectors.",
            "Choose image_format=nxmx, a PILATUS layout, or output=strong or output=indexed for a table.",
        )


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Cannot make the folder '{directory}'.", f"{error.strerror}.", "Give another with -o."
        ) from None
