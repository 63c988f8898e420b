"""A capsule's images in a real registry: docker and skopeo pull exactly what was captured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
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
from recast_dm.images.layout import Layout, stored, write

pytestmark = pytest.mark.container


@pytest.fixture
def host(tmp_path):
    program("docker-registry")
    with registry(tmp_path) as address:
        yield address


@pytest.fixture
def layout(toy_capsule):
    return open_capsule(toy_capsule).layout


@pytest.mark.usefixtures("docker")
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
    """Passes requests on to a registry, and cuts the connection at its n-th request, and those `after` it."""

    protocol_version = "HTTP/1.1"
    behind = ""
    cut_at = 0
    after = 0
    count = 0
    cutting = staticmethod(lambda: None)

    def answer(self) -> None:
        import http.client

        type(self).count += 1
        if self.cut_at and self.cut_at <= type(self).count <= self.cut_at + self.after:
            self.cutting()
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
    handler = type("Breaking", (_Breaking,), {"behind": host})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def tiny(root: Path, *more: Iterable[bytes], names: Sequence[str] = ("ours/tiny:1",)) -> Path:
    """A layout of images of the same two small layers, and more."""
    blobs = Blobs(root / "blobs")
    layers = [blobs.add_pieces(each) for each in ([bytes(10240)], [bytes(20480)], *more)]
    images = []
    for name in names:
        rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
        data = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs, "author": name}).encode()
        blobs.add(data)
        images.append(stored(name, data, layers))
    write(root / "oci", images, blobs)
    return root / "oci"


def test_cut_once_anywhere_it_goes_on_and_cut_for_longer_it_is_repeated(host, breaking, tmp_path):
    handler, address = breaking
    layout = tiny(tmp_path / "tiny")
    for after in (0, 2):
        cut = 0
        for at in range(1, 30):
            handler.count, handler.cut_at, handler.after = 0, at, after
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
        assert handler.count < at, "the way to the registry was not cut at each request"
        assert cut == (at - 1 if after else 0)


CLIENT = """
import pathlib, resource, sys
from recast_dm.images import push
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(done,) = push.push(pathlib.Path(sys.argv[1]), sys.argv[2])
print(done.sent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_client_that_is_killed_anywhere_is_followed_by_one_that_ends(host, breaking, tmp_path):
    handler, address = breaking
    layout = tiny(tmp_path / "tiny")
    for at in (1, 3, 6, 10, 11):
        shutil.rmtree(tmp_path / "registry", ignore_errors=True)
        (tmp_path / "registry").mkdir()
        with subprocess.Popen([sys.executable, "-c", CLIENT, str(layout), address]) as process:
            handler.count, handler.cut_at, handler.cutting = 0, at, process.kill
            assert process.wait(60) == -9
        handler.cut_at = 0
        (done,) = pushing.push(layout, host)
        assert pushing.reachable(done.placed.reference) is None
        assert (done.sent > 0) == (at < 10)  # the last two requests are those of the manifest


def test_a_large_layer_goes_through_little_memory(host, tmp_path):
    size = 256
    layout = tiny(tmp_path / "large", (os.urandom(2**20) for _ in range(size)))
    sent, grown = map(int, call(sys.executable, "-c", CLIENT, layout, host).split())
    assert sent > size * 2**20
    assert grown < 40 * 1024  # KiB


def test_a_layer_of_two_images_is_sent_once(host, tmp_path):
    layout = tiny(tmp_path / "two", names=("ours/one:1", "ours/two:1"))
    told = []
    pushing.push(layout, host, told=told.append)
    layers = {layer.digest for layer in Layout(layout).images()[0].layers}
    assert [each.there for each in told if each.digest in layers] == [False, False, True, True]
    assert len(told) == 6


def test_one_that_is_not_there(layout):
    with pytest.raises(RemoteError, match="does not answer"):
        pushing.push(layout, "localhost:1")
