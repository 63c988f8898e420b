"""A capsule's images in a real registry: docker and skopeo pull exactly what was captured."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from commanding import program, recast
from registries import call, registry, skopeo

from recast_dm import schemas
from recast_dm.capsule import open_capsule
from recast_dm.errors import RemoteError
from recast_dm.images import push as pushing
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import stored, write

pytestmark = pytest.mark.container


@pytest.fixture
def host(tmp_path):
    program("docker-registry")
    with registry(tmp_path) as address:
        yield address


@pytest.fixture
def layout(toy_capsule):
    return open_capsule(toy_capsule).layout


def test_docker_pulls_what_was_captured(toy_capsule, layout, host, tmp_path):
    done = json.loads(recast("images", "push", toy_capsule, host, "--json", "--quiet").stdout)
    assert schemas.problem("images-1", done) is None
    (image,) = done["images"]
    captured = open_capsule(toy_capsule).images[0]
    try:
        call("docker", "pull", "--quiet", image["reference"])
        told = json.loads(call("docker", "image", "inspect", image["reference"]))[0]
        assert told["Id"] == captured.image_id
        assert tuple(told["RootFS"]["Layers"]) == captured.diff_ids
    finally:
        call("docker", "image", "rm", "--force", image["reference"])
    assert image["reference"] == pushing.placed(layout, host)[captured.reference].reference


def test_skopeo_pulls_what_was_captured(toy_capsule, layout, host, tmp_path):
    program("skopeo")
    (done,) = pushing.push(layout, f"{host}/some/group")
    reference = done.placed.reference
    assert "/some/group/recast-dm/toy@sha256:" in reference
    skopeo("copy", "--src-tls-verify=false", f"docker://{reference}", f"dir:{tmp_path / 'copy'}")
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_bytes())
    assert manifest["config"]["digest"] == done.placed.image.image_id


def test_what_is_there_is_not_sent_again(toy_capsule, host):
    first = json.loads(recast("images", "push", toy_capsule, host, "--json", "--quiet").stdout)
    second = json.loads(recast("images", "push", toy_capsule, host, "--json", "--quiet").stdout)
    assert [each["sent"] > 0 for each in first["images"]] == [True]
    assert [each["sent"] for each in second["images"]] == [0]


def test_a_registry_is_asked_for_them(toy_capsule, host):
    before = json.loads(recast("images", "ls", toy_capsule, "--registry", host, "--json").stdout)
    assert before["images"][0]["problem"] == "the registry has no such image"
    recast("images", "push", toy_capsule, host, "--quiet")
    after = json.loads(recast("images", "ls", toy_capsule, "--registry", host, "--json").stdout)
    assert schemas.problem("images-1", after) is None
    assert after["images"][0]["problem"] is None


class _Breaking(BaseHTTPRequestHandler):
    """Passes requests on to a registry, and cuts the connection at one of them."""

    protocol_version = "HTTP/1.1"
    behind = ""
    cut_at = 0
    count = 0

    def answer(self) -> None:
        import http.client

        type(self).count += 1
        if type(self).count == type(self).cut_at:
            self.connection.close()
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.behind)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, body, {**headers, "Host": self.behind})
        given = connection.getresponse()
        data = given.read()
        self.send_response(given.status)
        for name, value in given.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value.replace(self.behind, self.headers["Host"]))
        length = given.getheader("Content-Length") or str(len(data))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = answer  # noqa: N815  # the names that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def breaking(host):
    """A way to the registry that can be cut at its n-th request."""
    handler = type("Breaking", (_Breaking,), {"behind": host, "count": 0, "cut_at": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def tiny(root: Path) -> Path:
    """A layout with one image of two small layers."""
    blobs = Blobs(root / "blobs")
    layers = [blobs.add_pieces([bytes(10240 * (n + 1))]) for n in range(2)]
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    data = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
    blobs.add(data)
    write(root / "oci", [stored("ours/tiny:1", data, layers)], blobs)
    return root / "oci"


def test_cut_anywhere_and_repeated_it_is_whole(host, breaking, tmp_path):
    handler, address = breaking
    layout = tiny(tmp_path / "tiny")
    cut = 0
    for at in range(1, 20):
        handler.count, handler.cut_at = 0, at
        shutil.rmtree(tmp_path / "registry", ignore_errors=True)
        (tmp_path / "registry").mkdir()
        try:
            pushing.push(layout, address)
        except RemoteError:
            cut += 1
        if handler.count < at:
            break
        handler.cut_at = 0
        (done,) = pushing.push(layout, address)
        assert pushing.reachable(done.placed.reference.replace(address, host)) is None
    assert cut > 2  # a question that is cut is asked again; what is sent is not


def test_one_that_is_not_there(layout):
    with pytest.raises(RemoteError, match="does not answer"):
        pushing.push(layout, "localhost:1")
