"""The image set as DIALS writes it: a template with ``#``, or a list of images."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from smalti.models import ImageSet
from smalti.storage.places import Place

__all__ = ["read_imageset", "write_imageset"]

_CALIBRATIONS = ("gain", "pedestal", "dx", "dy")


def read_imageset(place: Place) -> ImageSet:
    """Read an image set.

    A relative path that leads to images from the folder of the file is made absolute, as DIALS does;
    any other is left as it stands (refinement needs no images).
    """
    fields = place.fields()
    folder = place.file.parent
    images = fields.maybe("images")
    indices = fields.maybe("single_file_indices")
    params = fields.maybe("params")
    return ImageSet(
        _found(folder, fields.text("template", "")),
        () if images is None else tuple(_found(folder, name) for name in images.texts()),
        () if indices is None else indices.integers(),
        {} if params is None else dict(params.fields().place.value),
        _found(folder, fields.text("mask", "")),
        fields.rest(),
    )


def _found(folder: Path, name: str) -> str:
    if not name or os.path.isabs(name):
        return name
    path = os.path.abspath(os.path.join(folder, name))
    return path if _exists(path) else name


def _exists(path: str) -> bool:
    """Tell whether a file, or any image of a template, is there."""
    if "#" not in path:
        return os.path.exists(path)
    where, name = os.path.split(path)
    pattern = re.compile(re.escape(name).replace(r"\#", "[0-9]"))
    try:
        return any(pattern.fullmatch(found) for found in os.listdir(where))
    except (OSError, ValueError):
        return False


def write_imageset(imageset: ImageSet) -> dict[str, Any]:
    """Write an image set."""
    extra = dict(imageset.extra)
    kind = extra.pop("__id__", "ImageSequence" if imageset.template else "ImageSet")
    written: dict[str, Any] = {"__id__": kind}
    if imageset.template:
        written["template"] = imageset.template
    if imageset.images or not imageset.template:
        written["images"] = list(imageset.images)
    if imageset.indices:
        written["single_file_indices"] = list(imageset.indices)
    written["mask"] = imageset.mask or None
    written |= {key: extra.pop(key, None) for key in _CALIBRATIONS}
    return {**written, "params": dict(imageset.params), **extra}
