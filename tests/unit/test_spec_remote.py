"""Specifications from servers: where each form points, and a fetch that trusts nobody. Servers run on loopback, with
certificates that are made here."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recast_dm.errors import Location, RemoteError, SpecError, UsageError
from recast_dm.spec import refs, remote, text
from recast_dm.spec.remote import Fetcher, Missing, directory

RAW = "https://raw.githubusercontent.com/"
API = "https://gitlab.cern.ch/api/v4/projects/"


# --- where the forms point -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("toplevel", "url"),
    [
        ("github:org/repo", RAW + "org/repo/main/w.yml"),
        ("github:org/repo@v1.2", RAW + "org/repo/v1.2/w.yml"),
        ("github:org/repo@feature/x:a/b/", RAW + "org/repo/feature/x/a/b/w.yml"),
        ("github:org/repo:a b".replace(" ", "%20"), RAW + "org/repo/main/a%2520b/w.yml"),
        ("gitlab-cern:org/repo", API + "org%2Frepo/repository/files/w.yml/raw?ref=master"),
        (
            "gitlab-cern:recast-atlas/susy/ATLAS-CONF-2018-041@master:specs",
            API + "recast-atlas%2Fsusy%2FATLAS-CONF-2018-041/repository/files/specs%2Fw.yml/raw?ref=master",
        ),
        ("gitlab-cern:org/repo@a/b", API + "org%2Frepo/repository/files/w.yml/raw?ref=a%2Fb"),
        (
            "gitlab:example.org:8443/a/b/c@v1:d",
            "https://example.org:8443/api/v4/projects/a%2Fb%2Fc/repository/files/d%2Fw.yml/raw?ref=v1",
        ),
        ("https://example.org/specs", "https://example.org/specs/w.yml"),
        ("https://example.org/specs/", "https://example.org/specs/w.yml"),
        ("http://localhost:80", "http://localhost:80/w.yml"),
        ("github:org/repo:80/x", RAW + "org/repo/main/80/x/w.yml"),
    ],
)
def test_a_toplevel_points_where_upstream_looks(toplevel, url):
    assert remote.is_remote(toplevel)
    assert directory(toplevel).file("w.yml").url == url


@pytest.mark.parametrize(
    "toplevel",
    [
        "github:repo",
        "github:",
        "github:org/repo@",
        "github:org/repo:a:b",
        "gitlab:host/repo@x y",
        "github:../x@y",
        "gitlab:h",
    ],
)
def test_a_toplevel_that_cannot_be_read_names_the_forms(toplevel):
    where = Location("recast.yml", 3, 13)
    with pytest.raises(SpecError, match="cannot be read") as caught:
        directory(toplevel, where)
    assert "github:ORG/REPO" in (caught.value.hint or "")
    assert caught.value.where == where


def test_what_has_moved_is_refused_with_what_to_write():
    with pytest.raises(UsageError) as caught:
        directory("from-github/phenochain/x")
    assert caught.value.hint == "write github:lukasheinrich/yadage-workflows@master:phenochain/x, if that is meant"
    with pytest.raises(UsageError, match="from-cap stood for has moved"):
        directory("from-cap/7")


@pytest.mark.parametrize("word", ["specs", "github", "./github:x", "/abs", "gitlab-cern/x", "https", ""])
def test_anything_else_is_a_directory(word):
    assert not remote.is_remote(word)


@pytest.mark.parametrize("name", ["../../other.yml", "/etc/passwd", "..", "%2e%2e/%2e%2e/x"])
def test_a_reference_may_not_leave_the_repository(name):
    with pytest.raises(ValueError, match="leaves the repository"):
        directory("github:org/repo:specs").file(name)


def test_names_are_relative_to_the_file_they_stand_in():
    steps = directory("gitlab-cern:g/r:specs/sub").file("../my%20steps.yml")
    assert steps.url == API + "g%2Fr/repository/files/specs%2Fmy%20steps.yml/raw?ref=master"
    assert "files/specs%2Fenv.yml/raw" in steps.directory.file("env.yml").url
    page = directory("https://example.org/a/b").file("../c/d.yml?raw=1")
    assert page.url == "https://example.org/a/c/d.yml?raw=1"
    assert page.directory.file("e.yml").url == "https://example.org/a/c/e.yml"
    assert page.shown == "https://example.org/a/c/d.yml"


# --- references between files on servers ----------------------------------------------------------------------


def server_of(files: dict[str, str]) -> Callable[..., bytes]:
    """A fetch that knows some addresses, and remembers what it was asked."""
    asked: list[str] = []

    def fetch(url: str, *, limit: int = text.MAX_BYTES) -> bytes:
        asked.append(url)
        if url not in files:
            raise Missing(f"{url} does not exist (HTTP 404)")
        return files[url].encode()

    fetch.asked = asked  # type: ignore[attr-defined]
    return fetch


def test_a_specification_on_a_forge_is_read_file_by_file_and_each_once():
    base = RAW + "org/repo/main/"
    fetch = server_of(
        {
            base + "specs/flow/w.yml": "a: {$ref: 'steps.yml#/x'}\nb: {$ref: 'steps.yml#/y'}\nc: {$ref: 'env.yml'}",
            base + "specs/steps.yml": "x: {$ref: 'env.yml'}\ny: 2",
            base + "specs/env.yml": "{$ref: 'https://example.org/images.yml#/i'}",
            "https://example.org/images.yml": "i: image",
        }
    )
    top = directory("github:org/repo:specs")
    root = refs.load_file(top.file("flow/w.yml"), top, fetch=fetch)
    assert root.plain() == {"a": "image", "b": 2, "c": "image"}
    assert root.at(("b",)).where == Location(base + "specs/steps.yml", 2, 4)
    assert len(fetch.asked) == 4


def test_a_reference_is_tried_beside_the_file_too():
    base = "https://example.org/"
    fetch = server_of({base + "sub/w.yml": "a: {$ref: 's.yml'}", base + "sub/s.yml": "1"})
    top = directory("https://example.org")
    assert refs.load_file(top.file("sub/w.yml"), top, fetch=fetch).plain() == {"a": 1}
    assert fetch.asked == [base + "sub/w.yml", base + "s.yml", base + "sub/s.yml"]


@pytest.mark.parametrize(
    ("reference", "kind", "message"),
    [
        ("none.yml", RemoteError, "names a file that does not exist: https://example.org/none.yml (HTTP 404)"),
        ("http://127.0.0.1/x.yml", SpecError, "leads from https to another protocol"),
        ("file:///etc/passwd", SpecError, "is neither a file nor an address with https"),
        ("s.yml#/zz", SpecError, "names 'zz'"),
        ("bad.yml", SpecError, "not valid YAML"),
        ("w.yml", SpecError, "leads back to itself"),
    ],
)
def test_a_bad_reference_in_a_file_on_a_server(reference, kind, message):
    base = "https://example.org/"
    fetch = server_of({base + "w.yml": f"{{$ref: '{reference}'}}", base + "s.yml": "x: 1", base + "bad.yml": "a: ["})
    top = directory("https://example.org")
    with pytest.raises(kind) as caught:
        refs.load_file(top.file("w.yml"), top, fetch=fetch)
    assert message in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.file.startswith(base)


@pytest.mark.parametrize("name", ["https://[x", "https://[::1/w.yml?token=x", "https://\u2100.com/x"])
def test_a_reference_that_is_no_address(tmp_path, name):
    (tmp_path / "w.yml").write_text(f"a: {{$ref: '{name}'}}")
    with pytest.raises(SpecError, match="is not an address") as caught:
        refs.load(tmp_path / "w.yml", tmp_path)
    assert "token" not in str(caught.value)
    with pytest.raises(ValueError, match="is not an address"):
        remote.Web("https://example.org/").file(name)


def test_a_local_file_may_refer_to_a_server_but_not_back(tmp_path):
    fetch = server_of({"https://example.org/s.yml": "{$ref: '/secret.yml'}"})
    (tmp_path / "secret.yml").write_text("secret")
    (tmp_path / "w.yml").write_text("a: {$ref: 'https://example.org/s.yml'}")
    with pytest.raises(RemoteError, match=r"https://example\.org/secret\.yml"):
        refs.load(tmp_path / "w.yml", tmp_path, fetch=fetch)


def test_nothing_is_fetched_when_nobody_allowed_it():
    top = directory("github:org/repo")
    with pytest.raises(SpecError, match="is on a server") as caught:
        refs.load_file(top.file("w.yml"), top)
    assert "--allow-remote" in (caught.value.hint or "")


# --- over the wire --------------------------------------------------------------------------------------------


def openssl(place: Path, *words: str) -> bool:
    return subprocess.run(["openssl", *words], cwd=place, capture_output=True, check=False).returncode == 0


def certificate(place: Path, name: str, alternative: str, *, days: tuple[str, ...] = ("-days", "2")) -> bool:
    """A certificate by our authority: NAME.pem holds the key too."""
    (place / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
    made = openssl(place, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-out", "c", "-subj", f"/CN={name}")
    signed = ["x509", "-req", "-in", "c", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    made = made and openssl(place, *signed, "-extfile", f"{name}.ext", *days, "-out", "s")
    if made:
        (place / f"{name}.pem").write_text((place / "k").read_text() + (place / "s").read_text())
    return made


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Path:
    """A throw-away authority `ca.pem`, and servers' certificates: good, elsewhere, expired, unknown."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is missing: certificates for the test servers cannot be made")
        pytest.skip("needs the command openssl, to make certificates")
    place: Path = tmp_path_factory.mktemp("authority")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=recast-dm test authority")
    assert openssl(place, *new, "-keyout", "ca.key", "-out", "ca.pem")
    here = "DNS:localhost,IP:127.0.0.1"
    assert certificate(place, "good", here)
    assert certificate(place, "elsewhere", "DNS:elsewhere.example")
    past = ("-not_before", "20200101000000Z", "-not_after", "20200102000000Z")  # openssl 3.4 and later
    assert certificate(place, "expired", here, days=("-days", "-1")) or certificate(place, "expired", here, days=past)
    assert openssl(place, *new, "-addext", f"subjectAltName={here}", "-keyout", "k", "-out", "s")
    (place / "unknown.pem").write_text((place / "k").read_text() + (place / "s").read_text())
    return place


class Answers(http.server.BaseHTTPRequestHandler):
    """What the test servers say to each path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        kind, _, rest = path.removeprefix("/").partition("/")
        answers: dict[str, Callable[[], None]] = {
            "w.yml": lambda: self.say(b"a: {$ref: 's.yml'}"),
            "s.yml": lambda: self.say(b"here"),
            "to": lambda: self.say(b"", 302, location=rest),
            "round": lambda: self.say(b"", 302, location=f"/round/{int(rest) + 1}"),
            "big": lambda: self.say(b"#" * (text.MAX_BYTES + 1)),
            "endless": self.endless,
            "silent": lambda: self.server.release.wait(20) and None,  # type: ignore[attr-defined]
            "drip": self.drip,
            "short": lambda: self.say(b"a: 1", length=100),
            "zipped": lambda: self.say(b"\x1f\x8b", encoding="gzip"),
            "status": lambda: self.say(b"no", int(rest)),
        }
        answers.get(kind, lambda: self.say(b"no", 404))()

    def say(self, body: bytes, code: int = 200, *, location="", length: int | None = None, encoding="") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(length or len(body)))
        for name, value in (("Location", location), ("Content-Encoding", encoding)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        for _ in range(1000):
            self.wfile.write(b"#" * 65536)

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while not self.server.release.wait(0.05):  # type: ignore[attr-defined]
            self.wfile.write(b"#")

    def log_message(self, *_words: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)

    def finish_request(self, request, client_address) -> None:
        if self.context:  # the handshake happens in the thread of the request
            request = self.context.wrap_socket(request, server_side=True)
        with contextlib.closing(request):
            super().finish_request(request, client_address)

    def handle_error(self, request, client_address) -> None:
        """A client that does not trust us hangs up: no news."""

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{'https' if self.context else 'http'}://{host}:{self.server_port}{path}"


@pytest.fixture
def serve(request) -> Iterator[Callable[[str | None], Server]]:
    servers: list[Server] = []

    def serve(name: str | None = "good") -> Server:
        place = request.getfixturevalue("authority") if name else None
        server = Server(place / f"{name}.pem" if place else None)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.release.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """No proxy, no other authority, and a ~/.netrc that must not be used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    (tmp_path / "netrc").write_text("default login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def fetch(authority) -> Fetcher:
    return Fetcher(ca=authority / "ca.pem", timeout=5)


def refusal(fetch: Fetcher, url: str, **options: int) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        fetch(url, **options)
    assert caught.value.exit_code == 6
    assert remote.shown(url) in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_with_a_good_certificate_is_believed(serve, fetch, host):
    server = serve()
    top = directory(server.url("", host))
    assert refs.load_file(top.file("w.yml"), top, fetch=fetch).plain() == {"a": "here"}
    assert [path for path, _ in server.seen] == ["/w.yml", "/s.yml"]
    headers = {key.lower(): value for key, value in server.seen[0][1].items()}
    assert headers["user-agent"].startswith("recast-dm/")
    assert "authorization" not in headers  # the netrc of the fixture names everybody


def test_requests_own_variable_names_another_authority(serve, authority, monkeypatch):
    server = serve()
    assert "cannot be trusted" in refusal(Fetcher(), server.url("/s.yml")).message
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority / "ca.pem"))
    assert Fetcher()(server.url("/s.yml")) == b"here"


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("elsewhere", "IP address mismatch"),
        ("expired", "certificate has expired"),
        ("unknown", "self-signed certificate"),
    ],
)
def test_a_server_with_a_bad_certificate_is_told_nothing(serve, fetch, certificate, reason):
    server = serve(certificate)
    error = refusal(fetch, server.url("/s.yml?private=token"))
    assert "cannot be trusted: " in error.message
    assert reason in error.message
    assert "token" not in str(error)
    assert "REQUESTS_CA_BUNDLE" in (error.hint or "")
    assert server.seen == []


def test_a_redirection_is_followed_and_never_away_from_tls(serve, fetch):
    server, plain = serve(), serve(None)
    assert fetch(server.url("/to//s.yml")) == b"here"
    assert fetch(server.url(f"/to/{server.url('/s.yml', 'localhost')}")) == b"here"
    error = refusal(fetch, server.url(f"/to/{plain.url('/s.yml')}?token=x"))
    assert "redirects from https to http://127.0.0.1" in error.message
    assert plain.seen == []
    assert "more than 5 redirections" in refusal_of_any(fetch, server.url("/round/0"))
    assert len([path for path, _ in server.seen if path.startswith("/round/")]) == 6
    assert "cannot reach" in refusal_of_any(fetch, server.url("/to/https://127.0.0.1:1/x"))


def refusal_of_any(fetch: Fetcher, url: str) -> str:
    with pytest.raises(RemoteError) as caught:
        fetch(url)
    return caught.value.message


@pytest.mark.parametrize("path", ["/big", "/endless"])
def test_what_is_too_large_is_refused_while_it_comes(serve, fetch, path):
    assert "has more than 4194304 bytes" in refusal(fetch, serve().url(path)).message


def test_the_limit_can_be_another(serve, fetch):
    assert len(fetch(serve().url("/big"), limit=text.MAX_BYTES + 1)) == text.MAX_BYTES + 1
    assert "has more than 3 bytes" in refusal(fetch, serve().url("/s.yml"), limit=3).message


def test_a_silent_server_is_given_up(serve, authority):
    began = time.monotonic()
    error = refusal(Fetcher(ca=authority / "ca.pem", timeout=0.5), serve().url("/silent"))
    assert "was silent for 0.5 s" in error.message
    assert time.monotonic() - began < 5


def test_a_server_that_only_drips_is_given_up(serve, authority):
    began = time.monotonic()
    error = refusal(Fetcher(ca=authority / "ca.pem", deadline=0.5), serve().url("/drip"))
    assert "took longer than 0.5 s" in error.message
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/none.yml?token=secret", "/none.yml does not exist (HTTP 404)"),
        ("/status/410", "does not exist (HTTP 410)"),
        ("/status/401", "is not for everybody (HTTP 401)"),
        ("/status/403", "is not for everybody (HTTP 403)"),
        ("/status/500", "the server says HTTP 500"),
        ("/status/204", "the server says HTTP 204"),
        ("/zipped", "came compressed"),
    ],
)
def test_other_answers_are_errors_that_name_the_address(serve, fetch, path, message):
    error = refusal(fetch, serve().url(path))
    assert message in error.message
    assert "secret" not in str(error)
    assert isinstance(error, Missing) == ("does not exist" in message)


def test_a_file_that_ends_early_is_an_error(serve, fetch):
    assert refusal(fetch, serve().url("/short"))


def test_a_port_where_nobody_listens(fetch):
    assert "cannot reach 127.0.0.1:1" in refusal(fetch, "https://127.0.0.1:1/w.yml").message


def test_a_token_is_for_its_host_and_no_other(serve, authority):
    server = serve()
    fetch = Fetcher(ca=authority / "ca.pem", tokens={"localhost": "secret"})
    assert fetch(server.url(f"/to/{server.url('/s.yml')}", "localhost")) == b"here"
    assert [headers.get("PRIVATE-TOKEN") for _, headers in server.seen] == ["secret", None]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/w.yml", "plain http is not spoken with other machines"),
        ("http://localhost.example.org/w.yml", "plain http is not spoken with other machines"),
        ("http://192.168.1.1/w.yml", "plain http is not spoken with other machines"),
        ("ftp://example.org/w.yml", "is neither https nor http"),
        ("file:///etc/passwd", "is neither https nor http"),
        ("https:///w.yml", "is neither https nor http"),
    ],
)
def test_addresses_that_are_not_asked(url, message):
    assert message in refusal(Fetcher(), url).message


@pytest.mark.parametrize(
    "url", ["https://[::1/w.yml", "https://example.org:99999/w.yml", "https://.../w", "https://[x"]
)
def test_what_is_no_address(url):
    assert "is not an address" in refusal_of_any(Fetcher(), url)


def test_credentials_do_not_belong_into_an_address():
    error = refusal(Fetcher(), "https://ada:secret@example.org/w.yml")
    assert "secret" not in str(error)


def test_this_machine_may_be_asked_without_tls(serve):
    server = serve(None)
    assert Fetcher()(server.url("/s.yml")) == b"here"
    assert Fetcher(tokens={"127.0.0.1": "x"})(server.url("/s.yml")) == b"here"
    assert "PRIVATE-TOKEN" not in server.seen[-1][1]
