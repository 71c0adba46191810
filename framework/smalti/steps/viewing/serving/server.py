"""The HTTP server: on this machine only, to those who know the token only.

The address is http://127.0.0.1:PORT/TOKEN/. Whatever else is asked is refused: another token (compared
in constant time), another host name (a page elsewhere could have its name point here: DNS rebinding), a
request that another origin makes, a file that is not one of the page's own.
"""

from __future__ import annotations

import hmac
import json
import queue
import secrets
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from smalti.errors import InputError, SmaltiError, UsageError
from smalti.steps.viewing.serving.asking import Answer, Question, as_json
from smalti.steps.viewing.serving.events import Bell
from smalti.steps.viewing.serving.page import page_file
from smalti.steps.viewing.serving.routes import READING, WRITING
from smalti.steps.viewing.session import Session

__all__ = ["Viewer", "address_of", "tunnel_of"]

HOST = "127.0.0.1"
LARGEST_BODY = 4_000_000
QUIET = 15.0
"""Seconds after which a listening page is sent a line of nothing, to notice that it went away."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Viewer(ThreadingHTTPServer):
    """The server of one session.

    Parameters
    ----------
    session : Session
    port : int
        0 takes a free one.

    Raises
    ------
    UsageError
        The port is in use.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, session: Session, port: int = 0) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(24)
        self.bell = Bell()
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UsageError(
                f"The viewer cannot use port {port}.",
                f"{error.strerror}.",
                "Leave --port out to take a free one.",
            ) from None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a page goes away in the middle of an answer."""

    def show(self, asked: Question) -> Answer:
        """Have all open pages show a file and a frame; of each browser, one listens and tells the others."""
        gallery = self.session.scene.gallery
        number = asked.whole("frame", 0, 1) or None
        name = asked.text("file")
        frame = gallery.search(name, number) if name else (number or 1) - 1
        gallery.find(frame)
        told = {"frame": frame + 1}
        return as_json({**told, "browsers": self.bell.ring(told)})


def address_of(viewer: Viewer, fragment: str = "") -> str:
    """The address of the page."""
    return f"http://{HOST}:{viewer.port}/{viewer.token}/" + (f"#{fragment}" if fragment else "")


def tunnel_of(viewer: Viewer) -> str:
    """The command that brings the page to another machine."""
    return f"ssh -N -L {viewer.port}:{HOST}:{viewer.port} {socket.gethostname()}"


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "smalti"
    sys_version = ""
    server: Viewer
    timeout = 120

    def setup(self) -> None:
        """Send small answers at once: waiting to fill packets would cost 40 ms each."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet: the token is in every line."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        refusal = self._refusal(parts.path)
        if refusal is not None:
            # What was not read of a refused request would be taken for the next one.
            self.close_connection = True
            self._send_error(*refusal)
            return
        name = parts.path.split("/", 2)[2]
        if name == "api/events" and self.command == "GET":
            self._tell_events()
            return
        try:
            self._send(self._find(name, parts.query))
        except SmaltiError as error:
            status = HTTPStatus.NOT_FOUND if isinstance(error, InputError) else HTTPStatus.BAD_REQUEST
            self._send_error(status, error)
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            bug = SmaltiError(
                f"smalti made a mistake: {type(error).__name__}: {error}", "", "Please report it."
            )
            self._send_error(HTTPStatus.INTERNAL_SERVER_ERROR, bug)

    def _refusal(self, path: str) -> tuple[HTTPStatus, SmaltiError] | None:
        """Tell why a request is not answered at all."""
        own = {f"{name}:{self.server.port}" for name in (HOST, "localhost")}
        if self.headers.get("Host", "") not in own:
            return HTTPStatus.FORBIDDEN, UsageError("This host name is not served.")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in own:
            return HTTPStatus.FORBIDDEN, UsageError("Another page may not ask here.")
        token = path.split("/", 2)[1] if path.count("/") >= 2 else ""
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return HTTPStatus.FORBIDDEN, UsageError(
                "The token is missing or wrong.", "", "Use the whole address."
            )
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY or "Transfer-Encoding" in self.headers:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, UsageError("The body is too large.")
        return None

    def _find(self, name: str, query: str) -> Answer:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked = Question.of(query, body)
        if name == "api/show":
            return self.server.show(asked)
        if name.startswith("api/"):
            route = (WRITING if self.command == "POST" else READING).get(name[4:])
            if route is None:
                raise InputError(f"There is nothing under {name[:80]}.", "", "See reference/viewer.md.")
            return route(self.server.session, asked)
        if self.command != "GET":
            raise InputError(f"Nothing can be sent to {name[:80]}.", "", "See reference/viewer.md.")
        return page_file(name, self.server.session)

    def _send(self, answer: Answer, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in {**_SAFE, "Content-Type": answer.kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def _send_error(self, status: HTTPStatus, error: SmaltiError) -> None:
        told = {"what": error.what, "why": error.why, "fix": error.fix}
        try:
            self._send(Answer(json.dumps(told).encode()), status)
        except ConnectionError:
            self.close_connection = True

    def _tell_events(self) -> None:
        """Keep the connection open and tell a page what it is asked to show (server-sent events)."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        for name, value in {**_SAFE, "Content-Type": "text/event-stream"}.items():
            self.send_header(name, value)
        self.end_headers()
        with self.server.bell.listening() as told:
            try:
                while True:
                    try:
                        self.wfile.write(b"data: " + told.get(timeout=QUIET) + b"\n\n")
                    except queue.Empty:
                        self.wfile.write(b": still here\n\n")
                    self.wfile.flush()
            except OSError:
                return
