"""The command line: exit codes, one document on stdout, help, and what it must not import."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from workbench import TOY_IMAGE

from recast_dm import runtimes, schemas
from recast_dm.cli import options
from recast_dm.errors import IntegrityError, RecastError
from recast_dm.images import sources
from recast_dm.images.fake import FakeSource

VERBS = (
    ["new"],
    ["capture"],
    ["unpack"],
    *(["catalogue", verb] for verb in ("add", "ls", "describe", "check", "rm")),
    ["cp"],
    ["flatten"],
    ["export"],
    ["run"],
    ["check"],
    ["rerun"],
    *([verb] for verb in ("scan", "contour", "rescale", "closure", "combine", "planes", "plot", "report", "limits")),
    *(["workspace", verb] for verb in ("put", "mv", "rm", "prune", "retention", "notebook")),
    *(["images", verb] for verb in ("push", "load", "ls")),
    *(["curves", verb] for verb in ("ls", "add", "rm")),
    *(["models", verb] for verb in ("ls", "add", "check", "rm")),
    ["models", "describe"],
    ["status"],
    ["ls"],
    ["logs"],
    ["explain"],
    ["graph"],
    ["diff"],
    ["doctor"],
    ["gc"],
    *([verb] for verb in ("submit", "download", "stop", "restart", "delete", "open", "du", "quota")),
    *(["secrets", verb] for verb in ("list", "add", "delete")),
)
SPECS = Path(__file__).parents[1] / "conformance/specs"
HEAVY = ("docker", "pyhf", "matplotlib", "numpy", "jsonschema", "requests", "scipy", "rich.console", "hypothesis")


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """An empty current directory, its own cache, and the signal handler put back."""
    monkeypatch.chdir(tmp_path)
    places = {"cache_dir": tmp_path / "cache", "catalogue": tmp_path / "catalogue.json", "recast_catalogues": ()}
    monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, **places))
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def fake(bench, monkeypatch):
    """Every runtime is the fake one."""
    monkeypatch.setattr(runtimes, "find", lambda _name: bench.runtime)
    monkeypatch.setattr(sources, "source", lambda _word: FakeSource([TOY_IMAGE]))
    return bench


@pytest.fixture
def capsule(fake, cli, toy_directory) -> str:
    assert cli("capture", str(toy_directory), "-o", "toy.capsule", "--no-run")[0] == 0
    return "toy.capsule"


def error_document(out: str) -> dict:
    document = json.loads(out)  # exactly one document: more would not be JSON
    assert schemas.problem("error-1", document) is None
    return document


class TestErrors:
    CASES = (
        (["--frobnicate"], 2, "usage"),
        (["rnu"], 2, "usage"),
        (["run"], 2, "usage"),
        (["run", "a", "b"], 2, "usage"),
        (["run", "x", "--jobs", "0"], 2, "usage"),
        (["run", "x", "--jobs", "many"], 2, "usage"),
        (["run", "no.capsule"], 2, "usage"),
        (["run", "x", "-p", "events"], 2, "usage"),
        (["run", "x", "-p", "events=[1"], 2, "usage"),
        (["run", "x", "-p", "a=1", "-p", "a=2"], 2, "usage"),
        (["rerun", "no.capsule"], 2, "usage"),
        (["rerun", "no.capsule", "--model", "spin1-axial", "--set", "m_med"], 2, "usage"),
        (["models", "describe", "spin1-axail"], 2, "usage"),
        (["capture", "nowhere", "-o", "x.capsule"], 2, "usage"),
        (["capture", "nowhere"], 2, "usage"),
    )

    @pytest.mark.parametrize(("words", "code", "kind"), CASES)
    def test_json_is_one_error_document_also_for_wrong_words(self, cli, fake, words, code, kind):
        got, out, err = cli(*words, "--json")
        document = error_document(out)
        assert (got, document["exit_code"], document["kind"]) == (code, code, kind)
        assert f"error: {document['message']}" in err or document["where"]
        assert "Traceback" not in err

    @pytest.mark.parametrize(("words", "code", "kind"), CASES)
    def test_without_json_stdout_stays_empty(self, cli, fake, words, code, kind):
        got, out, err = cli(*words)
        assert (got, out) == (code, "")
        assert err.startswith("error: ")

    def test_a_malformed_manifest_names_file_and_line(self, cli, fake):
        Path("bad").mkdir()
        Path("bad/recast.yml").write_text("name: bad\nspec: {workflow: w.yml}\nexample_inputs: 5\n")
        code, out, err = cli("capture", "bad", "-o", "x.capsule", "--json")
        assert code == 3
        assert error_document(out)["where"] == {"file": "bad/recast.yml", "line": 3, "column": 17}
        assert err.startswith("error: bad/recast.yml:3:17: ")

    @pytest.mark.parametrize(
        ("raised", "code"),
        [
            pytest.param(KeyboardInterrupt(), 130),
            (OSError(28, "No space left on device"), 9),
            (ValueError("x"), 1),
        ],
    )
    def test_nothing_escapes_as_a_traceback(self, cli, monkeypatch, tmp_path, raised, code):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)

        def fail(*_):
            raise raised

        monkeypatch.setattr("recast_dm.cli.execution.open_subject", fail)
        got, out, err = cli("run", "x", "--json")
        assert got == code
        assert error_document(out)["exit_code"] == code
        assert "Traceback" not in err
        if code == 1:
            assert "a defect in recast-dm: ValueError: x" in err
            (report,) = tmp_path.glob("recast-dm-*.txt")
            assert "Traceback" in report.read_text()

    def test_every_error_class_has_its_exit_code_and_kind(self):
        found = {(kind.exit_code, kind.kind) for kind in RecastError.__subclasses__() if kind.kind != "interrupted"}
        assert found == {
            (1, "step-failed"),
            (2, "usage"),
            (3, "invalid-spec"),
            (4, "tool-missing"),
            (5, "integrity"),
            (6, "remote"),
            (7, "statistics"),
            (8, "locked"),
            (9, "storage"),
        }


class TestVerbs:
    def test_capture_run_rerun(self, cli, fake, capsule):
        code, out, err = cli("run", capsule, "--workdir", "one", "--json")
        assert code == 0
        one = json.loads(out)
        assert schemas.problem("limit-1", one) is None
        assert "run directory" in err
        code, out, _ = cli(
            *("rerun", capsule, "--model", "spin1-axial", "--set", "m_med=2000", "--set", "m_dm=1"),
            *("--workdir", "two", "--json"),
        )
        assert code == 0
        two = json.loads(out)
        assert schemas.problem("limit-1", two) is None
        assert two["parameters"]["m_med"] == 2000
        assert two["sigma_pb"] < one["sigma_pb"]
        assert one["run_dir"] != two["run_dir"]

    def test_verify_bytes_unpacks_nothing(self, cli, fake, toy_directory, tmp_path):
        target = str(tmp_path / "toy.capsule.zip")
        assert cli("capture", str(toy_directory), "-o", target, "--no-run", "--quiet")[0] == 0
        code, out, _ = cli("verify", target, "--bytes", "--json")
        assert code == 0
        assert [check["name"] for check in json.loads(out)["checks"]] == [
            *("bytes", "digest", "images", "crate", "captured")
        ]
        assert not list(tmp_path.rglob("capsules"))

    def test_a_rerun_without_anything_to_compare_with_says_nothing_against_the_capsule(self, cli, fake, toy_directory):
        assert cli("capture", str(toy_directory), "-o", "x.capsule", "--no-run", "--quiet")[0] == 0
        code, out, err = cli("verify", "x.capsule", "--rerun", "--quiet")
        assert (code, out) == (2, "")
        assert "x.capsule is sound, but was captured without a run" in err

    def test_a_digest_that_is_none_says_nothing_against_the_capsule(self, cli, fake, toy_directory):
        assert cli("capture", str(toy_directory), "-o", "x.capsule", "--no-run", "--quiet")[0] == 0
        digest = json.loads(cli("verify", "x.capsule", "--bytes", "--json")[1])["digest"]
        for wrong in ("", "57c0", f"sha512:{digest}"):
            code, _, err = cli("verify", "x.capsule", "--bytes", "--digest", wrong)
            assert (code, "is no digest of a capsule" in err) == (2, True)
        for right in (digest, f"SHA256:{digest.upper()}"):
            assert cli("verify", "x.capsule", "--bytes", "--digest", right)[0] == 0

    def test_what_another_program_packed_is_said_with_what_to_do(self, cli, fake, toy_directory, tmp_path):
        assert cli("capture", str(toy_directory), "-o", "x.capsule", "--no-run", "--quiet")[0] == 0
        place = Path(shutil.make_archive(str(tmp_path / "packed.capsule"), "zip", ".", "x.capsule"))
        code, out, _ = cli("verify", str(place), "--bytes", "--json")
        assert code == 5
        assert "has to be unpacked by it" in json.loads(out)["checks"][0]["problems"][0]
        code, _, err = cli("run", str(place))
        assert (code, "has to be unpacked by it" in err) == (5, True)

    @pytest.mark.parametrize("suffix", [".zip", ".tar"])
    def test_a_capsule_in_one_file_is_replaced(self, cli, fake, toy_directory, tmp_path, suffix):
        words = ("capture", str(toy_directory), "-o", str(tmp_path / f"toy.capsule{suffix}"), "--no-run", "--quiet")
        for _ in range(2):
            assert cli(*words)[0] == 0
        (tmp_path / f"toy.capsule{suffix}").write_text("mine")
        code, _, err = cli(*words)
        assert code == 2
        assert "exists and is not a capsule" in err

    def test_capture_takes_what_run_takes_for_an_analysis(self, cli, fake, toy_directory):
        assert cli("catalogue", "add", str(toy_directory))[0] == 0
        for word in ("toy", str(toy_directory / "recast.yml")):
            assert cli("capture", word, "-o", "x.capsule", "--no-run", "--quiet")[0] == 0
        for word, message in (
            ("x.capsule", "x.capsule is a capsule already"),
            (str(toy_directory / "steps.yml"), "is not a directory"),
        ):
            code, _, err = cli("capture", word, "-o", "y.capsule", "--no-run", "--quiet")
            assert (code, message in err) == (2, True)

    @pytest.mark.parametrize("name", ["x.capsule.tgz", "x.capsule.tar.gz", "x.ZIP"])
    def test_a_capsule_has_no_other_form(self, cli, fake, toy_directory, name):
        code, _, err = cli("capture", str(toy_directory), "-o", name, "--no-run", "--quiet")
        assert (code, "one file that ends with .zip or .tar" in err) == (2, True)
        assert not Path(name).exists()

    def test_capture_answers_with_a_document(self, cli, fake, toy_directory):
        code, out, err = cli("capture", str(toy_directory), "-o", "toy.capsule", "--json", "--quiet")
        document = json.loads(out)
        assert code == 0
        assert all(line.startswith("warning: recast.yml: ") for line in err.splitlines())
        assert schemas.problem("capture-1", document) is None
        assert document["capsule"] == "toy.capsule"

    def test_the_table_for_people_shows_limit_and_closure(self, cli, capsule):
        code, out, _ = cli("run", capsule, "--workdir", "one")
        assert code == 0
        for words in ("CLs (mu=1)", "sigma upper limit, pb", "EXCLUDED at 95 % CL", "closure", "agrees (within 10 %)"):
            assert words in out

    def test_an_unpublished_point_says_so(self, cli, capsule):
        _, out, _ = cli("rerun", capsule, "--model", "spin1-axial", "--set", "m_med=1500", "--set", "m_dm=1", "-q")
        assert "closure: nothing was published for this point" in out

    def test_quiet_says_nothing(self, cli, capsule):
        _, out, err = cli("run", capsule, "--json", "--quiet")
        assert err == ""
        json.loads(out)

    def test_an_init_parameter_can_be_set(self, cli, fake, capsule):
        code, _, _ = cli("run", capsule, "-p", "seeds=[5, 6, 7]", "--workdir", "w", "-q")
        assert code == 0
        assert sum("--seed" in job.argv[-1] for job in fake.runtime.jobs) == 3

    def test_latest_points_to_the_last_run(self, cli, capsule):
        for _ in range(2):
            directory = json.loads(cli("run", capsule, "-q", "--json")[1])["run_dir"]
        latest = Path("build/runs/latest")
        assert latest.is_symlink()
        assert latest.resolve() == Path(directory)
        assert (latest / "limit/0/limit.json").is_file()

    def test_a_second_run_starts_nothing_and_without_the_cache_everything(self, cli, fake, capsule):
        for words, started in (([], 3), ([], 0), (["--no-cache"], 3)):
            before = len(fake.runtime.jobs)
            assert cli("run", capsule, "-q", "--json", *words)[0] == 0
            assert len(fake.runtime.jobs) - before == started

    def test_a_failing_step(self, cli, bench, monkeypatch, capsule):
        def fail(job):
            with job.log.open("a") as log:
                log.write("no such card\n")
            return 7

        broken = type(bench.runtime)({TOY_IMAGE: fail})
        monkeypatch.setattr(runtimes, "find", lambda _name: broken)
        code, out, err = cli("run", capsule, "--workdir", "w", "--jobs", "1", "--json")
        assert code == 1
        document = error_document(out)
        assert document["message"] == "the step count/0 failed (exit code 7)"
        log = str(Path("w/.attempts/count.0.1/log").absolute())
        assert document["failed"] == [{"step": "count/0", "reason": "exit code 7", "log": log}]
        assert document["run_dir"] == str(Path("w").absolute())
        assert "| no such card" in document["hint"]
        assert "w/.attempts/count.0.1/log" in document["hint"]
        assert "failed    count/0" in err

    def test_every_failed_step_is_named(self, cli, tmp_path):
        stages = [
            {
                "name": name,
                "dependencies": ["init"],
                "scheduler": {
                    "scheduler_type": "singlestep-stage",
                    "parameters": {},
                    "step": {
                        "process": {"process_type": "string-interpolated-cmd", "cmd": cmd},
                        "environment": {"environment_type": "localproc-env"},
                        "publisher": {"publisher_type": "frompar-pub", "outputmap": {}},
                    },
                },
            }
            for name, cmd in (("a", "exit 3"), ("b", "sleep 9"), ("c", "true"))
        ]
        Path("workflow.yml").write_text(json.dumps({"stages": stages}))
        words = ["run", "workflow.yml", "--allow-host", "--jobs", "1", "--workdir", "w"]
        code, out, err = cli(*words, "--keep-going", "--timeout", "0.5", "--json")
        document = error_document(out)
        assert code == 1
        assert document["message"] == "2 steps failed: a/0 (exit code 3), b/0 (timeout)"
        assert [(each["step"], each["reason"]) for each in document["failed"]] == [
            ("a/0", "exit code 3"),
            ("b/0", "timeout"),
        ]
        assert all(Path(each["log"]).is_file() for each in document["failed"])
        assert "error: 2 steps failed: a/0 (exit code 3), b/0 (timeout)\n  the step a/0 failed (exit code 3)\n" in err

    def test_a_dry_run_counts_what_somebody_performs(self, cli):
        spec = SPECS / "nested-sub-workflow"
        words = ["run", str(spec / "workflow.yml"), "--inputs", str(spec / "init.yml"), "--dry-run"]
        assert "7 steps are known" in cli(*words)[1]
        plan = json.loads(cli(*words, "--json")[1])
        steps = {step["step"]: step["depends_on"] for step in plan["steps"]}
        assert len(steps) == 7
        assert {source for sources in steps.values() for source in sources} <= set(steps)
        spec = SPECS / "manual-process"
        words = ["run", str(spec / "workflow.yml"), "--inputs", str(spec / "init.yml"), "--dry-run"]
        assert "1 step is known" in cli(*words)[1]

    def test_a_tampered_capsule(self, cli, fake, capsule):
        file = Path(capsule) / "data/analysis/data/toy.py"
        file.chmod(0o644)
        file.write_text("print('mine')")
        code, out, _ = cli("run", capsule, "--json")
        assert (code, error_document(out)["kind"]) == (IntegrityError.exit_code, "integrity")
        assert fake.runtime.jobs == []

    def test_models(self, cli):
        code, out, _ = cli("models", "ls", "--json")
        assert code == 0
        document = json.loads(out)
        assert schemas.problem("signal-models-1", document) is None
        assert {m["name"] for m in document["models"]} >= {"spin1-axial", "spin1-vector", "add"}
        for name in ("spin1-axial", "spin1-vector", "add"):
            code, out, _ = cli("models", "describe", name, "--json")
            assert schemas.problem("signal-model-1", json.loads(out)) is None
            assert name in cli("models", "describe", name)[1]


class TestAnalysis:
    """An analysis stays one, whatever options are given with it."""

    @pytest.fixture
    def toy(self, toy_directory) -> Path:
        shutil.copytree(toy_directory, "toy")
        return Path("toy")

    @pytest.mark.parametrize(
        ("words", "overrides"),
        [
            pytest.param((), {}, id="none"),
            pytest.param(("--raw", "count"), {}, id="raw"),
            pytest.param(("--inputs", "more.yml"), {"events": 500}, id="inputs"),
            pytest.param(("--inputs", "more.yml", "-p", "events=700"), {"events": 700}, id="inputs-and-p"),
            pytest.param(("--initdir", "files"), {}, id="initdir"),
        ],
    )
    def test_it_runs_to_the_limit_of_its_example(self, cli, fake, toy, words, overrides):
        Path("more.yml").write_text("events: 500\n")
        shutil.copytree(toy / "data", "files")
        if "--initdir" in words:
            (toy / "data/toy.py").unlink()
        code, out, err = cli("run", "toy", *words, "--workdir", "w", "--json")
        assert (code, "Traceback" in err) == (0, False)
        document = json.loads(out)
        assert schemas.problem("limit-1", document) is None
        assert (document["model"], document["parameters"]["m_med"]) == ("spin1-axial", 1000)
        assert document["closure"]
        assert document["overrides"] == overrides
        initdata = json.loads(Path("w/run.json").read_bytes())["initdata"]
        assert initdata == {"program": "toy.py", "seeds": [1, 2], "events": 1000, "m_med": 1000, "m_dm": 1} | overrides

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("m_med: 2000", "the init parameter 'm_med' carries the signal"),
            ("event: 500", "toy has no init parameter 'event'"),
        ],
    )
    def test_a_file_may_give_what_p_may_give(self, cli, fake, toy, given, message):
        Path("more.yml").write_text(given)
        for words in (("--inputs", "more.yml"), ("-p", given.replace(": ", "="))):
            code, out, _ = cli("run", "toy", *words, "--json")
            assert (code, error_document(out)["message"]) == (2, message)
        assert fake.runtime.jobs == []

    def test_raw_lets_a_stage_be_what_it_could_not_be_otherwise(self, cli, fake, toy):
        steps = (toy / "steps.yml").read_text()
        (toy / "steps.yml").write_text(steps.replace("python3 {program} count", "python3 `echo {program}` count"))
        assert cli("run", "toy", "--dry-run")[0] == 3
        code, out, _ = cli("run", "toy", "--raw", "count", "--dry-run", "--json")
        assert (code, json.loads(out)["relaxations"]) == (0, {"count": ["compat: raw"]})
        assert cli("check", "toy", "--raw", "limit")[0] == 3
        assert cli("check", "toy", "--raw", "count")[0] == 0


class TestHelp:
    @pytest.mark.parametrize("verb", VERBS, ids=" ".join)
    def test_every_verb_ends_in_two_examples_that_can_be_parsed(self, cli, verb):
        code, out, err = cli(*verb, "--help")
        assert (code, err) == (0, "")
        examples = [line.strip() for line in out[out.index("Examples:") :].splitlines() if "recast-dm" in line]
        assert len([e for e in examples if e.startswith(f"recast-dm {' '.join(verb)}")]) == 2
        assert "--json" in out

    def test_the_verbs_stand_in_their_panels(self, cli):
        _, out, _ = cli("--help")
        assert re.findall(r"^(\w+):$", out, re.MULTILINE) == [
            "Options",
            "Preserve",
            "Run",
            "Reinterpret",
            "Inspect",
            "Setup",
        ]

    @pytest.mark.parametrize("words", [[], ["models"]], ids=["none", "models"])
    def test_who_says_nothing_sees_the_help(self, cli, words):
        assert cli(*words) == cli(*words, "--help")
        assert cli(*words)[0] == 0

    def test_the_version(self, cli):
        assert cli("--version") == (0, "recast-dm 0.1.0\n", "")

    @pytest.mark.parametrize("words", [["--help"], ["--version"], *([*verb, "--help"] for verb in VERBS)], ids=" ".join)
    def test_help_imports_nothing_heavy(self, words):
        code = (
            "import json, sys\n"
            "from recast_dm.cli import main\n"
            "assert main(sys.argv[1:]) == 0\n"
            f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]), file=sys.stderr)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert json.loads(done.stderr) == []


class TestProcess:
    def test_sigterm_is_exit_143(self, toy_directory, tmp_path):
        """The handler is installed by main; the verb here only waits."""
        code = (
            "import sys, time\n"
            "from recast_dm import runtimes\n"
            "from recast_dm.cli import main\n"
            "def wait(_name):\n"
            "    print('ready', flush=True, file=sys.stderr)\n"
            "    time.sleep(30)\n"
            "runtimes.find = wait\n"
            "sys.exit(main(sys.argv[1:]))\n"
        )
        words = [sys.executable, "-c", code, "capture", str(toy_directory), "-o", "x.capsule", "--json"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 143
        assert error_document(out)["exit_code"] == 143
        assert "error: interrupted" in err

    def test_a_reader_that_has_gone_is_no_error_message(self):
        words = f"{sys.executable} -m recast_dm models ls --json | true"
        done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True)
        assert "Traceback" not in done.stderr

    def test_python_m_recast_dm(self):
        done = subprocess.run(
            [sys.executable, "-m", "recast_dm", "nonsense", "--json"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        error_document(done.stdout)

    def test_the_installed_command(self):
        command = shutil.which("recast-dm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        assert command is not None
        done = subprocess.run([command, "run", "nowhere"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
