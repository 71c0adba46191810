"""The table of docs/reference/formats.md: each image example of the data, read by smalti and dials.import.

python -m tests.benchmarks.formats_table DATA [FOLDER OF DIALS'S COMMANDS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tests.plugins.formats.test_formats_against_dials import apart

from smalti.errors import SmaltiError
from smalti.files import plain_name, read_whole
from smalti.models import Experiment
from smalti.roles import Reader
from smalti.steps.importing import ImportOptions, import_images
from smalti.storage import read_experiments
from smalti_plugins.formats.described.reader import Described
from smalti_plugins.formats.generic import FabioGeneric
from smalti_plugins.formats.imgcif import ImgCifReader
from smalti_plugins.formats.nexus.reader import Nxmx
from smalti_plugins.formats.pilatus import PilatusCbf

READERS = (PilatusCbf(), ImgCifReader(), Nxmx(), FabioGeneric())
# The header does not say where the chips are: DIALS has a class for this one, smalti a description.
DESCRIBED = {"TIMEPIX": Path(__file__).parents[2] / "docs" / "how-to" / "timepix.toml"}
FOLDERS = (
    "formats/*",
    "l_cysteine/l-cyst_01*",
    "snase/*.img.gz",
    "thaumatin_grid/*.bz2",
    "cspad_lysozyme/*.cbf.gz",
)
# What DIALS cannot do with a name or a compression is undone before; the pixels are the same.
UNPACKED = (
    "cspad",
    "corkcont2",
    "mar2300",
    "i01f0001",
    "b191",
    "Cr8F8140k103",
    "omega_scan",
    "adsc",
    "dectris",
)
# dials.import fails on images whose names have no number.
UNNUMBERED = ("example.mar2300.gz", "omega_scan.cbf", "adsc.img.bz2")


def examples(data: Path, folder: Path) -> list[tuple[str, list[Path]]]:
    """Name and files of every example; a series is one."""
    found = []
    for pattern in FOLDERS:
        files = sorted(data.glob(pattern))
        groups = [[path] for path in files] if pattern.startswith("formats") else [files]
        for group in groups:
            path = group[0]
            if any(word in str(path) for word in UNPACKED):
                plain = folder / plain_name(path.name)
                if path.name in UNNUMBERED:
                    plain = plain.with_name(f"{plain.stem}_0001{plain.suffix}")
                plain.write_bytes(read_whole(path))
                group = [plain]
            found.append((path.name + (f" and {len(group) - 1} more" if len(group) > 1 else ""), group))
    return found


def theirs_of(files: list[Path], dials: str, folder: Path, several: bool) -> list[Experiment] | str:
    out = folder / "theirs.expt"
    out.unlink(missing_ok=True)
    command = [f"{dials}dials.import", *map(str, files), f"output.experiments={out}"]
    command += ["format.multi_panel=True"] if several else []
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if not out.exists():
        if "Traceback" not in done.stderr and "Unable to handle" in done.stdout + done.stderr:
            return "no reader"
        return "refused"
    return list(read_experiments(out))


def differences(a: Experiment, b: Experiment) -> tuple[float, float, float, float]:
    """Corners of panels (mm), wavelength (Angstrom), axis (deg), start or width (deg)."""
    axis = scan = float("nan")
    if a.goniometer is not None and b.goniometer is not None:
        axis = float(np.degrees(np.linalg.norm(a.goniometer.laboratory_axis - b.goniometer.laboratory_axis)))
    if a.scan is not None and b.scan is not None:
        scan = float(np.degrees(np.abs(np.subtract(a.scan.oscillation, b.scan.oscillation)).max()))
    if len(a.detector) == len(b.detector) > 1 and not any(any(panel.window) for panel in b.detector.panels):
        # Its modules of arrays of their own have no windows; they have the same order.
        corners = float(np.abs(a.detector.stacked() - b.detector.stacked()).max())
    else:
        corners = apart(a.detector, b.detector)
    return corners, abs(a.beam.wavelength - b.beam.wavelength), axis, scan


def row(name: str, files: list[Path], dials: str, folder: Path) -> str:
    description = next((path for word, path in DESCRIBED.items() if word in name), None)
    readers: tuple[Reader, ...] = (Described(description),) if description else READERS
    told = ""
    try:
        imported = import_images(files, readers, ImportOptions())
    except SmaltiError as error:
        options = ImportOptions(distance=100.0, wavelength=1.0)
        try:
            imported = import_images(files, readers, options)
            told = f"; needs told: {str(error).splitlines()[0].split('does not give ')[-1].rstrip('.')}"
        except SmaltiError as again:
            return f"| `{name}` | refused: {str(again).splitlines()[0]} | | | | | |"
    ours = list(imported.experiments)
    panels = len(ours[0].detector)
    theirs = theirs_of(files, dials, folder, panels > 1)
    if isinstance(theirs, list) and len(theirs[0].detector) == 1 < panels:
        theirs = theirs_of(files, dials, folder, False)
    head = f"| `{name}` | {imported.readers[0]}{told} | {panels} |"
    if isinstance(theirs, str):
        return f"{head} {theirs} | | | |"
    try:
        corner, wave, axis, scan = differences(ours[0], theirs[0])
    except AssertionError as error:
        return f"{head} {error} | | | |"
    return f"{head} {' | '.join(map(_shown, (corner, wave, axis, scan)))} |"


def _shown(value: float) -> str:
    if np.isnan(value):
        return "none"
    return f"{value:.0e}" if value else "0"


if __name__ == "__main__":
    place, where = Path(sys.argv[1]), f"{sys.argv[2]}/" if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as temporary:
        for title, images in examples(place, Path(temporary)):
            print(row(title, images, where, Path(temporary)), flush=True)
