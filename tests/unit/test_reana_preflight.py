"""What a server would refuse or never finish is found before anything is sent, all of it at once."""

from __future__ import annotations

import pytest
import yaml

from recast_dm.backends.reana import preflight
from recast_dm.backends.reana.preflight import Offer, demands, findings
from recast_dm.backends.reana.values import Info, Secret, You
from recast_dm.errors import UsageError

INFO = {
    "compute_backends": {"title": "…", "value": ["kubernetes", "htcondorcern"]},
    "kubernetes_max_memory_limit": {"title": "…", "value": "10Gi"},
    "maximum_kubernetes_jobs_timeout": {"title": "…", "value": "1209600"},
    "kubernetes_max_cpu_limit": {"title": "…", "value": None},
}
YOU = {"email": "ada@example.org", "quota": {"disk": {"usage": {"raw": 600}, "limit": {"raw": 1000}}}}


def offered(info=INFO, you=YOU, secrets=()) -> Offer:
    return Offer(info=Info.of(info), you=You.of(you), secrets=frozenset(secrets))


def stage(name: str, *resources: object, nested: object = None) -> dict:
    environment = {"environment_type": "docker-encapsulated", "image": "x", "resources": list(resources)}
    scheduler = {"workflow": {"stages": nested}} if nested else {"step": {"environment": environment}}
    return {"name": name, "scheduler": scheduler}


def body(*stages: dict, **workflow: object) -> dict:
    return {"workflow": {"type": "yadage", "specification": {"stages": list(stages)}, **workflow}}


def messages(specification, offer=None, files=None, images=(), reachable=lambda _: None) -> list[str]:
    found = findings(demands(specification, files, images), offer or offered(), reachable)
    assert all(each.hint for each in found)
    return [each.message for each in found]


class TestFindings:
    def test_nothing_is_in_the_way(self):
        asked = stage("fit", {"kubernetes_memory_limit": "10Gi"}, {"kubernetes_job_timeout": "1209600"})
        assert messages(body(asked), files={"a": b"x" * 400}) == []

    @pytest.mark.parametrize(
        ("resource", "message"),
        [
            ({"kubernetes_memory_limit": "11Gi"}, "fit asks for memory 11Gi, and the site allows 10Gi"),
            ({"kubernetes_memory_limit": "much"}, "fit asks for memory 'much', which is no quantity"),
            ({"kubernetes_job_timeout": 1209601}, "fit asks for timeout 1209601 s, and the site allows 1209600 s"),
            (
                {"compute_backend": "slurmcern"},
                "fit wants the compute backend 'slurmcern', which the site does not have",
            ),
            ({"kerberos": True}, "fit needs kerberos, and these secrets are not there: CERN_KEYTAB, CERN_USER"),
            ({"voms_proxy": True}, "fit needs voms_proxy, and these secrets are not there: VOMSPROXY_FILE"),
            ({"rucio": True}, "fit needs rucio, and these secrets are not there: RUCIO_USERNAME, VONAME"),
        ],
        ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
    )
    def test_one_each(self, resource, message):
        assert message in messages(body(stage("fit", resource)))

    def test_a_cpu_limit_that_the_site_does_not_bound_is_no_matter(self):
        assert messages(body(stage("fit", {"kubernetes_cpu_limit": "64"}))) == []
        assert messages(body(stage("fit", {"kerberos": False}, "CVMFS"))) == []

    def test_htcondor_knows_users_by_kerberos(self):
        wanted = body(stage("fit", {"compute_backend": "htcondorcern"}))
        assert messages(wanted) == ["fit needs kerberos, and these secrets are not there: CERN_KEYTAB, CERN_USER"]
        assert messages(wanted, offered(secrets=["CERN_KEYTAB", "CERN_USER", ".keytab"])) == []

    def test_a_proxy_may_be_made_there(self):
        wanted = body(stage("fit", {"voms_proxy": True}))
        assert messages(wanted, offered(secrets=["VONAME", "VOMSPROXY_PASS", "usercert.pem", "userkey.pem"])) == []
        (found,) = findings(demands(wanted), offered())
        assert found.hint == "recast-dm secrets add --env VOMSPROXY_FILE"

    def test_stages_of_sub_workflows_and_the_workflow_itself(self):
        inner = stage("scan", nested=[stage("fit", {"compute_backend": "gpu"})])
        assert messages(body(inner, resources={"kerberos": True})) == [
            "scan/fit wants the compute backend 'gpu', which the site does not have",
            "the workflow needs kerberos, and these secrets are not there: CERN_KEYTAB, CERN_USER",
        ]

    @pytest.mark.parametrize("place", ["memory", "disk"])
    def test_a_specification_that_lies_in_a_file_that_is_sent(self, place, tmp_path):
        sent = yaml.safe_dump({"stages": [stage("fit", {"compute_backend": "gpu"})]}).encode()
        (tmp_path / "workflow.yml").write_bytes(sent)
        files = {"workflow/w.yml": sent if place == "memory" else tmp_path / "workflow.yml"}
        named = {"workflow": {"type": "yadage", "file": "workflow/w.yml", "specification": None}}
        assert messages(named, files=files) == [
            "fit wants the compute backend 'gpu', which the site does not have",
        ]
        assert messages(named, files={}) == []

    def test_quotas(self, tmp_path):
        (tmp_path / "big").write_bytes(b"x" * 300)
        (found,) = messages(body(), files={"a": tmp_path / "big", "b": b"x" * 101})
        assert found == "401 bytes are to be sent, and your disk quota has 400 left: 600 of 1000"
        spent = {"quota": {"cpu": {"usage": {"raw": 7, "human_readable": "7s"}, "limit": {"raw": 7}}}}
        assert messages(body(), offered(you=spent)) == ["your cpu quota is used up: 7s of 7"]
        assert messages(body(), offered(you={"quota": {"disk": {"usage": {"raw": 10**15}}}}), {"a": b"x"}) == []

    def test_images(self):
        found = messages(body(), images=["a/b@sha256:1", "c", "c"], reachable={"c": "not known there"}.get)
        assert found == ["the image c cannot be pulled: not known there"]


class Site:
    """A server's answers."""

    url = "https://reana.example.org"

    def info(self) -> Info:
        return Info.of(INFO)

    def you(self) -> You:
        return You.of(YOU)

    def secrets(self) -> tuple[Secret, ...]:
        return (Secret(name="CERN_USER", kind="env"),)


def test_everything_is_said_at_once():
    wanted = body(stage("fit", {"kubernetes_memory_limit": "1Ti"}, {"kerberos": True}))
    with pytest.raises(UsageError) as caught:
        preflight.demand(Site(), wanted, {"a": b"x" * 500}, ["c"], lambda _: "not known there")
    lines = str(caught.value).splitlines()
    assert lines[0] == "https://reana.example.org cannot run this, for 4 reasons; nothing was sent"
    words = ("500 bytes", "memory 1Ti", "CERN_KEYTAB", "image c")
    assert all(word in line for word, line in zip(words, lines[1:], strict=True))
    with pytest.raises(UsageError, match="cannot run this: fit asks for memory 1Ti") as caught:
        preflight.demand(Site(), body(stage("fit", {"kubernetes_memory_limit": "1Ti"})), {}, [])
    assert "recast.yml" in caught.value.hint
    preflight.demand(Site(), body(), {}, ["c"])
