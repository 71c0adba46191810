"""Import images: files to sweeps to experiments, and open them again."""

from smalti.steps.importing.imported import Imported
from smalti.steps.importing.importer import import_images
from smalti.steps.importing.opening import choose_reader, open_series, with_reader
from smalti.steps.importing.options import ImportOptions
from smalti.steps.importing.windows import with_windows

__all__ = [
    "ImportOptions",
    "Imported",
    "choose_reader",
    "import_images",
    "open_series",
    "with_reader",
    "with_windows",
]
