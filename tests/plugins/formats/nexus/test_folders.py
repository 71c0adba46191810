"""Folders that hold master files and their data files."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.errors import InputError
from smalti.steps.importing import ImportOptions, import_images
from smalti.storage import NxmxLayout
from smalti_plugins.formats.generic import FabioGeneric
from smalti_plugins.formats.nexus.reader import Nxmx

from .nxmx_files import written


@pytest.mark.parametrize("layout", ["external", "virtual"])
def test_of_a_folder_the_masters_are_imported(tmp_path: Path, layout: NxmxLayout) -> None:
    master = written(tmp_path, layout)
    data = sorted(tmp_path.glob("*_data_*.h5"))
    assert data and sorted(Nxmx().linked(master)) == data
    data[0].rename(tmp_path / "aside")
    assert sorted(Nxmx().linked(master)) == data  # also where they are not there
    (tmp_path / "aside").rename(data[0])
    imported = import_images([tmp_path], [Nxmx(), FabioGeneric()], ImportOptions())
    (item,) = imported.experiments
    assert item.imageset is not None and item.imageset.template == str(master) and not imported.warnings
    with pytest.raises(InputError, match="does not say where the detector was"):
        import_images(data, [Nxmx(), FabioGeneric()], ImportOptions())
