"""Names, numbers and templates of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.files import as_stored
from smalti.models import ImageSet
from smalti.steps.importing.naming import group_by_template, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("l-cyst_01_00001.cbf.gz", ("l-cyst_01_", "00001", ".cbf.gz")),
        ("a_0001.cbf", ("a_", "0001", ".cbf")),
        ("Cr8F8140k103.0026.gz", ("Cr8F8140k103.", "0026", ".gz")),
        ("b191_1_9_1.img.gz", ("b191_1_9_", "1", ".img.gz")),
        ("i01f0001.kcd", ("i01f", "0001", ".kcd")),
        ("frame12", ("frame", "12", "")),
        ("example.mar2300.gz", ("example.mar2300.gz", "", "")),
        ("omega_scan.cbf", ("omega_scan.cbf", "", "")),
        ("idx-s00-20131106040304531.cbf.gz", ("idx-s00-20131106040304531.cbf.gz", "", "")),
    ],
)
def test_the_number_is_found(name: str, parts: tuple[str, str, str]) -> None:
    assert split_name(name) == parts


def grouped(*names: str) -> dict[str, tuple[int, ...]]:
    return {series.name: series.numbers for series in group_by_template(Path("/x") / name for name in names)}


def test_images_are_grouped_and_ordered() -> None:
    assert grouped("a_03.cbf", "b_01.cbf", "a_01.cbf", "a_02.cbf", "c.cbf") == {
        "a_##.cbf": (1, 2, 3), "b_##.cbf": (1,), "c.cbf": (1,),
    }  # fmt: skip


def test_numbers_without_padding_are_one_series() -> None:
    assert grouped("a_9.cbf", "a_10.cbf", "a_100.cbf") == {"a_#.cbf": (9, 10, 100)}
    assert grouped("a_0999.cbf", "a_1000.cbf", "a_10000.cbf") == {"a_####.cbf": (999, 1000, 10000)}


def test_different_padding_is_different_series() -> None:
    assert grouped("a_01.cbf", "a_001.cbf") == {"a_##.cbf": (1,), "a_###.cbf": (1,)}


@pytest.mark.parametrize("names", [("a_9.cbf", "a_10.cbf"), ("a_0999.cbf", "a_10000.cbf"), ("i01f0001.kcd",)])
def test_the_template_leads_back_to_the_files(names: tuple[str, ...]) -> None:
    (series,) = group_by_template(Path("/x") / name for name in names)
    image = ImageSet(series.template)
    assert tuple(Path(image.path(number)) for number in series.numbers) == series.paths


def test_compressed_images_belong_to_the_series_of_the_others(tmp_path: Path) -> None:
    names = ["a_01.cbf", "a_02.cbf.gz", "a_03.cbf.bz2", "a_04.cbf"]
    assert grouped(*names) == {"a_##.cbf": (1, 2, 3, 4)}
    for name in names:
        (tmp_path / name).touch()
    (series,) = group_by_template(tmp_path / name for name in names)
    image = ImageSet(series.template)
    assert tuple(as_stored(Path(image.path(number))) for number in series.numbers) == series.paths


def test_an_image_in_two_compressions_is_not_taken_twice() -> None:
    assert grouped("a_01.cbf", "a_02.cbf", "a_01.cbf.gz") == {"a_##.cbf": (1, 2), "a_##.cbf.gz": (1,)}


def test_images_are_found_whatever_their_compression_is_now(tmp_path: Path) -> None:
    (tmp_path / "a_01.cbf.bz2").touch()
    for name in ("a_01.cbf", "a_01.cbf.gz", "a_01.cbf.bz2"):
        assert as_stored(tmp_path / name) == tmp_path / "a_01.cbf.bz2"
    assert as_stored(tmp_path / "a_02.cbf.gz") == tmp_path / "a_02.cbf.gz"
