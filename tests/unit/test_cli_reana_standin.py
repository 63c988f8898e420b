"""The verbs of REANA against the stand-in, which executes what it is given: from the start of a workflow to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from workbench import shell

from recast_dm import schemas
from recast_dm.backends.reana.api import Reana
from recast_dm.runtimes.fake import FakeRuntime
from tests.reana import user
from tests.reana.engines import AtOnce
from tests.reana.execution import Execution
from tests.reana.standin import TOKEN, Site, Standin, await_end

STAGE = {
    "name": "echo",
    "dependencies": ["init"],
    "scheduler": {
        "scheduler_type": "singlestep-stage",
        "parameters": {"word": {"step": "init", "output": "word"}, "out": "{workdir}/out.txt"},
        "step": {
            "process": {
                "process_type": "string-interpolated-cmd",
                "cmd": "echo {word} > {out}; echo said {word}; exit 0",
            },
            "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}},
            "environment": {"environment_type": "docker-encapsulated", "image": "debian", "imagetag": "bookworm-slim"},
        },
    },
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    return user.place(tmp_path, monkeypatch)


@pytest.fixture
def join(monkeypatch) -> Callable[[Standin], Standin]:
    """Makes a stand-in the server of the command line."""

    def joined(standin: Standin) -> Standin:
        return user.join(monkeypatch, standin)

    return joined


@pytest.fixture
def standin(tmp_path, join):
    runtime = FakeRuntime({"debian:bookworm-slim": shell})
    with Standin(tmp_path / "server", engine=Execution(runtime=runtime)) as found:
        yield join(found)


@pytest.fixture
def cli(cli, here) -> Callable[..., tuple[int, str, str]]:
    def run(*words: object) -> tuple[int, str, str]:
        code, out, err = cli(*words)
        assert "canary" not in out + err
        assert "Traceback" not in out + err
        return code, out, err

    return run


def created(standin: Standin, outputs: tuple[str, ...] = ("echo/out.txt",), command: str | None = None) -> str:
    api = Reana(standin.connection())
    stage: Any = json.loads(json.dumps(STAGE))
    if command:
        stage["scheduler"]["step"]["process"]["cmd"] = command
    body = {
        "version": "0.9.0",
        "inputs": {"parameters": {"word": "hello"}},
        "outputs": {"files": list(outputs)},
        "workflow": {"type": "yadage", "file": "workflow.yml", "specification": None},
    }
    content = yaml.safe_dump({"stages": [stage]}).encode()
    name = api.create("w", body, {"workflow.yml": content}).name
    api.upload(name, "workflow.yml", content)
    return name


def started(standin: Standin, **how: Any) -> str:
    name = created(standin, **how)
    Reana(standin.connection()).start(name)
    return name


def document(cli, name: str, *words: object) -> Any:
    code, out, _ = cli(*words, "--json")
    found = json.loads(out)
    assert schemas.problem(name, found) is None
    return {**found, "code": code}


class TestToItsEnd:
    def test_a_success(self, cli, standin):
        w = started(standin)
        found = document(cli, "reana-status-1", "status", w, "--watch")
        assert (found["code"], found["outcome"], found["steps"]["finished"]) == (0, "success", 1)
        assert "said hello" in cli("logs", w, "echo/0")[1]
        assert "echo/out.txt" in cli("ls", w)[1]
        assert document(cli, "du-1", "du", w)["size"] > 0
        assert cli("open", w)[1].startswith("https://reana.example.org/workflows/")

    def test_a_step_that_fails(self, cli, standin):
        w = started(standin, command="echo oh no; exit 3")
        found = document(cli, "reana-status-1", "status", w, "--watch")
        assert (found["code"], found["outcome"], found["steps"]["failed"]) == (1, "failure", 1)
        assert "oh no" in cli("logs", w)[1]

    def test_an_output_that_no_step_wrote(self, cli, standin):
        w = started(standin, outputs=("echo/out.txt", "echo/plot.png"))
        found = document(cli, "reana-status-1", "status", w, "--watch")
        assert (found["code"], found["state"], found["outcome"]) == (1, "finished", "failure")
        assert found["missing"] == ["echo/plot.png"]

    def test_following(self, cli, standin):
        w = started(standin)
        code, out, _ = cli("logs", w, "--follow")
        assert code == 0
        assert out.count("said hello") == 1

    def test_again(self, cli, standin):
        w = started(standin)
        await_end(standin, w)
        assert cli("restart", w) == (0, f"{w}.1\n", "")
        assert document(cli, "reana-status-1", "status", f"{w}.1", "--watch")["outcome"] == "success"


class TestStopAndDelete:
    def test_one_that_runs(self, tmp_path, join, cli):
        with Standin(tmp_path / "server", engine=AtOnce(work=1e6)) as standin:
            join(standin)
            w = started(standin)
            assert "running" in cli("status", w)[1]
            code, _, err = cli("delete", w)
            assert code == 6
            assert f"{w} is running, and not deleted" in err
            assert f"`recast-dm stop {w}` first" in err
            assert cli("stop", w) == (0, f"{w} is stopped\n", "")
            assert cli("stop", w)[0] == 0
            assert cli("delete", w) == (0, f"{w} is deleted\n", "")
            assert w not in cli("ls", "--reana")[1]

    def test_what_was_never_started(self, cli, standin):
        w = created(standin)
        code, _, err = cli("stop", w, "--force")
        assert code == 6
        assert f"{w} does not run: it is created" in err
        assert f"`recast-dm delete {w}` takes it out of the queue" in err
        assert cli("delete", w, "--all-runs")[0] == 0
        assert document(cli, "reana-workflows-1", "ls", "--reana")["workflows"] == []


def test_quotas_and_secrets(tmp_path, join, cli, monkeypatch):
    with Standin(tmp_path / "server", site=Site(disk_limit=10_000)) as standin:
        join(standin)
        (found,) = [q for q in document(cli, "quota-1", "quota")["quotas"] if q["resource"] == "disk"]
        assert found["limit"] == 10_000
        monkeypatch.setenv("CERN_USER", "ada")
        assert cli("secrets", "add", "--env", "CERN_USER")[0] == 0
        assert "CERN_USER" in cli("secrets", "list")[1]
        assert cli("secrets", "add", "--env", "CERN_USER")[0] == 2
        assert cli("secrets", "delete", "CERN_USER")[0] == 0
        assert cli("secrets", "list")[1] == ""


def test_a_site_that_limits_requests_is_waited_for(tmp_path, join, cli):
    with Standin(tmp_path / "server", site=Site(rate=3)) as standin:
        join(standin)
        w = created(standin)
        for _ in range(3):
            assert cli("status", w)[0] == 0


def test_who_follows_and_stops_reading_ends_it(tmp_path):
    """The first line comes at once, and the command ends with its reader, though the workflow goes on."""
    with Standin(tmp_path / "server", engine=AtOnce(work=1e6)) as standin, standin.served() as url:
        w = started(standin)
        standin.find(w).log = "begun\n"
        environment = {**os.environ, "REANA_SERVER_URL": url, "REANA_ACCESS_TOKEN": TOKEN}
        words = [sys.executable, "-m", "recast_dm", "logs", w, "--follow"]
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"workflow | begun\n"
            assert TOKEN.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.stdout.close()
            assert process.wait(timeout=30) == 1


def test_as_a_process_of_its_own(tmp_path):
    """Over HTTP, with what users export: the token is in no word of the process, and in nothing that it says."""
    with Standin(tmp_path / "server") as standin, standin.served() as url:
        w = created(standin)
        environment = {**os.environ, "REANA_SERVER_URL": url, "REANA_ACCESS_TOKEN": TOKEN, "REANA_WORKON": w}
        words = [sys.executable, "-m", "recast_dm", "status", "--json"]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["workflow"] == w
        debug = f"import logging; logging.basicConfig(level=0); from recast_dm.cli import main; main({words[3:]})"
        told = subprocess.run(
            [sys.executable, "-c", debug], env=environment, capture_output=True, text=True, check=True
        )
        assert "/status" in told.stderr
        assert TOKEN not in done.stdout + done.stderr + told.stdout + told.stderr
        wrong = subprocess.run(
            words, env={**environment, "REANA_ACCESS_TOKEN": f"{TOKEN}x"}, capture_output=True, text=True, check=False
        )
        assert wrong.returncode == 6
        assert TOKEN not in wrong.stdout + wrong.stderr


class TestWorkspace:
    """`recast-dm workspace`: what is there after a workflow has ended."""

    @pytest.fixture
    def w(self, cli, standin) -> str:
        w = started(standin)
        cli("status", w, "--watch")
        return w

    def paths(self, cli, w: str) -> set[str]:
        return {each["path"] for each in document(cli, "reana-files-1", "ls", w)["files"]}

    def test_put_move_and_remove(self, cli, w):
        Path("notes.txt").write_text("note")
        put = document(cli, "workspace-1", "workspace", "put", w, "notes.txt", "--to", "more")
        assert put["files"] == ["more/notes.txt"]
        moved = document(cli, "workspace-1", "workspace", "mv", w, "more/notes.txt", "more/kept.txt")
        assert moved["files"] == ["more/kept.txt"]
        assert {"more/kept.txt", "echo/out.txt"} <= self.paths(cli, w)
        code, out, _ = cli("workspace", "rm", w, "more/*")
        assert (code, out) == (0, "more/kept.txt\n")
        assert "more/kept.txt" not in self.paths(cli, w)

    def test_two_files_of_one_name(self, cli, w):
        Path("a").mkdir()
        Path("a/x").write_text("1")
        Path("x").write_text("2")
        code, _, err = cli("workspace", "put", w, "x", "a/x")
        assert (code, "same name" in err) == (2, True)

    def test_prune_leaves_what_was_declared(self, cli, w):
        pruned = document(cli, "workspace-1", "workspace", "prune", w)
        assert pruned["files"] == ["echo/out.txt"]

    def test_retention(self, cli, w):
        assert document(cli, "workspace-1", "workspace", "retention", w)["rules"] == []
        assert "no rule" in cli("workspace", "retention", w)[2]

    def test_a_notebook(self, cli, w):
        assert cli("workspace", "notebook", w)[1].startswith("https://reana.example.org/")
        assert document(cli, "workspace-1", "workspace", "notebook", w, "--close")["address"] is None
        code, _, err = cli("workspace", "notebook", w, "--close")
        assert code == 6, err

    def test_a_workflow_that_is_not_there(self, cli, standin):
        code, _, err = cli("workspace", "rm", "nosuch.1", "x")
        assert (code, "nosuch" in err) == (6, True)
