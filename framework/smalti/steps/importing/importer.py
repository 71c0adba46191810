"""The step: images to experiments."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from smalti.errors import InputError
from smalti.models import Detector, Experiment, Experiments, ImageSet
from smalti.progress import Progress, silent
from smalti.roles import Reader, Series
from smalti.solution import FrameHeader
from smalti.steps.executing import ordered
from smalti.steps.guarding import guarded
from smalti.steps.importing.collecting import Named, collect
from smalti.steps.importing.expecting import expecting
from smalti.steps.importing.holding import Held
from smalti.steps.importing.imported import Imported
from smalti.steps.importing.linking import without_linked
from smalti.steps.importing.naming import Numbered, group_by_template
from smalti.steps.importing.opening import choose_reader, named_reader
from smalti.steps.importing.options import ImportOptions
from smalti.steps.importing.overriding import Overrides, angles
from smalti.steps.importing.remembering import told
from smalti.steps.importing.sweeps import Sweep, divide
from smalti.steps.masking import MASK, fitting_mask
from smalti.steps.panelling import to_single
from smalti.text import plural

__all__ = ["import_images"]

T = TypeVar("T")


def import_images(
    paths: Sequence[Path],
    readers: Sequence[Reader],
    options: ImportOptions | None = None,
    progress: Progress = silent,
) -> Imported:
    """Make experiments from images.

    Parameters
    ----------
    paths : sequence of Path
        Files, folders, glob patterns, templates with ``#``.
    readers : sequence of Reader
        The best match reads; see :class:`smalti.solution.Match`.
    options : ImportOptions, optional
    progress : Progress, optional

    Raises
    ------
    InputError
        A file is missing, empty, damaged or no image; detectors are mixed in one sweep; the header
        lacks what no option tells.
    PluginError
        Two readers claim a file equally, or a reader breaks.
    """
    options = options or ImportOptions()
    named, warnings = _choose(collect(paths), readers, options)
    named = without_linked(named)
    chosen = [item for series, reader in named for item in _opened(series, reader)]
    total = sum(len(series.paths) for series, _, _ in chosen)
    overrides = Overrides(options)
    sweeps: list[tuple[Sweep, Reader]] = []
    done = used = 0
    for series, reader, images in chosen:

        def tell(count: int, before: int = done) -> None:
            progress("reading headers", before + count, total)

        done += len(series.paths)
        series, headers, bad = _headers(series, reader, images, options, overrides, tell)
        used += len(headers)
        warnings += bad
        starts, widths = angles(
            options, tuple(h.start for h in headers), tuple(h.width for h in headers), series.numbers
        )
        found, notes = divide(series, headers, starts, widths, options.stills)
        warnings += notes
        warnings += [f"{series.name}: {note}" for note in dict.fromkeys(headers[0].notes)]
        sweeps += [(sweep, reader) for sweep in found]
    experiments = _experiments(sweeps, options)
    if options.expect is not None:
        experiments = expecting(experiments, options.expect)
    names = tuple(dict.fromkeys(reader.name for _, reader in named))
    return Imported(experiments, used, names, tuple(warnings))


def _choose(
    named: Named, readers: Sequence[Reader], options: ImportOptions
) -> tuple[list[tuple[Numbered, Reader]], list[str]]:
    """Give each template its reader, judged by its first file."""
    chosen: list[tuple[Numbered, Reader]] = []
    passed: list[Path] = []
    for series in group_by_template(named.paths):
        first = next((path for path in series.paths if path.stat().st_size), series.paths[0])
        if options.reader:
            chosen.append((series, named_reader(options.reader, readers)))
            continue
        asked = any(path in named.by_name for path in series.paths)
        reader = choose_reader(first, readers) if asked or first.stat().st_size else None
        if reader is not None:
            chosen.append((series, reader))
        elif asked:
            raise _no_reader(first, readers)
        else:
            passed += series.paths
    if not chosen:
        raise _no_reader(passed[0], readers)
    if passed:
        names = ", ".join(path.name for path in passed[:3]) + (", ..." if len(passed) > 3 else "")
        return chosen, [f"{plural(len(passed), 'file')} passed over that no reader understands: {names}"]
    return chosen, []


def _no_reader(path: Path, readers: Sequence[Reader]) -> InputError:
    return InputError(
        f"{path} is not an image that any reader understands.",
        f"Asked: {', '.join(reader.name for reader in readers) or 'none is installed'}.",
        "Name image files only, or install a plugin for this format.",
    )


def _opened(series: Numbered, reader: Reader) -> list[tuple[Numbered, Reader, Series]]:
    """Open the files of a template; each that holds many images is a series of its own."""
    images = Held(reader.name, _called(reader, (series.paths[0], partial(reader.open, series.paths))))
    count = _called(reader, (series.paths[0], partial(len, images)))
    if count == len(series.paths):
        return [(series, reader, images)]
    if len(series.paths) > 1:
        each = [Numbered(str(path), (path,), (1,)) for path in series.paths]
        return [item for single in each for item in _opened(single, reader)]
    if not count:
        raise InputError(
            f"{series.paths[0]} holds no images.",
            "It describes a detector, but there are no frames in it.",
            "Name a file with images, or wait until it has been written.",
        )
    whole = Numbered(str(series.paths[0]), series.paths * count, tuple(range(1, count + 1)))
    return [(whole, reader, images)]


def _headers(
    series: Numbered,
    reader: Reader,
    images: Series,
    options: ImportOptions,
    overrides: Overrides,
    tell: Callable[[int], None],
) -> tuple[Numbered, list[FrameHeader], list[str]]:
    """Read the headers of a template with several threads; options applied.

    Images that cannot be read are left out, where that is asked for, as if they were not there.
    """
    headers: list[FrameHeader] = []
    bad: dict[int, InputError] = {}
    skip = options.on_bad_image == "skip" and not series.in_one_file
    work = [(path, partial(images.header, k)) for k, path in enumerate(series.paths)]
    for k, header in enumerate(ordered(partial(_attempted, reader, skip), work, options.jobs)):
        if isinstance(header, InputError):
            bad[k] = header
        else:
            headers.append(overrides.apply(header, series.paths[k]))
        tell(k + 1)
    kept = [k for k in range(len(work)) if k not in bad]
    if not kept:
        raise bad[0]
    if options.check and options.expect is None:
        _probe(images, reader, series, (kept[0], kept[-1]), options.jobs)
    if not bad:
        return series, headers, []
    first = str(next(iter(bad.values()))).replace("\n", " ")
    told = f"{series.name}: {plural(len(bad), 'image')} left out that cannot be read; the first: {first}"
    paths = tuple(series.paths[k] for k in kept)
    numbers = tuple(series.numbers[k] for k in kept)
    return replace(series, paths=paths, numbers=numbers), headers, [told]


def _probe(images: Series, reader: Reader, series: Numbered, ends: tuple[int, int], jobs: int) -> None:
    """Read the pixels of the first and last image: copies that were cut off are seen now, not hours later.

    The mask comes with the first image, in readers that have one.
    """

    def first() -> object:
        mask = images.mask()
        return images.read(ends[0]) if mask is None else mask

    calls: list[tuple[Path, Callable[[], object]]] = [(series.paths[ends[0]], first)]
    if ends[1] > ends[0]:
        calls.append((series.paths[ends[1]], partial(images.read, ends[1])))
    for _ in ordered(partial(_called, reader), calls, jobs):
        pass


def _attempted(
    reader: Reader, skip: bool, work: tuple[Path, Callable[[], FrameHeader]]
) -> FrameHeader | InputError:
    """Give the header, or where bad images are skipped what is wrong with the image."""
    try:
        return _called(reader, work)
    except InputError as error:
        if skip:
            return error
        raise error.or_else("To go on without such images: import.on_bad_image=skip.") from None


def _called(reader: Reader, work: tuple[Path, Callable[[], T]]) -> T:
    path, call = work
    return guarded(
        call, f"The reader '{reader.name}' broke on {path}.", "Tell its author; --debug shows where."
    )


def _experiments(sweeps: Sequence[tuple[Sweep, Reader]], options: ImportOptions) -> Experiments:
    """Make experiments that share equal models."""
    models: list[object] = []
    flat: dict[int, Detector] = {}

    def shared(model: T) -> T:
        for known in models:
            if isinstance(known, type(model)) and (known is model or known == model):
                return known
        models.append(model)
        return model

    items = []
    for sweep, reader in sweeps:
        detector = shared(sweep.header.detector)
        if options.panels == "single":
            detector = flat.setdefault(id(detector), to_single(detector).coarse)
        params = {"reader": reader.name, "multi_panel": options.panels == "modules", **told(reader)}
        imageset = ImageSet(sweep.template, indices=sweep.indices, params=params)
        if options.mask:
            params[MASK] = str(fitting_mask(Path(options.mask), sweep.header.size))
            imageset = replace(imageset, params=params)
        if sweep.scan is None:
            imageset = replace(imageset, template="", images=tuple(str(path) for path in sweep.paths))
        goniometer = None if sweep.scan is None else sweep.header.goniometer
        items.append(
            Experiment(
                shared(sweep.header.beam),
                detector,
                None if goniometer is None else shared(goniometer),
                sweep.scan,
                imageset=imageset,
                identifier=_identifier(sweep),
            )
        )
    return Experiments(tuple(items))


def _identifier(sweep: Sweep) -> str:
    """Give an identifier that depends on the images alone: importing twice gives the same one."""
    names = (sweep.template, *(str(path) for path in (sweep.paths[0], sweep.paths[-1])))
    # What follows names and scan tells the images of one file apart.
    told = repr((names, sweep.header.epoch, sweep.scan, *sweep.indices[:1]))
    digest = hashlib.sha256(told.encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
