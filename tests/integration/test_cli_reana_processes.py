"""A capsule at REANA as a user does it: images to a registry, submit, status, logs, download; diff with a run here.

Each verb is a process of its own; the server is the stand-in, over HTTP, and executes in containers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commanding import program
from registries import registry

from recast_dm import schemas
from tests.reana.execution import Execution
from tests.reana.standin import TOKEN, Standin

TOY = "recast-dm/toy:1.0"
POINT = ("--model", "spin1-axial", "--set", "m_med=500", "--set", "m_dm=1")


@pytest.fixture
def host(tmp_path):
    program("docker-registry")
    with registry(tmp_path) as address:
        yield address


@pytest.fixture
def site(docker, tmp_path):
    """The address of a server; it pulls by digest what the workflow names, which here is the toy's image."""
    engine = Execution(
        runtime=docker, called=lambda reference: TOY if "/recast-dm/toy@sha256:" in reference else reference
    )
    with Standin(tmp_path / "server", engine=engine) as standin, standin.served() as url:
        yield url


@pytest.fixture
def recast(site, tmp_path):
    """Runs the command line as a process in a directory of its own; gives stdout."""
    place = tmp_path / "here"
    place.mkdir()
    caches = {"RECAST_DM_CACHE_DIR": str(tmp_path / "cache"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environment = {**os.environ, **caches, "REANA_SERVER_URL": site, "REANA_ACCESS_TOKEN": TOKEN}

    def run(*words: object, code: int = 0, cache: str | None = None) -> str:
        own = {"RECAST_DM_CACHE_DIR": str(tmp_path / cache)} if cache else {}
        command = [sys.executable, "-m", "recast_dm", *map(str, words)]
        done = subprocess.run(
            command, cwd=place, env={**environment, **own}, capture_output=True, text=True, check=False, timeout=300
        )
        assert TOKEN not in done.stdout + done.stderr
        assert done.returncode == code, done.stderr
        return done.stdout

    yield run
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_a_capsule_at_reana_gives_what_it_gives_here(recast, host, toy_capsule, tmp_path):
    recast("images", "push", toy_capsule, host, "--quiet")
    sent = json.loads(recast("submit", toy_capsule, *POINT, "--registry", host, "--workdir", "there", "--json"))
    assert schemas.problem("submission-1", sent) is None
    w = sent["workflow"]
    recast("status", w, "--watch")
    assert "setting a limit" in recast("logs", w, "limit/0")
    assert "limit/limit.json" in recast("ls", w)
    recast("download", "there")
    recast("rerun", toy_capsule, *POINT, "--no-cache", "--workdir", "local", "--quiet")
    assert json.loads(recast("diff", "local", "there", "--json"))["agrees"] is True
    assert limits(recast, "there") == limits(recast, "local")

    recast("download", w, "-o", "elsewhere", "--capsule", toy_capsule, cache="another")
    assert json.loads(recast("diff", "there", "elsewhere", "--json"))["agrees"] is True
    recast("delete", w, "--all-runs")
    assert json.loads(recast("ls", "--reana", "--json"))["workflows"] == []
    assert "EXCLUDED" in recast("download", "there", code=2) + recast("submit", toy_capsule, *POINT, "--wait")


def limits(recast, run: str) -> dict:
    found = json.loads(recast("limits", run, "--json"))
    return {key: found[key] for key in ("parameters", "mu_upper_obs", "mu_upper_exp", "cls_obs", "excluded")}


def test_images_that_no_registry_holds_are_found_before_anything_is_sent(recast, host, toy_capsule):
    said = json.loads(recast("submit", toy_capsule, *POINT, "--registry", host, "--json", code=2))
    assert "cannot be pulled: the registry has no such image" in said["message"]
    assert "recast-dm images push" in said["hint"]
    assert json.loads(recast("ls", "--reana", "--json"))["workflows"] == []


def test_a_client_that_is_killed_while_it_waits_goes_on(recast, site, toy_capsule, tmp_path):
    environment = {
        **os.environ,
        "RECAST_DM_CACHE_DIR": str(tmp_path / "cache"),
        "REANA_SERVER_URL": site,
        "REANA_ACCESS_TOKEN": TOKEN,
    }
    words = [sys.executable, "-m", "recast_dm", "submit", str(toy_capsule), *POINT, "--wait", "--workdir", "there"]
    place = tmp_path / "here"
    with subprocess.Popen(words, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"running" in line or b"queued" in line:
                process.kill()
                break
    assert process.returncode == -9
    assert Path(place, "there/submission.json").is_file()
    recast("submit", toy_capsule, *POINT, "--wait", "--workdir", "there")
    assert len(json.loads(recast("ls", "--reana", "--json"))["workflows"]) == 1


@pytest.mark.parametrize("seen", [b"2 of 4 files", b"1 of 3 points"])
def test_a_scan_that_is_killed_goes_on_from_another_machine(recast, site, toy_capsule, tmp_path, seen):
    words = ["scan", toy_capsule, "--model", "spin1-axial", "--grid", "m_med=500,1000,1500", "--set", "m_dm=1"]
    words += ["--backend", "reana", "--at-once", "2"]
    environment = {
        **os.environ,
        "RECAST_DM_CACHE_DIR": str(tmp_path / "cache"),
        "REANA_SERVER_URL": site,
        "REANA_ACCESS_TOKEN": TOKEN,
    }
    command = [sys.executable, "-m", "recast_dm", *map(str, words), "--workdir", "there"]
    with subprocess.Popen(
        command, cwd=tmp_path / "here", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = b""
        for line in process.stderr:
            said += line
            if seen in line:
                process.kill()
                break
    assert process.returncode == -9, said
    document = json.loads(recast(*words, "--workdir", "elsewhere", "--json", cache="another"))
    assert [point["status"] for point in document["points"]] == ["done"] * 3
    names = [each["workflow"] for each in json.loads(recast("ls", "--reana", "--json"))["workflows"]]
    assert len(names) == len({name.partition(".")[0] for name in names}) == 3
