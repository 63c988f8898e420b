"""What our client takes for granted of a REANA server, asked of one: of a real one where the environment names it.

    REANA_SERVER_URL=https://... REANA_ACCESS_TOKEN=... pytest tests/integration/test_reana_live.py

A real server has to be able to run the image debian:bookworm-slim. Workflows are called `recast-dm-contract-...`; what
the tests create there they delete. Nothing is assumed about timing but that a run of two small steps ends within
`LONGEST` seconds. The same tests run against the stand-in, so that they are known to work; there every request and
every answer is held against the official document of REANA's interface.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from recast_dm.backends.reana import workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Connection
from recast_dm.backends.reana.refusing import NotAFile, Refused
from recast_dm.backends.reana.values import Created, Status
from recast_dm.config import Config
from recast_dm.errors import RecastError
from tests.reana import openapi
from tests.reana.execution import Execution
from tests.reana.standin import Standin

LONGEST = float(os.environ.get("RECAST_DM_REANA_LONGEST", "1200"))
IMAGE = "debian:bookworm-slim"
NAME = f"recast-dm-contract-{uuid.uuid4().hex[:8]}"
NO_SERVER = "not run: REANA_SERVER_URL and REANA_ACCESS_TOKEN name no server"
LARGE = os.urandom(300_000)


@pytest.fixture(scope="module", params=["stand-in", "live"])
def reana(request, tmp_path_factory) -> Iterator[Reana]:
    if request.param == "live":
        server = Config.from_environment().reana
        if server is None:
            pytest.skip(NO_SERVER)
        yield Reana(Connection(server))
        return
    docker, toy = request.getfixturevalue("docker"), request.getfixturevalue("toy_image")
    execution = Execution(runtime=docker, called=lambda name: toy.reference if name == IMAGE else name)
    standin = Standin(tmp_path_factory.mktemp("server"), engine=execution)
    problems: list[str] = []
    with standin, standin.served(openapi.checked(standin.handle, problems)) as url:
        yield Reana(Connection(standin.server(url)))
    assert problems == [], "what was said is not as the official document has it"


@pytest.fixture
def made(reana) -> Iterator[Callable[..., Created]]:
    """Creates workflows; they are deleted afterwards."""
    names: list[str] = []

    def create(part: str, **changes: Any) -> Created:
        created = reana.create(f"{NAME}-{part}", {**specification(), **changes}, files())
        names.append(created.name)
        workspace.send(reana, created.name, files())
        return created

    yield create
    for name in names:
        with contextlib.suppress(RecastError):
            if not reana.status(name).ended:
                reana.stop(name)
        with contextlib.suppress(RecastError):
            reana.delete(name)


def stage(name: str, command: str, parameters: dict[str, Any], dependency: str) -> dict[str, Any]:
    image, _, tag = IMAGE.partition(":")
    return {
        "name": name,
        "dependencies": [dependency],
        "scheduler": {
            "scheduler_type": "singlestep-stage",
            "parameters": {**parameters, "out": "{workdir}/out.txt"},
            "step": {
                "process": {"process_type": "string-interpolated-cmd", "cmd": command},
                "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
                "environment": {"environment_type": "docker-encapsulated", "image": image, "imagetag": tag},
            },
        },
    }


def workflow() -> dict[str, Any]:
    init = {name: {"step": "init", "output": name} for name in ("n", "file", "nap")}
    first = "sleep {nap}; echo said {n}; cat {file} > {out}; echo {n} >> {out}"
    second = {"found": {"step": "first", "output": "out"}}
    return {
        "stages": [
            stage("first", f"bash -c '{first}'", init, "init"),
            stage("second", "bash -c 'cat {found} {found} > {out}'", second, "first"),
        ]
    }


def specification() -> dict[str, Any]:
    return {
        "version": "0.9.0",
        "inputs": {
            "files": ["inputs/in.txt"],
            "directories": [],
            "parameters": {"n": 1, "file": "inputs/in.txt", "nap": 0},
        },
        "workflow": {"type": "yadage", "file": "workflow/workflow.yml", "specification": None},
        "outputs": {"files": ["second/out.txt"], "directories": []},
    }


def files() -> dict[str, Path | bytes]:
    return {
        "reana.yaml": yaml.safe_dump(specification()).encode(),
        "workflow/workflow.yml": yaml.safe_dump(workflow()).encode(),
        "inputs/in.txt": b"hello\n",
        "inputs/large.bin": LARGE,
        "inputs/empty": b"",
        "inputs/with a blank & + #.txt": b"odd\n",
    }


def ended(reana: Reana, w: str) -> Status:
    """Waits for the end of a run."""
    deadline = time.monotonic() + LONGEST
    while not (status := reana.status(w)).ended:
        assert time.monotonic() < deadline, f"{w} is {status.state} after {LONGEST} s"
        time.sleep(0.2 if "127.0.0.1" in reana.url else 5)
    return status


def running(reana: Reana, w: str) -> Status:
    deadline = time.monotonic() + LONGEST
    while (status := reana.status(w)).state in ("created", "queued", "pending"):
        assert time.monotonic() < deadline, f"{w} is {status.state} after {LONGEST} s"
        time.sleep(0.2 if "127.0.0.1" in reana.url else 2)
    return status


# --- the site and the user -------------------------------------------------------------------------------------------


def test_the_server_answers_and_knows_the_token(reana):
    assert reana.ping().message
    you = reana.you()
    assert you.email
    assert you.token_status == "active"
    assert you.quota["disk"].usage >= 0


def test_the_site_says_what_it_offers(reana):
    info = reana.info()
    assert "kubernetes" in info.compute_backends
    assert info.get("default_workspace")


def test_a_wrong_token_is_refused(reana):
    from recast_dm.config import ReanaServer

    stranger = Reana(Connection(ReanaServer(url=reana.url, token="wrong-token"), attempts=2))
    with pytest.raises(Refused) as refused:
        stranger.you()
    assert refused.value.status in (401, 403)
    assert "wrong-token" not in str(refused.value)


# --- a workflow from its creation to its end -------------------------------------------------------------------------


def test_a_workflow_runs_with_the_parameters_of_its_start(reana, made, tmp_path):
    w = made("run").name
    reana.start(w, {"n": 42})
    status = ended(reana, w)
    assert status.state == "finished"
    assert status.progress.finished == status.progress.total == 2
    listed = {file.path for file in reana.files(w)}
    assert {"first/out.txt", "second/out.txt", "inputs/in.txt"} <= listed
    assert reana.download(w, "second/out.txt", tmp_path / "out.txt") > 0
    assert (tmp_path / "out.txt").read_text() == "hello\n42\n" * 2
    logs = reana.logs(w)
    assert {job.step for job in logs.jobs} == {"first", "second"}
    assert any("said 42" in job.log for job in logs.jobs)
    assert [job.step for job in reana.logs(w, ["second"]).jobs] == ["second"]
    with pytest.raises(Refused) as again:
        reana.start(w)
    assert again.value.status in (403, 409)


def test_a_finished_run_is_run_again_under_its_next_number(reana, made):
    w = made("again").name
    reana.start(w)
    ended(reana, w)
    restarted = reana.start(w, restart=True)
    assert restarted.name == f"{w}.1"
    assert ended(reana, restarted.name).state == "finished"
    reana.delete(restarted.name)


def test_a_step_that_fails_is_a_failed_run_with_its_log(reana, made):
    w = made("fails").name
    reana.start(w, {"file": "inputs/nosuch.txt", "n": "1; exit 3"})
    assert ended(reana, w).state == "failed"
    assert any(job.status == "failed" for job in reana.logs(w).jobs)


def test_a_running_workflow_is_stopped(reana, made):
    w = made("stopped").name
    reana.start(w, {"nap": 20})
    assert running(reana, w).state == "running"
    reana.stop(w)
    assert reana.status(w).state == "stopped"
    with pytest.raises(Refused) as again:
        reana.stop(w)
    assert again.value.status == 409


def test_runs_of_a_name_are_numbered_and_listed(reana, made):
    one, two = made("listed"), made("listed")
    assert [one.name.rpartition(".")[2], two.name.rpartition(".")[2]] == ["1", "2"]
    listed = {each.name: each for each in reana.workflows(f"{NAME}-listed")}
    assert {one.name, two.name} == set(listed)
    assert listed[one.name].id == one.id
    assert listed[one.name].state == "created"
    assert reana.status(f"{NAME}-listed").id == two.id, "a name means its newest run"
    assert reana.status(one.id).name == one.name
    reana.delete(one.name)
    assert {each.name for each in reana.workflows(f"{NAME}-listed")} == {two.name}


def test_what_was_sent_is_kept(reana, made):
    w = made("kept").name
    kept = reana.specification(w)["specification"]
    assert kept["inputs"]["parameters"] == specification()["inputs"]["parameters"]
    assert kept["outputs"] == specification()["outputs"]
    assert reana.parameters(w)["n"] == 1


def test_a_name_with_a_dot_is_refused_by_the_server_too(reana):
    connection = reana._connection
    with pytest.raises(Refused) as refused:
        connection.json("POST", "/api/workflows", {"workflow_name": f"{NAME}.x"}, specification(), repeatable=False)
    assert refused.value.status in (400, 403)


def test_an_option_that_yadage_lacks_is_refused(reana, made):
    with pytest.raises(Refused) as refused:
        reana.start(made("options").name, {}, {"CACHE": "on"})
    assert refused.value.status == 400


def test_a_workflow_that_is_not_there_is_refused(reana):
    for call in (reana.status, reana.specification, reana.parameters, reana.start):
        with pytest.raises(Refused) as refused:
            call(f"{NAME}-nosuch")
        assert refused.value.status in (403, 404)


# --- its workspace ---------------------------------------------------------------------------------------------------


def test_files_arrive_and_come_back_as_they_are(reana, made, tmp_path):
    w = made("files").name
    sizes = {file.path: file.size for file in reana.files(w)}
    assert {path: sizes[path] for path in files()} == {
        path: len(content) for path, content in files().items() if isinstance(content, bytes)
    }
    workspace.fetch(reana, w, tmp_path)
    assert {path: (tmp_path / path).read_bytes() for path in files()} == files()


def test_a_file_is_replaced_removed_and_missed(reana, made, tmp_path):
    w = made("replaced").name
    reana.upload(w, "inputs/in.txt", b"other\n")
    assert reana.read(w, "inputs/in.txt") == b"other\n"
    assert reana.remove(w, "inputs/in.txt") == ("inputs/in.txt",)
    with pytest.raises(Refused) as refused:
        reana.download(w, "inputs/in.txt", tmp_path / "in.txt")
    assert refused.value.status == 404
    assert not (tmp_path / "in.txt").exists()


def test_a_directory_is_no_file(reana, made, tmp_path):
    with pytest.raises(NotAFile):
        reana.download(made("directory").name, "inputs", tmp_path / "inputs")


def test_pages_of_a_list_are_joined(reana, made):
    w = made("pages").name
    for n in range(5):
        reana.upload(w, f"many/{n}.txt", b"x")
    found = reana._connection.json("GET", f"/api/workflows/{w}/workspace", {"page": "2", "size": "3"})
    assert len(found["items"]) == 3
    assert found["has_prev"]
    assert len([file for file in reana.files(w) if file.path.startswith("many/")]) == 5


def test_used_space_is_told(reana, made):
    w = made("space").name
    (together,) = reana.du(w, summarize=True)
    assert together.size >= 0
    assert isinstance(reana.du(w), tuple)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_secrets_are_added_once_listed_and_deleted(reana):
    name = f"RECAST_DM_{uuid.uuid4().hex[:8].upper()}"
    reana.add_secrets({name: ("env", b"value")})
    try:
        assert (name, "env") in {(secret.name, secret.kind) for secret in reana.secrets()}
        with pytest.raises(Refused) as refused:
            reana.add_secrets({name: ("env", b"other")})
        assert refused.value.status == 409
        reana.add_secrets({name: ("env", b"other")}, overwrite=True)
    finally:
        reana.delete_secrets([name])
    assert name not in {secret.name for secret in reana.secrets()}
    with pytest.raises(Refused) as missing:
        reana.delete_secrets([name])
    assert missing.value.status == 404
