"""Whatever a server says is a value of ours or an error of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.backends.reana.values import (
    STATES,
    File,
    Info,
    Listed,
    Logs,
    Ping,
    Quota,
    Secret,
    Status,
    You,
    moment,
)
from recast_dm.errors import RemoteError

KINDS = (File, Info, Listed, Logs, Ping, Secret, Status, You)
NAMES = [
    *("api_capabilities", "created", "disk", "email", "health", "id", "items", "job_logs", "last-modified", "limit"),
    *("logs", "message", "name", "progress", "quota", "raw", "reana_token", "size", "status", "total", "type", "usage"),
    *("value", "workflow_logs", "running", "finished", "run_started_at", "job_name", "started_at"),
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(STATES)
JSON = st.recursive(
    LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(NAMES), each, max_size=5)
)


@pytest.mark.parametrize("kind", KINDS)
@given(document=JSON | st.dictionaries(st.sampled_from(NAMES), JSON | JSON.map(json.dumps), max_size=8))
def test_every_document_is_a_value_or_our_error(kind, document):
    try:
        found = kind.of(document)
    except RemoteError:
        return
    assert isinstance(found, kind)
    if isinstance(found, Info):
        assert all(isinstance(each, str) for each in found.compute_backends)
    if isinstance(found, Status | Logs):
        assert all(job.seconds > -1e12 for job in found.jobs)
    if isinstance(found, File):
        assert isinstance(found.size, int)


@pytest.mark.parametrize("raw", [float("nan"), float("inf"), -float("inf"), None, "7", True, [7]])
def test_size_that_is_no_number(raw):
    assert File.of({"name": "a", "size": {"raw": raw}}).size in {0, 1}
    assert Quota.of({"usage": {"raw": raw}, "limit": {"raw": raw}}).usage in {0, 1}


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00"])
def test_time_that_is_none(text):
    assert moment(text) is None


@pytest.mark.parametrize("text", ["2026-11-22T10:41:42", "2026-11-22T10:41:42Z", "2026-11-22T11:41:42+01:00"])
def test_time_without_a_zone_is_utc(text):
    assert moment(text).timestamp() == 1795344102


def test_jobs_whose_times_are_odd_come_last():
    jobs = {
        "c": {"job_name": "c", "started_at": 7},
        "b": {"job_name": "b", "started_at": None, "finished_at": "2026-11-22T10:41:42"},
        "a": {"job_name": "a", "started_at": "2026-11-22T10:41:42", "finished_at": "2026-11-22T10:41:44"},
        "d": "no job",
    }
    found = Logs.of({"logs": json.dumps({"job_logs": jobs})}).jobs
    assert [(job.step, job.seconds) for job in found] == [("a", 2.0), ("b", 0.0), ("c", 0.0)]


def test_every_state_of_the_server_is_known():
    for word in STATES:
        assert Status.of({"name": "w.1", "id": "i", "status": word}).state == word
    with pytest.raises(RemoteError, match="'paused'"):
        Status.of({"name": "w.1", "id": "i", "status": "paused"})
