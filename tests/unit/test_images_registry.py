"""Images from a registry that speaks the distribution protocol on the loopback interface, well or badly."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from distribution import TOKEN, Answer, serve
from imagetars import DOCKER, OCI, config, digest, manifest, packed
from layertars import tar

from recast_dm.errors import IntegrityError, RemoteError, ToolMissing, UsageError
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.registry import Name, Registry

BASE, TOP = tar({"base": "base" * 1000}), tar({"top": "top"})
INDEX = f"{OCI}index.v1+json"


@pytest.fixture
def host():
    with serve() as host:
        yield host


@pytest.fixture
def elsewhere():
    with serve() as host:
        yield host


@pytest.fixture
def shared(tmp_path) -> Blobs:
    return Blobs(tmp_path / "images")


@pytest.fixture(autouse=True)
def amd64(monkeypatch, tmp_path):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def take(host, shared, reference="group/search:1.0"):
    return Registry(host.address).take(reference, shared)


def blob(layer: bytes) -> str:
    return f"/v2/group/search/blobs/{digest(layer)}"


class TestTaking:
    @pytest.mark.parametrize("named", [True, False])
    def test_an_image_with_its_three_ids(self, host, shared, named):
        claimed = host.push("group/search:1.0", BASE, TOP)
        reference = f"{host.address}/group/search:1.0" if named else "group/search:1.0"
        taken = Registry(None if named else host.address).take(reference, shared)
        assert taken.image.reference == reference
        assert taken.image.image_id == digest(config(BASE, TOP))
        assert taken.image.diff_ids == (digest(BASE), digest(TOP))
        assert taken.image.registry_digest == f"{host.address}/group/search@{claimed}"
        assert taken.original == claimed
        assert digest(shared.path(claimed).read_bytes()) == claimed, "the registry's own manifest is kept"
        assert [layer.digest for layer in taken.layers] == [digest(each) for each in packed(BASE, TOP)]

    @pytest.mark.parametrize("kind", [OCI, DOCKER])
    def test_by_digest(self, host, shared, kind):
        host.push("group/search:1.0", BASE)
        name = host.put("group/search", "docker", manifest(config(BASE), packed(BASE), kind))
        taken = take(host, shared, f"group/search@{name}")
        assert taken.original == name
        both = take(host, shared, f"group/search:1.0@{name}")
        assert both.original == name, "the digest is what counts"

    def test_what_is_kept_is_not_fetched_again(self, host, shared):
        host.push("group/search:1.0", BASE, TOP)
        first = take(host, shared)
        asked = len(host.asked)
        assert take(host, Blobs(shared.root)) == first
        assert host.paths()[asked:] == ["/v2/group/search/manifests/1.0"]

    def test_a_layer_that_is_not_compressed(self, host, shared):
        host.found[blob(BASE)] = Answer(body=BASE)
        host.found[blob(config(BASE))] = Answer(body=config(BASE))
        host.put("group/search", "1.0", manifest(config(BASE), [BASE]))
        taken = take(host, shared)
        assert taken.layers[0].diff_id == digest(BASE) != taken.layers[0].digest

    def test_an_image_without_layers(self, host, shared):
        host.push("group/search:1.0")
        assert take(host, shared).layers == ()

    def test_not_there(self, host, shared):
        assert take(host, shared) is None

    def test_a_registry_that_compresses_what_it_sends(self, host, shared):
        """It is asked not to: the bytes on the line are those that have the digest."""
        host.push("group/search:1.0", BASE)
        take(host, shared)
        assert {headers.get("Accept-Encoding") for _, headers in host.asked} == {"identity"}


def entries(*found: tuple[str, str], kind: str = f"{OCI}manifest.v1+json") -> list[dict[str, object]]:
    return [
        {"mediaType": kind, "digest": name, "platform": {"os": "linux", "architecture": each}} for each, name in found
    ]


class TestIndex:
    def push(self, host):
        """An index of two images and an attestation."""
        amd = host.push("group/search:amd64", BASE, TOP)
        arm = host.push("group/search:arm64", BASE, architecture="arm64")
        listed = [{"mediaType": OCI, "digest": amd, "platform": {"os": "unknown", "architecture": "unknown"}}]
        listed += entries(("arm64", arm), ("amd64", amd))
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
        return host.put("group/search", "1.0", index, INDEX), amd, arm

    def test_the_image_for_this_machine(self, host, shared, monkeypatch):
        _, amd, arm = self.push(host)
        taken = take(host, shared)
        assert taken.original == amd
        assert taken.image.registry_digest == f"{host.address}/group/search@{amd}", "what the kept manifest can show"
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
        assert take(host, shared).original == arm
        assert take(host, shared).image.platform == "linux/arm64"

    def test_by_the_digest_of_the_index(self, host, shared):
        index, amd, _ = self.push(host)
        assert take(host, shared, f"group/search@{index}").original == amd

    def test_none_for_this_machine(self, host, shared, monkeypatch):
        self.push(host)
        monkeypatch.setattr("platform.machine", lambda: "s390x")
        with pytest.raises(ToolMissing, match="has no image for linux/s390x"):
            take(host, shared)

    def test_another_manifest_than_the_index_names(self, host, shared):
        _, amd, _ = self.push(host)
        host.found[f"/v2/group/search/manifests/{amd}"] = Answer(body=manifest(config(TOP), packed(TOP)))
        with pytest.raises(IntegrityError, match="gives other bytes"):
            take(host, shared)

    @pytest.mark.parametrize("listed", [5, {}, None])
    def test_an_index_that_is_none(self, host, shared, listed):
        host.put("group/search", "1.0", json.dumps({"mediaType": INDEX, "manifests": listed}).encode(), INDEX)
        with pytest.raises(IntegrityError, match="has no index"):
            take(host, shared)

    @pytest.mark.parametrize("name", [5, None, "sha256:../../x", "latest"])
    def test_an_index_that_names_what_is_no_digest(self, host, shared, name):
        index = json.dumps({"mediaType": INDEX, "manifests": entries(("amd64", name))}).encode()
        host.put("group/search", "1.0", index, INDEX)
        with pytest.raises(IntegrityError, match="lacks the manifest"):
            take(host, shared)

    def test_what_is_a_manifest_and_an_index(self, host, shared):
        """Two readers would take two images out of it (CVE-2021-41190)."""
        document = json.loads(manifest(config(BASE), packed(BASE))) | {"manifests": entries(("amd64", digest(b"")))}
        host.put("group/search", "1.0", json.dumps(document).encode())
        with pytest.raises(IntegrityError, match="has no index of images"):
            take(host, shared)


class TestTokens:
    def test_a_registry_that_wants_a_token(self, host, shared):
        host.push("group/search:1.0", BASE, TOP)
        host.demand_token()
        assert take(host, shared) is not None
        assert host.scope == "repository:group/search:pull"
        assert len([path for path in host.paths() if path.startswith("/token")]) == 1, "once for everything"

    def test_a_token_is_not_shown_to_whom_a_blob_is_fetched_from(self, host, elsewhere, shared):
        host.push("group/search:1.0", BASE)
        host.demand_token()
        elsewhere.found["/blob"] = host.found[blob(*packed(BASE))]
        host.found[blob(*packed(BASE))] = Answer(307, headers={"Location": f"http://{elsewhere.address}/blob"})
        assert take(host, shared) is not None
        (asked,) = elsewhere.asked
        assert "Authorization" not in asked[1]
        assert TOKEN not in str(asked)
        assert any("Authorization" in headers for _, headers in host.asked)

    def test_a_redirect_on_the_same_host_keeps_the_token(self, host, shared):
        host.push("group/search:1.0", BASE)
        host.demand_token()
        host.found["/blob"] = host.found[blob(*packed(BASE))]
        host.found[blob(*packed(BASE))] = Answer(307, headers={"Location": "/blob"})
        assert take(host, shared) is not None

    def test_a_token_of_one_registry_is_not_shown_to_another(self, host, elsewhere, shared):
        for each in (host, elsewhere):
            each.push("group/search:1.0", BASE)
        host.demand_token()
        registry = Registry()
        for each in (host, elsewhere):
            assert registry.take(f"{each.address}/group/search:1.0", shared)
        assert all("Authorization" not in headers for _, headers in elsewhere.asked)

    def test_passwords_of_netrc_stay_there(self, host, shared, tmp_path):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password lovelace\n")
        (tmp_path / "netrc").chmod(0o600)
        host.push("group/search:1.0", BASE)
        host.found["/blob"] = host.found[blob(*packed(BASE))]
        host.found[blob(*packed(BASE))] = Answer(307, headers={"Location": "/blob"})
        assert take(host, shared) is not None
        assert all("Authorization" not in headers for _, headers in host.asked)

    @pytest.mark.parametrize(
        "realm",
        [
            "http://tokens.example.org/token",
            "http://127.0.0.1:80@tokens.example.org/token",
            "http://localhost.example.org/",
            "file:///etc/passwd",
            "//tokens.example.org",
            "ftp://127.0.0.1/",
        ],
    )
    def test_a_place_for_tokens_without_tls(self, host, shared, realm):
        host.push("group/search:1.0", BASE)
        host.demand_token(realm)
        with pytest.raises(RemoteError, match="which has no TLS"):
            take(host, shared)

    @pytest.mark.parametrize(
        "challenge", ["Basic realm=x", "", "Bearer", 'Bearer service="x"', 'Basic realm="https://x"']
    )
    def test_a_registry_that_wants_a_login(self, host, shared, challenge):
        host.push("group/search:1.0", BASE)
        host.token = challenge or "Negotiate"
        with pytest.raises(RemoteError, match="wants a login for group/search") as caught:
            take(host, shared)
        assert "docker or podman" in (caught.value.hint or "")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(body=b"no JSON"), IntegrityError),
            (Answer(body=b"[]"), IntegrityError),
            (Answer(body=b"{}"), RemoteError),
            (Answer(status=403), RemoteError),
            (Answer(body=b" " * (layout.LARGEST_JSON + 1)), RemoteError),
        ],
    )
    def test_tokens_that_are_none(self, host, elsewhere, shared, answer, error):
        host.push("group/search:1.0", BASE)
        elsewhere.found["/given"] = answer
        host.demand_token(f"http://{elsewhere.address}/given")
        with pytest.raises(error):
            take(host, shared)


class TestMisbehaving:
    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_one_that_is_busy_is_asked_again(self, host, shared, status):
        host.push("group/search:1.0", BASE)
        real, times = host.found[blob(*packed(BASE))], iter(range(9))
        host.found[blob(*packed(BASE))] = lambda: real if next(times) else Answer(status, b"wait")
        assert take(host, shared) is not None

    @pytest.mark.parametrize(
        ("status", "hint"),
        [(429, "try again later"), (500, "try again later"), (403, "docker or podman first"), (400, "check the name")],
    )
    def test_one_that_stays_so(self, host, shared, status, hint):
        host.found["/v2/group/search/manifests/1.0"] = Answer(status, b"{}")
        with pytest.raises(RemoteError, match=f"answers {status} for group/search:1.0") as caught:
            take(host, shared)
        assert caught.value.exit_code == 6
        assert hint in (caught.value.hint or "")

    def test_a_blob_that_ends_in_the_middle(self, host, shared):
        host.push("group/search:1.0", BASE)
        (layer,) = packed(BASE)
        host.found[blob(layer)] = Answer(body=layer[:-5], length=len(layer))
        with pytest.raises(RemoteError, match="ended in the middle"):
            take(host, shared)
        assert not list(shared.root.rglob("*.tmp"))

    @pytest.mark.parametrize(
        "change",
        [lambda data: data[:-1], lambda data: data + b"\0", lambda data: gzip.compress(TOP), lambda data: b"", bytes],
    )
    def test_a_blob_with_other_bytes(self, host, shared, change):
        host.push("group/search:1.0", BASE)
        (layer,) = packed(BASE)
        host.found[blob(layer)] = Answer(body=change(layer))
        if change is bytes:  # the same
            assert take(host, shared)
            return
        with pytest.raises(IntegrityError):
            take(host, shared)
        assert shared.layer(digest(BASE)) is None

    def test_a_config_with_other_bytes(self, host, shared):
        host.push("group/search:1.0", BASE)
        host.found[blob(config(BASE))] = Answer(body=config(BASE, os="plan9"))
        with pytest.raises(IntegrityError, match="came with other bytes"):
            take(host, shared)

    def test_a_blob_that_is_missing(self, host, shared):
        host.push("group/search:1.0", BASE)
        del host.found[blob(*packed(BASE))]
        with pytest.raises(RemoteError, match="lacks the blob sha256:"):
            take(host, shared)

    def test_a_manifest_that_is_huge(self, host, shared):
        host.found["/v2/group/search/manifests/1.0"] = Answer(body=b" " * (layout.LARGEST_JSON + 1))
        with pytest.raises(RemoteError, match="sends more than"):
            take(host, shared)

    @pytest.mark.parametrize("size", [-1, "5", None, layout.LARGEST_JSON + 1, 5])
    def test_a_config_whose_size_is_none(self, host, shared, size):
        document = json.loads(manifest(config(BASE), packed(BASE)))
        document["config"]["size"] = size
        host.push("group/search:1.0", BASE)
        host.put("group/search", "1.0", json.dumps(document).encode())
        with pytest.raises(IntegrityError):
            take(host, shared)

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"config": 5}', b"[" * 100_000, b"<html>"])
    def test_a_manifest_that_is_none(self, host, shared, body):
        host.found["/v2/group/search/manifests/1.0"] = Answer(body=body)
        with pytest.raises(IntegrityError):
            take(host, shared)

    def test_by_digest_it_gives_something_else(self, host, shared):
        host.push("group/search:1.0", BASE)
        wanted = digest(b"something else")
        host.found[f"/v2/group/search/manifests/{wanted}"] = host.found["/v2/group/search/manifests/1.0"]
        with pytest.raises(IntegrityError, match="gives other bytes for group/search@sha256:"):
            take(host, shared, f"group/search@{wanted}")

    @pytest.mark.parametrize("what", ["manifests/1.0", "blobs"])
    def test_a_redirect_away_from_tls(self, host, shared, what):
        host.push("group/search:1.0", BASE)
        path = f"/v2/group/search/{what}" if "/" in what else blob(config(BASE))
        host.found[path] = Answer(302, headers={"Location": "http://blobs.example.org/x"})
        with pytest.raises(RemoteError, match=r"leads to http://blobs.example.org, which has no TLS"):
            take(host, shared)

    def test_redirects_without_end(self, host, shared):
        host.found["/v2/group/search/manifests/1.0"] = Answer(302, headers={"Location": "1.0"})
        with pytest.raises(RemoteError, match="TooManyRedirects"):
            take(host, shared)

    def test_nobody_listens(self, host, shared):
        with serve() as gone:
            pass
        with pytest.raises(RemoteError, match="does not answer") as caught:
            take(gone, shared)
        assert caught.value.exit_code == 6


class TestNames:
    @pytest.mark.parametrize(
        ("reference", "host", "name"),
        [
            ("debian", None, ("docker.io", "library/debian", "latest")),
            ("docker.io/debian:12", None, ("docker.io", "library/debian", "12")),
            ("org/image:1", None, ("docker.io", "org/image", "1")),
            ("org/image:1", "localhost:5000", ("localhost:5000", "org/image", "1")),
            ("debian", "localhost:5000", ("localhost:5000", "debian", "latest")),
            ("localhost:5000/a/b/c", None, ("localhost:5000", "a/b/c", "latest")),
            ("ghcr.io/a/b:x_Y-1.0", "localhost:1", ("ghcr.io", "a/b", "x_Y-1.0")),
            ("[::1]:5000/a:1", None, ("[::1]:5000", "a", "1")),
        ],
    )
    def test_as_docker_reads_them(self, reference, host, name):
        assert Name.parse(reference, host) == Name(*name)

    @pytest.mark.parametrize(
        "reference",
        [
            "",
            ":",
            "UPPER/case",
            "a//b",
            "a/../b",
            "a b",
            "a:t/../x",
            "a:t?x",
            "a:",
            "-a",
            "a@md5:00",
            "a@",
            "host:x/../a",
        ],
    )
    def test_what_names_no_image(self, reference):
        with pytest.raises(UsageError, match=r"names? an image"):
            Name.parse(reference)

    @pytest.mark.parametrize("host", ["a/b", "user:word@host", "host:port", "host?x", "http://host", "a b", "-x"])
    def test_what_names_no_registry(self, host):
        with pytest.raises(UsageError, match="does not name an image"):
            Name.parse("a/b:1", host)

    def test_tls_but_for_this_machine(self):
        assert Name.parse("ghcr.io/a/b").base == "https://ghcr.io/v2/a/b/"
        assert Name.parse("[::1]:5000/a").base == "http://[::1]:5000/v2/a/"
        assert Name.parse("127.0.0.1.example.org/a").base.startswith("https:")

    def test_a_name_is_frozen(self):
        assert str(replace(Name.parse("a/b"), version=digest(b""))) == f"a/b@{digest(b'')}"
