"""Policies: who says what about retries, time and limits, and what `resources` ask for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import IMAGE, Bench, plan, shell, stage, substage, workflow

from recast_dm import config
from recast_dm.engine.request import limits
from recast_dm.errors import SpecError
from recast_dm.model import Policy
from recast_dm.runtimes import Limits
from recast_dm.spec import resources, text
from recast_dm.spec.quantity import quantity

policies = st.builds(
    Policy,
    retries=st.none() | st.integers(0, 3),
    timeout=st.none() | st.floats(1, 5),
    cpus=st.none() | st.floats(0.5, 2),
    memory=st.none() | st.integers(1, 5),
    batch=st.none() | st.tuples(st.sampled_from(["a", "b"])),
)


@given(policies, policies, policies)
def test_the_nearer_policy_counts_and_leaves_the_rest_to_the_wider(one, two, three):
    both = one.over(two)
    for name in ("retries", "timeout", "cpus", "memory", "batch"):
        near, wide = getattr(one, name), getattr(two, name)
        assert getattr(both, name) == (wide if near is None else near)
    assert one.over(two).over(three) == one.over(two.over(three))
    assert one.over(Policy()) == Policy().over(one) == one


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("1k", 1e3),
        ("1Ki", 1024),
        ("2.5Gi", 2.5 * 2**30),
        ("500m", 0.5),
        (4, 4),
        (0.5, 0.5),
        ("3T", 3e12),
        ("1P", 1e15),
    ],
)
def test_quantities(text, number):
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "x", "-1", "1 Gi", "1g", "1KiB", "1e3", "inf", None, "1mi", "9" * 400])
def test_no_quantities(text):
    with pytest.raises(ValueError):  # noqa: PT011  # the text itself
        quantity(text)


def node(value):
    return text.parse(json.dumps(value), "w.yml")


class TestResources:
    def test_what_they_ask_for(self):
        asked = (
            {"kubernetes_memory_limit": "8Gi"},
            {"kubernetes_cpu_limit": "500m"},
            {"kubernetes_job_timeout": 3600},
            {"kubernetes_uid": 500, "compute_backend": "htcondorcern", "kubernetes_memory_request": "1Gi"},
            {"cvmfs": ["atlas.cern.ch"]},
            "kerberos",
        )
        policy, known, unknown = resources.read(node((*asked, {"voms_proxy": False}, "slurm")))
        assert policy == Policy(memory=8 * 2**30, cpus=0.5, timeout=3600.0)
        assert (known, unknown) == (("cvmfs", "kerberos"), ("slurm",))

    @pytest.mark.parametrize(
        "entry",
        [
            {"kubernetes_memory_limit": "8 gigabytes"},
            {"kubernetes_memory_limit": 0},
            {"kubernetes_cpu_limit": "0"},
            {"kubernetes_cpu_limit": "x"},
            {"kubernetes_job_timeout": "soon"},
            {"kubernetes_job_timeout": -1},
            {"kubernetes_job_timeout": "nan"},
            {"kubernetes_job_timeout": "inf"},
            {"kubernetes_job_timeout": None},
        ],
    )
    def test_what_is_no_quantity(self, entry):
        """docker takes a limit of 0 for none at all."""
        with pytest.raises(SpecError, match=r"the resource kubernetes_\w+ is") as caught:
            resources.read(node([entry]))
        assert str(caught.value.where) == f"w.yml:1:{len(next(iter(entry))) + 7}"

    def test_limits(self, monkeypatch):
        monkeypatch.setattr(config, "processors", lambda: 2)
        assert limits(Policy()) == Limits()
        assert limits(Policy(cpus=1.5, memory=100)) == Limits(cpus=1.5, memory=100)
        assert limits(Policy(cpus=64)) == Limits(cpus=2.0)


ASKING = {
    "environment_type": "docker-encapsulated",
    "image": "image",
    "resources": [{"kubernetes_memory_limit": "2k"}, {"kubernetes_job_timeout": 20}],
}


class TestPrecedence:
    def test_recast_yml_then_resources_then_the_command_line(self, bench):
        inner = stage("fit", "true", {}, {}, environment=ASKING)
        whole = workflow(inner, substage("scan", inner), stage("other", "true", {}, {}))
        request = bench.request(
            whole,
            {},
            policies={"scan/fit": Policy(memory=1)},
            policy=Policy(memory=3, timeout=30, retries=3),
        )
        steps = plan(inner, substage("scan", inner), stage("other", "true", {}, {}))
        found = {name: request.policy_of(step) for name, step in steps.items() if not step.spec.init}
        assert found == {
            "fit/0": Policy(memory=2000, timeout=20, retries=3),
            "scan/0/fit/0": Policy(memory=1, timeout=20, retries=3),
            "other/0": Policy(memory=3, timeout=30, retries=3),
        }

    def test_they_reach_the_job_and_what_is_not_provided_is_said(self, bench, monkeypatch):
        monkeypatch.setenv("KRB5CCNAME", "KEYRING:persistent:1000")
        image = {**ASKING, "resources": [*ASKING["resources"], {"kerberos": True}, "slurm"]}
        bench.run(workflow(stage("one", "true", {}, {}, environment=image)))
        (job,) = bench.runtime.jobs
        assert (job.limits.memory, job.timeout) == (2000, 20)
        ticket, other = bench.seen.warnings()
        assert ticket.startswith("one/0 asks for a Kerberos ticket in a file, and you have none: `KRB5CCNAME=FILE:")
        assert other == "one/0: the resource 'slurm' is not provided here"


def test_what_is_asked_for_is_no_part_of_the_work(bench: Bench):
    """The same step with other resources, retries and time is found in the cache."""
    bench.programs[IMAGE] = shell
    bench.run(workflow(stage("one", "true", {}, {})))
    image = ASKING
    bench.run(workflow(stage("one", "true", {}, {}, environment=image)), run="other", policy=Policy(retries=1))
    assert bench.hows() == {"one/0": "cached"}
