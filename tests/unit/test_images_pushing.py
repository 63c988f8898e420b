"""Images to a registry that takes them, slowly, badly, or not at all."""

from __future__ import annotations

import base64
import json
import re
import tracemalloc
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from distribution import TOKEN, Answer, Host, serve
from imagetars import OCI, config, digest
from layertars import tar

from recast_dm.errors import IntegrityError, RemoteError, UsageError
from recast_dm.images import push as pushing
from recast_dm.images.blobs import Blobs, blob_path
from recast_dm.images.layout import Layout, stored, write
from recast_dm.images.registry import Registry

BASE, TOP, OTHER = tar({"base": "base" * 1000}), tar({"top": "top"}), tar({"other": "other"})


class Taking(Host):
    """A registry that is written to. `say` answers a request in its place: (method, path, number of such requests)."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.methods: list[tuple[str, str]] = []
        self.count: Counter[str] = Counter()
        self.say = lambda method, path, number: None
        self.mounts = True
        self.keeps = True

    def request(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        self.methods.append((method, target))
        if parts.path == "/token" or (self.token and headers.get("Authorization") != f"Bearer {TOKEN}"):
            return self.answer(target, headers)
        self.asked.append((target, headers))
        self.count[method] += 1
        said = self.say(method, parts.path, self.count[method])
        return said or self._taken(method, parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()}, body)

    def _taken(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        repository, kind, rest = re.fullmatch(r"/v2/(.+?)/(blobs|manifests)/(.+)", path).groups()
        mine = self.blobs.setdefault(repository, {})
        if kind == "manifests":
            return self._manifest(method, repository, rest, body, mine)
        if method == "HEAD":
            return Answer(200) if rest in mine else Answer(404)
        if method == "POST":
            wanted, source = query.get("mount"), self.blobs.get(query.get("from", ""), {})
            if self.mounts and wanted in source:
                mine[wanted] = source[wanted]
                return Answer(201)
            return Answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/1?state=a%2Bb"})
        assert query["state"] == "a+b"
        if digest(body) != query["digest"]:
            errors = {"errors": [{"code": "DIGEST_INVALID", "message": "provided digest did not match"}]}
            return Answer(400, json.dumps(errors).encode())
        mine[query["digest"]] = body
        return Answer(201)

    def _manifest(self, method: str, repository: str, version: str, body: bytes, mine: dict[str, bytes]) -> Answer:
        if method == "HEAD":
            return Answer(200 if f"{repository}@{version}" in self.manifests else 404)
        document = json.loads(body)
        if any(part["digest"] not in mine for part in (document["config"], *document["layers"])):
            return Answer(400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}')
        if self.keeps:
            entry = (body, document["mediaType"])
            self.manifests |= {f"{repository}@{each}": entry for each in (version, digest(body))}
        return Answer(201)

    def uploads(self) -> list[str]:
        return [target for method, target in self.methods if method == "PUT" and "/blobs/" in target]


@pytest.fixture
def host():
    with serve(Taking()) as host:
        yield host


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def written(root: Path, images: dict[str, tuple[bytes, ...]]) -> Path:
    shared = Blobs(root / "images")
    made = []
    for reference, layers in images.items():
        about = config(*layers)
        shared.add(about)
        made.append(stored(reference, about, [shared.add_pieces([layer]) for layer in layers]))
    write(root / "oci", made, shared)
    return root / "oci"


@pytest.fixture
def layout(tmp_path) -> Path:
    return written(tmp_path, {"group/search:1.0": (BASE, TOP)})


class TestPushing:
    def test_the_registry_gives_back_the_image_with_its_ids(self, host, layout, tmp_path):
        (done,) = pushing.push(layout, host.address)
        taken = Registry().take(done.placed.reference, _reading(host, tmp_path))
        captured = Layout(layout).images()[0].image
        assert (taken.image.image_id, taken.image.diff_ids) == (captured.image_id, captured.diff_ids)
        assert done.placed == pushing.placed(layout, host.address)["group/search:1.0"]
        assert done.placed.name == f"{host.address}/group/search"

    def test_the_manifest_goes_up_byte_for_byte_by_tag_and_by_digest(self, host, layout):
        pushing.push(layout, f"{host.address}/ours")
        entry = Layout(layout).index()[0]
        body, kind = host.manifests["ours/group/search@1.0"]
        assert body == blob_path(layout, entry["digest"]).read_bytes()
        assert host.manifests[f"ours/group/search@{entry['digest']}"][0] == body
        assert kind == f"{OCI}manifest.v1+json"
        (sent,) = [headers for target, headers in host.asked if "/manifests/1.0" in target]
        assert sent["Content-Type"] == kind

    def test_what_is_there_is_not_sent_again(self, host, layout):
        told = []
        (first,) = pushing.push(layout, host.address, told=told.append)
        assert first.sent == sum(each.size for each in told) > 0
        assert not any(each.there for each in told)
        before = host.uploads()
        told.clear()
        (second,) = pushing.push(layout, host.address, told=told.append)
        assert (second.sent, host.uploads()) == (0, before)
        assert len(told) == 3
        assert all(each.there for each in told)

    def test_a_blob_that_lies_elsewhere_is_there(self, host, layout):
        pushing.push(layout, host.address)
        with serve() as store:
            for repository in list(host.blobs.values()):
                store.found |= {f"/{name}": Answer(200) for name in repository}
            moved = f"http://{store.address}"
            host.say = lambda method, path, number: (
                Answer(307, headers={"Location": f"{moved}/{path.rpartition('/')[2]}"})
                if method == "HEAD" and "/blobs/" in path
                else None
            )
            assert pushing.push(layout, host.address)[0].sent == 0

    @pytest.mark.parametrize("mounts", [True, False])
    def test_a_layer_of_two_images_is_sent_once_where_the_registry_can_mount(self, host, tmp_path, mounts):
        host.mounts = mounts
        root = written(tmp_path, {"group/one:1": (BASE, TOP), "group/two:1": (BASE, OTHER)})
        pushing.push(root, host.address)
        assert len(host.uploads()) == (5 if mounts else 6)
        assert len(host.manifests) == 4

    def test_an_image_without_a_tag_is_put_by_its_digest(self, host, tmp_path):
        root = written(tmp_path, {f"group/search@sha256:{'0' * 64}": (BASE,)})
        (done,) = pushing.push(root, host.address)
        assert pushing.reachable(done.placed.reference) is None
        assert [each for each in host.manifests if each.endswith("0" * 64)] == []

    def test_a_large_layer_goes_through_little_memory(self, host, layout, monkeypatch):
        size = 64 * 1024**2
        path = layout.parent / "large"
        with path.open("wb") as file:
            file.truncate(size)
        pusher = pushing.Pusher()
        seen = []

        def send(request, **_):
            seen.append(sum(len(piece) for piece in iter(lambda: request.body.read(2**16), b"")))
            raise pushing.requests.ConnectionError

        name = pushing.Name(host.address, "group/large", "1")
        begun = pushing.requests.Session.send
        monkeypatch.setattr(
            pushing.requests.Session,
            "send",
            lambda self, request, **more: send(request) if request.method == "PUT" else begun(self, request, **more),
        )
        tracemalloc.start()
        try:
            with pytest.raises(RemoteError, match="does not answer"):
                pusher.blob(name, path, digest(b""), size)
            assert tracemalloc.get_traced_memory()[1] < size / 8
        finally:
            tracemalloc.stop()
            pusher.close()
        assert seen == [size]


def _reading(host: Taking, tmp_path: Path) -> Blobs:
    """A place for what is pulled, from a registry that gives what it took."""
    for repository, blobs in host.blobs.items():
        host.found |= {f"/v2/{repository}/blobs/{name}": Answer(body=data) for name, data in blobs.items()}
    for name, (data, kind) in host.manifests.items():
        repository, _, version = name.partition("@")
        host.found[f"/v2/{repository}/manifests/{version}"] = Answer(body=data, headers={"Content-Type": kind})
    host.say = lambda method, path, number: host.found[path] if method == "GET" else None
    return Blobs(tmp_path / "pulled")


class TestLogin:
    def test_a_token_for_writing_is_asked_for_with_what_docker_keeps(self, host, layout, tmp_path):
        login = base64.b64encode(b"me:canary").decode()
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host.address: {"auth": login}}}))
        host.demand_token()
        pushing.push(layout, host.address)
        assert host.scope == "repository:group/search:pull,push"
        (asked,) = [headers for target, headers in host.asked if target.startswith("/token")]
        assert asked["Authorization"] == f"Basic {login}"

    def test_a_token_that_ends_in_the_middle_is_asked_for_again(self, host, layout):
        host.demand_token()
        challenge = {"WWW-Authenticate": host.token}
        host.say = lambda method, path, number: (
            Answer(401, headers=challenge) if method == "PUT" and number == 1 else None
        )
        (done,) = pushing.push(layout, host.address)
        assert pushing.reachable(done.placed.reference) is None

    def test_one_that_is_refused_is_told_to_log_in(self, host, layout):
        error = Answer(403, b'{"errors": [{"code": "DENIED", "message": "requested access\\u001b[2J is denied"}]}')
        host.say = lambda method, path, number: error if method == "POST" else None
        with pytest.raises(RemoteError, match=r"answers 403 .*: DENIED: requested access\[2J is denied\n") as raised:
            pushing.push(layout, host.address)
        assert "docker login" in raised.value.hint

    def test_one_that_wants_a_login_that_is_not_here(self, host, layout):
        host.token = 'Basic realm="x"'
        with pytest.raises(RemoteError, match="wants a login"):
            pushing.push(layout, host.address)


class TestTrouble:
    @pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_busy_registry_is_asked_again(self, host, layout, method, status):
        host.say = lambda asked, path, number: Answer(status) if asked == method and number == 1 else None
        (done,) = pushing.push(layout, host.address)
        assert pushing.reachable(done.placed.reference) is None

    @pytest.mark.parametrize("status", [429, 500])
    def test_one_that_stays_busy_is_named_with_what_to_do(self, host, layout, status):
        host.say = lambda method, path, number: Answer(status) if method == "POST" else None
        with pytest.raises(RemoteError, match=f"answers {status} to a push of group/search:1.0\n") as raised:
            pushing.push(layout, host.address)
        assert "patience" in raised.value.hint

    def test_a_blob_whose_answer_was_lost_is_taken_for_sent(self, host, layout):
        kept = host._taken

        def lost(method, path, query, body):
            answer = kept(method, path, query, body)
            return Answer(404) if method == "PUT" and "/blobs/" in path else answer

        host._taken = lost
        (done,) = pushing.push(layout, host.address)
        assert pushing.reachable(done.placed.reference) is None

    def test_a_registry_that_forgets_the_manifest(self, host, layout):
        host.keeps = False
        with pytest.raises(RemoteError, match="does not give it as sha256:"):
            pushing.push(layout, host.address)

    def test_an_upload_that_leads_away_from_tls(self, host, layout):
        away = {"Location": "http://registry.example.org/upload"}
        host.say = lambda method, path, number: Answer(202, headers=away) if method == "POST" else None
        with pytest.raises(RemoteError, match="which has no TLS"):
            pushing.push(layout, host.address)

    def test_an_upload_elsewhere_is_not_told_who_asks(self, host, layout):
        host.demand_token()
        with serve(Taking()) as elsewhere:
            elsewhere.say = lambda method, path, number: Answer(201)
            away = {"Location": f"http://{elsewhere.address}/v2/group/search/blobs/uploads/9?state=a%2Bb"}
            host.say = lambda method, path, number: Answer(202, headers=away) if method == "POST" else None
            with pytest.raises(RemoteError, match="MANIFEST_BLOB_UNKNOWN"):
                pushing.push(layout, host.address)
            assert elsewhere.asked
            assert not any("Authorization" in headers for _, headers in elsewhere.asked)

    def test_a_blob_that_changed_here_is_not_the_fault_of_the_registry(self, host, layout):
        path = blob_path(layout, Layout(layout).images()[0].layers[1].digest)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.unlink()
        path.write_bytes(data)
        with pytest.raises(IntegrityError, match="has changed"):
            pushing.push(layout, host.address)
        assert host.manifests == {}

    @pytest.mark.parametrize("cut", [True, False])
    def test_a_blob_that_is_not_whole_is_not_sent(self, host, layout, cut):
        path = blob_path(layout, Layout(layout).images()[0].layers[0].digest)
        data = path.read_bytes()
        path.unlink()
        if cut:
            path.write_bytes(data[:-1])
        with pytest.raises(IntegrityError, match="lacks the blob"):
            pushing.push(layout, host.address)
        assert host.manifests == {}

    @pytest.mark.parametrize(
        "registry",
        ["", "http://localhost:5000", "localhost:5000/UPPER", "a b", "m@h", "x.y/../z", "group", "group/search"],
    )
    def test_what_is_no_registry(self, layout, registry):
        with pytest.raises(UsageError):
            pushing.placed(layout, registry)
        with pytest.raises(UsageError):
            pushing.push(layout, registry)


class TestReachable:
    def test_an_image_that_is_not_there(self, host):
        assert pushing.reachable(f"{host.address}/group/search:1.0") == "the registry has no such image"

    @pytest.mark.parametrize("status", [401, 403, 500])
    def test_a_registry_that_does_not_say(self, host, status):
        host.say = lambda method, path, number: Answer(status)
        assert pushing.reachable(f"{host.address}/group/search:1.0")

    def test_a_registry_that_is_not_there_and_what_is_no_reference(self):
        assert "does not answer" in pushing.reachable("localhost:1/group/search:1.0")
        assert "does not name an image" in pushing.reachable("localhost:1/UPPER")

    def test_only_the_images_that_are_asked_for_are_placed(self, tmp_path):
        root = written(tmp_path, {"group/one:1": (BASE,), "group/two:1": (TOP,)})
        assert set(pushing.placed(root, "localhost:5000")) == {"group/one:1", "group/two:1"}
        assert set(pushing.placed(root, "localhost:5000", ["group/two:1", "none"])) == {"group/two:1"}
