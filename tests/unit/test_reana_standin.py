"""The stand-in for a REANA server answers as the recorded one did, and executes what it is given."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from workbench import shell

from recast_dm.backends.reana.api import Reana
from recast_dm.runtimes.fake import FakeRuntime
from tests.reana import recorded
from tests.reana.execution import Execution
from tests.reana.standin import Site, Standin, await_end
from tests.reana.wire import Request

IMAGE = "debian:bookworm-slim"


@pytest.fixture
def executing():
    return Execution(runtime=FakeRuntime({IMAGE: shell}))


@pytest.fixture
def standin(tmp_path, executing):
    with Standin(tmp_path / "server", engine=recorded.Held(executing, recorded.HELD)) as standin:
        yield standin


def test_every_recorded_request_has_the_recorded_answer(standin):
    assert recorded.replay(standin) == []


def test_a_replay_finds_another_answer(standin, monkeypatch):
    monkeypatch.setattr("tests.reana.calls_workflow._OPTIONS", {"CACHE": ("yadage",)})
    assert any("start with CACHE" in problem for problem in recorded.replay(standin))


class Client:
    """Bare requests."""

    def __init__(self, standin: Standin) -> None:
        self.standin = standin

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        raw = isinstance(body, bytes)
        content = b"" if body is None else body if raw else json.dumps(body).encode()
        headers = {"Content-Type": "application/octet-stream" if raw else "application/json"}
        target = f"/api/{path}?" + urlencode({"access_token": self.standin.token, **query})
        answer = self.standin.handle(Request.of(method, target, headers, content))
        if answer.headers["Content-Type"] == "application/json":
            return answer.status, answer.document
        return answer.status, answer.body


@pytest.fixture
def plain(tmp_path):
    with Standin(tmp_path / "server") as standin:
        yield standin


STEPS = """
stages:
- name: many
  dependencies: [init]
  scheduler:
    scheduler_type: multistep-stage
    parameters:
      n: {step: init, output: numbers}
      file: {step: init, output: file}
      out: '{workdir}/out.txt'
    scatter: {method: zip, parameters: [n]}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'cat {file} > {out}; echo {n} "$GREETING" >> {out}; pwd'}
      publisher: {publisher_type: interpolated-pub, publish: {out: '{out}'}}
      environment:
        environment_type: docker-encapsulated
        image: debian
        imagetag: bookworm-slim
        env: {GREETING: hello}
        workdir: /here
- name: inner
  dependencies: [many]
  scheduler:
    scheduler_type: multistep-stage
    parameters: {file: {stages: many, output: out}}
    scatter: {method: zip, parameters: [file]}
    workflow:
      stages:
      - name: copy
        dependencies: [init]
        scheduler:
          scheduler_type: singlestep-stage
          parameters: {file: {step: init, output: file}, out: '{workdir}/copy.txt'}
          step:
            process: {process_type: interpolated-script-cmd, interpreter: sh, script: 'cat {file} > {out}'}
            publisher: {publisher_type: interpolated-pub, publish: {out: '{out}'}}
            environment: {environment_type: docker-encapsulated, image: debian, imagetag: bookworm-slim}
"""


def submitted(client: Client, parameters: dict[str, Any], steps: str = STEPS) -> str:
    specification = {
        "inputs": {"parameters": {"numbers": [1, 2], "file": "data/in.txt"}},
        "workflow": {"type": "yadage", "file": "workflow.yml"},
    }
    _, created = client("POST", "workflows", specification, workflow_name="w")
    name = created["workflow_name"]
    client("POST", f"workflows/{name}/workspace", steps.encode(), file_name="workflow.yml")
    client("POST", f"workflows/{name}/workspace", b"hi\n", file_name="data/in.txt")
    status, said = client("POST", f"workflows/{name}/start", {"input_parameters": parameters})
    assert status == 200, said
    return str(name)


@pytest.fixture
def executed(tmp_path, executing):
    with Standin(tmp_path / "server", engine=executing) as standin:
        yield standin


def test_a_workflow_is_executed_without_what_reana_ignores(executed):
    client = Client(executed)
    name = submitted(client, {"numbers": [7, 8]})
    run = await_end(executed, name)
    assert run.status == "finished", run.log
    _, found = client("GET", f"workflows/{name}/workspace/many_1/out.txt")
    assert found == b"hi\n8 \n", "GREETING is not set at REANA"
    _, copied = client("GET", f"workflows/{name}/workspace/inner_0/copy/copy.txt")
    assert copied == b"hi\n7 \n"
    _, status = client("GET", f"workflows/{name}/status")
    assert status["progress"]["total"]["total"] == status["progress"]["finished"]["total"] == 4
    jobs = json.loads(status["logs"]).values()
    assert {job["job_name"] for job in jobs} == {"many_0", "many_1", "copy"}
    assert all("/here" not in job["logs"] for job in jobs)


def test_texts_are_substituted_as_they_are(executed):
    client = Client(executed)
    run = await_end(executed, submitted(client, {"numbers": ["7; echo gotcha"]}))
    _, found = client("GET", f"workflows/{run.full}/workspace/many_0/out.txt")
    assert run.status == "finished"
    assert found == b"hi\n7\ngotcha \n".replace(b"7\n", b""), "the first echo goes to the job's log"


def test_a_step_that_fails_is_a_failed_run(executed):
    client = Client(executed)
    run = await_end(executed, submitted(client, {}, STEPS.replace("cat {file} > {out}'", "echo no; exit 3'")))
    _, said = client("GET", f"workflows/{run.full}/logs")
    jobs = json.loads(said["logs"])["job_logs"].values()
    assert run.status == "failed"
    assert "exit" in json.loads(said["logs"])["workflow_logs"]
    assert {job["status"] for job in jobs if job["job_name"] == "copy"} == {"failed"}
    assert run.progress()["failed"]["total"] >= 1


def test_an_image_that_is_not_there_is_a_failed_run_that_says_so(executed):
    client = Client(executed)
    run = await_end(executed, submitted(client, {}, STEPS.replace("image: debian", "image: nosuch")))
    assert run.status == "failed"
    assert "nosuch:bookworm-slim cannot be pulled" in run.log


def test_a_run_is_started_once_and_restarted_by_number(executed):
    client = Client(executed)
    name = submitted(client, {})
    assert client("POST", f"workflows/{name}/start", {})[0] == 409
    await_end(executed, name)
    status, said = client("POST", f"workflows/{name}/start", {"restart": True})
    assert (status, said["run_number"]) == (200, "1.1")
    await_end(executed, "w.1.1")
    assert client("POST", "workflows/w/start", {"restart": True})[1]["run_number"] == "1.2"
    assert client("POST", "workflows", {"workflow": {"type": "yadage"}}, workflow_name="w")[1]["workflow_name"] == "w.2"


def test_a_compute_backend_that_the_site_lacks_is_refused(executed):
    client = Client(executed)
    client("POST", "workflows", {"workflow": {"type": "yadage", "file": "workflow.yml"}}, workflow_name="w")
    asked = STEPS.replace("env: {GREETING: hello}", "resources: [{compute_backend: slurmcern}]")
    client("POST", "workflows/w/workspace", asked.encode(), file_name="workflow.yml")
    status, said = client("POST", "workflows/w/start", {})
    assert status == 400
    assert 'backend "slurmcern" found in step "many"' in said["message"]


def test_a_full_quota_refuses_uploads(tmp_path):
    client = Client(Standin(tmp_path, site=Site(disk_limit=100_000)))
    client("POST", "workflows", {"workflow": {"type": "yadage"}}, workflow_name="w")
    assert client("POST", "workflows/w/workspace", b"x" * 50_000, file_name="a")[0] == 200
    status, said = client("POST", "workflows/w/workspace", b"x" * 50_000, file_name="b")
    assert status == 403
    assert "quota" in said["message"]
    quota = client("GET", "you")[1]["quota"]["disk"]
    assert quota["limit"]["raw"] == 100_000
    assert quota["usage"]["raw"] > 50_000


def test_more_requests_than_the_site_takes_are_refused(tmp_path):
    now = [0.0]
    client = Client(Standin(tmp_path, site=Site(rate=20), now=lambda: now[0]))
    statuses = [client("GET", "ping")[0] for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    now[0] = 1.5
    assert client("GET", "ping")[0] == 200


def test_lists_have_pages_and_are_searched(plain):
    client = Client(plain)
    for name in ("one", "two", "one"):
        client("POST", "workflows", {"workflow": {"type": "yadage"}}, workflow_name=name)
    status, found = client("GET", "workflows", type="batch", page="1", size="2")
    assert status == 200
    assert [each["name"] for each in found["items"]] == ["one.2", "two.1"]
    assert found["has_next"]
    _, found = client("GET", "workflows", type="batch", search=json.dumps({"name": ["one"]}))
    assert [each["name"] for each in found["items"]] == ["one.2", "one.1"]


def test_a_session_is_opened_once_and_closed(plain):
    client = Client(plain)
    client("POST", "workflows", {"workflow": {"type": "yadage"}}, workflow_name="w")
    assert client("POST", "workflows/w/open/nosuch")[0] == 404
    status, said = client("POST", "workflows/w/open/jupyter", {})
    assert (status, said) == (200, {"path": f"/{plain.find('w').id}"})
    assert [each["session_type"] for each in client("GET", "workflows", type="interactive")[1]["items"]] == ["jupyter"]
    assert client("POST", "workflows/w/open/jupyter")[0] == 409
    assert client("POST", "workflows/w/close/")[0] == 200
    assert client("POST", "workflows/w/close/")[0] == 404


def test_a_workspace_is_pruned_moved_and_gone_when_it_was_deleted(plain):
    client = Client(plain)
    asked = {"inputs": {"files": ["in"]}, "outputs": {"files": ["out"]}, "workflow": {"type": "yadage"}}
    client("POST", "workflows", {**asked, "workspace": {"retention_days": {"*.tmp": 3}}}, workflow_name="w")
    for name in ("in", "out", "log", "d/x"):
        client("POST", "workflows/w/workspace", b"1", file_name=name)
    assert client("GET", "workflows/w/retention_rules")[1]["retention_rules"][0]["retention_days"] == 3
    assert client("PUT", "workflows/move_files/w", source="log", target="logs/log")[0] == 200
    assert client("PUT", "workflows/move_files/w", source="nosuch", target="x")[0] == 404
    assert sorted(client("DELETE", "workflows/w/workspace/d%2F*")[1]["deleted"]) == ["d/x"]
    client("POST", "workflows/w/prune", include_outputs="true")
    assert [each["name"] for each in client("GET", "workflows/w/workspace")[1]["items"]] == ["in"]
    client("PUT", "workflows/w/status", {"workspace": True}, status="deleted")
    assert client("GET", "workflows/w/status")[1]["status"] == "deleted"
    assert client("GET", "workflows/w/workspace")[0] == 404


def test_a_bundle_is_unpacked_and_json_refused(tmp_path):
    standin = Standin(tmp_path, site=Site(bundles=True, bearer=True))
    reana = Reana(standin.connection())
    asked = {"workflow": {"type": "yadage", "file": "workflow/w.yml"}, "inputs": {"files": [], "directories": []}}
    assert reana.create("w", asked, {"workflow/w.yml": STEPS.encode()}).name == "w.1"
    assert reana.read("w.1", "workflow/w.yml") == STEPS.encode()
    headers = {"Authorization": f"Bearer {standin.token}", "Content-Type": "application/json"}
    answer = standin.handle(Request.of("POST", "/api/workflows?workflow_name=w", headers, b"{}"))
    assert answer.status == 400


def test_secrets_are_kept_by_name(plain):
    client = Client(plain)
    value = base64.b64encode(b"abc").decode()
    assert client("POST", "secrets/", {"A": {"value": value, "type": "env"}})[0] == 201
    assert client("POST", "secrets/", {"A": {"value": value, "type": "env"}}, overwrite="true")[0] == 201
    assert client("GET", "secrets")[1] == [{"name": "A", "type": "env"}]
    assert client("DELETE", "secrets/", ["A"]) == (200, ["A"])


def test_nothing_of_a_recording_names_its_token():
    text = Path(recorded.EXCHANGES).read_text()
    assert not re.search(r"access_token=(?!TOKEN|wrong)\w", text)
