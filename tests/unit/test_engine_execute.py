"""The loop: what runs, what is kept, what is cached, and every way in which a run ends badly."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from workbench import IMAGE, POINT, Bench, rewrite, scattered, shell, stage, substage, workflow

from recast_dm import schemas, store
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine import events
from recast_dm.engine import key as keys
from recast_dm.engine.execute import execute
from recast_dm.engine.forecast import forecast
from recast_dm.engine.rundir import RunDirectory
from recast_dm.errors import Interrupted, LockedError, RecastError, SpecError, StepFailed, StorageError, UsageError
from recast_dm.images import fake
from recast_dm.model import Policy, StepId
from recast_dm.runtimes.fake import FakeRuntime

OUT = {"out": "{workdir}/out"}


def read(bench: Bench, step: str, name: str = "out", run: str = "run") -> str:
    return (bench.root / run / step / name).read_text()


def failing(cmd: str):
    """Three stages in a row, the second of which does `cmd`."""
    return workflow(
        stage("one", "echo 1 > {out}", OUT, OUT),
        stage("two", cmd, {"one": {"step": "one", "output": "out"}, **OUT}, OUT),
        stage("three", "cat {two} > {out}", {"two": {"step": "two", "output": "out"}, **OUT}, OUT),
    )


def _literally(job) -> int:
    """What the fake's shell would replace stays as a container would write it."""
    (job.workdir / "said.yml").write_text("f: /workdir/f\n")
    (job.workdir / "f").write_text("5\n")
    return 0


class TestSuccess:
    def test_every_step_runs_and_its_files_lie_in_the_run_directory(self, bench, physics):
        finished = bench.run(physics, POINT)
        assert finished.directory == bench.root / "run"
        assert [str(r.step) for r in finished.records] == ["background/0", "signal/0", "signal/1", "limit/0"]
        assert bench.hows() == dict.fromkeys(["background/0", "signal/0", "signal/1", "limit/0"], "ran")
        assert read(bench, "limit/0") == "139\n2000 1\n2000 2\n"

    def test_outputs_are_regular_read_only_files(self, bench, physics):
        bench.run(physics, POINT)
        file = bench.root / "run/limit/0/out"
        assert file.is_file()
        assert not file.is_symlink()
        assert file.stat().st_mode & 0o777 == 0o444

    def test_outputs_are_handed_back_to_the_caller(self, bench, physics):
        bench.run(physics, POINT)
        assert {path.stat().st_uid for path in (bench.root / "run").rglob("*")} == {os.getuid()}

    def test_no_job_is_roots_and_all_it_sees_is_its_workdir_and_inputs(self, bench, physics):
        bench.run(physics, POINT)
        limit = bench.runtime.jobs[-1]
        assert all(0 not in job.user for job in bench.runtime.jobs)
        assert limit.inputs == tuple(bench.root / "run" / step for step in ("background/0", "signal/0", "signal/1"))
        assert limit.argv[4:] == ("sh", "-c", "cat /inputs/0/out /inputs/1/out /inputs/2/out > /workdir/out")

    def test_records_validate_against_their_schema(self, bench, physics):
        finished = bench.run(physics, POINT)
        bench.run(physics, POINT, run="again")
        records = [*bench.root.glob("run/.records/*/*.json"), *bench.root.glob("again/.records/*/*.json")]
        assert len(records) == 2 * len(finished.records)
        assert [schemas.problem("step-1", json.loads(record.read_bytes())) for record in records] == [None] * 8

    def test_run_json_and_cache_entries_validate_against_their_schemas(self, bench, physics):
        bench.run(physics, POINT)
        entries = list(bench.root.glob("cache/steps/1/*/*/entry.json"))
        assert len(entries) == 4
        assert [schemas.problem("cache-entry-1", json.loads(e.read_bytes())) for e in entries] == [None] * 4

    def test_a_record_says_what_was_done(self, bench, physics):
        record = bench.run(physics, POINT).record(StepId("limit")).document()
        assert record["published"] == {"out": "limit/0/out"}
        assert [output["path"] for output in record["outputs"]] == ["out"]
        assert record["execution"]["exit_code"] == 0
        assert record["execution"]["image"]["diff_ids"] == list(fake.image(IMAGE).diff_ids)
        assert record["key"] == keys.of(record["key_parts"])

    def test_events_tell_the_story(self, bench, physics):
        bench.run(physics, POINT)
        first, *_, last = bench.seen.events
        planned = [e for e in bench.seen.events if isinstance(e, events.StepsPlanned)]
        started = [e.step for e in bench.seen.events if isinstance(e, events.StepStarted)]
        assert isinstance(first, events.RunStarted)
        assert isinstance(last, events.RunFinished)
        assert [len(e.steps) for e in planned] == [4]
        assert planned[-1].complete
        assert len(started) == 4
        assert started[-1] == StepId("limit")

    def test_the_toy_analysis(self, bench, toy_analysis):
        initdata = {**toy_analysis.example.initdata, "m_med": 1000, "m_dm": 1}
        bench.run(toy_analysis.workflow, initdata, initdir=toy_analysis.initdir)
        limit = json.loads(read(bench, "limit/0", "limit.json"))
        assert schemas.problem("limit-stage-1", limit) is None
        assert limit["mu_upper_obs"] == pytest.approx(0.5, rel=0.1)

    def test_neither_keys_nor_files_depend_on_how_many_run_at_once(self, bench, physics):
        point = {**POINT, "seeds": list(range(6))}
        runs = [bench.run(physics, point, run=f"run{jobs}", jobs=jobs, cached=False) for jobs in (1, 2, 7)]
        one, two, seven = [[(r.step, r.key, r.tree) for r in finished.records] for finished in runs]
        assert one == two == seven

    def test_no_more_than_jobs_run_at_once(self, bench):
        running, most, lock = 0, 0, threading.Lock()
        together = threading.Barrier(3, timeout=10)

        def program(job):
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            together.wait()  # three are needed to go on: fewer would hang, and break
            with lock:
                running -= 1
            return shell(job)

        bench.programs[IMAGE] = program
        many = workflow(
            stage("m", "echo {n} > {out}", {"n": list(range(9)), **OUT}, OUT, scatter="n"),
        )
        bench.run(many, jobs=3)
        assert most == 3

    def test_a_hostile_parameter_is_data_and_is_warned_of(self, bench):
        value = "x; touch pwned $(touch pwned)"
        bench.run(workflow(stage("one", "printf %s {v} > {out}", {"v": value, **OUT}, OUT)))
        assert read(bench, "one/0") == value
        assert not list(bench.root.rglob("pwned"))
        assert "'v' holds characters that a shell would act on" in bench.seen.warnings()[0]


class TestAgain:
    def test_a_second_run_in_the_same_directory_keeps_everything(self, bench, physics):
        bench.run(physics, POINT)
        before = {p: p.stat().st_mtime_ns for p in (bench.root / "run").rglob("*") if p.is_file()}
        bench.run(physics, POINT)
        assert bench.started() == 0
        assert set(bench.hows().values()) == {"kept"}
        changed = {p.name for p in before if p.stat().st_mtime_ns != before[p]}
        assert changed == {"run.json", ".events.jsonl"}

    def test_a_run_elsewhere_takes_everything_from_the_cache(self, bench, physics):
        first = bench.run(physics, POINT)
        second = bench.run(physics, POINT, run="elsewhere")
        assert bench.started() == 0
        assert set(bench.hows().values()) == {"cached"}
        assert {r.reused for r in second.records} == {"cache"}
        assert [(r.key, r.tree) for r in second.records] == [(r.key, r.tree) for r in first.records]
        assert read(bench, "limit/0", run="elsewhere") == read(bench, "limit/0")

    def test_without_the_cache_nothing_is_read_or_written(self, bench, physics):
        bench.run(physics, POINT, cached=False)
        assert not (bench.root / "cache").exists()
        bench.run(physics, POINT, run="second")
        bench.run(physics, POINT, run="third", cached=False)
        assert bench.counted() == {"ran": 4}

    def test_without_the_cache_a_run_directory_is_still_resumed(self, bench, physics):
        bench.run(physics, POINT, cached=False)
        bench.run(physics, POINT, cached=False)
        assert bench.counted() == {"kept": 4}

    @pytest.mark.parametrize("run", ["run", "elsewhere"])
    def test_a_new_mass_reruns_signal_and_limit_and_keeps_the_background(self, bench, physics, run):
        bench.run(physics, POINT)
        bench.run(physics, {**POINT, "m_med": 2250}, run=run)
        kept = "kept" if run == "run" else "cached"
        assert bench.hows() == {"background/0": kept, "signal/0": "ran", "signal/1": "ran", "limit/0": "ran"}
        assert read(bench, "limit/0", run=run) == "139\n2250 1\n2250 2\n"

    def test_another_seed_reruns_only_its_own_step_and_the_limit(self, bench, physics):
        bench.run(physics, POINT)
        bench.run(physics, {**POINT, "seeds": [1, 3]})
        assert bench.hows() == {"background/0": "kept", "signal/0": "kept", "signal/1": "ran", "limit/0": "ran"}

    def test_going_back_to_a_point_takes_it_from_the_cache(self, bench, physics):
        bench.run(physics, POINT)
        bench.run(physics, {**POINT, "m_med": 2250})
        bench.run(physics, POINT)
        assert bench.counted() == {"kept": 1, "cached": 3}

    def test_a_step_that_makes_the_same_files_lets_what_follows_be_kept(self, bench):
        def of(comment: str):
            return workflow(
                stage("one", f"echo 1 > {{out}}; true {comment}", OUT, OUT),
                stage("two", "cat {x} > {out}", {"x": {"step": "one", "output": "out"}, **OUT}, OUT),
            )

        bench.run(of("a"))
        bench.run(of("b"))
        assert bench.hows() == {"one/0": "ran", "two/0": "kept"}

    def test_a_changed_file_of_the_initdir_reruns_what_reads_it(self, bench, tmp_path):
        initdir = tmp_path / "init"
        initdir.mkdir()
        (initdir / "card.dat").write_text("1")
        card = {"card": {"step": "init", "output": "card"}, **OUT}
        both = workflow(stage("reads", "cat {card} > {out}", card, OUT), stage("not", "echo > {out}", OUT, OUT))
        bench.run(both, {"card": "card.dat"}, initdir=initdir, jobs=1)
        assert [job.inputs for job in bench.runtime.jobs] == [(initdir,), ()]
        (initdir / "card.dat").write_text("2")
        bench.run(both, {"card": "card.dat"}, initdir=initdir)
        assert bench.hows() == {"reads/0": "ran", "not/0": "kept"}
        assert read(bench, "reads/0") == "2"

    def test_other_layers_rerun_and_another_name_does_not(self, bench, physics):
        bench.run(physics, POINT)
        for change, how in (({"registry_digest": "r@sha256:1"}, "kept"), ({"diff_ids": ("sha256:other",)}, "ran")):
            request = bench.request(physics, POINT)
            other = replace(request, images={IMAGE: replace(request.images[IMAGE], **change)})
            bench.seen.events.clear()
            execute(other, directory=bench.root / "run", tools=bench.tools(cached=False), jobs=1)
            assert set(bench.hows().values()) == {how}


class TestDamage:
    def test_a_changed_output_runs_again_with_a_warning(self, bench, physics):
        bench.run(physics, POINT, cached=False)
        file = bench.root / "run/signal/1/out"
        file.chmod(0o644)
        file.write_text("tampered")
        bench.run(physics, POINT, cached=False)
        assert bench.hows() == {"background/0": "kept", "signal/0": "kept", "signal/1": "ran", "limit/0": "kept"}
        assert bench.seen.warnings() == ["signal/1: its files have changed since they were recorded; it runs again"]
        assert read(bench, "signal/1") == "2000 2\n"

    @pytest.mark.parametrize("damage", ["remove", "add", "rename"])
    def test_other_changes_of_files_are_seen_too(self, bench, physics, damage):
        bench.run(physics, POINT, cached=False)
        place = bench.root / "run/background/0"
        if damage == "remove":
            (place / "out").unlink()
        elif damage == "add":
            (place / "more").write_text("")
        else:
            (place / "out").rename(place / "other")
        bench.run(physics, POINT, cached=False)
        assert bench.hows()["background/0"] == "ran"
        assert [p.name for p in place.iterdir()] == ["out"]

    def test_a_removed_directory_or_record_is_made_good(self, bench, physics):
        bench.run(physics, POINT)
        (bench.root / "run/.records/background/0.json").unlink()
        (bench.root / "run/limit/0/out").unlink()
        (bench.root / "run/limit/0").rmdir()
        bench.run(physics, POINT)
        assert bench.hows() == {"background/0": "cached", "signal/0": "kept", "signal/1": "kept", "limit/0": "cached"}

    def test_a_damaged_cache_entry_counts_as_absent_and_is_replaced(self, bench, physics):
        first = bench.run(physics, POINT)
        key = first.record(StepId("background")).key
        file = bench.root / f"cache/steps/1/{key[:2]}/{key}/tree/out"
        file.unlink()
        file.write_text("tampered")
        bench.run(physics, POINT, run="second")
        assert bench.hows()["background/0"] == "ran"
        assert read(bench, "background/0", run="second") == "139\n"
        bench.run(physics, POINT, run="third")
        assert bench.counted() == {"cached": 4}

    @pytest.mark.parametrize(
        "damage",
        [
            lambda entry: entry.joinpath("entry.json").write_text("{"),
            lambda entry: entry.joinpath("entry.json").unlink(),
            lambda entry: rewrite(entry / "entry.json", lambda document: document.update(schema="other/1")),
            lambda entry: rewrite(entry / "entry.json", lambda document: document.pop("tree")),
            lambda entry: (entry / "tree/out").unlink(),
            lambda entry: (entry / "tree/link").symlink_to("/etc/passwd"),
            lambda entry: (entry / "tree/out").chmod(0o755),
        ],
    )
    def test_whatever_is_damaged_in_an_entry(self, bench, physics, damage):
        key = bench.run(physics, POINT).record(StepId("limit")).key
        damage(bench.root / f"cache/steps/1/{key[:2]}/{key}")
        bench.run(physics, POINT, run="second")
        assert bench.hows()["limit/0"] == "ran"
        bench.run(physics, POINT, run="third")
        assert bench.hows()["limit/0"] == "cached"

    def test_editing_a_run_cannot_poison_the_cache(self, bench, physics):
        bench.run(physics, POINT)
        file = bench.root / "run/limit/0/out"  # shares its bytes with the cache
        file.chmod(0o644)
        file.write_text("tampered")
        bench.run(physics, POINT, run="second")
        assert bench.hows()["limit/0"] == "ran"
        assert "tampered" not in read(bench, "limit/0", run="second")


class TestFailure:
    def test_a_step_that_exits_non_zero(self, bench):
        broken = failing("for n in $(seq 30); do echo line $n; done; echo to stderr >&2; exit 3")
        with pytest.raises(StepFailed) as caught:
            bench.run(broken)
        error = caught.value
        assert error.exit_code == 1
        assert error.message == "the step two/0 failed (exit code 3)"
        lines = (error.hint or "").splitlines()
        assert lines[0] == "its last lines:"
        assert lines[-3] == "| to stderr"
        assert lines[-4] == "| line 30"
        assert len([line for line in lines if line.startswith("| ")]) == 15
        log = Path(lines[-2].removeprefix("the whole log: "))
        assert log.read_text().splitlines()[-1] == "to stderr"
        assert lines[-1] == "finished steps are kept"

    def test_finished_steps_are_kept_and_the_run_goes_on_when_mended(self, bench):
        with pytest.raises(StepFailed):
            bench.run(failing("exit 3"), cached=False)
        assert bench.hows() == {"one/0": "ran"}
        assert not (bench.root / "run/two/0").exists()
        assert not (bench.root / "run/.records/two/0.json").exists()
        bench.run(failing("cat {one} > {out}"), cached=False)
        assert bench.hows() == {"one/0": "kept", "two/0": "ran", "three/0": "ran"}

    def test_steps_that_run_beside_a_failing_one_are_awaited_and_kept(self, bench):
        failed = threading.Event()

        def program(job):
            if "exit" in job.argv[-1]:
                failed.set()
                return 3
            failed.wait(10)
            return shell(job)

        bench.programs[IMAGE] = program
        both = workflow(stage("good", "echo > {out}", OUT, OUT), stage("bad", "exit 3", OUT, OUT))
        with pytest.raises(StepFailed, match="the step bad/0 failed"):
            bench.run(both)
        assert bench.hows() == {"good/0": "ran"}

    def test_nothing_new_starts_after_a_failure(self, bench):
        one_bad = workflow(stage("m", "test {n} != 0 && touch {out}", {"n": [0, 1, 2], **OUT}, OUT, scatter="n"))
        with pytest.raises(StepFailed, match="m/0"):
            bench.run(one_bad, jobs=1)
        assert bench.started() == 1

    def test_a_declared_output_that_was_not_written(self, bench):
        with pytest.raises(StepFailed) as caught:
            bench.run(failing("echo > other; mkdir d; echo > d/x"))
        assert caught.value.message == "the step two/0 ended well but did not write its declared output 'out'"
        assert "it wrote: d/x, other" in (caught.value.hint or "")
        assert not (bench.root / "run/.records/two/0.json").exists()

    def test_special_files_are_refused(self, bench):
        with pytest.raises(RecastError, match="is a link or a special file"):
            bench.run(failing("echo > {out}; mkfifo p"))
        assert not (bench.root / "run/two/0").exists()

    @pytest.mark.parametrize("target", ["/etc/passwd", "nowhere", "/inputs/0/out", "out", "../log"])
    def test_an_output_behind_a_link_that_leads_out_was_not_written(self, bench, target):
        with pytest.raises(StepFailed, match="two/0 ended well but did not write its declared output 'out'"):
            bench.run(failing(f"cd $(dirname {{out}}); ln -s {target} out"))
        assert bench.seen.warnings() == ["two/0: the link out leads out of the step's directory: left out"]
        assert not (bench.root / "run/two/0").exists()

    def test_a_workflow_that_makes_no_step_fails(self, bench):
        empty = workflow(stage("m", "echo {n}", {"n": [], **OUT}, OUT, scatter="n"))
        with pytest.raises(StepFailed, match="made no step at all") as caught:
            bench.run(empty)
        assert caught.value.hint == "is a scattered list empty?"

    def test_a_stage_that_never_becomes_ready_fails_the_run(self, bench):
        never = workflow(
            stage("other", "echo > {out}", OUT, OUT),
            stage("m", "echo {n}", {"n": [], **OUT}, OUT, scatter="n"),
            stage("after", "echo {x}", {"x": {"stages": "m", "output": "out"}, **OUT}, OUT, needs=("m",)),
            stage("last", "echo > {out}", OUT, OUT, needs=("after",)),
        )
        with pytest.raises(StepFailed, match="these stages never became ready: after, last") as caught:
            bench.run(never)
        assert (caught.value.hint or "").splitlines()[:2] == [
            "after: 'm' made no step",
            "last: 'after' has not published",
        ]
        assert bench.hows() == {"other/0": "ran"}

    def test_a_parameter_that_nobody_gave(self, bench, physics):
        with pytest.raises(SpecError, match="there is no init parameter 'seeds'") as caught:
            bench.run(physics, {"m_med": 1, "lumi": 1})
        assert (caught.value.hint or "").startswith("give it with -p seeds=VALUE")

    def test_a_failure_is_told_by_events(self, bench):
        with pytest.raises(StepFailed):
            bench.run(failing("exit 3"))
        ended = [e for e in bench.seen.events if isinstance(e, events.StepEnded)]
        assert [(e.step, e.message) for e in ended] == [(StepId("two"), "the step two/0 failed (exit code 3)")]
        assert not [e for e in bench.seen.events if isinstance(e, events.RunFinished)]


class TestPolicies:
    def flaky(self, bench, *codes: int):
        """The image's program ends with these codes in turn, then well."""
        left = list(codes)

        def program(job):
            return left.pop(0) if left else shell(job)

        bench.programs[IMAGE] = program
        return workflow(stage("one", "touch {out}", OUT, OUT))

    def test_a_failed_step_is_tried_again_and_the_record_says_so(self, bench):
        finished = bench.run(self.flaky(bench, 3, 137), policy=Policy(retries=2))
        told = [e for e in bench.seen.events if isinstance(e, events.StepRetried)]
        assert [(e.reason, e.attempt, e.attempts) for e in told] == [("exit code 3", 1, 2), ("exit code 137", 2, 2)]
        document = finished.records[0].document()
        assert [f["reason"] for f in document["execution"]["failed_attempts"]] == ["exit code 3", "exit code 137"]
        assert schemas.problem("step-1", json.loads((bench.root / "run/.records/one/0.json").read_bytes())) is None
        assert len(list(bench.root.glob("run/.attempts/one.0.*"))) == 3

    def test_not_more_often_than_the_policy_says(self, bench):
        with pytest.raises(StepFailed) as caught:
            bench.run(self.flaky(bench, 3, 4, 5), policy=Policy(retries=1))
        assert caught.value.reason == "exit code 4"
        assert bench.started() == 2

    def test_without_a_policy_once(self, bench):
        with pytest.raises(StepFailed):
            bench.run(self.flaky(bench, 3))
        assert bench.started() == 1

    def test_a_step_that_ends_well_without_its_outputs_is_not_tried_again(self, bench):
        """The same would happen again."""
        with pytest.raises(StepFailed, match="did not write"):
            bench.run(workflow(stage("one", "true", OUT, OUT)), policy=Policy(retries=5))
        assert bench.started() == 1

    def test_keep_going_does_all_that_does_not_need_what_failed(self, bench):
        stages = [
            stage("bad", "exit 3", OUT, OUT),
            stage("after", "cat {x} > {out}", {"x": {"step": "bad", "output": "out"}, **OUT}, OUT),
            stage("worse", "exit 4", OUT, OUT),
            stage("good", "touch {out}", OUT, OUT),
            stage("better", "cat {x} > {out}", {"x": {"step": "good", "output": "out"}, **OUT}, OUT),
        ]
        with pytest.raises(StepFailed, match="the step bad/0 failed") as caught:
            bench.run(workflow(*stages), jobs=1, keep_going=True)
        assert bench.hows() == {"good/0": "ran", "better/0": "ran"}
        assert (caught.value.hint or "").splitlines()[-1] == "2 steps failed: bad/0, worse/0"
        with pytest.raises(StepFailed):
            bench.run(workflow(*stages), jobs=1, run="other", cached=False)
        assert bench.hows() == {}

    def test_a_stage_that_cannot_be_expanded_keeps_no_other_from_running(self, bench):
        stages = [
            stage("bad", "echo {n} > {out}", {"n": {"step": "init", "output": "n"}, **OUT}, OUT, scatter="n"),
            stage("good", "touch {out}", OUT, OUT),
            stage("better", "cat {x} > {out}", {"x": {"step": "good", "output": "out"}, **OUT}, OUT),
            stage("after", "touch {out}", OUT, OUT, needs=["bad"]),
        ]
        with pytest.raises(SpecError, match="'bad' scatters over 'n', which is not a list"):
            bench.run(workflow(*stages), {"n": 5}, keep_going=True)
        assert bench.hows() == {"good/0": "ran", "better/0": "ran"}
        with pytest.raises(SpecError, match="'bad' scatters over 'n', which is not a list"):
            bench.run(workflow(*stages), {"n": 5}, run="other", cached=False)
        assert bench.hows() == {}


class TestLinks:
    """Outputs are files: links become what they lead to, as far as that is the step's own."""

    def run(self, bench, cmd: str, publish: str = "{workdir}/out"):
        made = stage("one", cmd, {"d": "{workdir}"}, {"out": publish})
        return bench.run(workflow(made))

    @pytest.mark.parametrize(
        "cmd",
        [
            "cd {d}; echo 5 > real; ln -s real out",
            "cd {d}; mkdir sub; echo 5 > sub/real; ln -s sub/real out",
            "cd {d}; echo 5 > real; ln -s $PWD/real out",
            "cd {d}; echo 5 > real; ln -s real other; ln -s other out",
        ],
    )
    def test_an_output_behind_a_link_is_there(self, bench, cmd):
        finished = self.run(bench, cmd)
        assert read(bench, "one/0") == "5\n"
        assert not (bench.root / "run/one/0/out").is_symlink()
        assert bench.seen.warnings() == []
        outputs = [output["path"] for output in finished.records[0].document()["outputs"]]
        assert "out" in outputs
        self.run(bench, cmd)
        assert bench.counted() == {"kept": 1}

    def test_a_place_as_the_container_saw_it(self, bench):
        def program(job):
            (job.workdir / "real").write_text("5\n")
            (job.workdir / "out").symlink_to("/workdir/real")
            return 0

        bench.programs[IMAGE] = program
        self.run(bench, "true")
        assert read(bench, "one/0") == "5\n"

    def test_a_directory(self, bench):
        self.run(bench, "cd {d}; mkdir real; echo 5 > real/f; ln -s real out")
        assert read(bench, "one/0", "out/f") == "5\n"

    @pytest.mark.parametrize("link", ["ln -s . loop", "ln -s /etc loop", "ln -s loop loop", "ln -s /usr/bin/env loop"])
    def test_links_that_lead_elsewhere_are_left_out_with_a_warning(self, bench, link):
        finished = self.run(bench, f"cd {{d}}; echo 5 > out; {link}")
        assert [output["path"] for output in finished.records[0].document()["outputs"]] == ["out"]
        assert bench.seen.warnings() == ["one/0: the link loop leads out of the step's directory: left out"]

    def test_links_of_the_initdir(self, bench, tmp_path):
        initdir = tmp_path / "init"
        initdir.mkdir()
        (initdir / "card.dat").write_text("1")
        (initdir / "card").symlink_to("card.dat")
        (initdir / "out").symlink_to("/etc/passwd")
        (initdir / "earlier/one/0").mkdir(parents=True)
        (initdir / "earlier/run.json").write_text("{}")
        card = {"card": {"step": "init", "output": "card"}, **OUT}
        reads = workflow(stage("reads", "cat {card} > {out}", card, OUT))
        bench.run(reads, {"card": "card"}, initdir=initdir)
        assert read(bench, "reads/0") == "1"
        (initdir / "earlier/one/0/out").write_text("5")
        bench.run(reads, {"card": "card"}, initdir=initdir)
        assert bench.counted() == {"kept": 1}


class TestHostProcesses:
    def test_they_are_refused_before_anything_runs_where_nobody_allowed_them(self, bench):
        host = {"environment_type": "localproc-env"}
        both = workflow(
            stage("slow", "touch {out}", OUT, OUT),
            substage("sub", stage("here", "touch {out}", OUT, OUT, environment=host)),
        )
        with pytest.raises(UsageError, match="here' starts processes of this machine") as caught:
            Local(runtime=bench.runtime, jobs=1, cache=None).execute(
                Work(workflow=both, initdata={}), directory=bench.root / "run", observer=bench.seen
            )
        assert "--allow-host" in (caught.value.hint or "")
        assert bench.runtime.jobs == []
        assert not (bench.root / "run").exists()


class TestScratch:
    def test_a_step_has_a_directory_to_be_thrown_away(self, bench, physics):
        seen = []

        def program(job):
            status = job.scratch.stat()
            seen.append((list(job.scratch.iterdir()), (status.st_uid, status.st_gid) == job.user))
            (job.scratch / "litter").write_text("x")
            return shell(job)

        bench.programs[IMAGE] = program
        bench.run(physics, POINT)
        assert seen == [([], True)] * 4
        assert not any(job.scratch.exists() for job in bench.runtime.jobs)
        assert not list((bench.root / "run").rglob("litter"))

    @pytest.mark.parametrize("workdir", ["{workdir}", "/workdir/sub"])
    def test_one_that_starts_in_its_own_has_none(self, bench, workdir):
        image = {"environment_type": "docker-encapsulated", "image": "image", "workdir": workdir}
        bench.run(workflow(stage("one", "touch {out}", OUT, OUT, environment=image)))
        (job,) = bench.runtime.jobs
        assert job.scratch is None
        assert job.argv[:2] == ("sh", "-c")
        assert len(job.argv) == 3

    def test_a_failed_step_leaves_none_either(self, bench):
        with pytest.raises(StepFailed):
            bench.run(failing("exit 3"))
        assert not list((bench.root / "run").rglob("scratch"))


class TestResumed:
    def tamper(self, bench, *, same_time: bool):
        file = bench.root / "run/signal/1/out"
        before = file.stat()
        file.chmod(0o644)
        file.write_text("2000 9\n")  # as long as what was there
        file.chmod(0o444)
        if same_time:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def test_size_and_time_are_trusted(self, bench, physics):
        bench.run(physics, POINT, cached=False)
        self.tamper(bench, same_time=True)
        bench.run(physics, POINT, cached=False)
        assert bench.counted() == {"kept": 4}

    def test_with_verify_every_byte_is_read(self, bench, physics):
        bench.run(physics, POINT, cached=False)
        bench.run(physics, POINT, cached=False, tools={"verify": True})
        assert bench.counted() == {"kept": 4}
        self.tamper(bench, same_time=True)
        bench.run(physics, POINT, cached=False, tools={"verify": True})
        assert bench.hows() == {"background/0": "kept", "signal/0": "kept", "signal/1": "ran", "limit/0": "kept"}
        assert read(bench, "signal/1") == "2000 2\n"

    def test_another_time_is_a_change(self, bench, physics):
        bench.run(physics, POINT, cached=False)
        self.tamper(bench, same_time=False)
        bench.run(physics, POINT, cached=False)
        assert bench.hows()["signal/1"] == "ran"

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(key="0" * 64),
            lambda d: d.update(tree="0" * 64),
            lambda d: d.update(schema="other/1"),
            lambda d: d["outputs"][0].update(size=1),
            lambda d: d["outputs"][0].update(sha256="0" * 64),
            lambda d: d.pop("execution"),
            lambda d: d.update(outputs=[None]),
        ],
    )
    def test_a_record_that_is_not_what_it_was_runs_again(self, bench, physics, change):
        bench.run(physics, POINT, cached=False)
        rewrite(bench.root / "run/.records/limit/0.json", change)
        planned = forecast(bench.request(physics, POINT), bench.root / "run", None).steps
        assert {str(each.step.id): each.prospect for each in planned if each.prospect != "kept"} == {"limit/0": "runs"}
        bench.run(physics, POINT, cached=False)
        assert bench.hows()["limit/0"] == "ran"
        assert bench.counted() == {"kept": 3, "ran": 1}


class TestSubWorkflows:
    def scan(self):
        inner = [
            stage("fit", "echo {m} > {out}", {"m": {"step": "init", "output": "m"}, **OUT}, OUT),
            stage("sum", "cat {f} {f} > {out}", {"f": {"step": "fit", "output": "out"}, **OUT}, OUT, needs=["fit"]),
        ]
        every = {"fs": {"stages": "scan[*].sum", "output": "out"}, **OUT}
        return workflow(
            substage("scan", *inner, parameters={"m": {"step": "init", "output": "ms"}}, scatter=scattered("m")),
            stage("all", "cat {fs} > {out}", every, OUT, needs=["scan"]),
        )

    def test_their_steps_run_and_lie_by_the_way_to_them(self, bench):
        finished = bench.run(self.scan(), {"ms": [5, 6]})
        assert read(bench, "all/0") == "5\n5\n6\n6\n"
        assert read(bench, "scan/1/fit/0") == "6\n"
        assert (bench.root / "run/.records/scan/1/fit/0.json").is_file()
        assert {str(r.step) for r in finished.records} == {
            *(f"scan/{n}/{name}/0" for n in (0, 1) for name in ("fit", "sum")),
            "all/0",
        }
        assert not (bench.root / "run/scan/0/init").exists()

    def test_they_are_kept_and_cached_like_others(self, bench):
        bench.run(self.scan(), {"ms": [5, 6]})
        bench.run(self.scan(), {"ms": [5, 6]})
        assert bench.counted() == {"kept": 5}
        bench.run(self.scan(), {"ms": [6, 7]}, run="other")
        assert bench.counted() == {"cached": 2, "ran": 3}

    def test_files_of_an_earlier_step_by_name(self, bench):
        constant = {"publisher_type": "constant-pub", "publish": {"name": "*.txt"}}
        make = stage("make", "cd {d}; echo 1 > a.txt; echo 2 > b.txt", {"d": "{workdir}"}, None, publisher=constant)
        use = stage("use", "cat {fs} > {out}", {"fs": {"step": "init", "output": "f"}, **OUT}, OUT)
        given = {"f": {"step": "make", "output": "name"}}
        whole = workflow(make, substage("sub", use, parameters=given, workflow_opts={"discover": True}))
        bench.run(whole)
        assert read(bench, "sub/0/use/0") == "1\n2\n"
        bench.run(whole)
        assert bench.counted() == {"kept": 2}

    def test_a_stage_that_waits_for_ever_is_named_by_the_way_to_it(self, bench):
        empty = stage("m", "true", {"n": [], **OUT}, OUT, scatter="n")
        sub = substage("sub", stage("a", "touch {out}", OUT, OUT), empty, stage("b", "true", OUT, OUT, needs=["m"]))
        with pytest.raises(StepFailed, match="never became ready: sub/0/b"):
            bench.run(workflow(sub))
        assert bench.hows() == {"sub/0/a/0": "ran"}


class TestPublished:
    SAID = {"publisher_type": "fromyaml-pub", "yamlfile": "said.yml"}  # noqa: RUF012  # nobody changes it

    def test_a_file_says_what_is_published_with_places_as_the_command_saw_them(self, bench):
        said = stage("one", 'echo "f: /workdir/f" > said.yml; echo 5 > f', {}, None, publisher=self.SAID)
        use = stage("two", "cat {f} > {out}", {"f": {"step": "one", "output": "f"}, **OUT}, OUT)
        bench.programs[IMAGE] = lambda job: _literally(job) if "said.yml" in job.argv[-1] else shell(job)
        finished = bench.run(workflow(said, use))
        assert finished.records[0].document()["published"] == {"f": "one/0/f"}
        assert read(bench, "two/0") == "5\n"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "did not write 'said.yml', which says what it publishes"),
            ("f: /workdir/g", "did not write its declared output 'g'"),
            ("f: [", "said.yml"),
            ("f: !!python/object:os.system {}", "said.yml"),
        ],
    )
    def test_a_file_that_says_nothing_good(self, bench, content, message):
        def program(job):
            if content is not None:
                (job.workdir / "said.yml").write_text(content)
            return 0

        bench.programs[IMAGE] = program
        with pytest.raises(RecastError, match=message):
            bench.run(workflow(stage("one", "true", {}, None, publisher=self.SAID)))
        assert not (bench.root / "run/one/0").exists()

    def test_parameters_reach_a_container_as_a_file(self, bench):
        mount = [{"jqscript": "{m: .m}", "mountpath": "/cfg.json"}]
        image = {"environment_type": "docker-encapsulated", "image": "image", "par_mounts": mount, "workdir": "/opt"}
        finished = bench.run(workflow(stage("one", "touch {out}", {"m": 5, **OUT}, OUT, environment=image)))
        (job,) = bench.runtime.jobs
        ((source, target),) = job.files
        assert (target, json.loads(source.read_text()), job.cwd) == ("/cfg.json", {"m": 5}, "/opt")
        assert source.stat().st_mode & 0o222 == 0
        assert [f["path"] for f in finished.records[0].document()["outputs"]] == ["out"]
        assert finished.records[0].execution["files"] == {"/cfg.json": source.read_text()}


class TestPeople:
    MANUAL = {"publisher_type": "manual-instructions-pub", "instructions": "say the limit"}  # noqa: RUF012  # nobody changes it

    def look(self):
        one = stage("one", "", {}, None, environment={"environment_type": "noop-env"}, publisher=self.MANUAL)
        one["scheduler"]["step"]["process"] = None
        return workflow(one, stage("two", "echo {v} > {out}", {"v": {"step": "one", "output": "v"}, **OUT}, OUT))

    def test_a_person_says_what_is_published_once(self, bench):
        asked = []

        def ask(step, instructions, place, wants_value):
            asked.append((str(step), instructions, wants_value))
            return {"v": [1, 2]}

        bench.run(self.look(), tools={"ask": ask})
        assert asked == [("one/0", "say the limit", True)]
        assert read(bench, "two/0") == "1 2\n"
        bench.run(self.look())
        assert bench.counted() == {"kept": 2}

    def test_where_there_is_nobody(self, bench):
        with pytest.raises(StepFailed, match="needs a person") as caught:
            bench.run(self.look())
        assert "say the limit" in (caught.value.hint or "")


class TestInterruption:
    @pytest.fixture
    def swept(self, bench, monkeypatch):
        """A signal reaches the main thread while two/0 runs; its container ends when it is swept."""
        swept = threading.Event()

        def program(job):
            if "two" not in job.name:
                return shell(job)
            time.sleep(0.1)  # the main thread sleeps by now
            signal.pthread_kill(threading.main_thread().ident, self.number)
            return 137 if swept.wait(30) else 0

        def sweep(_self, run):
            if bench.runtime.jobs:
                swept.set()
            return 0

        bench.programs[IMAGE] = program
        monkeypatch.setattr(FakeRuntime, "sweep", sweep)
        return swept

    number = signal.SIGINT

    def test_ctrl_c_ends_the_containers_and_keeps_what_is_finished(self, bench, swept):
        with pytest.raises(Interrupted) as caught:
            bench.run(failing("cat {one} > {out}"), cached=False)
        assert swept.is_set()
        assert caught.value.exit_code == 130
        assert caught.value.message == f"interrupted; 1 finished steps are kept in {bench.root / 'run'}"
        assert not [e for e in bench.seen.events if isinstance(e, events.StepRetried | events.StepEnded)]
        bench.programs[IMAGE] = shell
        bench.run(failing("cat {one} > {out}"), cached=False)
        assert bench.hows() == {"one/0": "kept", "two/0": "ran", "three/0": "ran"}

    def test_an_interrupted_step_is_not_tried_again(self, bench, swept):
        with pytest.raises(Interrupted):
            bench.run(failing("cat {one} > {out}"), policy=Policy(retries=5))
        assert bench.started() == 2

    def test_sigterm_is_143(self, bench, swept, monkeypatch):
        class Terminated(KeyboardInterrupt):
            signal_number = 15

        def terminate(*_):
            raise Terminated

        monkeypatch.setattr(self, "number", signal.SIGTERM, raising=False)
        before = signal.signal(signal.SIGTERM, terminate)
        try:
            with pytest.raises(Interrupted) as caught:
                bench.run(failing("cat {one} > {out}"))
        finally:
            signal.signal(signal.SIGTERM, before)
        assert caught.value.exit_code == 143

    def test_leftovers_of_an_earlier_start_are_swept_first(self, bench, physics):
        bench.run(physics, POINT)
        run_id = json.loads((bench.root / "run/run.json").read_text())["id"]
        bench.run(physics, POINT)
        assert bench.runtime.swept == [run_id]


class TestStorage:
    @pytest.mark.parametrize("which", range(1, 10))
    def test_a_full_disk_at_any_write_is_exit_9_and_the_run_can_be_resumed(self, bench, physics, monkeypatch, which):
        count = 0
        in_cache = False

        def full(path, data, real=store.write_atomic):
            nonlocal count, in_cache
            count += 1
            if count == which:
                in_cache = path.name == "entry.json"
                raise store.storage_error(OSError(errno.ENOSPC, "No space left on device", str(path)), f"write {path}")
            real(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(store, "write_atomic", full)
            try:
                bench.run(physics, POINT, jobs=1)
            except StorageError as error:
                caught = error
        done = set(bench.hows())
        if in_cache:  # which a run does not need
            assert any("is not cached" in warning for warning in bench.seen.warnings())
            return
        assert caught.exit_code == 9
        assert "No space left on device" in caught.message
        assert "free some space" in (caught.hint or "")
        bench.run(physics, POINT, jobs=1)
        assert all(bench.hows()[step] == "kept" for step in done)
        assert read(bench, "limit/0") == "139\n2000 1\n2000 2\n"

    @pytest.mark.parametrize("call", ["rename", "fsync", "mkdir", "chmod"])
    def test_a_failing_system_call_is_a_storage_error_not_a_defect(self, bench, physics, monkeypatch, call):
        real, armed = getattr(os, call), []

        def broken(*args, **options):
            if armed:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **options)

        def program(job):
            code = shell(job)
            armed.append(job)
            return code

        bench.programs[IMAGE] = program
        with monkeypatch.context() as patch:
            patch.setattr(os, call, broken)
            with pytest.raises(StorageError):
                bench.run(physics, POINT, jobs=1)
        bench.programs[IMAGE] = shell
        bench.run(physics, POINT, jobs=1)
        assert read(bench, "limit/0") == "139\n2000 1\n2000 2\n"

    def test_where_there_are_no_hard_links_files_are_copied(self, bench, physics, monkeypatch):
        bench.run(physics, POINT)

        def no_links(*_a, **_o):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", no_links)
        bench.run(physics, POINT, run="elsewhere")
        assert bench.counted() == {"cached": 4}
        assert (bench.root / "elsewhere/limit/0/out").stat().st_nlink == 1
        assert (bench.root / "elsewhere/limit/0/out").stat().st_mode & 0o777 == 0o444


class TestRunDirectory:
    def test_two_runners_cannot_share_a_directory(self, bench, physics):
        with RunDirectory(bench.root / "run"):
            with pytest.raises(LockedError) as caught:
                bench.run(physics, POINT)
            assert caught.value.exit_code == 8
            assert bench.started() == 0
        bench.run(physics, POINT)

    @pytest.mark.parametrize("content", ["file", "directory"])
    def test_other_peoples_files_are_left_alone(self, bench, physics, content):
        target = bench.root / "run"
        if content == "file":
            target.write_text("mine")
        else:
            target.mkdir()
            (target / "mine").write_text("mine")
        with pytest.raises(UsageError, match=r"is not a run directory|is a file"):
            bench.run(physics, POINT)
        assert [p.name for p in bench.root.iterdir()] == ["run"]

    def test_the_id_survives(self, bench, physics):
        ids = []
        for _ in range(2):
            bench.run(physics, POINT)
            ids.append(json.loads((bench.root / "run/run.json").read_bytes())["id"])
        assert ids[0] == ids[1]

    def test_each_attempt_keeps_its_log(self, bench):
        for _ in range(2):
            with pytest.raises(StepFailed):
                bench.run(failing("echo here; exit 1"))
        logs = sorted(bench.root.glob("run/.attempts/two.0.*/log"))
        assert [log.parent.name for log in logs] == ["two.0.1", "two.0.2"]
        assert all("here" in log.read_text() for log in logs)
