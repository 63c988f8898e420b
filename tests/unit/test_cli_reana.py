"""The verbs of REANA over what a real server answered: what they say, their documents, and the token nowhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from recast_dm import runtimes, schemas
from recast_dm.cli import options, reana
from recast_dm.config import ReanaServer
from recast_dm.errors import SpecError, UsageError
from recast_dm.runtimes.fake import FakeRuntime
from tests.reana import wire

RECORDED = Path(__file__).parents[1] / "data/reana-0.9/exchanges.jsonl"
URL = "https://reana.example.org"
TOKEN = "CANARY-6f1d0c2b9e8a"
W = "rec2.1"
ID = "9da88494-860d-49cc-a758-9527209e0eda"


def recorded(command: str, number: int = -1) -> tuple[int, Any]:
    """Status and document of what the real server answered to a command of the official client."""
    lines = (json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines())
    answers = [line["response"] for line in lines if line["command"] == command]
    return answers[number]["status"], answers[number]["body"]


@dataclass
class Site:
    """Answers by method and path: each list is used up from its beginning, its last answer stays."""

    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    asked: list[wire.Request] = field(default_factory=list)

    def __call__(self, request: wire.Request) -> wire.Response:
        self.asked.append(request)
        assert request.query.get("access_token") == (None if request.path == "/api/ping" else TOKEN)
        waiting = self.answers[request.method, request.path.removeprefix("/api/")]
        status, document = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return wire.Response.json(status, document)

    def says(self, method: str, path: str, *answers: tuple[int, Any]) -> None:
        self.answers[method, path] = list(answers)

    def sent(self, method: str) -> list[Any]:
        return [json.loads(each.body) for each in self.asked if each.method == method]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = ReanaServer(url=URL, token=TOKEN)
    monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, reana=server, reana_workon=None))
    monkeypatch.setattr(reana, "POLL", 0.0)
    return tmp_path


@pytest.fixture
def site(monkeypatch) -> Site:
    found = Site()
    monkeypatch.setattr(reana, "session", lambda: wire.session(found))
    for path, command, number in (
        ("you", "reana-client ping", 0),
        ("info", "reana-client info", 0),
        ("secrets", "reana-client secrets-list", 0),
        ("ping", "ping without token", 0),
        ("workflows", "reana-client list --json", 0),
        (f"workflows/{W}/workspace", "reana-client ls -w rec2 --json", 0),
        (f"workflows/{W}/logs", "reana-client logs -w rec2 --json", 0),
        (f"workflows/{W}/disk_usage", "reana-client du -w rec2", 0),
        (f"workflows/{W}/status", "wait", -1),
        (f"workflows/{W}/specification", "reana-client download -w rec2 -o dl", 0),
    ):
        found.says("GET", path, recorded(command, number))
    status = recorded("wait")[1]
    found.says("GET", f"workflows/{ID}/status", (200, status))
    return found


@pytest.fixture
def cli(cli, here) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; whatever it says, and whatever it leaves behind, is without the token."""

    def run(*words: object) -> tuple[int, str, str]:
        code, out, err = cli(*words)
        assert TOKEN not in out + err
        assert "Traceback" not in out + err
        for place in here.rglob("*"):
            assert place.is_dir() or TOKEN.encode() not in place.read_bytes()
        return code, out, err

    return run


def document(cli, name: str, *words: object) -> Any:
    code, out, err = cli(*words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert schemas.problem(name, found) is None
    return found


def refused(cli, code: int, *words: object) -> str:
    got, out, err = cli(*words, "--json")
    assert got == code
    assert schemas.problem("error-1", json.loads(out)) is None
    return err


def with_state(state: str, **progress: Any) -> tuple[int, Any]:
    status, found = recorded("wait")
    return status, {**found, "status": state, "progress": {**found["progress"], **progress}}


class TestWhichWorkflow:
    def test_words(self, monkeypatch):
        assert reana.meant("a.1") == reana.meant(None, "a.1") == reana.meant("a.1", "a.1")
        with pytest.raises(UsageError, match="both 'a' and -w 'b'"):
            reana.meant("a", "b")
        with pytest.raises(UsageError, match="no workflow is named"):
            reana.meant(None)
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, reana_workon="mine.3"))
        assert reana.meant(None).name == "mine.3"
        assert reana.meant("a.1").name == "a.1"
        assert reana.distant(None) == reana.meant(None)

    def test_a_directory(self, here):
        (here / "there").mkdir()
        with pytest.raises(UsageError, match="nothing was submitted from"):
            reana.meant("there")
        place = submission(here / "there", W)
        assert reana.meant("there") == reana.Meant(name=W, directory=Path("there"))
        assert reana.distant(Path("there")) == reana.meant("there")
        place.write_text(json.dumps({"workflow": W, "server": "https://other.example.org"}))
        with pytest.raises(UsageError, match=r"was submitted to https://other\.example\.org"):
            reana.meant("there")
        place.write_text(json.dumps({"workflow": "", "server": URL}))
        with pytest.raises(UsageError, match="is not submitted yet"):
            reana.meant("there")
        place.write_text("[]")
        with pytest.raises(SpecError, match=r"there/submission\.json does not name a workflow"):
            reana.meant("there")

    def test_below_build_runs(self, here):
        submission(here / "build/runs/one", W)
        assert reana.meant("one").name == W

    def test_what_is_here_goes_before_what_is_there(self, here):
        (here / "mine").mkdir()
        (here / "mine/run.json").write_text("{}")
        assert reana.distant(Path("mine")) is None
        assert reana.distant(Path("mine"), "a.1").name == "a.1"
        assert reana.distant(Path("generate/0")) is None
        assert reana.distant(Path("other")).name == "other"
        assert reana.distant(None) is None

    def test_nothing_is_there_without_a_server(self, monkeypatch):
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, reana=None))
        assert reana.distant(Path("other")) is None


def submission(directory: Path, workflow: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    place = directory / reana.SUBMISSION
    place.write_text(json.dumps({"workflow": workflow, "server": f"{URL}/"}))
    return place


class TestStatus:
    def test_for_people(self, cli, site):
        code, out, err = cli("status", W)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0] == f"workflow  {W}"
        assert "state     finished, 2/2 steps" in lines
        assert "outcome   success" in lines
        assert "elapsed   1 min 37 s" in lines
        assert lines[-2:] == ["gen   finished  Kubernetes  1.0 s", "sum   finished  Kubernetes  2.0 s"]

    def test_the_document(self, cli, site):
        found = document(cli, "reana-status-1", "status", "-w", W)
        assert (found["workflow"], found["state"], found["outcome"]) == (W, "finished", "success")
        assert found["steps"] == {"total": 2, "finished": 2, "running": 0, "failed": 0}
        assert [(job["step"], job["seconds"]) for job in found["jobs"]] == [("gen", 1.0), ("sum", 2.0)]

    def test_finished_without_its_outputs_is_no_success(self, cli, site):
        site.says("GET", f"workflows/{W}/workspace", (200, {"items": [], "has_next": False}))
        found = document(cli, "reana-status-1", "status", W)
        assert (found["state"], found["outcome"], found["missing"]) == ("finished", "failure", ["sum/out.txt"])
        code, out, _ = cli("status", W, "--watch")
        assert code == 1
        assert "REANA calls it finished, but outputs are not there: sum/out.txt" in out

    def test_failed_with_all_of_them_is_one(self, cli, site):
        site.says("GET", f"workflows/{W}/status", with_state("failed"))
        code, out, _ = cli("status", W, "--watch")
        assert code == 0
        assert "reason    REANA calls it failed, but every step finished" in out

    def test_watching(self, cli, site):
        counts = ({"total": 1}, {"total": 0})
        steps = [
            with_state("queued", total={"total": 0}, finished={"total": 0}),
            with_state("running", finished=counts[1], running=counts[0]),
            with_state("running", finished=counts[1], running=counts[0]),
            with_state("failed", finished=counts[0], failed=counts[0]),
        ]
        site.says("GET", f"workflows/{W}/status", *steps)
        code, out, err = cli("status", W, "--watch", "--json")
        assert code == 1
        assert err.splitlines() == [
            f"{W}: queued",
            f"{W}: running, 0/2 steps, 1 running",
            f"{W}: failed, 1/2 steps, 1 failed",
        ]
        assert json.loads(out)["reason"] == "1 of 2 steps failed"

    def test_one_that_is_not_there(self, cli, site):
        site.says("GET", "workflows/nosuch/status", recorded("reana-client status -w nosuch"))
        err = refused(cli, 6, "status", "nosuch")
        assert "there is no workflow 'nosuch' at https://reana.example.org, and no run of that name here" in err
        assert "ls --reana" in err

    def test_a_submission_until_it_is_fetched(self, cli, site, here):
        submission(here / "one", W)
        assert document(cli, "reana-status-1", "status", "one")["workflow"] == W

    def test_two_workflows(self, cli, site):
        assert "both 'a' and -w 'b'" in refused(cli, 2, "status", "a", "-w", "b")


class TestLogs:
    def test_every_step_and_the_workflow(self, cli, site):
        code, out, err = cli("logs", W)
        assert code == 0
        assert "gen |  mass=250" in out
        assert "workflow | 2026-11-22 10:42:30,073 | yadage.wflowview" in out
        assert "gen: finished, in debian:bookworm-slim" in err

    def test_one_step_by_either_name(self, cli, site):
        first = cli("logs", W, "gen")
        assert "mass=250" in first[1].splitlines()[1]
        assert cli("logs", W, "gen/0") == cli("logs", "-w", W, "--step", "gen") == cli("logs", "-w", W, "gen") == first
        err = refused(cli, 2, "logs", W, "gne")
        assert "'gne' is no step" in err
        assert "gen, sum" in err

    def test_the_document(self, cli, site):
        found = document(cli, "reana-logs-1", "logs", W)
        assert [each["step"] for each in found["logs"]] == ["gen", "sum"]
        assert "uid=1000" in found["logs"][0]["text"]

    def test_what_failed_goes_first(self, cli, site):
        jobs = {"1": job("a", "finished", "fine\n"), "2": job("b", "failed", "boom\n")}
        site.says("GET", f"workflows/{W}/logs", said(jobs))
        assert cli("logs", W)[1] == "boom\n"

    def test_nothing_said(self, cli, site):
        site.says("GET", f"workflows/{W}/logs", said({}))
        assert cli("logs", W) == (0, "", f"no step of {W} has said anything yet\n")

    def test_following(self, cli, site):
        site.says("GET", f"workflows/{W}/status", with_state("running"), with_state("running"), with_state("finished"))
        site.says(
            "GET",
            f"workflows/{W}/logs",
            said({"1": job("a", "running", "one\ntw")}),
            said({"1": job("a", "running", "one\ntwo\nthr")}, "begun\n"),
            said({"1": job("a", "finished", "one\ntwo\nthree")}, "begun\ndone"),
        )
        code, out, _ = cli("logs", W, "--follow")
        assert (code, out.splitlines()) == (
            0,
            ["a | one", "a | two", "workflow | begun", "a | three", "workflow | done"],
        )

    def test_a_step_that_prints_the_token(self, cli, site):
        site.says("GET", f"workflows/{W}/logs", said({"1": job("a", "finished", f"token is {TOKEN}\n")}, TOKEN))
        assert cli("logs", W, "a")[1] == "token is ...\n"
        assert document(cli, "reana-logs-1", "logs", W)["said"] == "..."

    def test_a_document_does_not_follow(self, cli, site):
        assert "--json is one document" in refused(cli, 2, "logs", W, "--follow")


def job(step: str, status: str, text: str) -> dict[str, str]:
    return {"job_name": step, "status": status, "logs": text, "docker_img": "x", "started_at": "2026-01-01T00:00:00"}


def said(jobs: dict[str, dict[str, str]], workflow: str = "") -> tuple[int, Any]:
    inner = {"workflow_logs": workflow, "job_logs": jobs, "engine_specific": None}
    return 200, {"logs": json.dumps(inner), "workflow_id": ID, "workflow_name": W, "user": "0"}


class TestLs:
    def test_workflows(self, cli, site):
        code, out, _ = cli("ls", "--reana")
        assert code == 0
        assert out.splitlines()[1].split() == [W, "finished", "2026-11-22T10:42:06", "2026-11-22T10:44:06"]
        found = document(cli, "reana-workflows-1", "ls", "--reana")
        assert [each["workflow"] for each in found["workflows"]] == [W, "rec1.1", "c1.1"]
        assert "no workflow nosuch at" in cli("ls", "--reana", "nosuch")[2]

    def test_files(self, cli, site):
        assert ["reana.yaml", "211", "2026-11-22T10:42:06"] in [line.split() for line in cli("ls", W)[1].splitlines()]
        found = document(cli, "reana-files-1", "ls", W, "sum/*")
        assert {"path": "sum/out.txt", "size": 133} in [{k: f[k] for k in ("path", "size")} for f in found["files"]]
        assert site.asked[-1].query["file_name"] == "sum/*"
        cli("ls", "-w", W, "gen")
        assert site.asked[-1].query["file_name"] == "gen"

    def test_terminals_are_left_alone(self, cli, site):
        evil = {"items": [{"name": "a\x1b[2Jb", "size": {"raw": 1}}], "has_next": False}
        site.says("GET", f"workflows/{W}/workspace", (200, evil))
        assert "\x1b" not in cli("ls", W)[1]

    def test_runs_here_are_still_listed(self, cli):
        assert "there is no run below build/runs" in cli("ls")[2]


class TestStop:
    def test_one_that_runs(self, cli, site):
        site.says("PUT", f"workflows/{W}/status", recorded("reana-client stop -w rec2 --force"))
        site.says("GET", f"workflows/{W}/status", with_state("stopped"))
        assert cli("stop", W) == (0, f"{W} is stopped\n", "")
        assert site.sent("PUT") == [{"force_stop": True}]

    def test_one_that_was_stopped_just_now(self, cli, site):
        """A lost answer is repeated, and the repetition is refused: it is stopped all the same."""
        site.says("PUT", f"workflows/{W}/status", (502, {"message": "bad gateway"}), recorded("stop"))
        site.says("GET", f"workflows/{W}/status", with_state("stopped"))
        assert document(cli, "stop-1", "stop", W)["state"] == "stopped"

    def test_one_that_has_ended(self, cli, site):
        site.says("PUT", f"workflows/{W}/status", recorded("stop"))
        assert f"{W} does not run: it is finished" in refused(cli, 6, "stop", W)


class TestDelete:
    def test_one(self, cli, site):
        site.says("PUT", f"workflows/{ID}/status", recorded("reana-client delete -w rec1 --include-workspace"))
        assert cli("delete", W) == (0, f"{W} is deleted\n", "")
        assert document(cli, "delete-1", "delete", W, "--include-all-runs", "--include-workspace")["all_runs"] is True
        assert site.sent("PUT") == [{"all_runs": False, "workspace": True}, {"all_runs": True, "workspace": True}]

    def test_one_that_runs(self, cli, site):
        site.says("PUT", f"workflows/{ID}/status", (409, {"message": "Workflow is running"}))
        site.says("GET", f"workflows/{ID}/status", with_state("running"))
        err = refused(cli, 6, "delete", W)
        assert f"{W} is running, and not deleted: Workflow is running" in err
        assert f"`recast-dm stop {W}` first" in err

    def test_an_answer_that_was_lost(self, cli, site):
        site.says("PUT", f"workflows/{ID}/status", (504, {"message": ""}), (404, {"message": "gone"}))
        site.says("GET", f"workflows/{ID}/status", (404, {"message": "gone"}))
        assert cli("delete", W)[0] == 0


class TestRestart:
    def test_a_new_run(self, cli, site):
        site.says("POST", f"workflows/{W}/start", recorded("reana-client restart -w rec2", 0))
        assert cli("restart", W) == (0, "rec2.1.1\n", "")
        assert document(cli, "restart-1", "restart", W)["of"] == W
        assert site.sent("POST")[0]["restart"] is True

    def test_an_answer_that_was_lost(self, cli, site):
        """The list of workflows says whether it was started; it is never started twice."""
        status, before = recorded("reana-client list --json")
        new = {**before["items"][0], "name": "rec2.1.1", "id": "0bdb1966"}
        site.says("POST", f"workflows/{W}/start", (502, {"message": ""}))
        site.says("GET", "workflows", (status, before), (status, {**before, "items": [new, *before["items"]]}))
        assert cli("restart", W)[:2] == (0, "rec2.1.1\n")
        assert len(site.sent("POST")) == 1

    def test_a_start_that_was_lost_itself(self, cli, site):
        site.says("POST", f"workflows/{W}/start", (502, {"message": ""}))
        assert "was lost" in refused(cli, 6, "restart", W)
        assert len(site.sent("POST")) == 1


class TestDisk:
    def test_du(self, cli, site):
        found = document(cli, "du-1", "du", W)
        sizes = [each["size"] for each in found["files"]]
        assert sizes == sorted(sizes, reverse=True)
        assert found["files"][0] == {"path": "_yadage/adage/workflow.gif", "size": 184320}
        assert found["size"] == 307200, "REANA lists directories, too: what lies in them counts once"
        assert not {"gen", "_yadage", ""} & {each["path"] for each in found["files"]}
        site.says("GET", f"workflows/{W}/disk_usage", recorded("reana-client du -w rec2 -s"))
        assert cli("du", W, "-s") == (0, "307 kB  in all\n", "")
        assert json.loads(site.asked[-1].body) == {"summarize": True}

    def test_quota(self, cli, site):
        assert cli("quota")[1].splitlines()[1].split() == ["cpu", "1m", "28s", "none"]
        found = document(cli, "quota-1", "quota")
        assert {"resource": "disk", "usage": 307200, "limit": None, "health": None} in found["quotas"]
        assert found["email"] == "admin@example.org"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestSecrets:
    SECRET = "hunter2-CANARY"

    @pytest.fixture(autouse=True)
    def nothing_there(self, site):
        site.says("GET", "secrets", (200, []))
        site.says("POST", "secrets/", recorded("reana-client secrets-add --env PASSWORD=abc --file data/in.txt"))

    def value(self, site: Site, name: str) -> str:
        (sent,) = site.sent("POST")
        return base64.b64decode(sent[name]["value"]).decode()

    def test_list(self, cli, site):
        site.says("GET", "secrets", recorded("reana-client secrets-list"))
        assert cli("secrets", "list")[1].split() == ["secret", "type", "PASSWORD", "env", "in.txt", "file"]
        assert document(cli, "secrets-list-1", "secrets", "list")["secrets"][0] == {"name": "PASSWORD", "type": "env"}

    def test_the_value_of_a_variable_and_a_file(self, cli, site, here, monkeypatch):
        monkeypatch.setenv("PASSWORD", self.SECRET)
        (here / ".keytab").write_bytes(b"\x00key")
        code, out, err = cli("secrets", "add", "--env", "PASSWORD", "--file", ".keytab")
        assert (code, out, err) == (0, "kept at REANA: PASSWORD, .keytab\n", "")
        assert self.value(site, "PASSWORD") == self.SECRET
        assert site.sent("POST")[0][".keytab"] == {"value": base64.b64encode(b"\x00key").decode(), "type": "file"}

    def test_who_is_at_a_terminal_is_asked(self, cli, site, monkeypatch):
        monkeypatch.delenv("PASSWORD", raising=False)
        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr("recast_dm.cli.secrets.getpass", lambda prompt, stream: self.SECRET)
        assert cli("secrets", "add", "--env", "PASSWORD") == (0, "kept at REANA: PASSWORD\n", "")
        assert self.value(site, "PASSWORD") == self.SECRET

    def test_lines_from_stdin(self, cli, site, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"# mine\n\nPASSWORD={self.SECRET}= \n"))
        found = document(cli, "secrets-add-1", "secrets", "add", "--env-file", "-")
        assert found["added"] == [{"name": "PASSWORD", "type": "env"}]
        assert self.value(site, "PASSWORD") == f"{self.SECRET}= "

    def test_a_value_on_the_command_line_is_refused_and_not_repeated(self, cli, site):
        code, out, err = cli("secrets", "add", "--env", f"PASSWORD={self.SECRET}", "--json")
        assert code == 2
        assert self.SECRET not in out + err
        assert "--env PASSWORD=… holds a value" in err
        assert site.asked == []

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "no secret is named"),
            (["--env", "NOT_EXPORTED_HERE"], "NOT_EXPORTED_HERE is not exported, and nobody can be asked"),
            (["--env", "EMPTY"], "EMPTY is empty"),
            (["--env", "a b"], "'a b' is no name of a secret"),
            (["--env-file", "odd"], "line 1 of odd is not NAME=VALUE"),
        ],
    )
    def test_words_that_are_wrong(self, cli, site, here, monkeypatch, words, message):
        monkeypatch.setenv("EMPTY", "")
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        (here / "odd").write_text(self.SECRET)
        err = refused(cli, 2, "secrets", "add", *words)
        assert message in err
        assert self.SECRET not in err

    def test_a_file_that_is_not_there(self, cli, site):
        assert "cannot read the secret in nosuch" in refused(cli, 9, "secrets", "add", "--file", "nosuch")

    def test_what_is_there_is_not_replaced_unasked(self, cli, site, monkeypatch):
        monkeypatch.setenv("PASSWORD", self.SECRET)
        site.says("GET", "secrets", recorded("reana-client secrets-list"))
        assert "already there: PASSWORD; nothing was sent" in refused(cli, 2, "secrets", "add", "--env", "PASSWORD")
        assert cli("secrets", "add", "--env", "PASSWORD", "--overwrite")[0] == 0
        assert site.asked[-1].query["overwrite"] == "true"

    def test_an_answer_that_was_lost(self, cli, site, monkeypatch):
        monkeypatch.setenv("PASSWORD", self.SECRET)
        site.says("GET", "secrets", (200, []), recorded("reana-client secrets-list"))
        site.says("POST", "secrets/", (502, {"message": ""}))
        assert cli("secrets", "add", "--env", "PASSWORD")[0] == 0
        site.says("GET", "secrets", (200, []))
        assert "was lost" in refused(cli, 6, "secrets", "add", "--env", "PASSWORD")

    def test_delete(self, cli, site):
        site.says("GET", "secrets", recorded("reana-client secrets-list"))
        site.says("DELETE", "secrets/", recorded("reana-client secrets-delete PASSWORD in.txt"))
        assert document(cli, "secrets-delete-1", "secrets", "delete", "PASSWORD", "in.txt")["deleted"] == [
            "PASSWORD",
            "in.txt",
        ]
        assert "there is no secret NOPE; nothing was deleted" in refused(
            cli, 2, "secrets", "delete", "NOPE", "PASSWORD"
        )
        assert len(site.sent("DELETE")) == 1


def test_open(cli, site):
    assert cli("open", W) == (0, f"{URL}/workflows/{ID}\n", "")
    assert document(cli, "open-1", "open", W)["page"] == f"{URL}/workflows/{ID}"


class TestDoctor:
    def checks(self, cli) -> dict[str, dict]:
        _, out, _ = cli("doctor", "--json")
        found = json.loads(out)
        assert schemas.problem("doctor-1", found) is None
        return {each["name"]: each for each in found["machine"] if each["name"].startswith("reana")}

    def test_a_server_that_answers(self, cli, site):
        found = self.checks(cli)
        assert found["reana server"]["found"] == f"{URL} says OK"
        assert found["reana user"]["found"] == "admin@example.org, token active, REANA 0.9.4"
        assert "runs on kubernetes, memory up to 10Gi, steps up to 1209600 s" in found["reana site"]["found"]

    def test_a_token_that_it_does_not_know(self, cli, site, monkeypatch):
        site.says("GET", "you", recorded("bad token"))
        monkeypatch.setattr(runtimes, "find", lambda _name: FakeRuntime({}))
        assert cli("doctor")[0] == 6
        found = self.checks(cli)
        assert found["reana server"]["works"]
        assert not found["reana connection"]["works"]
        assert "REANA_ACCESS_TOKEN" in found["reana connection"]["hint"]

    def test_no_server(self, cli, monkeypatch):
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, reana=None))
        assert self.checks(cli) == {}


VERBS = (["stop", W], ["restart", W], ["delete", W], ["du", W], ["quota"], ["open", W], ["secrets", "list"])
VERBS = (*VERBS, ["status", "-w", W], ["logs", "-w", W], ["ls", "-w", W], ["ls", "--reana"])


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
class TestEveryVerb:
    def test_without_a_server(self, cli, monkeypatch, words):
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, reana=None))
        for name in ("REANA_SERVER_URL", "REANA_ACCESS_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        err = refused(cli, 2, *words)
        assert "REANA_SERVER_URL and REANA_ACCESS_TOKEN not set" in err
        assert "export REANA_SERVER_URL=" in err
        monkeypatch.setenv("REANA_SERVER_URL", URL)
        assert "no REANA server is known: REANA_ACCESS_TOKEN not set" in refused(cli, 2, *words)

    @pytest.mark.parametrize("status", [401, 403, 404, 409])
    def test_a_server_that_refuses(self, cli, monkeypatch, words, status):
        def answer(_request: wire.Request) -> wire.Response:
            return wire.Response.json(status, {"message": f"no: access_token={TOKEN}"})

        monkeypatch.setattr(reana, "session", lambda: wire.session(answer))
        assert "no: access_token=..." in refused(cli, 6, *words)

    def test_a_server_that_says_nonsense(self, cli, monkeypatch, words):
        monkeypatch.setattr(reana, "session", lambda: wire.session(lambda _: wire.Response.json(200, {"odd": TOKEN})))
        code, out, err = cli(*words, "--json")
        assert "defect" not in err
        assert code in (0, 6), (out, err)
