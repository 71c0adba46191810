"""Pairs of files, of models and of reflections, wherever they are: named, in folders, or in lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import InputError, UsageError

__all__ = ["Pair", "find_pairs"]

_TABLES = (".refl", ".h5", ".hdf5")
_LISTS = (".txt", ".lst")
_NAMED = 3


@dataclass(frozen=True, order=True)
class Pair:
    """An experiment list and the reflection table that belongs to it."""

    experiments: Path
    reflections: Path


def find_pairs(places: Sequence[str | Path]) -> tuple[Pair, ...]:
    """Find all pairs, in the order of their names, whatever the order of the places.

    Files of one name belong together: ``run7.expt`` and ``run7.refl``, or ``run7.h5``. Of a folder all that
    have a partner are taken, of a list (``.txt``, ``.lst``) those that it names, one a line. One experiment
    list and one table belong together whatever their names.

    Raises
    ------
    InputError
        Something is not there, or has no partner.
    UsageError
        There is nothing to refine.
    """
    found = [item for place in places for item in _files(Path(place), listed=True)]
    files = sorted({file.resolve() for file, _ in found})
    named = {file.resolve() for file, is_named in found if is_named}
    models = [file for file in files if file.suffix == ".expt"]
    tables = [file for file in files if file.suffix in _TABLES]
    if not models and not tables:
        raise UsageError(
            "There is nothing to refine.",
            f"No .expt and .refl files are given or found in: {', '.join(map(str, places)) or 'nothing'}.",
            "Give pairs of files, folders of them, or a list: smalti refine indexed/ --stream",
        )
    if len(models) == len(tables) == 1:
        return (Pair(models[0], tables[0]),)
    return _matched(models, tables, named)


def _files(place: Path, *, listed: bool = False) -> list[tuple[Path, bool]]:
    """Give the files of a place, and whether each was named itself and not found in a folder."""
    if place.is_dir():
        return [(file, False) for file in place.iterdir() if file.suffix in (".expt", *_TABLES)]
    if not place.exists():
        raise InputError(f"There is no file or folder {place}.", "", "Check the path.")
    if listed and place.suffix in _LISTS:
        lines = (line.strip() for line in place.read_text(encoding="utf-8").splitlines())
        named = [place.parent / line for line in lines if line and not line.startswith("#")]
        return [item for name in named for item in _files(name)]
    return [(place, True)]


def _matched(models: Sequence[Path], tables: Sequence[Path], named: Collection[Path]) -> tuple[Pair, ...]:
    by_stem = {table.with_suffix(""): table for table in tables}
    if len(by_stem) < len(tables):
        twice = next(table for table in tables if by_stem[table.with_suffix("")] != table)
        raise InputError(
            f"There are two reflection tables {twice.with_suffix('')}.",
            f"{twice.name} and {by_stem[twice.with_suffix('')].name} could both belong to the models.",
            "Give only one of them.",
        )
    lonely = [model for model in models if model.with_suffix("") not in by_stem]
    lonely += [table for stem, table in by_stem.items() if stem.with_suffix(".expt") not in models]
    pairs = tuple(Pair(model, by_stem[model.with_suffix("")]) for model in models if model not in lonely)
    lonely = [file for file in lonely if file in named or not pairs]
    if lonely:
        more = f" and {len(lonely) - _NAMED} more" if len(lonely) > _NAMED else ""
        raise InputError(
            f"These files have no partner: {', '.join(map(str, lonely[:_NAMED]))}{more}.",
            "An experiment list and its reflection table have the same name but for the ending.",
            "Give both of each pair, or rename them.",
        )
    return pairs
