"""What is answered under each address."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, get_args

import numpy as np

from smalti.errors import UsageError
from smalti.roles import SpotFinder
from smalti.steps.reporting.numbers import listed
from smalti.steps.viewing.explained import COUNTS, Picture
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.masks import mask_of, read_shapes, shape_from, write_mask
from smalti.steps.viewing.probing import probe
from smalti.steps.viewing.profiles import histogram, line_profile, radial_profile
from smalti.steps.viewing.pyramid import TILE, Pool, level_shape
from smalti.steps.viewing.rings import RING_KINDS
from smalti.steps.viewing.scene import Scene, Shot, packed
from smalti.steps.viewing.seeing import Band, band_of
from smalti.steps.viewing.serving.asking import Answer, Question, as_json
from smalti.steps.viewing.session import WHICH, Session
from smalti.steps.viewing.spots import Spots
from smalti.steps.viewing.stacking import HOWS
from smalti.steps.viewing.thresholding import command_of, make_finder, strong_pixels

__all__ = ["READING", "WRITING", "Route"]

Route = Callable[[Session, Question], Answer]
PLACES = ("image", "lab")
POOLS: tuple[Pool, ...] = get_args(Pool)
MOST_SUMMED = 1000
MOST_SPOTS = 20_000
"""Most spots or predictions sent for one picture; more could not be told apart."""
_writing = threading.Lock()


def _shot(viewer: Session, asked: Question) -> Shot:
    """Read which frames are meant: ``frame`` from 0, ``n``, ``how``; ``map`` where not the counts are."""
    how = next(how for how in HOWS if how == asked.one_of("how", HOWS))
    name = asked.text("map", COUNTS)
    picture = None if name == COUNTS else Picture(_finder(viewer, asked), name)
    return viewer.scene.shot(asked.whole("frame", 0), asked.whole("n", 1, 1, MOST_SUMMED), how, picture)


def _tuned(viewer: Session, asked: Question) -> tuple[str, dict[str, str]]:
    """Name and options of the spot finder: ``finder``, and ``o.NAME=VALUE``."""
    values = {key[2:]: value for key, value in asked.words.items() if key.startswith("o.")}
    return asked.text("finder", viewer.finders.chosen.name), values


def _finder(viewer: Session, asked: Question) -> SpotFinder:
    return make_finder(viewer.finders, *_tuned(viewer, asked))


def _span(scene: Scene, shot: Shot) -> tuple[Roll, int, int]:
    """The roll of a shot and the array indices between which its frames lie."""
    roll, index = scene.gallery.find(shot.frame)
    return roll, roll.start + index, roll.start + index + shot.n


def session(viewer: Session, asked: Question) -> Answer:
    """Tell what there is."""
    return as_json(viewer.describe())


def pixels(viewer: Session, asked: Question) -> Answer:
    """Give the pixels of a level, whole or one tile; the overview has frames near it read ahead."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    roll = scene.roll(shot)
    pool = next(pool for pool in POOLS if pool == asked.one_of("pool", POOLS))
    top = scene.overview(roll)
    level = asked.whole("level", top, 0, top)
    place = None
    if "column" in asked.words:
        rows, columns = level_shape((roll.size[1], roll.size[0]), level)
        last_column, last_row = (columns - 1) // TILE, (rows - 1) // TILE
        place = asked.whole("column", 0, 0, last_column), asked.whole("row", 0, 0, last_row)
    payload = scene.payload(shot, level, pool, place)
    step = asked.whole("step", 0, -1000, 1000)
    if step:
        scene.read_ahead(shot, pool, step)
    headers = {
        "X-Shape": f"{payload.shape[0]},{payload.shape[1]}",
        "X-Type": payload.kind,
        "X-Divisor": str(payload.divisor),
        **({"Content-Encoding": "deflate"} if payload.packed else {}),
    }
    return Answer(payload.body, "application/octet-stream", headers)


def about(viewer: Session, asked: Question) -> Answer:
    """Tell the contrast, the file and the angles of a shot."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    roll, index = scene.gallery.find(shot.frame)
    angles = roll.angles(index)
    last = roll.angles(index + shot.n - 1)
    degrees = None if angles is None or last is None else listed(np.degrees([angles[0], last[1]]), 7)
    contrast = {name: float(f"{value:.6g}") for name, value in asdict(scene.contrast(shot)).items()}
    return as_json(
        {
            **contrast,
            "n": shot.n,
            "file": roll.file(index),
            "image": roll.start + index + 1,
            "angles": degrees,
        }
    )


def spots(viewer: Session, asked: Question) -> Answer:
    """Give the spots of the tables on the frames shown."""
    roll, begin, end = _span(viewer.scene, _shot(viewer, asked))
    found = viewer.spots.on(roll.number, begin, end)
    total = len(found)
    if total > MOST_SPOTS:
        found = found.take(np.linspace(0, total - 1, MOST_SPOTS).astype(np.intp))
    return as_json({"total": total, **_listed(found)})


def _listed(found: Spots) -> dict[str, Any]:
    return {
        "panel": found.panel.tolist(),
        "x": listed(found.observed[:, 0], 6),
        "y": listed(found.observed[:, 1], 6),
        "size": listed(found.size, 3),
        "dx": listed(found.predicted[:, 0] - found.observed[:, 0]),
        "dy": listed(found.predicted[:, 1] - found.observed[:, 1]),
        "kind": found.kind.tolist(),
        "table": found.table.tolist(),
        "hkl": found.hkl.tolist(),
    }


def predicted(viewer: Session, asked: Question) -> Answer:
    """Give what the crystals should diffract on the frames shown."""
    roll, begin, end = _span(viewer.scene, _shot(viewer, asked))
    found = viewer.predictions(roll, begin, end, asked.one_of("which", WHICH))
    rows = np.arange(len(found))
    if len(found) > MOST_SPOTS:
        rows = np.linspace(0, len(found) - 1, MOST_SPOTS).astype(np.intp)
    return as_json(
        {
            "total": len(found),
            "panel": found.panel[rows].tolist(),
            "x": listed(found.px[rows, 0], 6),
            "y": listed(found.px[rows, 1], 6),
            "hkl": found.hkl[rows].tolist(),
            "experiment": found.experiment[rows].tolist(),
        }
    )


def rings(viewer: Session, asked: Question) -> Answer:
    """Give the rings of a kind, each with its pieces on the panels; ``zoom`` where only a part is seen."""
    roll, which = viewer.scene.roll(_shot(viewer, asked)), asked.one_of("which", WHICH)
    band = _band(viewer, roll, which, asked) if "zoom" in asked.words else None
    found = viewer.rings(roll, asked.one_of("kind", RING_KINDS), which, band)
    return as_json(
        [
            {
                "d": ring.d,
                "name": ring.name,
                "pieces": [{"panel": panel, "px": listed(px, 6)} for panel, px in ring.pieces],
            }
            for ring in found
        ]
    )


def _band(viewer: Session, roll: Roll, which: str, asked: Question) -> Band | None:
    """The resolutions between ``left``, ``top``, ``right`` and ``bottom`` of ``place``."""
    corner = np.array([asked.number("left"), asked.number("top")])
    extent = np.array([asked.number("right"), asked.number("bottom")]) - corner
    zoom = asked.number("zoom")
    if zoom <= 0.0 or np.any(extent <= 0.0):
        raise UsageError("This is no part of a picture.", "", "Send left < right, top < bottom and zoom > 0.")
    layout = viewer.layout(roll, asked.one_of("place", PLACES))
    return band_of(layout, viewer.experiment(roll, which), corner, extent, zoom)


def under_cursor(viewer: Session, asked: Question) -> Answer:
    """Tell what is at a position of the raw frame."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    roll, begin, end = _span(scene, shot)
    found = viewer.spots.on(roll.number, begin, end)
    which = asked.one_of("which", WHICH)
    told = probe(scene, shot, asked.number("x"), asked.number("y"), found, viewer.experiments(which))
    return as_json(told)


def radial(viewer: Session, asked: Question) -> Answer:
    """Give the mean count by resolution."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    roll = scene.roll(shot)
    q, mean, spread = radial_profile(scene.stack(shot), scene.ground(roll), viewer.radial_bins(roll))
    return as_json({"q": listed(q, 5), "mean": listed(mean, 5), "spread": listed(spread)})


def counts(viewer: Session, asked: Question) -> Answer:
    """Give the histogram of the usable pixels."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    edges, n = histogram(scene.stack(shot), scene.ground(scene.roll(shot)))
    return as_json({"edges": listed(edges, 6), "pixels": n.tolist()})


def line(viewer: Session, asked: Question) -> Answer:
    """Give the counts at the points of the body, [[x, y], ...] in pixels of the raw frame."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    try:
        points = np.array(asked.json(), dtype=float).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.full((1, 2), np.nan)
    if not np.isfinite(points).all() or np.abs(points).max(initial=0.0) > 1e6:
        raise UsageError("The body holds no points.", "", "Send [[x, y], ...].")
    values, divisor = scene.level(shot, 0, "mean")
    found = line_profile(values, points)
    return as_json([None if value is None else value / divisor for value in found])


def threshold(viewer: Session, asked: Question) -> Answer:
    """Give the strong pixels of the raw frame, one byte a pixel; options come as ``o.NAME=VALUE``."""
    scene = viewer.scene
    shot = _shot(viewer, asked)
    name, values = _tuned(viewer, asked)
    stack = scene.stack(shot)
    strong = strong_pixels(stack, scene.ground(scene.roll(shot)), _finder(viewer, asked))
    marked = np.zeros(stack.total.shape, dtype=np.uint8)
    marked.reshape(-1)[strong] = 1
    payload = packed(marked, 1)
    headers = {
        "X-Shape": f"{payload.shape[0]},{payload.shape[1]}",
        "X-Strong": str(strong.size),
        "X-Command": command_of(viewer.finders, name, values, viewer.files),
        **({"Content-Encoding": "deflate"} if payload.packed else {}),
    }
    return Answer(payload.body, "application/octet-stream", headers)


def regions(viewer: Session, asked: Question) -> Answer:
    """Give the regions that were saved."""
    return as_json([asdict(shape) for shape in read_shapes(viewer.mask_file)])


def save_mask(viewer: Session, asked: Question) -> Answer:
    """Write the regions of the body as a mask of the frame shown."""
    items = asked.json()
    if not isinstance(items, list) or len(items) > 1000:
        raise UsageError("The body holds no regions.", "", "Send a list of regions.")
    shapes = tuple(shape_from(item) for item in items)
    roll = viewer.scene.roll(_shot(viewer, asked))
    layouts = {place: viewer.layout(roll, place) for place in PLACES}
    mask = mask_of(shapes, layouts, roll.size)
    with _writing:
        files = write_mask(viewer.mask_file, mask, shapes)
    covered = int(mask.size - np.count_nonzero(mask))
    return as_json({"files": [str(path) for path in files], "pixels": covered, "regions": len(shapes)})


READING: Mapping[str, Route] = {
    "session": session,
    "pixels": pixels,
    "about": about,
    "spots": spots,
    "predicted": predicted,
    "rings": rings,
    "probe": under_cursor,
    "radial": radial,
    "histogram": counts,
    "threshold": threshold,
    "mask": regions,
}
"""What GET answers."""

WRITING: Mapping[str, Route] = {"mask": save_mask, "line": line}
"""What POST answers; only ``mask`` writes anything."""
