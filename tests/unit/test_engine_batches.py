"""Several steps in one start: who shares it, what each keeps, and every way in which it goes wrong. Twins too."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

import pytest
from workbench import IMAGE, Bench, plan, scattered, shell, stage, substage, workflow

from recast_dm import batch, schemas, store
from recast_dm.engine import batches, command, events, together
from recast_dm.engine.forecast import forecast
from recast_dm.errors import Interrupted, StepFailed
from recast_dm.model import Policy
from recast_dm.runtimes import Outcome
from recast_dm.runtimes.fake import FakeRuntime, in_turn

PROGRAM = ("prog",)
POLICIES = {name: Policy(batch=PROGRAM) for name in ("many", "sum", "point/many", "point/sum", "point/last")}
CONTAINER = {"environment_type": "docker-encapsulated", "image": "image"}
OUT = {"out": "{workdir}/out"}
COMMAND = "prog add {n} --out {out}"


def adds(words: list[str], cwd: Path) -> int:
    """`add [FILE|NUMBER] ... --out FILE`: the sum; 7 or more in one number is too much, and is said to be."""
    _, *terms, _, out = words
    found = [int(Path(term).read_text() if "/" in term else term) for term in terms]
    if any(number == 7 for number in found):
        return 7
    (cwd / "scratch.txt").write_text("left in the current directory")
    Path(out).write_text(f"{sum(found)}\n")
    return 0


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path, {IMAGE: in_turn("prog", adds)})


def many(cmd: str = COMMAND, numbers: int = 10, **more):
    return stage("many", cmd, {"n": list(range(20, 20 + numbers)), **OUT}, OUT, scatter="n", **more)


def points(*stages, numbers: int = 10):
    """A scan: the stages as a workflow for each number."""
    parameters = {"n": list(range(20, 20 + numbers))}
    return substage("point", *stages, parameters=parameters, scatter=scattered("n"))


def run(bench: Bench, *stages, **more):
    return bench.run(workflow(*stages), **{"policies": POLICIES, **more})


def records(bench: Bench, run: str = "run") -> dict[str, dict]:
    place = bench.root / run / ".records"
    return {str(p.relative_to(place).with_suffix("")): json.loads(p.read_bytes()) for p in place.rglob("*.json")}


def starts(bench: Bench) -> list[tuple[str, ...]]:
    return [job.argv[4:] for job in bench.runtime.jobs]


class TestTogether:
    def test_the_steps_of_a_stage_share_as_many_starts_as_there_are_places(self, bench):
        run(bench, many(), jobs=2)
        assert starts(bench) == [(*PROGRAM, "--batch", "/workdir/jobs.json")] * 2
        assert bench.counted() == {"ran": 10}
        assert [(bench.root / f"run/many/{n}/out").read_text() for n in range(10)] == [f"{n}\n" for n in range(20, 30)]

    def test_outputs_keys_and_published_values_are_those_of_single_starts(self, bench):
        all_of_them = {"all": {"stages": "many", "output": "out"}, **OUT}
        flow = (many(), stage("sum", "prog add {all} --out {out}", all_of_them, OUT))
        alone = run(bench, *flow, policies={}, cached=False)
        assert bench.started() == 11
        together = run(bench, *flow, run="together", cached=False)
        assert bench.started() == 3
        assert [(r.step, r.key, r.tree, r.published) for r in alone.records] == [
            (r.step, r.key, r.tree, r.published) for r in together.records
        ]

    def test_a_record_says_what_a_start_of_its_own_would_be(self, bench):
        run(bench, many(), policies={}, cached=False)
        run(bench, many(), run="together", cached=False)
        for step, shared in records(bench, "together").items():
            alone = records(bench)[step]
            assert schemas.problem("step-1", shared) is None
            how, plain = shared["execution"], alone["execution"]
            assert how.pop("batch") == {"size": 5, "container_id": how["container_id"]}
            for each in (how, plain):
                each.update(seconds=0, started="", container_id="")
            assert how == plain
            assert how["argv"][-1].startswith("prog add 2")
            assert set(how["places"].values()) == {"/workdir"}

    def test_each_step_has_its_own_log_and_nothing_else_is_left(self, bench):
        run(bench, many())
        attempts = bench.root / "run/.attempts"
        assert {p.name for p in attempts.iterdir()} == {f"many.{n}.1" for n in range(10)}
        assert {p.name for p in attempts.glob("*/*")} == {"log"}
        assert (attempts / "many.3.1/log").read_text() == "fake: add 23 --out /workdir/1/out\n"

    def test_what_is_written_where_the_command_starts_is_no_output(self, bench):
        finished = run(bench, many())
        assert {file.path for record in finished.records for file in record.tree.files} == {"out"}

    def test_where_the_command_starts_in_the_work_directory_it_is(self, bench):
        environment = {**CONTAINER, "workdir": "{workdir}/."}
        alone = run(bench, many(environment=environment), policies={}, cached=False)
        together = run(bench, many(environment=environment), run="together", cached=False)
        assert bench.started() == 2
        assert {file.path for record in together.records for file in record.tree.files} == {"out", "scratch.txt"}
        assert [r.tree for r in alone.records] == [r.tree for r in together.records]

    def test_an_input_of_all_is_mounted_once(self, bench):
        base = stage("base", "prog add 1 --out {out}", OUT, OUT)
        more = stage(
            "many",
            "prog add {n} {base} --out {out}",
            {"n": [1, 2, 3], "base": {"step": "base", "output": "out"}, **OUT},
            OUT,
            scatter="n",
        )
        run(bench, base, more, jobs=1)
        *_, job = bench.runtime.jobs
        assert job.files == ((bench.root / "run/base/0", "/batch/0"),)
        assert (bench.root / "run/many/2/out").read_text() == "4\n"

    def test_no_container_takes_more_than_some(self, bench):
        run(bench, many(numbers=batches.MOST + 6), jobs=1)
        assert bench.started() == 2

    def test_a_stage_of_sub_workflows_is_one_stage(self, bench):
        inner = [
            stage("many", "prog add {n} --out {out}", {"n": {"step": "init", "output": "n"}, **OUT}, OUT),
            stage("sum", "prog add 1 {x} --out {out}", {"x": {"step": "many", "output": "out"}, **OUT}, OUT),
        ]
        run(bench, points(*inner, numbers=20), jobs=2)
        assert bench.started() == 4
        assert (bench.root / "run/point/19/sum/0/out").read_text() == "40\n"

    def test_what_is_kept_or_cached_is_not_started(self, bench):
        run(bench, many(numbers=4))
        run(bench, many(numbers=10), run="more")
        assert bench.counted() == {"cached": 4, "ran": 6}
        run(bench, many(numbers=12), run="more", cached=False)
        assert bench.counted() == {"kept": 10, "ran": 2}
        assert bench.started() == 2, "one step in each of two places: a batch of one is none"

    def test_one_step_alone_is_no_batch(self, bench):
        run(bench, many(numbers=1))
        assert starts(bench) == [("sh", "-c", "prog add 20 --out /workdir/out")]

    def test_others_go_on_meanwhile(self, bench):
        """Steps that cannot be shared take free places first; batches are gathered until there is nothing else."""
        both = (many(), stage("other", "prog add {n} --out {out}", {"n": [1, 2, 3], **OUT}, OUT, scatter="n"))
        run(bench, *both, jobs=1)
        assert [words[:2] for words in starts(bench)] == [("sh", "-c")] * 3 + [(*PROGRAM, "--batch")]

    def test_events_tell_of_each_step(self, bench):
        run(bench, many(numbers=3), jobs=1)
        told = [e for e in bench.seen.events if isinstance(e, events.StepStarted | events.StepFinished)]
        assert [(str(e.step), e.batch) for e in told[:3]] == [(f"many/{n}", (n, 3)) for n in range(3)]
        assert all(e.log == bench.root / f"run/.attempts/many.{n}.1/log" for n, e in enumerate(told[:3]))
        assert sorted(str(e.step) for e in told[3:]) == [f"many/{n}" for n in range(3)]


class TestWhoShares:
    """Pure: whether a step may share a start."""

    @pytest.mark.parametrize(
        "cmd",
        [
            "prog add {n} --out {out}",
            "prog add  {n} \\\n  --out '/workdir/a b'\n",
            'prog add {n} "a literal" --out {out}',
        ],
    )
    def test_a_program_and_words(self, cmd):
        assert batches.kind(self.step(cmd), PROGRAM) is not None

    @pytest.mark.parametrize(
        "cmd",
        [
            "other add {n} --out {out}",
            "prog add {n} > {out}",
            "prog add {n} --out {out} && true",
            "cd /tmp; prog add {n}",
            "prog add '{n}' --out {out}",
            "prog add $(nproc)",
            "prog add *.txt",
            "prog add {n} # why",
            "prog add {n} --out {out}\nprog add {n}",
            "A=1 prog add {n}",
        ],
    )
    def test_whatever_a_shell_would_do_more(self, cmd):
        assert batches.kind(self.step(cmd), PROGRAM) is None

    def test_a_value_is_a_word_whatever_is_in_it(self):
        step = self.step("prog add {n} --out {out}", n="$(x); it's 'a' \"b\"")
        assert batches.kind(step, PROGRAM) is not None
        call = command.invocation(step, command.in_container(step))
        found = batches.layout(PROGRAM, [step], [[]], [call])
        assert found.jobs[0].argv == ("add", "$(x); it's 'a' \"b\"", "--out", "/workdir/0/out")

    @pytest.mark.parametrize(
        "more",
        [
            {"environment": {**CONTAINER, "envscript": "/setup.sh"}},
            {"environment": {**CONTAINER, "par_mounts": [{"jqscript": ".", "mountpath": "/x"}]}},
            {"environment": {"environment_type": "localproc-env"}},
            {"process": {"process_type": "interpolated-script-cmd", "script": "prog add {n} --out {out}"}},
            {"publisher": {"publisher_type": "fromyaml-pub", "yamlfile": "said.yml"}},
        ],
    )
    def test_whatever_else_needs_a_start_of_its_own(self, more):
        assert batches.kind(self.step(COMMAND, **more), PROGRAM) is None

    def test_nobody_without_a_program_and_not_other_specifications(self):
        first, second = self.step(COMMAND), self.step(COMMAND)
        assert batches.kind(first, None) is None
        assert batches.kind(first, PROGRAM) != batches.kind(second, PROGRAM)

    def step(self, cmd: str, n: object = 1, **more):
        return plan(stage("one", cmd, {"n": n, **OUT}, OUT, **more))["one/0"]


class TestGathered:
    def test_shares_are_even_and_kinds_share_the_places(self):
        gathered = batches.Gathered()
        for n in range(100):
            gathered.add("a", n)
        for n in range(10):
            gathered.add("b", n)
        shares = [gathered.share(free) for free in (4, 3, 2, 1, 1)]
        assert [len(share) for share in shares] == [50, 50, 5, 5, 0]
        assert sorted(shares[0] + shares[1]) == list(range(100))
        assert shares[0][:3] == [0, 2, 4], "dealt out: neighbours tend to take equally long"

    def test_one_place_takes_what_a_container_may_hold(self):
        gathered = batches.Gathered()
        for n in range(100):
            gathered.add("a", n)
        assert gathered.share(1) == list(range(batches.MOST))
        assert gathered.share(1) == list(range(batches.MOST, 100))


class Ending:
    """A program of batches that stops after some jobs, as a container that was killed does."""

    def __init__(self, after: int, code: int = 137) -> None:
        self.after, self.code = after, code

    def __call__(self, job) -> int:
        words = list(job.argv)
        if batch.OPTION not in words:
            return in_turn("prog", adds)(job)
        file = job.workdir / "jobs.json"
        jobs = batch.read(file)
        file.write_text(batch.text(jobs[: self.after]))
        if self.after:
            in_turn("prog", adds)(job)
        return self.code


class Talking(FakeRuntime):
    """Its batches say when each job has ended, and show the run directory then: `seen` are the records at that time."""

    root: Path
    seen: list[set[str]]

    def run(self, job, line):
        if batch.OPTION not in job.argv:
            return super().run(job, line)
        file = job.workdir / "jobs.json"
        jobs = batch.read(file)
        code = 0
        for each in jobs:
            file.write_text(batch.text((each,)))
            code = max(code, in_turn("prog", adds)(job))
            line(f"{each.status}: 0")
            self.seen.append({p.name for p in (self.root / "run/.records/many").glob("*.json")})
        return Outcome(code, "the container")


class TestMeanwhile:
    """What has ended is kept while the rest of a batch goes on."""

    @pytest.fixture
    def talking(self, bench):
        runtime = Talking(bench.programs)
        runtime.root, runtime.seen = bench.root, []
        return runtime

    def test_it_is_kept_now_and_then(self, bench, talking, monkeypatch):
        monkeypatch.setattr(together, "EVERY", 0.0)
        finished = run(bench, many(numbers=4), jobs=1, cached=False, tools={"containers": talking})
        early = [{f"{n}.json" for n in range(count)} for count in (1, 2, 3, 3)]
        assert talking.seen == early, "the last one waits for the end of the container"
        assert bench.counted() == {"ran": 4}
        alone = run(bench, many(numbers=4), policies={}, cached=False, run="alone")
        assert [(r.key, r.tree, r.published) for r in finished.records] == [
            (r.key, r.tree, r.published) for r in alone.records
        ]
        for record in records(bench).values():
            assert schemas.problem("step-1", record) is None
            assert record["execution"]["batch"]["size"] == 4
        run(bench, many(numbers=4), cached=False)
        assert bench.counted() == {"kept": 4}

    def test_not_before_some_seconds_have_gone(self, bench, talking):
        run(bench, many(numbers=4), jobs=1, tools={"containers": talking})
        assert talking.seen == [set()] * 4
        assert [e.line for e in bench.seen.events if isinstance(e, events.StepSaid)] == [
            f"{n} of 4 done together" for n in range(1, 5)
        ]

    def test_what_failed_or_is_odd_is_for_the_end(self, bench, talking, monkeypatch):
        monkeypatch.setattr(together, "EVERY", 0.0)
        flow = stage("many", COMMAND, {"n": [7, 8, 9], **OUT}, OUT, scatter="n")
        with pytest.raises(StepFailed, match="many/0"):
            run(bench, flow, jobs=1, tools={"containers": talking})
        assert talking.seen == [set(), {"1.json"}, {"1.json"}]
        assert set(records(bench)) == {"many/1", "many/2"}


class TestFailures:
    def test_a_step_fails_alone(self, bench):
        flow = stage("many", COMMAND, {"n": [5, 7, 9], **OUT}, OUT, scatter="n")
        with pytest.raises(StepFailed) as caught:
            run(bench, flow, jobs=1)
        assert (caught.value.step, caught.value.status, caught.value.reason) == ("many/1", 7, "exit code 7")
        assert "fake: add 7 --out" in caught.value.hint
        assert set(records(bench)) == {"many/0", "many/2"}
        assert bench.started() == 1
        assert [(f.step, Path(f.log).read_text()[:4]) for f in caught.value.failed] == [("many/1", "fake")]

    def test_a_step_that_writes_nothing_fails_alone(self, bench):
        bench.programs[IMAGE] = in_turn("prog", lambda words, cwd: 0 if "5" in words else adds(words, cwd))
        flow = stage("many", COMMAND, {"n": [5, 8, 9], **OUT}, OUT, scatter="n")
        with pytest.raises(StepFailed, match="many/0"):
            run(bench, flow, jobs=1)
        assert set(records(bench)) == {"many/1", "many/2"}

    def test_retries_are_single_starts_and_are_recorded(self, bench):
        tried: Counter[str] = Counter()

        def flaky(words: list[str], cwd: Path) -> int:
            tried[words[1]] += 1
            return 3 if words[1] == "25" and tried["25"] == 1 else adds(words, cwd)

        bench.programs[IMAGE] = in_turn("prog", flaky)
        run(bench, many(), jobs=1, policies={"many": Policy(batch=PROGRAM, retries=1)})
        assert starts(bench)[1:] == [("sh", "-c", "prog add 25 --out /workdir/out")]
        execution = records(bench)["many/5"]["execution"]
        assert [each["reason"] for each in execution["failed_attempts"]] == ["exit code 3"]
        assert "batch" not in execution
        assert schemas.problem("step-1", records(bench)["many/5"]) is None
        assert [(e.attempt, e.attempts) for e in bench.seen.events if isinstance(e, events.StepRetried)] == [(1, 1)]

    def test_no_more_retries_than_the_policy_says(self, bench):
        flow = stage("many", COMMAND, {"n": [7, 8], **OUT}, OUT, scatter="n")
        with pytest.raises(StepFailed, match="many/0"):
            run(bench, flow, jobs=1, policies={"many": Policy(batch=PROGRAM, retries=2)})
        assert bench.started() == 3

    @pytest.mark.parametrize("after", [0, 1, 4])
    def test_what_a_killed_batch_leaves_undone_is_done_in_single_starts(self, bench, after):
        bench.programs[IMAGE] = Ending(after)
        run(bench, many(numbers=5), jobs=1)
        assert bench.started() == 1 + 5 - after
        assert bench.counted() == {"ran": 5}
        assert bench.seen.warnings() == [f"many: a batch did {after} of 5 steps (exit code 137: {self.said(bench)})"]
        assert {p.name for p in (bench.root / "run/.attempts").iterdir()} == {f"many.{n}.1" for n in range(5)}

    def said(self, bench) -> str:
        return f"fake: {' '.join(bench.runtime.jobs[0].argv)}"

    def test_a_status_that_is_none_is_none(self, bench):
        """Whatever a program puts where a status should be: a link, nothing, words, a directory, a pipe."""

        def odd(job) -> int:
            if batch.OPTION in job.argv:
                (job.workdir / "0.status").symlink_to("/etc/hostname")
                (job.workdir / "1.status").touch()
                (job.workdir / "2.status").write_text("fine\n")
                (job.workdir / "3.status").mkdir()
                return 0
            return in_turn("prog", adds)(job)

        bench.programs[IMAGE] = odd
        run(bench, many(numbers=5), jobs=1)
        assert bench.started() == 6
        assert bench.counted() == {"ran": 5}

    def test_a_link_in_the_place_of_a_step_s_directory_is_not_followed(self, bench, tmp_path):
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim/out").write_text("secret")

        def swap(job) -> int:
            if batch.OPTION in job.argv:
                (job.workdir / "1").rmdir()
                (job.workdir / "1").symlink_to(tmp_path / "victim")
                for n in range(3):
                    (job.workdir / f"{n}/out").write_text("1\n") if n != 1 else None
                    (job.workdir / f"{n}.status").write_text("0\n")
                return 0
            return in_turn("prog", adds)(job)

        bench.programs[IMAGE] = swap
        run(bench, many(numbers=3), jobs=1)
        assert (tmp_path / "victim/out").read_text() == "secret"
        assert (tmp_path / "victim/out").stat().st_mode & 0o777 == 0o644
        assert (bench.root / "run/many/1/out").read_text() == "21\n"

    def test_the_time_of_a_batch_is_that_of_its_steps_together(self, bench):
        run(bench, many(numbers=6), jobs=1, policies={"many": Policy(batch=PROGRAM, timeout=1.5)})
        assert [job.timeout for job in bench.runtime.jobs] == [9.0]

    def test_an_interrupt_keeps_what_had_ended(self, bench):
        begun = threading.Event()

        class Waits(FakeRuntime):
            """Its batch does two jobs, and then waits until it is swept away."""

            def run(self, job, line):
                if batch.OPTION in job.argv:
                    Ending(2)(job)
                    line("two are done")
                    begun.set()
                    self.over.wait(20)
                    return Outcome(137, "x", "killed")
                return super().run(job, line)

            def sweep(self, run):
                if begun.is_set():
                    self.over.set()
                return 0

        runtime = Waits(bench.programs)
        runtime.over = threading.Event()

        def observe(event) -> None:
            bench.seen(event)

        flow = workflow(many(numbers=5))

        def interrupt() -> None:
            begun.wait(20)
            import _thread

            _thread.interrupt_main()

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(Interrupted, match="2 finished steps"):
            bench.run(flow, policies=POLICIES, jobs=1, tools={"containers": runtime})
        assert set(records(bench)) == {"many/0", "many/1"}
        assert not list((bench.root / "run/.attempts").glob(".batch*"))
        run(bench, many(numbers=5), jobs=1)
        assert bench.counted() == {"kept": 2, "ran": 3}

    def test_what_a_killed_runner_left_of_a_batch_goes_at_the_next_start(self, bench):
        left = store.temporary(bench.root / "run/.attempts/batch")
        run(bench, many(numbers=2))
        (left / "work/0").mkdir(parents=True)
        run(bench, many(numbers=3))
        assert not left.exists()


class TestTwins:
    def test_the_same_work_is_done_once(self, bench):
        bench.programs[IMAGE] = shell
        flow = stage("same", "echo {m} > {out}", {"n": [1, 1, 1, 2], "m": 5, **OUT}, OUT, scatter="n")
        finished = run(bench, flow, cached=False)
        assert bench.started() == 2
        assert bench.hows() == {"same/0": "ran", "same/1": "cached", "same/2": "cached", "same/3": "ran"}
        assert [record.reused for record in finished.records] == [None, "run", "run", None]
        assert len({(bench.root / f"run/same/{n}/out").stat().st_ino for n in range(3)}) == 1
        assert [record.execution["places"] for record in finished.records] == [
            {f"same/{n}": "/workdir"} for n in range(4)
        ]
        assert [schemas.problem("step-1", each) for each in records(bench).values()] == [None] * 4
        run(bench, flow, cached=False)
        assert bench.counted() == {"kept": 4}

    def test_nor_is_it_done_twice_in_batches(self, bench):
        flow = stage("many", COMMAND, {"n": [1, 2, 1, 2, 3], **OUT}, OUT, scatter="n")
        run(bench, flow, cached=False, jobs=1)
        assert bench.counted() == {"ran": 3, "cached": 2}
        assert bench.started() == 1
        assert (bench.root / "run/many/3/out").read_text() == "2\n"

    def test_what_one_point_shares_with_another_is_done_once(self, bench):
        inner = [
            stage("same", "prog add 1 --out {out}", OUT, OUT),
            stage("sum", "prog add {n} {x} --out {out}",
                  {"n": {"step": "init", "output": "n"}, "x": {"step": "same", "output": "out"}, **OUT}, OUT),
        ]  # fmt: skip
        run(bench, points(*inner), jobs=2, cached=False)
        assert bench.started() == 3
        assert bench.counted() == {"ran": 11, "cached": 9}

    def test_where_the_first_fails_so_do_the_others(self, bench):
        flow = stage("many", "prog add 7 --out {out}", {"n": [1, 1, 1], **OUT}, OUT, scatter="n")
        with pytest.raises(StepFailed, match="3 steps failed") as caught:
            run(bench, flow, keep_going=True)
        assert bench.started() == 1
        assert [failure.step for failure in caught.value.failed] == ["many/0", "many/1", "many/2"]

    def test_a_twin_whose_files_have_changed_is_not_copied(self, bench):
        """The first step's files are changed as soon as it has finished."""
        bench.programs[IMAGE] = shell
        flow = stage("same", "echo 1 > {out}", {"n": [1, 1], **OUT}, OUT, scatter="n")
        seen = bench.seen

        def observe(event) -> None:
            seen(event)
            if isinstance(event, events.StepFinished) and event.step.index == 0:
                file = bench.root / "run/same/0/out"
                file.chmod(0o644)
                file.write_text("tampered")

        run(bench, flow, cached=False, tools={"observer": observe})
        assert bench.started() == 2
        assert (bench.root / "run/same/1/out").read_text() == "1\n"

    def test_processes_of_this_machine_have_no_twins(self, bench, tmp_path):
        from recast_dm.runtimes.host import Host

        cmd = f"echo x >> {tmp_path}/count; echo 1 > {{out}}"
        host = {"environment_type": "localproc-env"}
        flow = stage("same", cmd, {"n": [1, 1], **OUT}, OUT, scatter="n", environment=host)
        bench.run(workflow(flow), tools={"host": Host({"PATH": "/usr/bin:/bin"})})
        assert (tmp_path / "count").read_text() == "x\nx\n"

    def test_a_forecast_says_that_they_wait(self, bench):
        flow = workflow(stage("many", COMMAND, {"n": [1, 2, 1], **OUT}, OUT, scatter="n"))
        seen = forecast(bench.request(flow, {}), None, None)
        assert [planned.prospect for planned in seen.steps] == ["runs", "runs", "waits"]
