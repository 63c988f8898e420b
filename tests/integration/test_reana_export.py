"""`export --format reana`: the official client takes the directory as it is, and sends what `submit` sends."""

from __future__ import annotations

import json
import shutil

import pytest
from commanding import recast

from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.backend import Cluster
from recast_dm.capsule import open_capsule
from recast_dm.engine.rundir import result_file
from recast_dm.images.push import placed
from recast_dm.reinterpret import of_capsule, planned
from tests.reana.execution import Execution
from tests.reana.official import Official
from tests.reana.standin import TOKEN, Standin, await_end

pytestmark = pytest.mark.container
TOY = "recast-dm/toy:1.0"
REGISTRY = "localhost:5000/group"


@pytest.fixture
def heard():
    return []


@pytest.fixture
def server(tmp_path, docker, toy_image):
    with Standin(tmp_path / "server", engine=Execution(runtime=docker, called=lambda _: TOY)) as standin:
        yield standin


@pytest.fixture
def official(server, heard, tmp_path):
    def handle(request):
        heard.append(request)
        return server.handle(request)

    with (
        server.served(handle) as url,
        Official({"REANA_SERVER_URL": url, "REANA_ACCESS_TOKEN": TOKEN}, tmp_path / "exported") as client,
    ):
        yield client


@pytest.fixture
def exported(toy_capsule, tmp_path):
    place = tmp_path / "exported"
    done = recast("export", toy_capsule, "--format", "reana", "--registry", REGISTRY, "-o", place, "--json")
    assert json.loads(done.stdout)["format"] == "reana"
    return place


def test_the_official_client_takes_it_and_sends_what_we_send(exported, official, server, heard, toy_capsule, tmp_path):
    for words in (("validate",), ("create", "-w", "theirs"), ("upload", "-w", "theirs")):
        said = official(*words)
        assert said.code == 0, said.out
    theirs = [request for request in heard if request.method == "POST"]
    heard.clear()

    capsule = open_capsule(toy_capsule)
    held = placed(capsule.layout, REGISTRY)
    cluster = Cluster(
        reana=Reana(server.connection(lambda r: (heard.append(r), server.handle(r))[1])), placed=lambda _: held
    )
    cluster.submit(planned(of_capsule(capsule)).work, tmp_path / "run", lambda _: None)
    ours = [request for request in heard if request.method == "POST"]

    def bodies(requests):
        return {
            request.query.get("file_name", "create").lstrip("/"): json.loads(request.body)
            if "file_name" not in request.query
            else request.body
            for request in requests
            if not request.path.endswith("/start")
        }

    mine, official_ones = bodies(ours), bodies(theirs)
    assert mine.pop("recast-dm/manifest.json")
    assert mine == official_ones


def test_it_runs_there_and_comes_back(exported, official, server, tmp_path):
    for words in (("create", "-w", "theirs"), ("upload", "-w", "theirs"), ("start", "-w", "theirs")):
        said = official(*words)
        assert said.code == 0, said.out
    await_end(server, "theirs.1")
    said = official("download", "-w", "theirs", "-o", str(tmp_path / "theirs"))
    assert said.code == 0, said.out
    recast("run", exported.parent / "toy.capsule", "--workdir", tmp_path / "here", "--quiet")
    here = result_file(tmp_path / "here", "limit/limit.json").read_bytes()
    assert (tmp_path / "theirs" / "limit" / "limit.json").read_bytes() == here


def test_it_runs_here_too(toy_capsule, tmp_path):
    recast("export", toy_capsule, "--format", "reana", "-o", tmp_path / "exported")
    recast("run", tmp_path / "exported", "--workdir", tmp_path / "exported-run", "--quiet")
    recast("run", toy_capsule, "--workdir", tmp_path / "run", "--quiet")
    ours, theirs = (result_file(tmp_path / name, "limit/limit.json") for name in ("run", "exported-run"))
    assert theirs.read_bytes() == ours.read_bytes()


def test_what_can_not_be_exported(toy_capsule, tmp_path):
    recast("run", toy_capsule, "--workdir", tmp_path / "run", "--quiet")
    done = recast("export", tmp_path / "run", "--format", "reana", "-o", tmp_path / "x")
    assert done.returncode == 2
    assert "only a capsule" in done.stderr
    assert not (tmp_path / "x").exists()
    done = recast("export", toy_capsule, "--registry", REGISTRY, "-o", tmp_path / "x")
    assert "--registry is for --format reana" in done.stderr
    shutil.rmtree(tmp_path / "x", ignore_errors=True)
