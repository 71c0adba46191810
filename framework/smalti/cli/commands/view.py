"""``smalti view``: look at images, spots and predictions, in the browser."""

from __future__ import annotations

import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from smalti.cli.command import Choice, Command, Daily, Outcome, Request, Stage, Switch
from smalti.cli.files import Kind, check_exist, recognise
from smalti.errors import InputError, UsageError
from smalti.models import Experiments
from smalti.roles import SpotFinder
from smalti.steps.png import png_bytes
from smalti.steps.viewing import Scene, Session, ViewOptions, open_gallery, render
from smalti.steps.viewing.masks import read_shapes
from smalti.steps.viewing.serving import Viewer, address_of, tunnel_of
from smalti.steps.viewing.spots import index_spots
from smalti.steps.viewing.thresholding import FinderChoice
from smalti.storage import read_experiments, read_reflections, refuse_overwriting, write_whole

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage(
    "view",
    ViewOptions,
    (
        Choice(
            "finder",
            "spot_finder",
            "dispersion_extended",
            "Which spot finder the threshold view begins with.",
        ),
    ),
    roles=("reader", "spot_finder"),
)
_DEFAULT_MASK = "mask.npy"


def run(request: Request) -> Outcome:
    """Serve the page until it is interrupted, or draw one picture."""
    session, inputs = _session(request)
    picture = request.switch("png")
    if picture:
        path = Path(picture)
        refuse_overwriting([path], inputs)
        rgb = render(session, session.options)
        write_whole(path, png_bytes(rgb))
        height, width, _ = rgb.shape
        return Outcome({"width": width, "height": height}, "", (path,))
    return _serve(request, session)


def _session(request: Request) -> tuple[Session, tuple[Path, ...]]:
    """Read what is to be shown."""
    models, tables, other = _sorted(request)
    settings = request.settings
    experiments = read_experiments(models)
    gallery = open_gallery(experiments, settings.components("reader"))
    mask = Path(request.switch("mask_file") or _DEFAULT_MASK)
    if mask.suffix != ".npy":
        raise UsageError(
            f"--mask-file {mask} is no name of a mask.", "Masks are NumPy arrays.", "End it in .npy."
        )
    refuse_overwriting([mask], [models, *tables])
    read_shapes(mask)  # a file that cannot be read again is told now, not when work would be lost
    chosen = settings.component(STAGE, "finder")
    classes: tuple[type[SpotFinder], ...] = tuple(c.cls for c in settings.registry.role("spot_finder"))
    session = Session(
        Scene(gallery),
        index_spots(gallery, [read_reflections(path) for path in tables]),
        tuple(path.name for path in tables),
        FinderChoice(classes, chosen),
        settings.options(STAGE),
        (str(models),),
        _fitting(read_experiments(other), experiments, other) if other else None,
        mask.absolute(),
    )
    gallery.find(session.options.frame - 1)
    return session, (models, *tables)


def _sorted(request: Request) -> tuple[Path, tuple[Path, ...], Path | None]:
    """Tell the models from the tables, and from the models to compare with."""
    paths = check_exist(request.files)
    kinds = {path: recognise(path) for path in paths}
    models = [path for path in paths if kinds[path] is Kind.EXPERIMENTS]
    tables = tuple(path for path in paths if kinds[path] is Kind.REFLECTIONS)
    strange = [path for path in paths if path not in models and path not in tables]
    if strange:
        image = kinds[strange[0]] in (Kind.IMAGE, Kind.FOLDER)
        raise InputError(
            f"{strange[0]} is {kinds[strange[0]].value}.",
            "smalti view takes an experiment list (.expt) and reflection tables (.refl, .h5).",
            f"First: smalti import {strange[0]} -o imported.expt" if image else f"Example: {COMMAND.example}",
        )
    if len(models) != 1:
        raise UsageError(
            "smalti view needs one experiment list (.expt).",
            f"Given: {', '.join(map(str, models)) or 'none'}.",
            "Give another geometry to compare with as --before EXPT.",
        )
    named = request.switch("before")
    return models[0], tables, check_exist([named])[0] if named else None


def _fitting(other: Experiments, shown: Experiments, path: Path) -> Experiments:
    """Check that two geometries are of the same experiments."""
    same = len(other) == len(shown) and all(
        [(p.window, p.image_size) for p in a.detector.panels]
        == [(p.window, p.image_size) for p in b.detector.panels]
        for a, b in zip(other, shown, strict=True)
    )
    if not same:
        raise InputError(
            f"{path} does not describe the experiments shown.",
            "The number of experiments or the panels differ.",
            "Give the models of an earlier or later step of the same data.",
        )
    return other


def _port(word: str | None) -> int:
    if word is None:
        return 0
    if not word.isdecimal() or int(word) > 65535:
        raise UsageError(
            f"--port {word} is no port.", "Ports are 1 to 65535.", "Leave it out to take a free one."
        )
    return int(word)


def _serve(request: Request, session: Session) -> Outcome:
    """Serve until Ctrl-C, which is how one closes the viewer and no error."""
    options, scene = session.options, session.scene
    scene.prepare(scene.shot(options.frame - 1, options.sum, options.how), options.pool)
    with Viewer(session, _port(request.switch("port"))) as viewer:
        address = address_of(viewer)
        absent = scene.gallery.absent
        lost = [f"{len(absent)} images are not there, {Path(absent[0]).name} the first."] if absent else []
        _say(
            [
                *lost,
                f"Open {address}",
                f"From another machine: {tunnel_of(viewer)}    (there, open the same address)",
                f"Masks drawn on the page are saved as {session.mask_file}; nothing else is written.",
                "Ctrl-C ends it.",
            ]
        )
        if not request.switch("no_browser"):
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            viewer.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            pass
        finally:
            scene.close()
    return Outcome({"address": f"http://127.0.0.1:{viewer.port}/"}, "Closed.")


def _say(lines: Sequence[str]) -> None:
    """Say where the page is at once: the outcome of the command comes only when it has ended."""
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


COMMAND = Command(
    "view",
    run,
    usage="EXPT [REFL...]",
    details=(
        "Shows the images of an experiment list in the browser, with the spots of reflection tables, "
        "predictions, rings and panels over them, at any sum of frames. The page is served on this machine "
        "only, under an address that nobody can guess; the line for an ssh tunnel is printed. Press ? on the "
        "page for its keys. --png draws one view into a file, without a browser."
    ),
    example="smalti view refined.expt refined.refl --before indexed.expt",
    stages=(STAGE,),
    daily=(
        Daily("--frame", "view.frame"),
        Daily("--sum", "view.sum"),
        Daily("--how", "view.how"),
        Daily("--place", "view.place"),
        Daily("--zoom", "view.zoom"),
        Daily("--centre", "view.centre"),
        Daily("--show", "view.show"),
        Daily("--width", "view.width"),
    ),
    switches=(
        Switch("--before", "Another geometry of the same experiments, to blink with.", ("EXPT",)),
        Switch("--png", "Draw the view into a PNG file, and end.", ("FILE",)),
        Switch("--mask-file", f"Where drawn masks are saved  [default: {_DEFAULT_MASK}]", ("FILE",)),
        Switch("--port", "Port of the page  [default: a free one]", ("N",)),
        Switch("--no-browser", "Print the address, and open no browser."),
    ),
)
