"""The server: what it answers, and what it refuses."""

from __future__ import annotations

import http.client
import json
import threading
import zlib
from contextlib import contextmanager

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.steps.masking import masked_by
from smalti.steps.viewing.serving import Viewer, address_of, tunnel_of

from ..film import counts, session
from ..test_geometry_of_views import spots


@contextmanager
def served(shown):
    with Viewer(shown) as viewer:
        thread = threading.Thread(target=viewer.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield Client(viewer)
        finally:
            viewer.shutdown()
            thread.join(5)
            shown.scene.close()


class Client:
    def __init__(self, viewer):
        self.viewer = viewer

    def raw(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.viewer.port, timeout=10)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def get(self, name, **more):
        return self.raw(f"/{self.viewer.token}/{name}", **more)

    def json(self, name, **more):
        status, _, data = self.get("api/" + name, **more)
        assert status == 200, data
        return json.loads(data)


@pytest.fixture
def client(tmp_path):
    with served(session(tmp_path, spots(), before=True)) as found:
        yield found


def test_the_page_and_all_its_files_are_served(client):
    status, headers, page = client.get("")
    assert status == 200 and b'src="main.js"' in page and headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    todo, seen = ["main.js", "viewer.css", "icon.svg"], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        status, headers, text = client.get(name)
        assert status == 200 and headers["X-Content-Type-Options"] == "nosniff"
        todo += [part.split('"')[0] for part in text.decode().split('from "./')[1:]]
        assert b"http://" not in text.replace(b"http://www.w3.org/", b"") and b"https://" not in text
    assert {"gl.js", "flat.js", "regions.js", "keys.js"} < seen


def test_without_the_token_nothing_is_answered(client):
    token = client.viewer.token
    for path in ("/", "/api/session", "//api/session", "/" + "x" * len(token) + "/api/session", f"/{token}"):
        status, _, data = client.raw(path)
        assert status == 403 and b"token" in data, path
    with Viewer(client.viewer.session) as other:
        assert len(token) >= 32 and other.token != token


def test_other_hosts_and_origins_are_refused(client):
    path = f"/{client.viewer.token}/api/session"
    port = client.viewer.port
    assert client.raw(path, Host=f"evil.example:{port}")[0] == 403
    assert client.raw(path, Host="127.0.0.1")[0] == 403
    assert client.raw(path, Host=f"localhost:{port}")[0] == 200
    assert client.raw(path, Origin="http://evil.example")[0] == 403
    assert client.raw(path, Origin="null")[0] == 403
    assert client.raw(path, Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_no_other_file_can_be_read(client):
    outside = [
        "../server.py",
        "..%2fserver.py",
        "%2e%2e/server.py",
        "/etc/passwd",
        "assets/main.js",
        "server.py",
    ]
    for name in (*outside, "api/../main.js", "api/file?path=/etc/passwd"):
        status, _, data = client.get(name)
        assert status == 404 and b"def " not in data and b"root:" not in data, name
    for name in ("/etc/passwd", "../still.cbf", "/data/other.cbf"):
        assert client.get("api/show?file=" + name)[0] == 404


def test_bodies_that_are_too_large_and_other_methods(client):
    assert client.get("api/mask", method="POST", **{"Content-Length": "99999999"})[0] == 413
    assert client.get("api/mask", method="POST", **{"Transfer-Encoding": "chunked"})[0] == 413
    assert client.get("api/session", method="PUT")[0] == 501
    assert client.get("api/session", method="POST")[0] == 404
    assert client.get("main.js", method="POST")[0] == 404


def test_pixels_are_those_of_the_frame(client):
    status, headers, data = client.get("api/pixels?frame=2&level=0")
    assert status == 200 and headers["X-Type"] == "int16" and headers["X-Divisor"] == "1"
    body = zlib.decompress(data) if headers.get("Content-Encoding") == "deflate" else data
    values = np.frombuffer(body, "<i2").reshape(91, 130)
    good = values >= 0
    np.testing.assert_array_equal(values[good], counts(2)[good])
    _, headers, data = client.get("api/pixels?frame=1&n=3&how=mean&level=0&column=0&row=0&step=1")
    assert headers["X-Divisor"] == "3"


@pytest.mark.parametrize(
    "words",
    [
        "frame=7", "frame=-1", "frame=x", "frame=0&n=0", "frame=0&how=median", "frame=0&level=9",
        "frame=0&level=0&column=5", "frame=0&pool=min", "frame=1e3",
    ],
)  # fmt: skip
def test_bad_frames_are_told_in_words(client, words):
    status, _, data = client.get("api/pixels?" + words)
    told = json.loads(data)
    assert status == 400 and told["what"].endswith(".") and "Traceback" not in told["what"]


def test_what_is_told_of_a_shot(client):
    about = client.json("about?frame=1&n=3")
    assert about["file"] == "/data/film_0002.cbf" and about["angles"] == [1.0, 4.0] and about["n"] == 3
    assert client.json("about?frame=6&n=3")["angles"] is None
    session_ = client.json("session")
    assert session_["frames"] == 7 and [roll["count"] for roll in session_["rolls"]] == [6, 1]
    assert set(session_["detectors"][0]["layouts"]) == {"image", "lab", "before"} and session_["two"]
    assert [item["name"] for item in session_["finders"] if item["chosen"]] == ["dispersion_extended"]
    found = client.json("spots?frame=0")
    assert found["hkl"] == [[1, 2, 3]] and (found["dx"], found["dy"]) == ([0.5], [-0.25])
    assert client.json("probe?frame=0&x=30.5&y=20.5")["panel"] == 0
    assert client.json("predicted?frame=0")["total"] == 0
    assert client.json("rings?frame=0&kind=resolution")[0]["pieces"][0]["px"]
    assert sum(client.json("histogram?frame=0")["pixels"]) > 9000
    assert len(client.json("radial?frame=0")["mean"]) > 50


def test_a_line_is_read_from_its_points(client):
    body = json.dumps([[30.5, 20.5], [65, 5]])
    found = client.json("line?frame=0", method="POST", body=body)
    assert found == [float(counts(0)[20, 30]), None]
    for bad in ("[[1,2,3]]", "{}", "[[1e999,0]]", '["a"]', "not json"):
        assert client.get("api/line?frame=0", method="POST", body=bad)[0] == 400


def test_the_threshold_is_the_finder_s_own(client):
    status, headers, data = client.get("api/threshold?frame=0&finder=dispersion&o.sigma_strong=4&o.gain=1")
    body = zlib.decompress(data) if headers.get("Content-Encoding") == "deflate" else data
    marked = np.frombuffer(body, np.uint8).reshape(91, 130)
    assert status == 200 and marked[20:22, 30:32].all() and marked.sum() == int(headers["X-Strong"])
    assert headers["X-Command"] == "smalti find-spots film.expt --finder dispersion dispersion.sigma_strong=4"
    many = int(
        client.get("api/threshold?frame=0&finder=dispersion&o.sigma_strong=0&o.sigma_background=0")[1][
            "X-Strong"
        ]
    )
    assert many > marked.sum()
    for bad in ("finder=nosuch", "o.sigma_strong=-1", "o.nosuch=1", "o.kernel_size=99,99"):
        assert client.get("api/threshold?frame=0&" + bad)[0] == 400, bad


def test_masks_are_saved_and_come_back(client, tmp_path):
    assert client.json("mask") == []
    regions = [{"kind": "rectangle", "place": "image", "points": [[5.0, 5.0], [9.0, 8.0]]}]
    told = client.json("mask?frame=0", method="POST", body=json.dumps(regions))
    assert told["pixels"] == 12 and told["files"] == [str(tmp_path / "mask.npy"), str(tmp_path / "mask.toml")]
    assert client.json("mask") == regions
    good = masked_by(np.ones((91, 130), dtype=bool), tmp_path / "mask.npy")
    assert not good[5:8, 5:9].any() and good.sum() == 91 * 130 - 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.npy", "mask.toml"]
    for bad in ("{}", '[{"kind": "star"}]', "[1]", "nonsense"):
        assert client.get("api/mask?frame=0", method="POST", body=bad)[0] == 400
    assert client.json("mask") == regions


def test_other_programs_can_have_a_frame_shown(client):
    connection = http.client.HTTPConnection("127.0.0.1", client.viewer.port, timeout=10)
    connection.request("GET", f"/{client.viewer.token}/api/events")
    stream = connection.getresponse()
    assert stream.getheader("Content-Type") == "text/event-stream"
    for _ in range(200):
        told = client.json("show?file=film_0004.cbf", method="POST")
        if told["browsers"]:
            break
    assert told == {"frame": 4, "browsers": 1}
    assert stream.fp.readline() == b'data: {"frame": 4}\n'
    connection.close()
    assert client.json("show?frame=3")["frame"] == 3
    assert client.get("api/show?frame=8")[0] == 400


def test_addresses_and_ports(client):
    address = address_of(client.viewer, "frame=3")
    assert address == f"http://127.0.0.1:{client.viewer.port}/{client.viewer.token}/#frame=3"
    assert f"-L {client.viewer.port}:127.0.0.1:{client.viewer.port} " in tunnel_of(client.viewer)
    with pytest.raises(UsageError, match=f"port {client.viewer.port}"):
        Viewer(client.viewer.session, client.viewer.port)
