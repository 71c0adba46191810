"""The scan as DIALS writes it, in its older form and in the one with a table of properties."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalti.models import Scan
from smalti.storage.places import Fields, Place
from smalti.units import clean_degrees, radians

__all__ = ["read_scan", "write_scan"]

_MOST_IMAGES = 10_000_000
"""A damaged image range must not make a table of a thousand million numbers."""


def read_scan(place: Place) -> Scan:
    """Read a scan in either form."""
    fields = place.fields()
    first, last = fields.integers("image_range", 2)
    if last < first:
        raise fields.at("image_range").fail(f"the last image, {last}, is before the first, {first}")
    n = last - first + 1
    if n > _MOST_IMAGES:
        raise fields.at("image_range").fail(f"{n:,} images are more than any scan has")
    properties = fields.maybe("properties")
    if properties is None:
        source = fields
        start, width = fields.numbers("oscillation", 2)
    else:
        source = properties.fields()
        start, width = _oscillation(source, n)
    exposure, epochs = _per_image(source, "exposure_time", n), _per_image(source, "epochs", n)
    batch = fields.integer("batch_offset", 0)
    extra = fields.rest()
    if properties is not None and (further := source.rest()):
        extra["properties"] = further
    return Scan((first, last), (radians(start), radians(width)), exposure, epochs, batch, extra)


def _oscillation(properties: Fields, n: int) -> tuple[float, float]:
    """Give start and width (degrees) from the start angle of each image.

    With one image the width stands beside it. A scan without angles (stills, time of flight) has
    width 0.
    """
    alone = properties.maybe("oscillation_width")
    starts = properties.maybe("oscillation")
    if starts is None:
        return 0.0, 0.0
    angles = np.array(starts.numbers(n))
    width = 0.0
    if n == 1 and alone is not None:
        width = alone.numbers(1)[0] if isinstance(alone.value, list) else alone.number()
    elif n > 1:
        steps = np.diff(angles)
        width = float(angles[-1] - angles[0]) / (n - 1)
        if np.max(np.abs(steps - width)) > 1e-6 * max(abs(width), 1e-3):
            raise starts.fail("the images are not of equal width", "Split the scan where the width changes.")
    return float(angles[0]), clean_degrees(radians(width))


def _per_image(fields: Fields, key: str, n: int) -> tuple[float, ...]:
    """Read one number per image; old files give one for all."""
    place = fields.maybe(key)
    if place is None or place.value == []:
        return ()
    if not isinstance(place.value, list):
        return (place.number(),) * n
    return place.numbers(n)


def write_scan(scan: Scan) -> dict[str, Any]:
    """Write a scan: in the older form, which every version reads, unless it has further properties."""
    start, width = (clean_degrees(angle) for angle in scan.oscillation)
    n = scan.n_images
    exposure, epochs = list(scan.exposure_times), list(scan.epochs)
    written: dict[str, Any] = {"image_range": list(scan.image_range), "batch_offset": scan.batch_offset}
    extra = dict(scan.extra)
    properties = extra.pop("properties", None)
    if properties is None:
        written |= {"oscillation": [start, width], "exposure_time": exposure, "epochs": epochs}
    else:
        angles = [clean_degrees(scan.oscillation[0] + k * scan.oscillation[1]) for k in range(n)]
        own = {"oscillation": angles, "exposure_time": exposure, "epochs": epochs}
        if n == 1:
            own["oscillation_width"] = [width]
        # A table has one number per image in each column, so what is unknown is no column.
        written["properties"] = {**{key: values for key, values in own.items() if values}, **properties}
    return {**written, "valid_image_ranges": {}, **extra}
