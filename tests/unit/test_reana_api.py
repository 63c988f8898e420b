"""Each call to REANA, against what the official client sent to a real server, and what that answered."""

from __future__ import annotations

import io
import json
import re
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recast_dm.backends.reana.api import Reana, page_of
from recast_dm.backends.reana.connection import Connection, Refused, Unsure
from recast_dm.backends.reana.creating import MOST_FILES, Wanted, bundle, form, members
from recast_dm.config import ReanaServer
from recast_dm.errors import IntegrityError, RemoteError, SpecError, StorageError, UsageError
from tests.loopback import Answer, Asked, Loopback, said
from tests.recordings import PLACE, Exchange, content, exchanges

ID = "9da88494-860d-49cc-a758-9527209e0eda"
INPUTS = {"reana.yaml", "data/in.txt", "workflow/workflow.yaml", "workflow/steps.yaml"}


class Still:
    """A clock whose sleeps take no time."""

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        pass


def client(server: Loopback, **options: Any) -> Reana:
    return Reana(Connection(ReanaServer(url=server.url, token="TOKEN"), clock=Still(), **options))


def recorded(command: str, method: str = "", nth: int = 0) -> Exchange:
    """The exchange of an official command; a command makes several, which `method` and number tell apart."""
    found = [each for each in exchanges() if each.command == command and method in each.request["method"]]
    return found[nth]


# --- equal to the official client ------------------------------------------------------------------------------------

SPECIFICATION = recorded("reana-client create -w rec1", "POST").request["body"]
CALLS: list[tuple[Exchange, Callable[[Reana], Any]]] = [
    (recorded("reana-client ping"), lambda r: r.you()),
    (recorded("reana-client info"), lambda r: r.info()),
    (recorded("ping without token"), lambda r: r.ping()),
    (recorded("reana-client upload -w rec1"), lambda r: r.specification("rec1")),
    (recorded("reana-client start -w rec1 -p mass=250"), lambda r: r.parameters("rec1")),
    (recorded("reana-client start -w rec1 -p mass=250", "POST"), lambda r: r.start("rec1", {"mass": "250"})),
    (recorded("reana-client status -w rec1"), lambda r: r.status("rec1")),
    (recorded("reana-client logs -w rec1"), lambda r: r.logs("rec1")),
    (recorded("reana-client stop -w rec1 --force"), lambda r: r.stop("rec1")),
    (recorded("reana-client list --json"), lambda r: list(r.workflows())),
    (recorded("reana-client ls -w rec2 --json"), lambda r: list(r.files("rec2"))),
    (recorded("reana-client ls -w rec2 sum"), lambda r: list(r.files("rec2", "sum"))),
    (recorded("reana-client download -w rec2 sum/out.txt -o dl"), lambda r: r.read("rec2", "sum/out.txt")),
    (recorded("reana-client du -w rec2 -s"), lambda r: r.du("rec2", summarize=True)),
    (recorded("reana-client du -w rec2"), lambda r: r.du("rec2")),
    (
        recorded("reana-client mv data/in.txt data/in2.txt -w rec2"),
        lambda r: r.move("rec2", "data/in.txt", "data/in2.txt"),
    ),
    (recorded("reana-client rm -w rec2 data/in2.txt"), lambda r: r.remove("rec2", "data/in2.txt")),
    (
        recorded("reana-client secrets-add --env PASSWORD=abc --file data/in.txt"),
        lambda r: r.add_secrets({"PASSWORD": ("env", b"abc"), "in.txt": ("file", b"hello signal\n")}),
    ),
    (recorded("reana-client secrets-list"), lambda r: r.secrets()),
    (recorded("reana-client secrets-delete PASSWORD in.txt"), lambda r: r.delete_secrets(["PASSWORD", "in.txt"])),
    (recorded("reana-client retention-rules-list -w rec2"), lambda r: r.retention("rec2")),
    (recorded("reana-client prune -w rec2"), lambda r: r.prune("rec2")),
    (recorded("reana-client restart -w rec2"), lambda r: r.start("rec2", restart=True)),
    (recorded("reana-client delete -w rec1 --include-workspace"), lambda r: r.delete("rec1")),
    (
        recorded("reana-client delete -w rec2 --include-all-runs --include-workspace"),
        lambda r: r.delete("rec2", all_runs=True),
    ),
]
REFUSED: list[tuple[Exchange, Callable[[Reana], Any]]] = [
    (recorded("reana-client secrets-add --env PASSWORD=abc"), lambda r: r.add_secrets({"PASSWORD": ("env", b"abc")})),
    (recorded("reana-client secrets-delete NOPE"), lambda r: r.delete_secrets(["NOPE"])),
    (recorded("reana-client status -w nosuch"), lambda r: r.status("nosuch")),
    (recorded("reana-client start -w nosuch"), lambda r: r.start("nosuch")),
    (recorded("reana-client upload -w nosuch"), lambda r: r.specification("nosuch")),
    (recorded("stop"), lambda r: r.stop("bad1")),
]
NOT_MADE = {
    "reana-client diff rec1 rec2": "two runs are compared here, by `diff`",
    "reana-client download -w rec2 gen -o dl": "directories are fetched file by file",
    "reana-client list -v --include-progress --include-workspace-size": "`list --json` with more columns",
}
"""What the official client was recorded with, and ours has another way for."""


def replayed(exchange: Exchange) -> Answer:
    response = exchange.response
    kept = {name: value for name, value in response["headers"].items() if name != "Content-Length"}
    if response["content_type"]:
        kept["Content-Type"] = response["content_type"]
    return Answer(response["status"], exchange.answer, kept)


def demand_equal(asked: Asked, exchange: Exchange) -> None:
    request = exchange.request
    assert (asked.method, asked.path) == (request["method"], request["path"])
    assert asked.query == exchange.query
    assert asked.headers.get("Content-Type") == request["content_type"]
    assert ("Transfer-Encoding" in asked.headers) == request["chunked"]
    if request["content_type"] == "application/json":
        assert json.loads(asked.body) == request["body"]
        assert [type(each) for each in json.loads(asked.body)] == [type(each) for each in request["body"]]
    else:
        assert asked.body == content(request["body"])


@pytest.mark.parametrize(("exchange", "call"), CALLS, ids=lambda each: getattr(each, "command", ""))
def test_request_equals_the_official_clients(exchange, call):
    with Loopback(replayed(exchange)) as server:
        call(client(server))
    (asked,) = server.asked
    demand_equal(asked, exchange)


@pytest.mark.parametrize(("exchange", "call"), REFUSED, ids=lambda each: getattr(each, "command", ""))
def test_refusal_is_told_in_the_servers_words(exchange, call):
    with Loopback(replayed(exchange)) as server, pytest.raises(Refused) as caught:
        call(client(server))
    demand_equal(server.asked[0], exchange)
    body = exchange.response["body"]
    words = body["message"] if isinstance(body, dict) else json.dumps(body)
    assert caught.value.status == exchange.response["status"]
    assert caught.value.message == words
    assert caught.value.hint


def test_create_equals_the_official_clients():
    exchange = recorded("reana-client create -w rec1", "POST")
    with Loopback(said(200, {"message": "OK", "status": "200"}), replayed(exchange)) as server:
        created = client(server).create("rec1", SPECIFICATION, {})
    assert server.asked[0].path == "/api/ping"
    demand_equal(server.asked[1], exchange)
    assert (created.name, created.id) == ("rec1.1", "cfe8646a-dfeb-400d-8ba1-e80a2ee88de5")


@pytest.mark.parametrize("run", ["rec1", "rec2"])
def test_uploads_equal_the_official_clients(run):
    uploads = [each for each in exchanges() if each.command.endswith(f"upload -w {run}") and each.request["body"]]
    uploads += [
        each for each in exchanges() if f"create -w {run}" in each.command and "workspace" in each.request["path"]
    ]
    assert {dict(each.query)["file_name"].lstrip("/") for each in uploads} == INPUTS
    for exchange in uploads:
        w, path = exchange.request["path"].split("/")[3], dict(exchange.query)["file_name"].lstrip("/")
        with Loopback(replayed(exchange)) as server:
            client(server).upload(w, path, PLACE / "analysis" / path)
        demand_equal(server.asked[0], exchange)


def test_every_command_of_the_official_client_is_made_here_too():
    """Of each recorded command, one request at least is compared with ours; what is not is written down."""
    compared = {re.sub(r"rec\d", "rec", exchange.command) for exchange, _ in CALLS + REFUSED}
    compared |= {"reana-client create -w rec", "reana-client upload -w rec", *NOT_MADE}
    told = {re.sub(r"rec\d", "rec", each.command) for each in exchanges() if each.command.startswith("reana-client")}
    same = {
        "status -w rec --json",
        "status -w rec -v",
        "status -w rec",
        "logs -w rec --json",
        "create -w rec -f reana.yaml",
    }
    same |= {
        "start -w rec -p mass=250",
        "download -w rec -o dl",
        "quota-show --resource disk",
        "quota-show --resource cpu",
    }
    assert (
        told
        - compared
        - {f"reana-client {each}" for each in same}
        - {re.sub(r"rec\d", "rec", each) for each in NOT_MADE}
        == set()
    )


# --- what answers mean -----------------------------------------------------------------------------------------------


def asked_of(exchange: Exchange, call: Callable[[Reana], Any]) -> Any:
    with Loopback(replayed(exchange)) as server:
        return call(client(server))


def test_you_have_a_quota_and_no_token():
    you = asked_of(recorded("reana-client ping"), lambda r: r.you())
    assert (you.email, you.version, you.token_status) == ("admin@example.org", "0.9.4", "active")
    assert you.disk.usage == 307200
    assert you.disk.limit is None
    assert you.disk.free is None
    assert "TOKEN" not in repr(you)


def test_quota_with_a_limit():
    document = {"email": "a", "quota": {"disk": {"usage": {"raw": 30}, "limit": {"raw": 100}, "health": "healthy"}}}
    with Loopback(said(200, document)) as server:
        disk = client(server).you().disk
    assert (disk.limit, disk.free, disk.health) == (100, 70, "healthy")


def test_info_has_limits():
    info = asked_of(recorded("reana-client info"), lambda r: r.info())
    assert info.compute_backends == ("kubernetes",)
    assert info.get("kubernetes_max_memory_limit") == "10Gi"
    assert info.get("nosuch") is None


def test_status_of_a_finished_run():
    status = asked_of(recorded("reana-client status -w rec2 --json"), lambda r: r.status("rec2"))
    assert (status.name, status.id, status.state, status.ended) == ("rec2.1", ID, "finished", True)
    progress = status.progress
    assert (progress.total, progress.finished, progress.running, progress.failed) == (2, 2, 0, 0)
    assert (progress.started, progress.ended) == ("2026-11-22T10:42:29", "2026-11-22T10:44:06")
    assert [job.step for job in status.jobs] == ["gen", "sum"]
    gen = status.jobs[0]
    assert (gen.status, gen.image, gen.backend, gen.seconds) == ("finished", "debian:bookworm-slim", "Kubernetes", 1.0)
    assert gen.command.startswith("echo mass=250; cat /var/reana/")
    assert "uid=1000 gid=0(root)" in gen.log


def test_logs_of_a_finished_run():
    logs = asked_of(recorded("reana-client logs -w rec2 --json"), lambda r: r.logs("rec2"))
    assert "yadage.creators" in logs.workflow
    assert [job.step for job in logs.jobs] == ["gen", "sum"]
    assert logs.engine == ""


def test_logs_of_some_steps_are_asked_for_by_name():
    with Loopback(said(200, {"logs": "{}"})) as server:
        assert client(server).logs("w", ["gen"]).jobs == ()
    assert json.loads(server.asked[0].body) == ["gen"]


def test_restart_makes_a_run_of_a_run():
    again = asked_of(recorded("reana-client restart -w rec2"), lambda r: r.start("rec2", restart=True))
    assert again.name == "rec2.1.1"


def test_parameters_keep_their_types():
    with Loopback(said(200, {"workflow_name": "w", "workflow_id": "i", "run_number": "1"})) as server:
        started = client(server).start("w.1", {"n": 1, "x": 1.0, "on": True, "list": ["a", 2], "none": None})
    assert started.name == "w.1"
    body = server.asked[0].body
    assert b'"input_parameters": {"n": 1, "x": 1.0, "on": true, "list": ["a", 2], "none": null}' in body


def test_files_of_a_workspace():
    files = asked_of(recorded("reana-client ls -w rec2 --json"), lambda r: list(r.files("rec2")))
    found = {file.path: file for file in files}
    assert {*INPUTS, "gen/gen.txt", "sum/out.txt"} <= set(found)
    assert (found["gen/gen.txt"].size, found["gen/gen.txt"].modified) == (17, "2026-11-22T10:43:03")


def test_disk_usage_has_paths_as_the_list_has():
    usage = asked_of(recorded("reana-client du -w rec2"), lambda r: r.du("rec2"))
    assert {"gen/gen.txt", "gen", "_yadage/adage"} <= {file.path for file in usage}
    (all_together,) = asked_of(recorded("reana-client du -w rec2 -s"), lambda r: r.du("rec2", summarize=True))
    assert (all_together.path, all_together.size) == ("", 307200)


def test_pages_are_read_to_the_last():
    page = [{"name": f"f{n}", "size": {"raw": n}, "last-modified": "2026-11-22T10:43:03"} for n in range(5)]
    answers = [
        said(200, {"items": page[:2], "has_next": True}),
        said(200, {"items": page[2:4], "has_next": True}),
        said(200, {"items": page[4:], "has_next": False}),
    ]
    with Loopback(*answers) as server:
        assert [file.size for file in client(server).files("w")] == [0, 1, 2, 3, 4]
    assert [dict(asked.query)["page"] for asked in server.asked] == ["1", "2", "3"]


def test_page_past_the_end_ends_the_list():
    with Loopback(said(200, {"items": [], "has_next": True})) as server:
        assert list(client(server).files("w")) == []


def test_runs_of_a_name_are_only_those():
    names = ["scan.2", "scan.1", "scan.1.1", "scan-2.1", "my-scan.1"]
    items = [{"name": name, "id": name, "status": "created"} for name in names]
    with Loopback(said(200, {"items": items, "has_next": False})) as server:
        found = [each.name for each in client(server).workflows("scan")]
    assert found == ["scan.2", "scan.1", "scan.1.1"]
    assert ("workflow_id_or_name", "scan") in server.asked[0].query


# --- answers that are lost or odd ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [lambda r: r.start("w"), lambda r: r.create("w", {"workflow": {}}, {})])
@pytest.mark.parametrize("answer", [{}, [], {"workflow_name": "w"}, {"workflow_name": 1, "workflow_id": "i"}])
def test_answer_that_names_no_run_leaves_it_open(call, answer):
    def reply(asked: Asked) -> Answer:
        return said(200, {"message": "OK"} if asked.path == "/api/ping" else answer)

    with Loopback(reply) as server, pytest.raises(Unsure):
        call(client(server))


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.you(),
        lambda r: r.info(),
        lambda r: r.status("w"),
        lambda r: r.logs("w"),
        lambda r: list(r.workflows()),
        lambda r: list(r.files("w")),
        lambda r: r.secrets(),
        lambda r: r.du("w"),
        lambda r: r.remove("w", "f"),
    ],
)
@pytest.mark.parametrize("answer", [None, 7, "text", [7], {"items": [7]}, {"status": "odd", "id": "i", "name": "w"}])
def test_odd_answer_is_our_error(call, answer):
    with Loopback(said(200, answer)) as server:
        try:
            call(client(server))
        except RemoteError:
            return
    assert isinstance(answer, dict), "an answer that is no object was taken for one"


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.start("w"),
        lambda r: r.start("w", restart=True),
        lambda r: r.create("w", {"workflow": {}}, {}),
        lambda r: r.move("w", "a", "b"),
        lambda r: r.add_secrets({"S": ("env", b"x")}),
        lambda r: r.open_session("w"),
        lambda r: r.close_session("w"),
    ],
)
@pytest.mark.parametrize("lost", [Answer(502), Answer(cut=3), Answer(500)])
def test_what_may_not_happen_twice_is_sent_once(call, lost):
    def reply(asked: Asked) -> Answer:
        return said(200, {"message": "OK"}) if asked.path == "/api/ping" else lost

    with Loopback(reply) as server, pytest.raises(Unsure):
        call(client(server))
    assert len([asked for asked in server.asked if asked.path != "/api/ping"]) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.status("w"),
        lambda r: r.upload("w", "a", b"x"),
        lambda r: r.read("w", "a"),
        lambda r: r.remove("w", "a"),
        lambda r: r.add_secrets({"S": ("env", b"x")}, overwrite=True),
        lambda r: r.delete_secrets(["S"]),
        lambda r: r.stop("w"),
        lambda r: r.delete("w"),
        lambda r: r.prune("w"),
    ],
)
def test_what_may_happen_twice_is_sent_again(call):
    answer = {"name": "w.1", "id": "i", "status": "running", "deleted": {}}
    with Loopback(Answer(502), Answer(cut=3), said(200, answer)) as server:
        call(client(server))
    assert len({(asked.method, asked.target, asked.body) for asked in server.asked}) == 1
    assert len(server.asked) == 3


def test_stop_whose_first_answer_was_lost_has_stopped_it():
    lost, no = Answer(502), said(409, {"message": "Workflow w is not running."})
    stopped = said(200, {"name": "w.1", "id": "i", "status": "stopped"})
    with Loopback(lost, no, stopped) as server:
        client(server).stop("w")
    assert [asked.method for asked in server.asked] == ["PUT", "PUT", "GET"]


def test_stop_of_what_finished_meanwhile_is_refused():
    lost, no = Answer(502), said(409, {"message": "Workflow w is not running."})
    finished = said(200, {"name": "w.1", "id": "i", "status": "finished"})
    with Loopback(lost, no, finished) as server, pytest.raises(Refused):
        client(server).stop("w")


@pytest.mark.parametrize("call", [lambda r: r.delete("w"), lambda r: r.delete_secrets(["S"])])
def test_deletion_whose_first_answer_was_lost_is_done(call):
    with Loopback(Answer(cut=3), said(404, {"message": "w does not exist"})) as server:
        call(client(server))
    assert len(server.asked) == 2


@pytest.mark.parametrize("call", [lambda r: r.delete("w"), lambda r: r.delete_secrets(["S"])])
def test_deletion_of_what_is_not_there_is_refused(call):
    with Loopback(said(404, {"message": "w does not exist"})) as server, pytest.raises(Refused):
        call(client(server))


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("w", ["", ".", "..", "a/b", "a?b", "a#b", "a%2Fb", "a\\b", "a\nb"])
def test_word_that_names_no_workflow_is_never_sent(w):
    with Loopback(said(200, {})) as server:
        with pytest.raises(UsageError, match="names no workflow"):
            client(server).status(w)
        assert not server.asked


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a/../../b", "..", "a//b", "./a", "a/", "a\\b", "a\nb"])
def test_path_out_of_a_workspace_is_never_sent(path, tmp_path):
    with Loopback(said(200, {})) as server:
        reana = client(server)
        calls: list[Callable[[], Any]] = [
            lambda: reana.upload("w", path, b""),
            lambda: reana.download("w", path, tmp_path / "file"),
            lambda: reana.remove("w", path),
        ]
        for call in calls:
            with pytest.raises(IntegrityError):
                call()
        assert not server.asked


def test_odd_characters_of_paths_arrive(tmp_path):
    odd = "a b/ü+%41[1]&x=y#?.txt"
    with Loopback(said(200, {"deleted": {odd: {}}})) as server:
        reana = client(server)
        reana.upload("w.1", odd, b"x")
        reana.download("w.1", odd, tmp_path / "f")
        reana.remove("w.1", odd)
    sent, got, gone = server.asked
    assert dict(sent.query)["file_name"] == f"/{odd}"
    assert dict(got.query)["file_name"] == "a b/ü+%41[[]1]&x=y#[?].txt"  # paths are patterns there
    assert got.path == "/api/workflows/w.1/workspace/a%20b/%C3%BC%2B%2541%5B%5B%5D1%5D%26x%3Dy%23%5B%3F%5D.txt"
    assert gone.path.endswith("/workspace/a%20b%2F%C3%BC%2B%2541%5B1%5D%26x%3Dy%23%3F.txt")


def test_download_is_whole_or_not_there(tmp_path):
    with Loopback(Answer(body=b"0123456789", cut=4)) as server, pytest.raises(RemoteError):
        client(server, attempts=2).download("w", "a", tmp_path / "deep" / "a")
    assert list((tmp_path / "deep").iterdir()) == []


def test_disk_that_is_full_is_not_taken_for_the_servers_fault(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Loopback(Answer(body=bytes(50_000))) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(StorageError, match="keep what was fetched"):
                client(server).download("w", "a", tmp_path / "a")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_download_replaces_what_is_there(tmp_path):
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with Loopback(Answer(body=b"new")) as server:
        assert client(server).download("w", "a", target) == 3
    assert target.read_bytes() == b"new"


def test_upload_of_a_file_that_is_not_there_says_so(tmp_path):
    with Loopback(said(200, {})) as server, pytest.raises(StorageError, match="nosuch"):
        client(server).upload("w", "a", tmp_path / "nosuch")
    assert not server.asked


def test_large_file_is_not_read_into_memory():
    with Loopback(Answer(body=b"x" * 2000)) as server, pytest.raises(RemoteError, match="larger than 1000"):
        client(server).read("w", "a", most=1000)


def test_page_for_people_holds_no_token():
    assert page_of("https://reana.example.org", ID) == f"https://reana.example.org/workflows/{ID}"


# --- the bundle of 0.95 ----------------------------------------------------------------------------------------------

CAPABLE = said(200, {"message": "OK", "api_capabilities": ["workflow-specification-bundles-v1"]})


def analysis() -> dict[str, Path | bytes]:
    place = PLACE / "analysis"
    return {str(each.relative_to(place)): each for each in sorted(place.rglob("*")) if each.is_file()}


def test_capable_server_gets_a_bundle():
    created = said(201, {"workflow_name": "rec1.1", "workflow_id": "i"})
    with Loopback(CAPABLE, created) as server:
        assert client(server).create("rec1", SPECIFICATION, analysis()).name == "rec1.1"
    asked = server.asked[1]
    assert asked.query == [("access_token", "TOKEN"), ("workflow_name", "rec1")]
    kind, _, boundary = asked.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    head, _, rest = asked.body.partition(b"\r\n\r\n")
    assert head.startswith(f"--{boundary}\r\n".encode())
    assert b'form-data; name="bundle"; filename=' in head
    with zipfile.ZipFile(io.BytesIO(rest.removesuffix(f"\r\n--{boundary}--\r\n".encode()))) as archive:
        assert archive.namelist() == ["reana.yaml", "workflow/steps.yaml", "workflow/workflow.yaml"]
        manifest = json.loads(archive.read("reana.yaml"))
    assert manifest["workflow"] == {
        "type": "yadage",
        "file": "workflow/workflow.yaml",
        "files": ["workflow/steps.yaml"],
    }
    assert manifest["inputs"] == SPECIFICATION["inputs"]


def test_bundle_is_the_same_each_time_and_as_the_server_wants_it():
    packed = bundle(members(Wanted(specification=SPECIFICATION, files=analysis())))
    assert packed == bundle(members(Wanted(specification=SPECIFICATION, files=dict(reversed(analysis().items())))))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o100600
            assert entry.create_system == 3
            assert not entry.flag_bits & 1
            assert entry.extra == b""


def test_form_has_a_boundary_that_its_content_cannot_hold():
    body, kind = form(b"PK")
    assert body.count(kind.partition("boundary=")[2].encode()) == 2


def test_bundle_of_too_many_files_is_refused():
    with pytest.raises(UsageError, match=f"REANA takes {MOST_FILES}"):
        bundle({f"f{n}": b"" for n in range(MOST_FILES + 1)})


def test_bundle_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("recast_dm.backends.reana.creating.MOST_BYTES", 10)
    assert bundle({"a": b"12345", "b": b"67890"})
    with pytest.raises(UsageError, match="REANA takes no more"):
        bundle({"a": b"12345", "b": b"678901"})


def test_workflow_whose_file_is_missing_is_refused_before_anything_is_sent():
    with Loopback(CAPABLE) as server, pytest.raises(SpecError, match="workflow/workflow"):
        client(server).create("rec1", SPECIFICATION, {})
    assert len(server.asked) == 1


def test_name_that_reana_would_refuse_is_not_sent():
    with Loopback(said(200, {})) as server:
        with pytest.raises(UsageError, match="it has a dot"):
            client(server).create("a.b", SPECIFICATION, {})
        assert not server.asked
