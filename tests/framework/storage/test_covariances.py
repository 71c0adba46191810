"""The covariances of a refinement as a file of their own."""

from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from smalti.errors import InputError
from smalti.storage import Covariances, read_covariances, read_history, write_covariances
from smalti.storage.covariances import CrystalBlocks, Motions

RECORD = {
    "program": "smalti",
    "command": "refine",
    "argv": ["smalti", "refine"],
    "time": "2026-01-01T00:00:00",
}


@pytest.fixture
def made(rng):
    def square(n):
        root = rng.normal(size=(n, n))
        return root @ root.T

    return Covariances(
        ("Detector1Dist", "Crystal1Phi1", "Größe"),
        ("mm", "mrad", ""),
        rng.normal(size=3),
        rng.normal(size=3),
        rng.random(3),
        square(3),
        ((1, 0, "p0"), (1, 1, "Modul/ä")),
        Motions(rng.normal(size=(2, 6)), square(12)),
        Motions(rng.normal(size=(2, 6)), square(12)),
        rng.normal(size=(1, 7)),
        square(7)[None],
    )


def test_everything_comes_back_to_the_last_bit(made, tmp_path):
    path = tmp_path / "refined.covariance.h5"
    write_covariances(path, made, [RECORD])
    found = read_covariances(path)
    for field in fields(made):
        before, after = getattr(made, field.name), getattr(found, field.name)
        if isinstance(before, Motions):
            np.testing.assert_array_equal(before.values, after.values)
            np.testing.assert_array_equal(before.covariance, after.covariance)
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
        elif field.name != "history":
            assert before == after
    assert [dict(record) for record in found.history] == [RECORD]
    assert [dict(record) for record in read_history(path)] == [RECORD]
    np.testing.assert_array_equal(found.relative.of_panel(1), made.relative.covariance[6:, 6:])


def test_crystals_that_were_eliminated_come_back(made, tmp_path, rng):
    path = tmp_path / "refined.covariance.h5"
    names = (("Crystal1Phi1", "Crystal1Phi2"), ("Crystal2Phi1", ""))
    blocks = CrystalBlocks(names, np.array([[0.1, 0.2], [0.3, np.nan]]), rng.normal(size=(2, 2, 2)))
    write_covariances(path, replace(made, crystals=blocks))
    found = read_covariances(path).crystals
    assert found is not None and found.names == names
    np.testing.assert_array_equal(found.values, blocks.values)
    np.testing.assert_array_equal(found.covariance, blocks.covariance)


def test_nothing_refined_is_a_file_too(tmp_path):
    none = np.zeros(0)
    nothing = Motions(np.zeros((0, 6)), np.zeros((0, 0)))
    empty = Covariances(
        (),
        (),
        none,
        none,
        none,
        np.zeros((0, 0)),
        (),
        nothing,
        nothing,
        np.zeros((0, 7)),
        np.zeros((0, 7, 7)),
    )
    write_covariances(tmp_path / "a.covariance.h5", empty)
    assert read_covariances(tmp_path / "a.covariance.h5").names == ()


def _text(path):
    path.write_text("not this")


def _table(path):
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "smalti reflections"


def _torn(path):
    path.write_bytes(path.read_bytes()[:2000])


def _unfitting(path):
    with h5py.File(path, "a") as file:
        del file["panels/relative/covariance"]
        file["panels/relative/covariance"] = np.eye(5)


@pytest.mark.parametrize("spoil", [_text, _table, _torn, _unfitting])
def test_other_files_are_refused_in_words(made, tmp_path, spoil):
    path = tmp_path / "refined.covariance.h5"
    write_covariances(path, made, [RECORD])
    spoil(path)
    with pytest.raises(InputError, match="covariances"):
        read_covariances(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_covariances(tmp_path / "missing.covariance.h5")
