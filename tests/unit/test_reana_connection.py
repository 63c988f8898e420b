"""The connection to a REANA server: what is repeated and what is not, and that nothing ever shows the token."""

from __future__ import annotations

import io
import logging
import socket
import ssl
import subprocess
import threading
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from recast_dm.backends.reana import connection as module
from recast_dm.backends.reana.connection import Connection, NotAFile, Refused, Unsure
from recast_dm.backends.reana.sources import Content
from recast_dm.config import ReanaServer
from recast_dm.errors import IntegrityError, RecastError, RemoteError, StorageError, UsageError
from tests.loopback import Answer, Asked, Loopback, said

CANARY = "canary/T0ken+of=REANA"
FORMS = (CANARY, quote(CANARY), quote(CANARY, safe=""))


class Ticks:
    """A clock that stands still but for its sleeps, which take no time."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def connected(url: str, clock: Ticks | None = None, **options) -> Connection:
    return Connection(ReanaServer(url=url, token=CANARY), clock=clock or Ticks(), **options)


def pauses(clock: Ticks) -> list[float]:
    """The waits between attempts, without those that keep the rate."""
    return [each for each in clock.slept if each > 1 / module.RATE]


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_token_goes_into_the_query_and_nowhere_else():
    with Loopback(said(200, {})) as server:
        connected(server.url).json("POST", "/api/workflows", {"workflow_name": "a b"}, {"x": 1})
    (asked,) = server.asked
    assert asked.query == [("access_token", CANARY), ("workflow_name", "a b")]
    assert asked.body == b'{"x": 1}'
    assert asked.headers["Content-Type"] == "application/json"
    assert not {"Authorization", "Cookie", "Transfer-Encoding"} & set(asked.headers)


def test_what_is_anonymous_goes_without_the_token():
    with Loopback(said(200, {})) as server:
        connected(server.url).json("GET", "/api/ping", anonymous=True)
    assert server.asked[0].query == []


def test_server_that_wants_the_token_in_a_header_gets_it_there_from_then_on():
    def answer(asked):
        return (
            said(200, {}) if asked.headers.get("Authorization") == f"Bearer {CANARY}" else said(401, {"message": "no"})
        )

    with Loopback(answer) as server:
        connection = connected(server.url)
        connection.json("POST", "/api/a", repeatable=False)
        connection.json("POST", "/api/b", repeatable=False)
    assert [asked.target.partition("?")[0] for asked in server.asked] == ["/api/a", "/api/a", "/api/b"]
    assert not any(form in server.asked[2].target for form in FORMS)


def test_token_refused_both_ways_is_refused_once_and_the_next_request_asks_as_before():
    with Loopback(said(401, {"message": "User not signed in"})) as server:
        connection = connected(server.url)
        for _ in range(2):
            with pytest.raises(Refused, match="User not signed in") as caught:
                connection.json("GET", "/api/you")
            assert caught.value.status == 401
            assert "REANA_ACCESS_TOKEN" in caught.value.hint
    assert ["access_token" in asked.target for asked in server.asked] == [True, False, True, False]


def test_netrc_and_cookies_add_nothing(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Loopback(said(200, {}, Set_Cookie="session=abc; Path=/")) as server:
        connection = connected(server.url)
        connection.json("GET", "/api/you")
        connection.json("GET", "/api/you")
    assert not any({"Authorization", "Cookie"} & set(asked.headers) for asked in server.asked)


def test_proxy_gets_no_plain_request_of_this_machine(monkeypatch):
    with Loopback(said(200, {"proxy": True})) as proxy, Loopback(said(200, {"proxy": False})) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert connected(server.url).json("GET", "/api/you") == {"proxy": False}
    assert not proxy.asked


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_file_is_sent_whole_with_its_length(tmp_path, size):
    place = tmp_path / "file"
    place.write_bytes(b"x" * size)
    with Loopback(said(200, {})) as server:
        for content in (Content.of(place), Content.of(place.read_bytes())):
            connected(server.url).send("/api/workflows/w/workspace", {"file_name": "/file"}, content)
    for asked in server.asked:
        assert asked.headers["Content-Length"] == str(size)
        assert "Transfer-Encoding" not in asked.headers
        assert len(asked.body) == size
        assert asked.headers["Content-Type"] == "application/octet-stream"


def test_file_is_opened_anew_for_each_attempt(tmp_path):
    place = tmp_path / "file"
    place.write_bytes(b"abc")
    with Loopback(Answer(503), Answer(429), said(200, {})) as server:
        connected(server.url).send("/api/workflows/w/workspace", {}, Content.of(place))
    assert [asked.body for asked in server.asked] == [b"abc"] * 3


@pytest.mark.parametrize("now", [b"abc", b"abcdefghi"])
def test_file_that_changes_after_it_was_measured_is_not_sent(tmp_path, now):
    place = tmp_path / "file"
    place.write_bytes(b"abcdef")
    content = Content.of(place)
    place.write_bytes(now)
    with Loopback(said(200, {})) as server, pytest.raises(IntegrityError, match="changed while it was sent"):
        connected(server.url).send("/api/workflows/w/workspace", {}, content)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://reana.example.org",
        "reana.example.org",
        "https://",
        "https://u:p@reana.example.org",
        "https://h/?q=1",
        "http://[::1",
    ],
)
def test_address_that_is_none_is_refused_and_not_repeated(url):
    with pytest.raises(UsageError, match="not the address of a server") as caught:
        connected(url)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://reana.example.org", "http://10.0.0.1:8080", "http://localhost.evil.org"])
def test_plain_http_is_for_this_machine_only(url):
    with pytest.raises(UsageError, match="without TLS"):
        connected(url)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.2:1/", "http://[::1]:1", "https://reana.example.org"]
)
def test_addresses_that_a_token_can_be_sent_to(url):
    assert connected(url).url == url.rstrip("/")


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "tök"])
def test_token_that_is_none_is_refused_and_not_repeated(token):
    with pytest.raises(UsageError, match="REANA_ACCESS_TOKEN") as caught:
        Connection(ReanaServer(url="https://reana.example.org", token=token))
    assert not token or token not in str(caught.value)


# --- what is repeated ------------------------------------------------------------------------------------------------

PASSING = [
    Answer(500),
    Answer(502, b"<html>Bad Gateway</html>"),
    Answer(503),
    Answer(504),
    Answer(408),
    Answer(cut=3),
    Answer(body=b'{"message": "O'),
    Answer(raw=b""),
    Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
    Answer(headers={"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize("first", PASSING)
def test_repeatable_request_is_repeated(first):
    with Loopback(first, said(200, {"a": 1})) as server:
        assert connected(server.url).json("GET", "/api/info") == {"a": 1}
    assert len(server.asked) == 2


@pytest.mark.parametrize("first", PASSING)
def test_what_may_have_happened_is_not_repeated_and_says_so(first):
    with Loopback(first, said(201, {"a": 1})) as server, pytest.raises(Unsure) as caught:
        connected(server.url).json("POST", "/api/workflows", {"workflow_name": "a"}, {}, repeatable=False)
    assert len(server.asked) == 1
    assert "POST /api/workflows" in str(caught.value)


def test_hanging_server_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", (1.0, 0.05))
    with Loopback(Answer(hang=5)) as server:
        with pytest.raises(Unsure, match="no answer in time"):
            connected(server.url).json("POST", "/api/workflows", repeatable=False)
        with pytest.raises(RemoteError, match="in 3 attempts: no answer in time"):
            connected(server.url, attempts=3).json("GET", "/api/info")


def test_too_many_requests_are_repeated_also_where_nothing_may_happen_twice_after_what_the_server_asks():
    clock = Ticks()
    with Loopback(Answer(429, headers={"Retry-After": "7"}), Answer(429), said(201, {})) as server:
        connected(server.url, clock).json("POST", "/api/workflows", repeatable=False)
    assert len(server.asked) == 3
    first, second = pauses(clock)
    assert first == 7
    assert 0.5 <= second <= 1


def test_no_connection_means_that_nothing_happened():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clock = Ticks()
    with pytest.raises(RemoteError, match="in 4 attempts: no connection") as caught:
        connected(f"http://127.0.0.1:{port}", clock, attempts=4).json("POST", "/api/workflows", repeatable=False)
    assert not isinstance(caught.value, Unsure)
    assert len(pauses(clock)) == 3


def test_waits_grow_up_to_a_bound():
    clock = Ticks()
    with Loopback(Answer(503)) as server, pytest.raises(Refused) as caught:
        connected(server.url, clock).json("GET", "/api/info")
    assert len(server.asked) == module.ATTEMPTS
    assert caught.value.attempts == module.ATTEMPTS
    waits = pauses(clock)
    assert all(0.25 * 2**n * 0.5 <= each <= min(0.25 * 2**n, module.LONGEST_WAIT) for n, each in enumerate(waits, 1))


def test_server_that_breaks_down_over_a_request_is_asked_three_times():
    broken = said(500, {"message": "join() argument must be str"})
    with Loopback(broken) as server, pytest.raises(Refused, match="argument must be str") as caught:
        connected(server.url).json("GET", "/api/workflows/w/status")
    assert caught.value.status == 500
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 409, 501])
def test_refusal_is_not_repeated(status):
    no = said(status, {"message": "Workflow w is not running."})
    with Loopback(no) as server, pytest.raises(Refused, match="Workflow w is not running") as caught:
        connected(server.url).json("PUT", "/api/workflows/w/status")
    assert (caught.value.status, caught.value.attempts, caught.value.exit_code) == (status, 1, 6)
    assert len(server.asked) == 1


def test_redirection_is_not_followed():
    with (
        Loopback(said(200, {})) as other,
        Loopback(Answer(302, headers={"Location": other.url})) as server,
        pytest.raises(RemoteError, match="points to another address"),
    ):
        connected(server.url).json("GET", "/api/you")
    assert not other.asked


def test_answer_that_is_too_large_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    with (
        Loopback(Answer(body=b'"' + b"x" * 10_000_000 + b'"')) as server,
        pytest.raises(RemoteError, match="larger than"),
    ):
        connected(server.url).json("GET", "/api/info")
    assert len(server.asked) == 1


def test_rate_is_kept_by_all_threads_together():
    clock, lock = Ticks(), threading.Lock()

    class Shared(Ticks):
        def sleep(self, seconds: float) -> None:
            with lock:
                clock.slept.append(seconds)

    with Loopback(said(200, {})) as server:
        connection = connected(server.url, Shared(), rate=10)
        threads = [threading.Thread(target=connection.json, args=("GET", "/api/info")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(clock.slept) == pytest.approx([n / 10 for n in range(1, 8)])


def test_many_threads_keep_their_connections(caplog):
    def slow(_: Asked) -> Answer:
        gate.wait(5)
        return said(200, {})

    gate = threading.Barrier(24)
    with Loopback(slow) as server:
        connection = connected(server.url)
        threads = [threading.Thread(target=connection.json, args=("GET", "/api/info")) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 24
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- what is fetched -------------------------------------------------------------------------------------------------


def test_fetch_begins_anew_after_a_cut():
    got: list[bytes] = []

    def take(pieces):
        got.append(b"".join(pieces))
        return len(got[-1])

    with Loopback(Answer(body=b"0123456789", cut=4), Answer(503), Answer(body=b"0123456789")) as server:
        assert connected(server.url).fetch("/api/workflows/w/workspace/a", None, take) == 10
    assert got == [b"0123456789"]


def test_directory_is_not_a_file():
    packed = Answer(body=b"PK", headers={"Content-Type": "application/zip"})
    with Loopback(packed) as server, pytest.raises(NotAFile, match="gen is a directory"):
        connected(server.url).fetch("/api/workflows/w/workspace/gen", None, lambda pieces: len(list(pieces)))


# --- the token -------------------------------------------------------------------------------------------------------

ECHO = f"GET /api/you?access_token={quote(CANARY, safe='')} by {CANARY}".encode()
HTML = b"<html><a href='/api/you?access_token=" + quote(CANARY).encode() + b"'>here</a></html>"
BAD = {
    "401": Answer(401, b'{"message": "Token ' + CANARY.encode() + b' not valid"}'),
    "403 text": Answer(403, ECHO),
    "404 page": Answer(404, HTML),
    "409 list": Answer(409, b'["' + CANARY.encode() + b'"]'),
    "429": Answer(429, HTML),
    "500": Answer(500, ECHO),
    "502": Answer(502, HTML),
    "redirect": Answer(302, headers={"Location": f"https://evil.example.org/?access_token={quote(CANARY, safe='')}"}),
    "cut": Answer(body=b'{"reana_token": {"value": "' + CANARY.encode() + b'"}, "email": ', cut=50),
    "half JSON": Answer(body=b'{"reana_token": {"value": "' + CANARY.encode()),
    "no HTTP": Answer(raw=ECHO + b"\r\n"),
    "nothing": Answer(raw=b""),
    "odd header": Answer(raw=b"HTTP/1.1 200 OK\r\nno colon " + ECHO + b"\r\nContent-Length: 1\r\n\r\n{"),
    "bad chunk": Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz" + ECHO),
    "bad gzip": Answer(body=ECHO, headers={"Content-Encoding": "gzip"}),
    "hanging": Answer(hang=5),
}


def everything_shown(error: BaseException) -> str:
    """All that any printer could make of an error: texts, chains (also hidden ones), frames and their variables."""
    seen: list[BaseException] = []
    texts = []
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        todo += [each.__cause__, each.__context__]
        texts += [str(each), repr(each), repr(each.args), repr(vars(each))]
        frames = traceback.TracebackException.from_exception(each, capture_locals=True).stack
        texts += [repr((f.line, f.locals)) for f in frames if f.filename != __file__]
    return "\n".join(texts)


@pytest.fixture
def records(caplog):
    """Every log record, also those that no logger would let through."""
    for name in ("", "urllib3", "urllib3.connectionpool", "requests", "recast_dm"):
        caplog.set_level(logging.DEBUG, name)

    def read() -> str:
        shown = io.StringIO()
        printer = logging.StreamHandler(shown)
        for record in caplog.records:
            printer.emit(record)
            shown.write(f"{record.msg!r} {record.args!r} {record.exc_info!r} {vars(record)!r}\n")
        return shown.getvalue()

    return read


def demand_no_token(shown: str) -> None:
    for form in FORMS:
        assert form not in shown


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("repeatable", [True, False])
def test_no_failure_shows_the_token(kind, repeatable, monkeypatch, records, capfd):
    monkeypatch.setattr(module, "TIMEOUT", (1.0, 0.05))
    with Loopback(BAD[kind]) as server:
        connection = connected(server.url, attempts=2)
        with pytest.raises(RemoteError) as caught:
            connection.json("GET", "/api/you", {"page": "1"}, repeatable=repeatable)
    assert server.asked, "the server was never asked: the test shows nothing"
    demand_no_token(everything_shown(caught.value))
    demand_no_token(str(caught.value.document()))
    demand_no_token(records())
    demand_no_token("".join(capfd.readouterr()))
    demand_no_token(repr(connection) + repr(vars(connection)))


def test_records_of_urllib3_are_there_and_redacted(records):
    with Loopback(said(200, {})) as server:
        connected(server.url).json("GET", "/api/you")
    assert "access_token=..." in records()
    demand_no_token(records())


@pytest.mark.parametrize("kind", ["closed port", "no such host", "no TLS", "proxy"])
def test_no_connection_that_fails_shows_the_token(kind, monkeypatch, records):
    monkeypatch.setattr(module, "TIMEOUT", (2.0, 2.0))
    with Loopback(said(200, {})) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        url = {"closed port": nobody, "no such host": "https://reana.invalid", "proxy": "https://reana.invalid"}.get(
            kind
        )
        if kind == "proxy":
            monkeypatch.setenv("https_proxy", nobody)
        else:
            monkeypatch.delenv("https_proxy", raising=False)
            monkeypatch.delenv("HTTPS_PROXY", raising=False)
        with pytest.raises(RemoteError) as caught:
            connected(url or server.url.replace("http:", "https:"), attempts=2).json("GET", "/api/you")
    demand_no_token(everything_shown(caught.value))
    demand_no_token(records())


@pytest.fixture
def untrusted(tmp_path):
    """A server with TLS, and a certificate that nobody vouches for; gives its address."""
    names = ("-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate"))
    about = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *about, *names]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    with Loopback(said(200, {})) as server:
        server.encrypt(context)
        yield server.url.replace("http:", "https:").replace("127.0.0.1", "localhost")


def test_certificate_that_nobody_vouches_for_is_refused_at_once(untrusted, records):
    clock = Ticks()
    with pytest.raises(RemoteError, match="certificate cannot be verified") as caught:
        connected(untrusted, clock).json("GET", "/api/you")
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
    assert not clock.slept
    demand_no_token(everything_shown(caught.value))
    demand_no_token(records())


def test_certificate_is_trusted_where_the_user_says_so(untrusted, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate"))
    assert connected(untrusted).json("GET", "/api/you") == {}


def test_no_failure_here_shows_the_token(tmp_path, records):
    place = tmp_path / "file"
    place.write_bytes(b"abcdef")
    content = Content.of(place)
    place.write_bytes(b"abc")
    gone = Content.of(place)

    def take(_: object) -> int:
        raise StorageError("no space left")

    with Loopback(said(200, {})) as server:
        connection = connected(server.url)
        failures = [lambda: connection.send("/api/w", {}, content), lambda: connection.fetch("/api/w", None, take)]
        for fail in failures:
            with pytest.raises(RecastError) as caught:
                fail()
            demand_no_token(everything_shown(caught.value))
        Path(place).unlink()
        with pytest.raises(StorageError) as caught:
            connection.send("/api/w", {}, gone)
        demand_no_token(everything_shown(caught.value))
    demand_no_token(records())
