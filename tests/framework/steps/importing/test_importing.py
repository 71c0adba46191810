"""Images to experiments: sweeps, stills, sharing, and every mistake."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, radians
from pathlib import Path
from typing import ClassVar

import pytest

from smalti.errors import InputError, PluginError, UsageError
from smalti.models import Experiments, ImageSet
from smalti.steps.importing import Imported, ImportOptions, import_images, open_series

from .fake_reader import FakeReader, sweep, write

READERS = (FakeReader(),)


def imported(*paths: Path, **options: object) -> Imported:
    return import_images(list(paths), READERS, ImportOptions(**options))  # type: ignore[arg-type]


def image_ranges(experiments: Experiments) -> list[tuple[int, int]]:
    return [item.scan.image_range for item in experiments if item.scan is not None]


def test_a_folder_becomes_sweeps_that_share_models(tmp_path: Path) -> None:
    sweep(tmp_path, range(1, 4))
    sweep(tmp_path, range(5, 7), "b_{:04d}.fake")
    (tmp_path / "README.md").write_text("notes")
    seen: list[tuple[str, int, int]] = []
    result = import_images([tmp_path], READERS, progress=lambda *args: seen.append(args))
    a, b = result.experiments
    assert image_ranges(result.experiments) == [(1, 3), (5, 6)]
    assert a.beam is b.beam and a.detector is b.detector and a.goniometer is b.goniometer
    assert a.scan is not None and a.scan.oscillation == (radians(1.0), radians(1.0))
    assert a.scan.epochs == (1000.0, 1001.0, 1002.0)
    assert a.imageset == ImageSet(
        str(tmp_path / "a_####.fake"), params={"reader": "fake", "multi_panel": True}
    )
    assert (
        a.identifier != b.identifier
        and a.identifier == import_images([tmp_path], READERS).experiments[0].identifier
    )
    assert seen[-1] == ("reading headers", 5, 5)
    assert result.warnings == ("1 file passed over that no reader understands: README.md",)
    assert result.summary() == {
        "experiments": 2, "sweeps": 2, "stills": 0, "images": 5, "readers": ["fake"], "panels": [2],
    }  # fmt: skip
    assert "a_####.fake" in result.text() and "1-3" in result.text()


def test_globs_templates_and_files_name_the_same(tmp_path: Path) -> None:
    files = sweep(tmp_path, range(1, 13))
    for names in ([tmp_path / "a_*.fake"], [tmp_path / "a_####.fake"], files, [files[0], tmp_path]):
        assert image_ranges(imported(*names).experiments) == [(1, 12)]
    assert image_ranges(imported(tmp_path / "a_001#.fake").experiments) == [(10, 12)]


def test_missing_numbers_divide_and_are_told(tmp_path: Path) -> None:
    sweep(tmp_path, [1, 2, 5, 6, 9])
    result = imported(tmp_path)
    assert image_ranges(result.experiments) == [(1, 2), (5, 6), (9, 9)]
    assert result.warnings == ("a_####.fake: images 3-4, 7-8 missing",)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"start": 7.0}, "starts at 7 deg, not at 2 deg"),
        ({"start": 2.0, "width": 0.5}, "width changes to 0.5 deg"),
        ({"start": 2.0, "wavelength": 1.1}, "wavelength changes to 1.1"),
        ({"start": 2.0, "place": "moved"}, "detector has moved"),
    ],
)
def test_what_breaks_a_sweep_is_told(second: dict[str, float], why: str, tmp_path: Path) -> None:
    write(tmp_path / "a_1.fake", 1.0)
    write(tmp_path / "a_2.fake", **second)  # type: ignore[arg-type]
    result = imported(tmp_path)
    assert image_ranges(result.experiments) == [(1, 1), (2, 2)]
    assert why in result.warnings[0] and "image 2" in result.warnings[0]


def test_a_full_turn_may_begin_again(tmp_path: Path) -> None:
    for number, start in enumerate((358.0, 359.0, 0.0, 1.00001)):
        write(tmp_path / f"a_{number}.fake", start)
    assert image_ranges(imported(tmp_path).experiments) == [(0, 3)]


def test_images_of_zero_width_are_stills(tmp_path: Path) -> None:
    sweep(tmp_path, range(1, 4), width=0.0)
    result = imported(tmp_path)
    assert all(item.is_still and item.scan is None and item.goniometer is None for item in result.experiments)
    assert [item.imageset.images for item in result.experiments if item.imageset] == [
        (str(tmp_path / f"a_{k:04d}.fake"),) for k in (1, 2, 3)
    ]
    assert len({item.identifier for item in result.experiments}) == 3
    assert "import.width" in result.warnings[0]
    assert "3 stills" in result.text()
    told = imported(tmp_path, width=0.5, start=10.0)
    assert image_ranges(told.experiments) == [(1, 3)] and told.warnings == ()
    scan = told.experiments[0].scan
    assert scan is not None and scan.oscillation == (radians(10.0), radians(0.5))


def test_many_sweeps_are_told_by_the_first_and_the_last(tmp_path: Path) -> None:
    for number in range(30):
        sweep(tmp_path, range(1, 3), f"run{number:02d}_{{:04d}}.fake")
    text = import_images([tmp_path], READERS).text()
    assert "run03_####.fake" in text and "run26_####.fake" in text and "run10_####.fake" not in text
    assert "... 22 sweeps more" in text and len(text.splitlines()) == 12


def test_a_sweep_can_be_taken_as_stills(tmp_path: Path) -> None:
    sweep(tmp_path, range(1, 4))
    result = imported(tmp_path, stills=True)
    assert len(result.experiments) == 3 and result.warnings == ()


def test_single_panels_at_import(tmp_path: Path) -> None:
    sweep(tmp_path, [1])
    sweep(tmp_path, [1], "b_{:04d}.fake")
    a, b = imported(tmp_path, panels="single").experiments
    assert len(a.detector) == 1 and a.detector is b.detector
    assert a.imageset is not None and a.imageset.params["multi_panel"] is False


def test_notes_of_the_reader_are_told_once(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"a_{number}.fake").write_text(f"FAKE {number} 1.0 1.0 here noted")
    assert imported(tmp_path).warnings == ("a_#.fake: a note",)


MISTAKES = {
    "missing file": (("nosuch_0001.fake",), "There is no file", "Did you mean"),
    "no match": (("nosuch_*.fake",), "No files match", ""),
    "no template": (("c_####.fake",), "No files match", ""),
    "no folder": (("none/a_####.fake",), "No files match", "no folder"),
    "empty file": (("empty_1.fake",), "is empty", ""),
    "no image": (("text_1.txt",), "not an image", "fake"),
    "empty folder": (("hollow",), "holds no files", ""),
    "only text": (("texts",), "not an image", ""),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_told(kind: str, tmp_path: Path) -> None:
    sweep(tmp_path, [1], "nosuch_{:04d}.fak")
    (tmp_path / "empty_1.fake").write_bytes(b"")
    (tmp_path / "text_1.txt").write_text("hello")
    (tmp_path / "hollow").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.md").write_text("hello")
    names, what, why = MISTAKES[kind]
    with pytest.raises(InputError) as caught:
        imported(*(tmp_path / name for name in names))
    assert what in caught.value.what and why in caught.value.why and caught.value.fix


def test_nothing_named() -> None:
    with pytest.raises(InputError, match="No images"):
        imported()


def test_a_file_in_the_middle_that_is_no_image(tmp_path: Path) -> None:
    sweep(tmp_path, range(1, 6))
    (tmp_path / "a_0003.fake").write_text("something else")
    with pytest.raises(InputError, match=r"a_0003\.fake is no fake image"):
        imported(tmp_path)


@pytest.mark.parametrize("number", [1, 5])
def test_damaged_pixels_of_the_first_and_last_image_are_seen(number: int, tmp_path: Path) -> None:
    sweep(tmp_path, range(1, 6))
    path = tmp_path / f"a_{number:04d}.fake"
    path.write_text(path.read_text() + " cut")
    with pytest.raises(InputError, match=rf"{path.name} is cut"):
        imported(tmp_path)
    assert len(imported(tmp_path, check=False).experiments) == 1


def test_mixed_detectors_in_one_sweep(tmp_path: Path) -> None:
    write(tmp_path / "a_1.fake", 1.0)
    write(tmp_path / "a_2.fake", 2.0, place="other")
    with pytest.raises(InputError, match="another detector") as caught:
        imported(tmp_path)
    assert "487 x 195 px, not 487 x 407 px" in caught.value.why


def test_what_the_header_lacks_must_be_told(tmp_path: Path) -> None:
    write(tmp_path / "a_1.fake", 1.0, wavelength=0.0)
    with pytest.raises(InputError, match=r"--set import\.wavelength="):
        imported(tmp_path)
    write(tmp_path / "a_1.fake", 1.0, place="nowhere")
    with pytest.raises(InputError, match=r"--set import\.distance="):
        imported(tmp_path)
    assert len(imported(tmp_path, distance=100.0).experiments) == 1


@dataclass(frozen=True)
class Twin(FakeReader):
    name: ClassVar[str] = "twin"


@dataclass(frozen=True)
class Broken(FakeReader):
    name: ClassVar[str] = "broken"

    def match(self, path: Path, head: bytes) -> int:  # type: ignore[override]
        raise IndexError("oops")


def test_readers_that_tie_are_both_named_and_one_can_be_chosen(tmp_path: Path) -> None:
    files = sweep(tmp_path, [1, 2])
    with pytest.raises(PluginError, match="'fake' and 'twin'"):
        import_images(files, [FakeReader(), Twin()])
    result = import_images(files, [FakeReader(), Twin()], ImportOptions(reader="twin"))
    assert result.readers == ("twin",)
    assert import_images(files, [FakeReader(), Twin(level=3)]).readers == ("twin",)
    with pytest.raises(UsageError, match="Did you mean 'twin'"):
        import_images(files, [Twin()], ImportOptions(reader="twim"))


def test_a_broken_reader_is_its_own_fault(tmp_path: Path) -> None:
    files = sweep(tmp_path, [1, 2])
    with pytest.raises(PluginError, match=r"'broken' failed to judge .*a_0001\.fake"):
        import_images(files, [FakeReader(), Broken()])
    files[1].write_text("FAKE explode")
    with pytest.raises(PluginError, match=r"'fake' broke on .*a_0002\.fake"):
        imported(*files)


def test_images_open_again_with_the_reader_that_imported_them(tmp_path: Path) -> None:
    sweep(tmp_path, [3, 4, 5])
    item = imported(tmp_path).experiments[0]
    assert item.imageset is not None
    series = open_series(item.imageset, [Twin(), FakeReader()], item.scan)
    assert len(series) == 3 and series.header(1).start == radians(4.0)
    assert len(open_series(item.imageset, READERS)) == 3
    # An experiment of DIALS does not name a reader.
    assert len(open_series(ImageSet(item.imageset.template), READERS, item.scan)) == 3
    with pytest.raises(PluginError, match="imported with the reader 'fake'"):
        open_series(item.imageset, [Twin()], item.scan)
    (tmp_path / "a_0004.fake").unlink()
    with pytest.raises(InputError, match=r"a_0004\.fake is not there"):
        open_series(item.imageset, READERS, item.scan)


def test_a_still_opens_again(tmp_path: Path) -> None:
    sweep(tmp_path, [7], width=0.0)
    item = imported(tmp_path).experiments[0]
    assert item.imageset is not None
    assert open_series(item.imageset, READERS, item.scan).header(0).width == 0.0


def test_a_sweep_can_be_longer_than_what_is_there(tmp_path: Path) -> None:
    sweep(tmp_path, range(1, 4))
    (item,) = imported(tmp_path, expect=10).experiments
    assert item.scan is not None and item.scan.image_range == (1, 10) and item.scan.epochs == ()
    assert len(item.scan.exposure_times) in (0, 10)
    assert image_ranges(imported(tmp_path, expect=3).experiments) == [(1, 3)]
    with pytest.raises(UsageError, match="2 images are expected, and 3 are there"):
        imported(tmp_path, expect=2)
    sweep(tmp_path, range(1, 3), "b_{:04d}.fake")
    with pytest.raises(UsageError, match="2 experiments"):
        imported(tmp_path, expect=10)


@pytest.mark.parametrize("number", [0, 2, 5])
def test_images_that_cannot_be_read_are_left_out_when_asked(number: int, tmp_path: Path) -> None:
    paths = sweep(tmp_path, range(1, 7))
    paths[number].write_text("")
    with pytest.raises(InputError) as caught:
        imported(*paths)
    assert paths[number].name in str(caught.value)
    done = imported(*paths, on_bad_image="skip")
    ranges = {0: [(2, 6)], 2: [(1, 2), (4, 6)], 5: [(1, 5)]}[number]
    assert image_ranges(done.experiments) == ranges and done.n_images == 5
    starts = [degrees(item.scan.oscillation[0]) for item in done.experiments if item.scan]
    assert starts == pytest.approx([first * 1.0 for first, _ in ranges])
    assert (
        "1 image left out that cannot be read" in done.warnings[0] and paths[number].name in done.warnings[0]
    )


def test_when_no_image_can_be_read_the_first_is_named(tmp_path: Path) -> None:
    paths = [path for path in sweep(tmp_path, range(1, 4)) if path.write_text("real")]
    with pytest.raises(InputError, match=paths[0].name):
        imported(*paths, on_bad_image="skip", reader="fake")
