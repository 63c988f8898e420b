"""Submitting through seeded faults, and that these trials notice what they are there for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import requests

from recast_dm.backends.reana import submission
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.connection import Connection
from tests.reana import canary, faults
from tests.reana.faults import Faults, Killed, VirtualClock
from tests.reana.standin import TOKEN, Standin
from tests.reana.submitting import NAME, Trial
from tests.reana.wire import Request
from tests.soak import reana as campaign

SELECTION = random.Random("reana").sample(range(campaign.TOTAL), 200)


@pytest.mark.parametrize("part", range(4))
def test_there_is_one_run_and_no_false_success_whatever_happens(part):
    with campaign.setup():
        problems = {seed: campaign.one(seed) for seed in SELECTION[part::4]}
    assert {seed: problem for seed, problem in problems.items() if problem} == {}


def test_a_schedule_is_the_same_each_time(tmp_path):
    met = []
    for n in range(2):
        trial = Trial(12, tmp_path / str(n))
        trial.run()
        met.append(trial.faults.met)
    assert met[0] == met[1] != {}


def test_every_fault_is_met(tmp_path):
    met = set()
    for seed in SELECTION[:40]:
        trial = Trial(seed, tmp_path / str(seed))
        trial.run()
        met |= set(trial.faults.met)
    assert met == set(faults.NAMES)


def first(seeds, tmp_path) -> str | None:
    """What the first of the trials says that finds something."""
    return next(filter(None, (Trial(seed, tmp_path / str(seed)).run() for seed in seeds)), None)


def test_a_client_that_creates_without_looking_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(Reana, "workflows", lambda *_: iter(()))
    assert first(SELECTION[:40], tmp_path)


def test_a_client_that_does_not_compare_files_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("recast_dm.backends.reana.workspace._demand_whole", lambda *_: None)
    assert first(SELECTION, tmp_path)


def test_a_token_in_a_file_is_found(tmp_path, monkeypatch):
    kept = submission.Submission.keep

    def leaking(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "log").write_text(f"GET /api/you?access_token={TOKEN}")
        return kept(self, directory)

    monkeypatch.setattr(submission.Submission, "keep", leaking)
    assert "the token is in" in (Trial(1, tmp_path).run() or "")
    leaks = list(canary.found(tmp_path))
    assert {path.name for path in leaks} == {"log"}
    for path in leaks:
        path.unlink()


def test_an_error_of_the_transport_carries_the_token(tmp_path):
    """As the real ones do: else the trials could not find one that is passed on."""
    layer = Faults(Standin(tmp_path).handle, 1, VirtualClock())
    asked = Request(method="GET", path="/api/you", query={"access_token": TOKEN})
    with pytest.raises(requests.ConnectionError, match=TOKEN):
        layer.unreachable(asked)


def test_a_killed_client_does_nothing_more(tmp_path):
    trial = Trial(3, tmp_path)
    trial.faults.share = 0.0
    create = trial.standin.handle

    def dying(request: Request):
        answer = create(request)
        if request.method == "POST" and request.path == "/api/workflows":
            raise Killed
        return answer

    trial.faults.handle = dying
    with pytest.raises(Killed):
        trial.client.command()
    trial.faults.handle = create
    trial.client.command()
    runs = trial.standin.runs_of(NAME)
    assert [run.full for run in runs if run.queued is not None] == [f"{NAME}.1"]


@pytest.mark.parametrize("seed", [5, 17, 23])
def test_faults_of_real_connections_do_as_little(tmp_path, caplog, seed):
    caplog.set_level("DEBUG")
    trial = Trial(seed, tmp_path, shares=(0.3,))
    trial.faults.deadly, trial.faults.elsewhere, trial.moves = False, None, False
    with trial.standin.served(trial.faults) as url:
        trial.client.reana = Reana(Connection(trial.standin.server(url), clock=trial.clock))
        assert trial.run() is None
    assert trial.faults.met
    assert "/api/workflows" in caplog.text, "urllib3 tells of every request"
    assert TOKEN not in caplog.text
