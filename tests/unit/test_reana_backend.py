"""The REANA backend against the stand-in: the same keys, records and files as a run here, made once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from workbench import Seen, shell

from recast_dm import schemas, spec, store
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.backends.reana import finding, submission
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.backend import Cluster
from recast_dm.backends.reana.known import Known
from recast_dm.engine.cache import StepCache
from recast_dm.errors import Interrupted, StepFailed, UsageError
from recast_dm.images import fake
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec import text
from tests.reana.execution import Execution
from tests.reana.standin import TOKEN, Standin, await_end

IMAGE = "image:1.0"
ABOUT = {"analysis": "small", "capsule": "ab" * 32, "model": None, "parameters": None}
STEPS = """
stages:
- name: make
  dependencies: [init]
  scheduler:
    scheduler_type: multistep-stage
    parameters: {n: {step: init, output: numbers}, file: {step: init, output: file}, out: '{workdir}/out.txt'}
    scatter: {method: zip, parameters: [n]}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'cat {file} > {out}; echo {n} >> {out}; echo made {n}'}
      publisher: {publisher_type: interpolated-pub, publish: {out: '{out}'}}
      environment: {environment_type: docker-encapsulated, image: image, imagetag: '1.0'}
- name: sum
  dependencies: [make]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {files: {stages: make, output: out}, word: {step: init, output: word}, out: '{workdir}/sum.txt'}
    step:
      process:
        process_type: interpolated-script-cmd
        interpreter: sh
        script: 'cat {files} > {out}; echo {word} >> {out}'
      publisher: {publisher_type: interpolated-pub, publish: {out: '{out}'}}
      environment: {environment_type: docker-encapsulated, image: image, imagetag: '1.0'}
"""


class Site:
    """A server, and clients of it that each have a cache of their own."""

    def __init__(self, root: Path, steps: str = STEPS) -> None:
        self.root = root
        self.runtime = FakeRuntime({IMAGE: shell})
        self.standin = Standin(root / "server", engine=Execution(runtime=self.runtime))
        self.seen = Seen()
        self.requests: list[str] = []
        (root / "init").mkdir(exist_ok=True)
        (root / "init" / "in.txt").write_text("hi\n")
        (root / "init" / "in.txt").chmod(0o755)
        self.workflow = spec.yadage.parse_workflow(text.parse(steps, "workflow.yml"))

    def work(self, word: str = "end") -> Work:
        initdata = {"numbers": [1, 2], "file": "in.txt", "word": word}
        return Work(
            workflow=self.workflow,
            initdata=initdata,
            initdir=self.root / "init",
            pinned={IMAGE: fake.image(IMAGE)},
            about={**ABOUT, "initdata": initdata, "reference": []},
            results={"sum": "sum/sum.txt"},
        )

    def _handle(self, request):
        self.requests.append(f"{request.method} {request.path}")
        return self.standin.handle(request)

    def cluster(self, who: str = "ada", **more) -> Cluster:
        reana = Reana(self.standin.connection(self._handle, rate=10_000))
        return Cluster(reana=reana, cache=StepCache(self.root / f"cache of {who}"), poll=0.01, **more)

    def run(self, directory: str, who: str = "ada", word: str = "end", **more):
        return self.cluster(who, **more).execute(self.work(word), directory=self.root / directory, observer=self.seen)

    def here(self, directory: str):
        local = Local(runtime=self.runtime, jobs=1, cache=None)
        return local.execute(self.work(), directory=self.root / directory, observer=self.seen)

    def names(self) -> list[str]:
        return sorted(run.full for run in self.standin.runs.values())

    def submitted(self, directory: str) -> submission.Submission:
        found = submission.read(self.root / directory)
        assert found is not None
        return found


@pytest.fixture
def site(tmp_path):
    found = Site(tmp_path)
    with found.standin:
        yield found


def records(directory: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(directory.glob(".records/*/*.json"))]


def test_keys_and_files_are_those_of_a_run_here(site):
    here, there = site.here("here"), site.run("there")
    assert [(r.step, r.key, r.tree) for r in here.records] == [(r.step, r.key, r.tree) for r in there.records]
    assert (site.root / "there/sum/0/sum.txt").read_text() == "hi\n1\nhi\n2\nend\n"
    for record in here.records:
        assert store.tree_of(site.root / "here" / str(record.step)) == store.tree_of(
            site.root / "there" / str(record.step)
        )


def test_records_say_who_made_a_step(site):
    site.run("there")
    [first, second, last] = records(site.root / "there")
    run = next(iter(site.standin.runs.values()))
    for record in (first, second, last):
        assert schemas.problem("step-1", record) is None
        execution = record["execution"]
        assert execution["runtime"]["name"] == "reana"
        assert execution["reana"]["server"] == site.standin.server().url
        assert (execution["reana"]["workflow"], execution["reana"]["id"]) == (run.full, run.id)
        assert run.jobs[execution["reana"]["job"]].image == execution["reana"]["image"] == IMAGE
        assert (execution["user"], execution["limits"], execution["cpu"]) == (None, None, {}), "nobody knows them"
    assert {run.jobs[each["execution"]["reana"]["job"]].step for each in (first, second)} == {"make_0", "make_1"}
    assert "made 1" in (site.root / "there/.attempts/make.0.1/log").read_text()


def test_a_repeated_command_asks_the_server_nothing(site):
    site.run("there")
    site.requests.clear()
    site.run("there")
    assert site.requests == []
    assert set(site.seen.hows().values()) == {"kept"}
    assert site.names() == [site.submitted("there").workflow]


def test_what_is_damaged_here_is_fetched_again(site):
    site.run("there")
    place = site.root / "there/sum/0/sum.txt"
    place.unlink()
    site.run("there")
    assert place.read_text().endswith("end\n")
    assert len(site.names()) == 1


def test_another_machine_takes_the_run_that_is_there(site):
    site.run("there")
    finished = site.run("elsewhere", who="bob")
    assert len(site.names()) == 1
    assert (site.root / "elsewhere/sum/0/sum.txt").read_text().endswith("end\n")
    assert [record.reused for record in finished.records] == [None] * 3, "bob's cache was empty"


def test_what_is_here_is_sent_along_and_not_done_again(site):
    site.run("first")
    done = len(site.runtime.jobs)
    finished = site.run("second", word="other")
    assert len(site.runtime.jobs) == done + 1, "only the last step"
    assert [(str(record.step), record.reused) for record in finished.records] == [
        ("make/0", "cache"),
        ("make/1", "cache"),
        ("sum/0", None),
    ]
    assert (site.root / "second/sum/0/sum.txt").read_text() == "hi\n1\nhi\n2\nother\n"


def test_what_was_sent_along_comes_back_where_no_cache_has_it(site):
    site.run("first")
    site.run("second", word="other")
    finished = site.run("third", who="bob", word="other")
    mine = {str(record.step): record for record in finished.records}
    assert mine["make/1"].tree.files[0].path == "out.txt"
    assert mine["make/1"].execution["reana"]["workflow"] == mine["sum/0"].execution["reana"]["workflow"]
    assert len(site.names()) == 2


def test_what_an_earlier_run_made_is_sent_along_though_nobody_fetched_it(site):
    first = site.cluster().submit(site.work(), site.root / "first", site.seen)
    _ended(site, first.workflow)
    done = len(site.runtime.jobs)
    site.requests.clear()
    finished = site.run("second", word="other")
    assert len(site.runtime.jobs) == done + 1, "only the last step"
    assert [record.reused for record in finished.records] == ["cache", "cache", None]
    reana = [record.execution["reana"]["workflow"] for record in finished.records]
    assert reana == [first.workflow, first.workflow, site.submitted("second").workflow]
    fetched = [
        request.rpartition(first.id)[2] for request in site.requests if f"GET /api/workflows/{first.id}" in request
    ]
    assert sorted(each for each in fetched if each.startswith("/workspace/") and "recast-dm" not in each) == [
        "/workspace/make_0/out.txt",
        "/workspace/make_1/out.txt",
    ]
    assert [schemas.problem("step-1", record) for record in records(site.root / "second")] == [None] * 3


def test_an_earlier_run_whose_files_are_gone_is_no_obstacle(site):
    first = site.cluster().submit(site.work(), site.root / "first", site.seen)
    (_ended(site, first.workflow).workspace / "make_1/out.txt").unlink()
    finished = site.run("second", word="other")
    assert {record.reused for record in finished.records} == {None}
    assert (site.root / "second/sum/0/sum.txt").read_text() == "hi\n1\nhi\n2\nother\n"


def test_workflows_that_were_submitted_here_are_known_until_they_are_fetched(site):
    known = Known(site.root / "cache of ada" / "reana")
    sent = site.cluster().submit(site.work(), site.root / "there", site.seen)
    assert known.ids(sent.server, ABOUT) == [sent.id]
    assert known.ids(sent.server, {**ABOUT, "capsule": "cd" * 32}) == []
    [entry] = known.directory.glob("*.json")
    assert schemas.problem("reana-known-1", json.loads(entry.read_text())) is None
    site.run("there")
    assert known.ids(sent.server, ABOUT) == []


def test_what_reana_made_is_fetched_also_where_the_cache_has_it(site):
    local = Local(runtime=site.runtime, jobs=1, cache=StepCache(site.root / "cache of ada"))
    site.cluster("bob").submit(site.work(), site.root / "there", site.seen)
    local.execute(site.work(), directory=site.root / "here", observer=site.seen)
    finished = site.run("there")
    assert {record.execution["runtime"]["name"] for record in finished.records} == {"reana"}
    assert {record.reused for record in finished.records} == {None}


def test_a_failed_step_fails_and_the_same_command_begins_anew(tmp_path):
    site = Site(tmp_path, STEPS.replace("echo {word} >> {out}", "echo {word}; exit 3"))
    with pytest.raises(StepFailed, match="sum/0"):
        site.run("there")
    assert site.submitted("there").state == "failed"
    first = site.submitted("there").workflow
    with pytest.raises(StepFailed):
        site.run("there")
    assert site.submitted("there").workflow != first
    assert [str(record["step"]) for record in records(site.root / "there")] == ["make/0", "make/1"]
    again = next(run for run in site.standin.runs.values() if run.full == site.submitted("there").workflow)
    assert {job.step for job in again.jobs.values()} == {"sum"}, "what had finished was sent along"


def test_a_run_whose_drawing_failed_is_a_success_that_says_so(site):
    cluster = site.cluster()
    sent = cluster.submit(site.work(), site.root / "there", site.seen)
    run = _ended(site, sent.workflow)
    run.status = "failed"
    cluster.execute(site.work(), directory=site.root / "there", observer=site.seen)
    assert any("failed, but every step finished" in warning for warning in site.seen.warnings())
    assert site.submitted("there").state == "fetched"


def test_a_finished_run_without_its_output_is_a_failure(site):
    cluster = site.cluster()
    sent = cluster.submit(site.work(), site.root / "there", site.seen)
    (_ended(site, sent.workflow).workspace / "sum/sum.txt").unlink()
    with pytest.raises(StepFailed, match="did not write"):
        cluster.execute(site.work(), directory=site.root / "there", observer=site.seen)
    assert site.submitted("there").state == "failed"


def test_a_deleted_run_is_begun_anew(site):
    cluster = site.cluster()
    sent = cluster.submit(site.work(), site.root / "there", site.seen)
    _ended(site, sent.workflow)
    cluster.reana.delete(sent.id)
    site.run("there")
    assert site.submitted("there").workflow != sent.workflow


def test_again_makes_a_new_run(site):
    site.run("there")
    site.run("there", again=True)
    assert len(site.names()) == 2
    assert site.submitted("there").workflow == site.names()[-1]


def test_a_directory_is_for_one_work(site):
    site.run("there")
    with pytest.raises(UsageError, match="another initdata"):
        site.run("there", word="other")


def test_an_image_that_nobody_knows_is_refused_before_anything_is_sent(site):
    work = site.work()
    unpinned = Work(workflow=work.workflow, initdata=work.initdata, initdir=work.initdir, about=work.about)
    with pytest.raises(UsageError, match=r"layers of the image image:1\.0 are not known"):
        site.cluster().execute(unpinned, directory=site.root / "there", observer=site.seen)
    assert not [request for request in site.requests if request.startswith("POST")]


def test_the_workspace_says_all_that_another_machine_needs(site):
    site.run("there")
    reana = site.cluster("bob").reana
    found = finding.find(reana, site.names()[0], site.root / "copy")
    assert found.work.initdata == site.work().initdata
    assert found.work.workflow.source == site.work().workflow.source
    finished = site.cluster("bob").fetch(found.work, site.root / "bobs", site.seen, found.sent, found.status)
    mine = {record["step"]: record["key"] for record in records(site.root / "there")}
    assert {str(record.step): record.key for record in finished.records} == mine, "modes of init files are in keys"


def test_the_token_is_nowhere(site):
    site.run("there")
    files = [path for path in site.root.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_a_submission_is_as_its_schema_says(site):
    site.run("there")
    document = json.loads((site.root / "there/submission.json").read_text())
    assert schemas.problem("submission-1", document) is None
    assert schemas.problem("submission-1", {**document, "state": "odd"}) is not None
    note = next(iter(site.standin.runs.values())).workspace / "recast-dm/note.json"
    assert schemas.problem("reana-note-1", json.loads(note.read_text())) is None
    assert yaml.safe_load(STEPS) == json.loads(note.read_text())["workflow"]


def _ended(site: Site, workflow: str):
    return await_end(site.standin, workflow)


def test_a_result_of_a_stage_that_was_sent_along_is_not_asked_of_reana(site):
    site.run("first")
    work = replace(site.work("other"), results={"sum": "sum/sum.txt", "second": "make_1/out.txt"})
    site.cluster().execute(work, directory=site.root / "second", observer=site.seen)
    run = next(run for run in site.standin.runs.values() if run.full == site.submitted("second").workflow)
    assert run.specification["outputs"] == {"files": ["sum/sum.txt"]}


def test_an_interrupted_wait_says_what_goes_on(site):
    class Clock:
        def now(self) -> float:
            return 0.0

        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    site.workflow = spec.yadage.parse_workflow(text.parse(STEPS.replace("cat {file}", "sleep 1; cat {file}"), "w.yml"))
    with pytest.raises(Interrupted, match=r"small-.*\.1 stays at https://reana"):
        site.run("there", clock=Clock())
    site.run("there")
    assert len(site.names()) == 1


def test_a_failed_run_is_retried_as_often_as_asked(tmp_path):
    site = Site(tmp_path, STEPS.replace("echo {word} >> {out}", "echo {word}; exit 3"))
    with pytest.raises(StepFailed):
        site.run("there", retries=2)
    assert len(site.names()) == 3
    assert Known(site.root / "cache of ada" / "reana").ids(site.standin.server().url, ABOUT) == []


@pytest.mark.parametrize("place", ["init", "there/.init"])
def test_records_say_where_commands_saw_what_they_see_here(site, place):
    """Init files that had to be made lie in the run directory itself."""
    cluster = site.cluster()
    if place != "init":
        shutil.copytree(site.root / "init", site.root / place)
    work = replace(site.work(), initdir=site.root / place)
    sent = cluster.submit(work, site.root / "there", site.seen)
    run = _ended(site, sent.workflow)
    for job in run.jobs.values():
        job.command = f"cat /var/reana/{run.id}/inputs/in.txt"
    cluster.execute(work, directory=site.root / "there", observer=site.seen)
    seen = [record["execution"]["reana"]["places"] for record in records(site.root / "there")]
    root = f"/var/reana/{run.id}"
    assert seen[1] == {"/workdir": f"{root}/make_1", "/inputs/0": f"{root}/inputs"}
    assert seen[2] == {"/workdir": f"{root}/sum", "/inputs/0": f"{root}/make_0", "/inputs/1": f"{root}/make_1"}


SAYS = """
stages:
- name: say
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {out: '{workdir}/out.txt', said: '{workdir}/said.yml'}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'echo 1 > {out}; echo "file: /ROOT/say/out.txt" > {said}'}
      publisher: {publisher_type: fromyaml-pub, yamlfile: said.yml}
      environment: {environment_type: docker-encapsulated, image: image, imagetag: '1.0'}
"""


def test_what_a_file_there_says_of_places_is_understood_here(site):
    """A step publishes what its file says, which names a path of REANA's workspace."""
    site.workflow = spec.yadage.parse_workflow(text.parse(SAYS, "workflow.yml"))
    work = replace(site.work(), results={})
    cluster = site.cluster()
    sent = cluster.submit(work, site.root / "there", site.seen)
    run = _ended(site, sent.workflow)
    root = f"/var/reana/{run.id}"
    said = run.workspace / "say/said.yml"
    said.chmod(0o644)
    said.write_text(said.read_text().replace("/ROOT", root))
    for job in run.jobs.values():
        job.command = f"touch {root}/say/out.txt"
    [record] = cluster.execute(work, directory=site.root / "there", observer=site.seen).records
    assert record.document()["published"] == {"file": "say/0/out.txt"}
