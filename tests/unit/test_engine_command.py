"""What is started: envscript, environment, directory and mounted files, in a container and on the host."""

from __future__ import annotations

import json
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


class TestInAContainer:
    def test_nothing_asked_for(self):
        found = call(step())
        assert found.argv == ("sh", "-c", "run 1")
        assert (found.stdin, found.env, found.cwd, found.files) == (None, {}, None, {})

    def test_the_environment_script_comes_first(self):
        assert call(step(envscript="/setup.sh")).argv == ("sh", "-c", ". /setup.sh && run 1")

    def test_and_before_an_interpreter(self):
        process = {"process_type": "interpolated-script-cmd", "script": "echo {x}", "interpreter": "bash -e"}
        image = {"environment_type": "docker-encapsulated", "image": "image"}
        for envscript, argv in (("", ("bash", "-e")), ("/s", ("sh", "-c", ". /s && bash -e"))):
            env = {**image, "envscript": envscript}
            made = plan(stage("one", "", {"x": "a b"}, {}, process=process, environment=env))["one/0"]
            assert call(made).argv == argv
            assert call(made).stdin == "echo 'a b'"

    def test_variables(self):
        found = call(step('run "{x}"', {"x": "v"}, env={"A": "1", "RECAST_DM_P0": "mine", "N": 5}))
        assert found.env == {"A": "1", "N": "5", "RECAST_DM_P0": "v"}

    @pytest.mark.parametrize(
        ("workdir", "cwd"),
        [
            ("/opt/code", "/opt/code"),
            ("{workdir}", "/workdir"),
            ("{workdir}/sub", "/workdir/sub"),
            ("{readdir0}", "/inputs/0"),
            ("{readdir1}/d", "/inputs/1/d"),
            ("/a{{b}}", "/a{b}"),
        ],
    )
    def test_where_it_starts(self, workdir, cwd):
        assert call(step("run", {"p": of("a"), "q": of("b")}, workdir=workdir)).cwd == cwd

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
        assert call(made).argv[2] == "run /inputs/0/f /inputs/1/f"


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
        assert (found.cwd, found.files) == (None, None)


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
        assert call(step(cmd, parameters)).argv[2] == text

    @pytest.mark.parametrize(("cmd", "x"), [("{x:d}", "a"), ("{x[b]}", {"a": 1}), ("{x[5]}", [1]), ("{x[a]}", 1)])
    def test_what_cannot_be(self, cmd, x):
        with pytest.raises(SpecError, match=r"cannot use \{x\} so") as caught:
            call(step(cmd, {"x": x}))
        assert caught.value.where is not None


class TestScriptsOfOtherLanguages:
    """Nobody here knows their quotes, so only words that mean the same in and out of them can go in."""

    def script(self, value: object) -> Step:
        process = {"process_type": "interpolated-script-cmd", "script": "x = '{x}'", "interpreter": "python3"}
        image = {"environment_type": "docker-encapsulated", "image": "image"}
        return plan(stage("one", "", {"x": value}, {}, process=process, environment=image))["one/0"]

    @pytest.mark.parametrize("value", [5, 0.25, -1e-7, "a.b/c:d+e@f-g", ["a", 1]])
    def test_plain_words(self, value):
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        found = call(self.script(value))
        assert found.stdin == f"x = '{text}'"
        assert (found.argv, found.env) == (("python3",), {})

    def test_paths(self):
        assert call(self.script("{workdir}/x")).stdin == "x = '/workdir/x'"

    @pytest.mark.parametrize(
        "value", ["a b", "'", "", "a\n", "#", "a;b", "é", "$x", "`", "\\", ["a", "'"], "a=b", "()"]
    )
    def test_others(self, value):
        with pytest.raises(SpecError, match="is no plain word, and the script's interpreter is 'python3'") as caught:
            call(self.script(value))
        assert "par_mounts" in (caught.value.hint or "")
