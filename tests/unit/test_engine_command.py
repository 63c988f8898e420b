"""What is started: envscript, environment, directory and mounted files, in a container and on the host."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path as HostPath

import pytest
from workbench import plan, stage

from recast_dm.engine import command
from recast_dm.errors import SpecError
from recast_dm.model import Step, StepId

SOURCES = [stage(name, "true", {}, {"f": "{workdir}/f"}) for name in ("a", "b")]


def step(cmd: str = "run {x}", parameters: dict | None = None, **environment: object) -> Step:
    image = {"environment_type": "docker-encapsulated", "image": "image", **environment}
    given = {"x": 1} if parameters is None else parameters
    return plan(*SOURCES, stage("one", cmd, given, {}, environment=image))["one/0"]


def of(name: str) -> dict:
    return {"step": name, "output": "f"}


def call(made: Step) -> command.Invocation:
    return command.invocation(made, command.in_container(made))


def argv(found: command.Invocation) -> tuple[str, ...]:
    """What the command itself is, in the scratch directory where it starts."""
    assert found.scratch
    assert found.argv[:4] == ("sh", "-c", command.IN_SCRATCH, "sh")
    return found.argv[4:]


class TestInAContainer:
    def test_nothing_asked_for(self):
        found = call(step())
        assert argv(found) == ("sh", "-c", "run 1")
        assert (found.stdin, found.env, found.cwd, found.files) == (None, {}, None, {})

    def test_the_environment_script_comes_first(self):
        assert argv(call(step(envscript="/setup.sh"))) == ("sh", "-c", ". /setup.sh && run 1")

    def test_and_before_an_interpreter(self):
        process = {"process_type": "interpolated-script-cmd", "script": "echo {x}", "interpreter": "bash -e"}
        image = {"environment_type": "docker-encapsulated", "image": "image"}
        for envscript, expected in (("", ("bash", "-e")), ("/s", ("sh", "-c", ". /s && bash -e"))):
            env = {**image, "envscript": envscript}
            made = plan(stage("one", "", {"x": "a b"}, {}, process=process, environment=env))["one/0"]
            assert argv(call(made)) == expected
            assert call(made).stdin == "echo 'a b'"

    def test_variables(self):
        found = call(step('run "{x}"', {"x": "v"}, env={"A": "1", "RECAST_DM_P0": "mine", "N": 5}))
        assert found.env == {"A": "1", "N": "5", "RECAST_DM_P0": "v"}

    @pytest.mark.parametrize(
        ("workdir", "cwd", "scratch"),
        [
            ("/opt/code", "/opt/code", True),
            ("{workdir}", "/workdir", False),
            ("{workdir}/sub", "/workdir/sub", False),
            ("/workdir", "/workdir", False),
            ("/workdirs", "/workdirs", True),
            ("{readdir0}", "/inputs/0", False),
            ("{readdir1}/d", "/inputs/1/d", False),
            ("/a{{b}}", "/a{b}", True),
        ],
    )
    def test_where_it_starts(self, workdir, cwd, scratch):
        """In the image a scratch directory takes the place of what cannot be written to."""
        found = call(step("run", {"p": of("a"), "q": of("b")}, workdir=workdir))
        assert (found.cwd, found.scratch) == (cwd, scratch)
        assert (argv(found) if scratch else found.argv) == ("sh", "-c", "run")

    @pytest.mark.parametrize("workdir", ["code", "", "{readdir7}", "{x}", "{", "{workdir!r}", "{workdir.x}"])
    def test_where_it_cannot(self, workdir):
        if workdir == "{workdir!r}":
            workdir = "x{workdir!r}"
        with pytest.raises(SpecError, match="is no absolute path") as caught:
            call(step("run", {"p": of("a")}, workdir=workdir))
        assert caught.value.hint == "it may hold {workdir}, {readdir0}"

    def test_files_made_of_parameters(self):
        made = step(
            "run",
            {"m": {"a": [1.5, None]}, "f": of("a"), "o": "{workdir}/o"},
            par_mounts=[
                {"jqscript": "{mass: .m.a[0], f, o}", "mountpath": "/cfg/x.json"},
                {"jqscript": ".m", "mountpath": "/y"},
            ],
        )
        files = {place: json.loads(content) for place, content in (call(made).files or {}).items()}
        assert files == {
            "/cfg/x.json": {"mass": 1.5, "f": "/inputs/0/f", "o": "/workdir/o"},
            "/y": {"a": [1.5, None]},
        }

    def test_a_program_that_fails(self):
        with pytest.raises(SpecError, match="Cannot index number"):
            call(step(par_mounts=[{"jqscript": ".x.y", "mountpath": "/y"}]))

    def test_inputs_are_counted_in_the_order_of_their_use(self):
        made = step("run {p} {q}", {"q": of("b"), "p": of("a")})
        assert command.in_container(made) == {
            StepId("one"): "/workdir",
            StepId("a"): "/inputs/0",
            StepId("b"): "/inputs/1",
        }
        assert argv(call(made))[2] == "run /inputs/0/f /inputs/1/f"


class TestOnTheHost:
    def test_directories_are_where_they_are(self):
        made = plan(
            *SOURCES,
            stage(
                "one",
                "cp {p} {o}",
                {"p": of("a"), "o": "{workdir}/o"},
                {},
                environment={"environment_type": "localproc-env"},
            ),
        )["one/0"]
        places = command.on_host(made, HostPath("/runs/w w"), [HostPath("/runs/a/0")])
        found = command.invocation(made, places)
        assert found.argv == ("sh", "-c", "cp /runs/a/0/f '/runs/w w/o'")
        assert (found.cwd, found.scratch, found.files) == (None, False, None)


class TestFormats:
    @pytest.mark.parametrize(
        ("cmd", "parameters", "text"),
        [
            ("{x:04d}", {"x": 7}, "0007"),
            ("{x[a][1]}", {"x": {"a": [1, "b c"]}}, "'b c'"),
            ("{x[a]}", {"x": {"a": [1, 2]}}, "1 2"),
            ("{x!r}", {"x": "a"}, "''\"'\"'a'\"'\"''"),
            ("{x:.2f} {x}", {"x": 0.256}, "0.26 0.256"),
            ("{x:>4}", {"x": [1, 2]}, "' 1 2'"),
            ("{p:s}", {"p": of("a")}, "/inputs/0/f"),
            ("{{x}} {x}", {"x": 1}, "{x} 1"),
        ],
    )
    def test_one_literal_word(self, cmd, parameters, text):
        assert argv(call(step(cmd, parameters)))[2] == text

    @pytest.mark.parametrize(("cmd", "x"), [("{x:d}", "a"), ("{x[b]}", {"a": 1}), ("{x[5]}", [1]), ("{x[a]}", 1)])
    def test_what_cannot_be(self, cmd, x):
        with pytest.raises(SpecError, match=r"cannot use \{x\} so") as caught:
            call(step(cmd, {"x": x}))
        assert caught.value.where is not None


class TestInScratch:
    """What goes from the image's directory into the scratch directory, done by a real shell."""

    def run(self, start: HostPath, scratch: HostPath, *words: str) -> str:
        program = command.IN_SCRATCH.replace("/scratch", str(scratch))
        argv = ("sh", "-c", program, "sh", *words)
        return subprocess.run(argv, cwd=start, capture_output=True, text=True, check=True).stdout

    @pytest.fixture
    def start(self, tmp_path):
        start = tmp_path / "the image"
        (start / "sub").mkdir(parents=True)
        (start / "a b").write_text("1")
        (start / ".hidden").write_text("2")
        (start / "sub/f").write_text("3")
        return start

    def test_it_shows_what_lies_where_the_image_starts(self, start, tmp_path):
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        assert self.run(start, scratch, "cat", "a b", ".hidden", "sub/f") == "123"
        self.run(start, scratch, "sh", "-c", "echo new > made")
        assert (scratch / "made").read_text() == "new\n"
        assert not (start / "made").exists()

    def test_one_program_is_started_for_all_files(self, start, tmp_path, monkeypatch):
        """A container's root has some twenty: a program for each would take longer than the container."""
        scratch, programs = tmp_path / "scratch", tmp_path / "programs"
        for place in (scratch, programs):
            place.mkdir()
        for n in range(20):
            (start / f"file {n}").touch()
        (programs / "ln").write_text(f'#!/bin/sh\necho started >> {programs}/log\nexec {shutil.which("ln")} "$@"\n')
        (programs / "ln").chmod(0o755)
        monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
        self.run(start, scratch, "true")
        assert {path.name for path in scratch.iterdir()} == {path.name for path in start.iterdir()}
        assert (programs / "log").read_text() == "started\n" * 2  # the hidden ones have their own

    def test_more_files_than_a_command_line_holds(self, tmp_path):
        start, scratch = tmp_path / "start", tmp_path / "scratch"
        for place in (start, scratch):
            place.mkdir()
        names = {f"{n:03}".ljust(240, "x") for n in range(500)}
        for name in names:
            (start / name).touch()
        program = command.IN_SCRATCH.replace("/scratch", str(scratch))
        subprocess.run(("sh", "-c", f"ulimit -s 256; {program}", "sh", "true"), cwd=start, check=True)
        assert {path.name for path in scratch.iterdir()} == names

    def test_an_empty_directory(self, tmp_path):
        for name in ("start", "scratch"):
            (tmp_path / name).mkdir()
        assert self.run(tmp_path / "start", tmp_path / "scratch", "ls", "-A") == ""

    def test_words_are_passed_as_they_are(self, start, tmp_path):
        (tmp_path / "scratch").mkdir()
        words = ["a b", "$(id)", "", "'", "*"]
        assert self.run(start, tmp_path / "scratch", "printf", "%s\\0", *words) == "".join(f"{w}\0" for w in words)

    def test_variables_are_passed_as_they_are(self, start, tmp_path, monkeypatch):
        (tmp_path / "scratch").mkdir()
        monkeypatch.setenv("d", "1")
        monkeypatch.setenv("f", "2")
        assert self.run(start, tmp_path / "scratch", "sh", "-c", 'printf "$d $f"') == "1 2"

    def test_without_a_scratch_directory_it_stays_where_it_is(self, start, tmp_path):
        assert self.run(start, tmp_path / "none", "pwd", "-P") == f"{start}\n"


class TestCommandsInBrackets:
    """bash evaluates `a[$(cmd)]` in `[[ x -gt 1 ]]`: however such a value is quoted, it may run."""

    ATTACKS = ("a[$(id)]", "a[`id`]", "x y[0+$(id)", "a[\n$(id)]", "[[$(")

    @pytest.mark.parametrize("value", ATTACKS)
    @pytest.mark.parametrize("cmd", ["run {x}", "run '{x}'", 'run "{x}"', "run {x!s}"])
    def test_they_are_refused(self, value, cmd):
        with pytest.raises(SpecError, match="'x' of one/0 holds a command in brackets") as caught:
            call(step(cmd, {"x": value}))
        assert caught.value.where is not None
        assert "`compat: raw` under `steps.one`" in (caught.value.hint or "")

    def test_in_lists_and_shell_scripts_too(self):
        process = {"process_type": "interpolated-script-cmd", "script": "echo {x}", "interpreter": "bash"}
        image = {"environment_type": "docker-encapsulated", "image": "image"}
        made = plan(stage("one", "", {"x": [1, "a[$(id)]"]}, {}, process=process, environment=image))["one/0"]
        with pytest.raises(SpecError, match="holds a command in brackets"):
            call(made)

    @pytest.mark.parametrize(
        ("cmd", "parameters"),
        [
            ('[[ "{x}" -gt 1 ]]', {"x": ["a[", "$(id)]"]}),
            ('[[ "{x}{y}" -gt 1 ]]', {"x": "a[", "y": "$(id)]"}),
            ('printf -v "a[{x}]" 1', {"x": "$(id)"}),
        ],
    )
    def test_brackets_that_come_together_in_one_word(self, cmd, parameters):
        with pytest.raises(SpecError, match="holds a command in brackets"):
            call(step(cmd, parameters))

    @pytest.mark.parametrize("value", ["$(id)[a]", "a[0]", "[1, 2]", "`id`", "$(id)", "a[$x]"])
    def test_others_are_words(self, value):
        assert argv(call(step("run {x}", {"x": value})))[2] == f"run {shlex.quote(value)}"

    def test_a_command_that_does_not_use_the_value(self):
        assert argv(call(step("run", {"x": "a[$(id)]"})))[2] == "run"

    def test_raw_is_raw(self):
        made = replace(step("run {x}", {"x": "a[$(id)]"}), relaxations=(command.RAW,))
        assert argv(call(made))[2] == "run a[$(id)]"


class TestScriptsOfOtherLanguages:
    """Nobody here knows their quotes, so only words that mean the same in and out of them can go in."""

    def script(self, value: object) -> Step:
        process = {"process_type": "interpolated-script-cmd", "script": "x = '{x}'", "interpreter": "python3"}
        image = {"environment_type": "docker-encapsulated", "image": "image"}
        return plan(stage("one", "", {"x": value}, {}, process=process, environment=image))["one/0"]

    @pytest.mark.parametrize("value", [5, 0.25, -1e-7, "a.b/c:d+e,f-g", "/a/b", ["a", 1]])
    def test_plain_words(self, value):
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        found = call(self.script(value))
        assert found.stdin == f"x = '{text}'"
        assert (argv(found), found.env) == (("python3",), {})

    def test_paths(self):
        assert call(self.script("{workdir}/x")).stdin == "x = '/workdir/x'"

    @pytest.mark.parametrize(
        "value", ["a b", "'", "", "a\n", "#", "a;b", "é", "$x", "`", "\\", ["a", "'"], "a=b", "()", "@a", "a//b", "//a"]
    )
    def test_others(self, value):
        with pytest.raises(SpecError, match="is no plain word, and the script's interpreter is 'python3'") as caught:
            call(self.script(value))
        assert "par_mounts" in (caught.value.hint or "")
