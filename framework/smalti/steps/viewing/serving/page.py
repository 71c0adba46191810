"""The files of the page, and what the first of them is given to begin with."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from smalti.errors import InputError
from smalti.steps.viewing.serving.asking import Answer, as_json
from smalti.steps.viewing.session import Session

__all__ = ["page_file"]

_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_INDEX = "index.html"
_NOTHING = b'id="session">{}<'


@cache
def _assets() -> dict[str, bytes]:
    """The files of the page by name: only what is listed here can be asked for."""
    folder = files(__package__).joinpath("assets")
    return {
        item.name: item.read_bytes() for item in folder.iterdir() if item.name.rpartition(".")[2] in _KINDS
    }


def page_file(name: str, session: Session) -> Answer:
    """Give a file of the page; the page itself, with what there is to show, under the empty name.

    Raises
    ------
    InputError
        It is none of the page's own files.
    """
    name = name or _INDEX
    body = _assets().get(name)
    if body is None:
        raise InputError(f"There is no file {name[:80]}.", "Only the page's own files are served.")
    kind = _KINDS[name.rpartition(".")[2]]
    # The address is another one each time the viewer is started: files of the page may be kept.
    headers = {"Cache-Control": "private, max-age=3600"}
    if name == _INDEX:
        body, headers = _begun(body, session), {}
    return Answer(body, f"{kind}; charset=utf-8", headers)


def _begun(body: bytes, session: Session) -> bytes:
    """Write into the page what it would ask first: the way there and back is time without a picture.

    It stands in a script element that is data; none of it may be taken for the end of the element.
    """
    told = as_json(session.describe()).body.replace(b"<", b"\\u003c")
    return body.replace(_NOTHING, b'id="session">' + told + b"<", 1)
